"""Agents."""

from typing import Annotated

from fastapi import APIRouter
from starlette.responses import Response

from ai_agents.core.rows import SeenAgent
from app.authentication import AppContainer, ScopedUser, User
from app.dependencies import IfMatch, OnAgent, Once, Paging, Shared, json_body
from app.openapi import BODY, ONCE, PAGE, USER, failures, headers
from app.responses import JsonResponse, created, etag, no_content, versioned
from app.schemas.agents import CreateAgent, UpdateAgent
from app.schemas.answers.agents import AgentCard, AgentPage, AgentRead, AgentVersionPage
from app.services import agents
from app.strict_routes import StrictRoute
from app.turns import AgentTurn, LargeTurn

router = APIRouter(route_class=StrictRoute, tags=["agents"])


@router.post(
    "/agents",
    status_code=201,
    response_model=AgentRead,
    response_description="The new agent.",
    responses={201: headers("Location", "ETag"), **failures(*USER, *BODY, *ONCE, "not_found", "quota_exceeded")},
)
async def create_agent(
    user: User,
    container: AppContainer,
    once: Once,
    body: Annotated[CreateAgent, json_body(CreateAgent)],
    _turn: AgentTurn,
) -> Response:
    """Create an agent. The user owns it."""

    async def may_see(agent: SeenAgent) -> None:
        await agents.require_to_read(container, user, agent["id"])

    agent = await once.create(lambda: agents.create_agent(container, user, body), may_see=may_see)
    return created(agent, f"/agents/{agent['id']}", etag(agent["version"]))


@router.get("/agents", response_model=AgentPage, response_description="Agents.", responses=failures(*USER, *PAGE))
async def list_agents(
    user: ScopedUser, container: AppContainer, page: Paging, _turn: LargeTurn, shared: Shared = False
) -> Response:
    """The agents that the user sees, in short, newest first. Users who may only talk to one see its name."""
    return JsonResponse(await agents.list_agents(container, user, page, shared=shared))


@router.get(
    "/agents/{agent_id}",
    response_model=AgentRead | AgentCard,
    response_description="The agent.",
    responses={200: headers("ETag"), **failures(*USER, "not_found")},
)
async def get_agent(user: ScopedUser, agent: OnAgent, container: AppContainer) -> Response:
    """One agent. Users who may only talk to it see its id, name and description, and no ETag."""
    found = await agents.get_agent(container, user, agent)
    return versioned(found, found["version"]) if "version" in found else JsonResponse(found)


@router.get(
    "/agents/{agent_id}/versions",
    response_model=AgentVersionPage,
    response_description="The agent in each of its versions.",
    responses=failures(*USER, *PAGE, "not_found", "forbidden"),
)
async def list_agent_versions(
    user: ScopedUser, agent: OnAgent, container: AppContainer, page: Paging, _turn: LargeTurn
) -> Response:
    """The versions of an agent, newest first. For viewers of it."""
    return JsonResponse(await agents.list_agent_versions(container, user, agent, page))


@router.patch(
    "/agents/{agent_id}",
    response_model=AgentRead,
    response_description="The agent.",
    responses={
        200: headers("ETag"),
        **failures(*USER, *BODY, "not_found", "forbidden", "precondition_failed", "quota_exceeded"),
    },
)
async def update_agent(
    agent: OnAgent,
    user: User,
    container: AppContainer,
    versions: IfMatch,
    body: Annotated[UpdateAgent, json_body(UpdateAgent)],
    _turn: AgentTurn,
) -> Response:
    """Change an agent. A change makes its next version; active runs keep the version that they started with."""
    changed = await agents.update_agent(container, user, agent, body, versions=versions)
    return versioned(changed, changed["version"])


@router.delete(
    "/agents/{agent_id}",
    status_code=204,
    response_description="The agent is deleted.",
    responses=failures(*USER, "not_found", "forbidden", "precondition_failed"),
)
async def delete_agent(agent: OnAgent, user: User, container: AppContainer, versions: IfMatch) -> Response:
    """Delete an agent. Its threads stay readable, and take no more messages."""
    await agents.delete_agent(container, user, agent, versions=versions)
    return no_content()
