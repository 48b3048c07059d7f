"""Agents."""

from typing import Annotated

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.bodies import fingerprint, json_body
from app.dependencies import IdempotencyKey, IfMatch, OnAgent, Paging, Services, User
from app.responses import JsonResponse, created, etag, no_content, versioned
from app.routers.documented import answer, problems
from app.schemas.agents import AgentPage, AgentRead, CreateAgent, UpdateAgent
from app.services import agents as service
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
    services: Services,
    key: IdempotencyKey,
    body: Annotated[CreateAgent, json_body(CreateAgent)],
) -> Response:
    """Set up an agent. The user owns it."""
    agent = await create_once(
        services,
        user,
        lambda: service.create_agent(services, user, body),
        key=key,
        fingerprint=fingerprint(request),
    )
    return created(agent, f"/agents/{agent['id']}", etag(agent["version"]))


@router.get("/agents", responses=answer(200, AgentPage, "Agents."))
async def list_agents(user: User, services: Services, page: Paging) -> Response:
    """The agents that the user may see, newest first."""
    return JsonResponse(await service.list_agents(services, user, page))


@router.get("/agents/{agent_id}", responses=_AGENT)
async def get_agent(agent: OnAgent, services: Services) -> Response:
    """One agent."""
    found = await services.agents.get(agent.id)
    return versioned(found, found["version"])


@router.get("/agents/{agent_id}/versions", responses=answer(200, AgentPage, "The agent in each of its versions."))
async def list_agent_versions(agent: OnAgent, services: Services, page: Paging) -> Response:
    """What an agent was and is, newest first."""
    return JsonResponse(await services.agents.list_versions(agent.id, **page.arguments()))


@router.patch("/agents/{agent_id}", responses={**_AGENT, **problems("forbidden", "precondition_failed")})
async def update_agent(
    agent: OnAgent,
    user: User,
    services: Services,
    versions: IfMatch,
    body: Annotated[UpdateAgent, json_body(UpdateAgent)],
) -> Response:
    """Change an agent. A change makes its next version; runs that are under way keep theirs."""
    changed = await service.update_agent(services, user, agent, body, versions=versions)
    return versioned(changed, changed["version"])


@router.delete(
    "/agents/{agent_id}",
    status_code=204,
    responses={**answer(204, None, "It is gone."), **problems("forbidden", "precondition_failed")},
)
async def delete_agent(agent: OnAgent, user: User, services: Services, versions: IfMatch) -> Response:
    """Delete an agent. Its threads stay readable and are not continued."""
    await service.delete_agent(services, user, agent, versions=versions)
    return no_content()
