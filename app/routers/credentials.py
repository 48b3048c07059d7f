"""A user's own headers for tools that are called with them."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from app.authentication import AppContainer, User
from app.dependencies import json_body
from app.openapi import BODY, USER, failures
from app.responses import JsonResponse, no_content
from app.schemas.answers.tools import CredentialsPage
from app.schemas.tools import PutCredentials
from app.services import credentials
from app.strict_routes import StrictRoute

router = APIRouter(route_class=StrictRoute, tags=["credentials"])


async def visible_tool(tool: str, user: User, container: AppContainer) -> str:
    """The name of a tool that the user may name in agents. Raises `ToolNotFound`."""
    return await credentials.see_tool(container, user, tool)


@router.get(
    "/me/credentials",
    response_model=CredentialsPage,
    response_description="The tools.",
    responses=failures(*USER),
)
async def list_credentials(user: User, container: AppContainer) -> Response:
    """The tools for which you have given headers of your own. The headers are never shown."""
    return JsonResponse(await credentials.list_credentials(container, user))


@router.put(
    "/me/credentials/{tool}",
    status_code=204,
    response_description="The headers are kept.",
    responses=failures(*USER, *BODY, "not_found", "conflict"),
)
async def put_credentials(
    tool: Annotated[str, Depends(visible_tool)],
    user: User,
    container: AppContainer,
    body: Annotated[PutCredentials, json_body(PutCredentials)],
) -> Response:
    """Give your own headers for an HTTP tool or an MCP server that is called with them, in place of earlier ones."""
    await credentials.put_credentials(container, user, tool, body)
    return no_content()


@router.delete(
    "/me/credentials/{tool}",
    status_code=204,
    response_description="The headers are deleted.",
    responses=failures(*USER, "not_found", "conflict"),
)
async def delete_credentials(tool: str, user: User, container: AppContainer) -> Response:
    """Delete your own headers for a tool. Calls of your runs are error results from then on."""
    await credentials.delete_credentials(container, user, tool)
    return no_content()
