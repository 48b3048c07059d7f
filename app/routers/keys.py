"""API keys."""

from typing import Annotated

from fastapi import APIRouter
from starlette.responses import Response

from app.bodies import json_body
from app.dependencies import AppContainer, Paging, User
from app.described import BODY, PAGE, USER, failures, json_request
from app.responses import JsonResponse, created, no_content
from app.schemas.access import CreateKey
from app.schemas.answers import KeyPage, NewKey
from app.services import keys

router = APIRouter(tags=["keys"])


@router.post(
    "/keys",
    status_code=201,
    response_model=NewKey,
    response_description="The new key. `key` is shown only in this answer.",
    responses=failures(*USER, *BODY, "forbidden"),
    openapi_extra=json_request(CreateKey),
)
async def create_key(user: User, container: AppContainer, body: Annotated[CreateKey, json_body(CreateKey)]) -> Response:
    """Create an API key. Users create keys for themselves, an admin for any user."""
    key = await keys.create_key(container, user, body)
    return created(key, f"/keys/{key['id']}")


@router.get("/keys", response_model=KeyPage, response_description="Keys.", responses=failures(*USER, *PAGE))
async def list_keys(user: User, container: AppContainer, page: Paging) -> Response:
    """The user's API keys, newest first, without their secrets. An admin sees all keys."""
    return JsonResponse(await keys.list_keys(container, user, page))


@router.delete(
    "/keys/{key_id}",
    status_code=204,
    response_description="The key is deleted.",
    responses=failures(*USER, "not_found"),
)
async def delete_key(key_id: str, user: User, container: AppContainer) -> Response:
    """Delete an API key. It stops working at once."""
    await keys.delete_key(container, user, key_id)
    return no_content()
