"""Agents."""

from typing import Annotated

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.bodies import fingerprint, json_body
from app.dependencies import AppContainer, IdempotencyKey, IfMatch, OnAgent, Paging, User
from app.responses import JsonResponse, created, etag, no_content, versioned
from app.routers.documented import answer, problems
from app.schemas.agents import AgentPage, AgentRead, CreateAgent, UpdateAgent
from app.services import agents
from app.services.repeats import create_once

router = APIRouter(tags=["agents"])
_AGENT = answer(200, AgentRead, "The agent.", headers=("ETag",))


@router.post(
    "/agents",
    status_code=201,
    responses={
        **answer(201, AgentRead, "The new agent.", headers=("Location", "ETag")),
        **problems("invalid_request", "idempotency_key_reused"),
    },
)
async def create_agent(
    request: Request,
    user: User,
    container: AppContainer,
    key: IdempotencyKey,
    body: Annotated[CreateAgent, json_body(CreateAgent)],
) -> Response:
    """Set up an agent. The user owns it."""
    agent = await create_once(
        container,
        user,
        lambda: agents.create_agent(container, user, body),
        key=key,
        fingerprint=fingerprint(request),
    )
    return created(agent, f"/agents/{agent['id']}", etag(agent["version"]))


@router.get("/agents", responses=answer(200, AgentPage, "Agents."))
async def list_agents(user: User, container: AppContainer, page: Paging) -> Response:
    """The agents that the user may see, newest first."""
    return JsonResponse(await agents.list_agents(container, user, page))


@router.get("/agents/{agent_id}", responses=_AGENT)
async def get_agent(agent: OnAgent, container: AppContainer) -> Response:
    """One agent."""
    found = await agents.get_agent(container, agent)
    return versioned(found, found["version"])


@router.get("/agents/{agent_id}/versions", responses=answer(200, AgentPage, "The agent in each of its versions."))
async def list_agent_versions(agent: OnAgent, container: AppContainer, page: Paging) -> Response:
    """What an agent was and is, newest first."""
    return JsonResponse(await agents.list_agent_versions(container, agent, page))


@router.patch("/agents/{agent_id}", responses={**_AGENT, **problems("forbidden", "precondition_failed")})
async def update_agent(
    agent: OnAgent,
    user: User,
    container: AppContainer,
    versions: IfMatch,
    body: Annotated[UpdateAgent, json_body(UpdateAgent)],
) -> Response:
    """Change an agent. A change makes its next version; runs that are under way keep theirs."""
    changed = await agents.update_agent(container, user, agent, body, versions=versions)
    return versioned(changed, changed["version"])


@router.delete(
    "/agents/{agent_id}",
    status_code=204,
    responses={**answer(204, None, "It is gone."), **problems("forbidden", "precondition_failed")},
)
async def delete_agent(agent: OnAgent, user: User, container: AppContainer, versions: IfMatch) -> Response:
    """Delete an agent. Its threads stay readable and are not continued."""
    await agents.delete_agent(container, user, agent, versions=versions)
    return no_content()
