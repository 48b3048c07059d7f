"""API keys."""

from typing import Annotated

from fastapi import APIRouter
from starlette.responses import Response

from app.bodies import json_body
from app.dependencies import AppContainer, Paging, User
from app.responses import JsonResponse, created, no_content
from app.routers.documented import answer, problems
from app.schemas.keys import CreateKey, KeyPage, NewKey
from app.services import keys

router = APIRouter(tags=["keys"])


@router.post(
    "/keys",
    status_code=201,
    responses={**answer(201, NewKey, "The new key; `key` is shown this once."), **problems("forbidden")},
)
async def create_key(user: User, container: AppContainer, body: Annotated[CreateKey, json_body(CreateKey)]) -> Response:
    """Make an API key: an admin for anybody, others for themselves."""
    key = await keys.create_key(container, user, body)
    return created(key, f"/keys/{key['id']}")


@router.get("/keys", responses=answer(200, KeyPage, "Keys."))
async def list_keys(user: User, container: AppContainer, page: Paging) -> Response:
    """The user's API keys, newest first, without their secrets; an admin sees all."""
    return JsonResponse(await keys.list_keys(container, user, page))


@router.delete("/keys/{key_id}", status_code=204, responses=answer(204, None, "It is gone."))
async def delete_key(key_id: str, user: User, container: AppContainer) -> Response:
    """Delete an API key. Requests with it are refused from now on."""
    await keys.delete_key(container, user, key_id)
    return no_content()
