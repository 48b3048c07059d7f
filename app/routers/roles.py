"""Roles."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from ai_agents.core.types import ResourceType
from app.bodies import fingerprint, json_body
from app.dependencies import AppContainer, IdempotencyKey, Paging, User
from app.described import BODY, ONCE, PAGE, USER, failures, headers, json_request
from app.responses import JsonResponse, created, no_content
from app.schemas.access import CreateRole
from app.schemas.answers import RolePage, RoleRead
from app.services import roles
from app.services.repeats import create_once

router = APIRouter(tags=["roles"])


@router.post(
    "/roles",
    status_code=201,
    response_model=RoleRead,
    response_description="The role.",
    responses={201: headers("Location"), **failures(*USER, *BODY, *ONCE, "not_found", "forbidden", "last_owner")},
    openapi_extra=json_request(CreateRole),
)
async def assign_role(
    request: Request,
    user: User,
    container: AppContainer,
    key: IdempotencyKey,
    body: Annotated[CreateRole, json_body(CreateRole)],
) -> Response:
    """Give a user a role on an agent or a thread. It replaces the role that they have there."""
    role = await create_once(
        container, user, lambda: roles.assign_role(container, user, body), key=key, fingerprint=fingerprint(request)
    )
    return created(role, f"/roles?resource_type={role['resource_type']}&resource_id={role['resource_id']}")


@router.get(
    "/roles",
    response_model=RolePage,
    response_description="Roles.",
    responses=failures(*USER, *PAGE, "not_found", "forbidden"),
)
async def list_roles(
    user: User,
    container: AppContainer,
    page: Paging,
    resource_type: Annotated[ResourceType, Query(description="The kind of the resource.")],
    resource_id: Annotated[str, Query(description="Its id.")],
) -> Response:
    """The roles on an agent or a thread, for its owners."""
    return JsonResponse(await roles.list_roles(container, user, resource_type, resource_id, page))


@router.delete(
    "/roles/{role_id}",
    status_code=204,
    response_description="The role is removed.",
    responses=failures(*USER, "not_found", "forbidden", "last_owner"),
)
async def remove_role(role_id: str, user: User, container: AppContainer) -> Response:
    """Remove a role."""
    await roles.remove_role(container, user, role_id)
    return no_content()
