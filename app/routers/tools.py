"""Tools."""

from typing import Annotated

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.bodies import fingerprint, json_body
from app.dependencies import AppContainer, IdempotencyKey, User
from app.responses import JsonResponse, created, no_content
from app.routers.documented import answer, problems
from app.schemas.tools import ApproveTools, CreateTool, ToolPage
from app.services import tools

router = APIRouter(tags=["catalogue"])


@router.get("/tools", responses=answer(200, ToolPage, "Tools."))
async def list_tools(user: User, container: AppContainer) -> Response:
    """The tools that agents may name, by name. An admin sees those, too, that are off."""
    return JsonResponse(await tools.list_tools(container, user))


@router.post(
    "/tools",
    status_code=201,
    responses={
        **answer(201, ToolPage, "The tool, or the server's tools.", headers=("Location",)),
        **problems("forbidden", "invalid_request", "conflict", "idempotency_key_reused"),
    },
)
async def create_tool(
    request: Request,
    user: User,
    container: AppContainer,
    key: IdempotencyKey,
    body: Annotated[CreateTool, json_body(CreateTool)],
) -> Response:
    """Make a tool of an HTTP call, or add an MCP server and approve what it offers now. For admins."""
    made = await tools.create_tool(container, user, body, key=key, fingerprint=fingerprint(request) if key else "")
    return created(made, f"/tools/{body.root.name}")


@router.post(
    "/tools/{name}/approve",
    responses={
        **answer(200, ToolPage, "The server's tools."),
        **problems("forbidden", "not_found", "invalid_request", "conflict"),
    },
)
async def approve_tools(
    name: str, user: User, container: AppContainer, body: Annotated[ApproveTools, json_body(ApproveTools)]
) -> Response:
    """Approve tools of an MCP server that are new, or have changed: as they were seen, by their digests. For admins."""
    return JsonResponse(await tools.approve_tools(container, user, name, body))


@router.delete(
    "/tools/{name}",
    status_code=204,
    responses={**answer(204, None, "It is gone."), **problems("forbidden", "not_found", "conflict")},
)
async def delete_tool(name: str, user: User, container: AppContainer) -> Response:
    """Delete a tool, or a server with its tools. Agents that name it go on without. For admins."""
    await tools.delete_tool(container, user, name)
    return no_content()
