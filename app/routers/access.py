"""Roles, API keys, tokens, and the user that a key or token identifies."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from ai_agents.core.rows import Role
from ai_agents.core.types import ResourceType
from app.authentication import AppContainer, ScopedUser, User
from app.dependencies import Once, Paging, json_body
from app.openapi import BODY, ONCE, PAGE, USER, failures, headers
from app.responses import JsonResponse, created, no_content
from app.schemas.access import CreateKey, CreateRole, CreateToken, RotateKey
from app.schemas.answers.access import KeyPage, NewKey, NewToken, RolePage, RoleRead
from app.schemas.common import Searched, UserId
from app.services import access
from app.strict_routes import StrictRoute
from app.turns import LargeTurn

router = APIRouter(route_class=StrictRoute)


@router.post(
    "/roles",
    tags=["roles"],
    status_code=201,
    response_model=RoleRead,
    response_description="The role.",
    responses={201: headers("Location"), **failures(*USER, *BODY, *ONCE, "not_found", "forbidden", "last_owner")},
)
async def assign_role(
    user: User, container: AppContainer, once: Once, body: Annotated[CreateRole, json_body(CreateRole)]
) -> Response:
    """Give a user a role on an agent, a thread, a tool or a provider. It replaces the role that they have there."""

    async def may_see(role: Role) -> None:
        await access.require_to_see(container, user, role)

    role = await once.create(lambda: access.assign_role(container, user, body), may_see=may_see)
    await access.refresh_rights(container, body.resource_type)
    return created(role, f"/roles?resource_type={role['resource_type']}&resource_id={role['resource_id']}")


@router.get(
    "/roles",
    tags=["roles"],
    response_model=RolePage,
    response_description="Roles.",
    responses=failures(*USER, *PAGE, "not_found", "forbidden"),
)
async def list_roles(
    user: User,
    container: AppContainer,
    page: Paging,
    resource_type: Annotated[ResourceType | None, Query(description="The kind of the resource.")] = None,
    resource_id: Annotated[
        str | None, Query(max_length=100, description="Its id; the name of a tool or provider.")
    ] = None,
) -> Response:
    """The roles on an agent or thread, for owners; on a tool or provider, for admins. Without one, your own roles."""
    return JsonResponse(await access.list_roles(container, user, resource_type, resource_id, page))


@router.delete(
    "/roles/{role_id}",
    tags=["roles"],
    status_code=204,
    response_description="The role is removed.",
    responses=failures(*USER, "not_found", "forbidden", "last_owner"),
)
async def remove_role(role_id: str, user: User, container: AppContainer) -> Response:
    """Remove a role. Everybody may give up a role of their own."""
    await access.remove_role(container, user, role_id)
    return no_content()


@router.post(
    "/keys",
    tags=["keys"],
    status_code=201,
    response_model=NewKey,
    response_description="The new key. `key` is shown only in this answer.",
    responses=failures(*USER, *BODY, "forbidden"),
)
async def create_key(user: User, container: AppContainer, body: Annotated[CreateKey, json_body(CreateKey)]) -> Response:
    """Create an API key. Users create keys for themselves, an admin for any user.

    A key for the user of the request ends with the key of the request: it expires no later, and is deleted with it.
    """
    key = await access.create_key(container, user, body)
    return created(key, f"/keys/{key['id']}")


@router.get(
    "/keys", tags=["keys"], response_model=KeyPage, response_description="Keys.", responses=failures(*USER, *PAGE)
)
async def list_keys(
    user: User,
    container: AppContainer,
    page: Paging,
    _turn: LargeTurn,
    q: Annotated[
        Searched | None,
        Query(
            min_length=1,
            max_length=200,
            description="Only keys with this in their user's id, their name or their prefix, in any case.",
        ),
    ] = None,
) -> Response:
    """The user's API keys, newest first, without their secrets. An admin sees all keys."""
    return JsonResponse(await access.list_keys(container, user, page, q=q))


@router.delete(
    "/keys/{key_id}",
    tags=["keys"],
    status_code=204,
    response_description="The key is deleted.",
    responses=failures(*USER, "not_found"),
)
async def delete_key(key_id: str, user: User, container: AppContainer) -> Response:
    """Delete an API key, and those that it made. They stop working at once."""
    await access.delete_key(container, user, key_id)
    return no_content()


async def _visible_key(key_id: str, user: User, container: AppContainer) -> str:
    return await access.see_key(container, user, key_id)


@router.post(
    "/keys/{key_id}/rotate",
    tags=["keys"],
    response_model=NewKey,
    response_description="The key with its new secret. `key` is shown only in this answer.",
    responses=failures(*USER, *BODY, "not_found", "forbidden"),
)
async def rotate_key(
    user: User,
    container: AppContainer,
    key_id: Annotated[str, Depends(_visible_key)],
    body: Annotated[RotateKey, json_body(RotateKey)],
) -> Response:
    """Give an API key a new secret. What it made stays.

    The former secret ends after `grace_s` seconds, at once by default. A key may do this for itself and for the keys
    that it made, an admin for any.
    """
    return JsonResponse(await access.rotate_key(container, user, key_id, body))


@router.post(
    "/tokens",
    tags=["keys"],
    status_code=201,
    response_model=NewToken,
    response_description="The new token. `token` is shown only in this answer.",
    responses={201: headers("Location"), **failures(*USER, *BODY, "not_found", "forbidden")},
)
async def create_token(
    user: User, container: AppContainer, body: Annotated[CreateToken, json_body(CreateToken)]
) -> Response:
    """Create a token, which a browser or a phone may hold. Users create tokens for themselves, an admin for any user.

    It is good wherever a key is, for `expires_in_s` seconds, but is never an admin's and makes no keys or tokens. With
    `agents` it is for talking to these alone: their threads, and the files and streams of those. It ends with the key
    that made it.
    """
    token = await access.create_token(container, user, body)
    return created(token, f"/tokens/{token['id']}")


@router.delete(
    "/tokens",
    tags=["keys"],
    status_code=204,
    response_description="The tokens are deleted.",
    responses=failures(*USER, "invalid_request", "forbidden"),
)
async def delete_tokens(
    user: User,
    container: AppContainer,
    user_id: Annotated[UserId, Query(description="Whose tokens; only an admin names another user.")],
) -> Response:
    """Delete all tokens of a user. They stop working at once."""
    await access.delete_tokens(container, user, user_id)
    return no_content()


@router.delete(
    "/tokens/{token_id}",
    tags=["keys"],
    status_code=204,
    response_description="The token is deleted.",
    responses=failures(*USER, "not_found"),
)
async def delete_token(token_id: str, user: ScopedUser, container: AppContainer) -> Response:
    """Delete a token, which stops working at once. One that names agents deletes no other than itself."""
    await access.delete_token(container, user, token_id)
    return no_content()
