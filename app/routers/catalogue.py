"""Tools."""

from typing import Annotated

from fastapi import APIRouter
from starlette.responses import Response

from app.authentication import AppContainer, User
from app.dependencies import IfMatch, Once, json_body
from app.openapi import BODY, ONCE, USER, failures, headers
from app.responses import JsonResponse, created, no_content, versioned
from app.schemas.answers.tools import ToolPage
from app.schemas.tools import ApproveTools, CreateTool, UpdateHttpTool
from app.services import catalogue
from app.strict_routes import StrictRoute
from app.turns import LargeTurn

router = APIRouter(route_class=StrictRoute, tags=["catalogue"])


@router.get("/tools", response_model=ToolPage, response_description="Tools.", responses=failures(*USER))
async def list_tools(user: User, container: AppContainer, _turn: LargeTurn) -> Response:
    """The tools that agents may name, by name. An admin also sees tools that are off."""
    return JsonResponse(await catalogue.list_tools(container, user))


@router.post(
    "/tools",
    status_code=201,
    response_model=ToolPage,
    response_description="The tool, or the server's tools.",
    responses={201: headers("Location"), **failures(*USER, *BODY, *ONCE, "forbidden", "conflict")},
)
async def create_tool(
    user: User,
    container: AppContainer,
    once: Once,
    body: Annotated[CreateTool, json_body(CreateTool)],
) -> Response:
    """Create a tool that makes an HTTP request, or add an MCP server and approve its tools. For admins."""
    made = await catalogue.create_tool(container, user, body, sent=once.sent)
    return created(made, f"/tools/{body.root.name}")


@router.patch(
    "/tools/{name}",
    response_model=ToolPage,
    response_description="The tool.",
    responses={
        200: headers("ETag"),
        **failures(*USER, *BODY, "not_found", "forbidden", "conflict", "precondition_failed"),
    },
)
async def update_tool(
    name: str,
    user: User,
    container: AppContainer,
    versions: IfMatch,
    body: Annotated[UpdateHttpTool, json_body(UpdateHttpTool)],
) -> Response:
    """Change a tool that makes an HTTP request. Runs under way have it as it was. For admins."""
    return versioned(*await catalogue.update_tool(container, user, name, body, versions=versions))


@router.post(
    "/tools/{name}/approve",
    response_model=ToolPage,
    response_description="The server's tools.",
    responses=failures(*USER, *BODY, "forbidden", "not_found", "conflict"),
)
async def approve_tools(
    name: str, user: User, container: AppContainer, body: Annotated[ApproveTools, json_body(ApproveTools)]
) -> Response:
    """Approve tools of an MCP server that are new or have changed, by the digests that you have seen. For admins."""
    return JsonResponse(await catalogue.approve_tools(container, user, name, body))


@router.delete(
    "/tools/{name}",
    status_code=204,
    response_description="The tool is deleted.",
    responses=failures(*USER, "forbidden", "not_found", "conflict"),
)
async def delete_tool(name: str, user: User, container: AppContainer) -> Response:
    """Delete a tool, or a server and its tools. Agents that name it go on without it. For admins."""
    await catalogue.delete_tool(container, user, name)
    return no_content()
