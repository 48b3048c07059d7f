"""Agents: setting them up."""

import asyncio
from typing import Any

from sqlalchemy import Connection

from ai_agents.auth.roles import AgentAction, may_on_agent
from ai_agents.core.exceptions import InvalidRequest, PermissionDenied
from ai_agents.core.rows import Agent, Page
from ai_agents.guardrails.registry import build_guardrails
from ai_agents.store import agents as store
from ai_agents.tools.schema import OutputValidator
from app.container import Container, Principal
from app.dependencies import PageOf, VisibleAgent
from app.schemas import agents as schema
from app.schemas.agents import AnyAgent, CreateAgent, ToolChoice, UpdateAgent
from app.services.preconditions import check_version

_MOST_NAMES = 20


async def create_agent(services: Container, user: Principal, body: CreateAgent) -> Agent:
    """A new agent, owned by the user. Raises `InvalidRequest`."""
    _check_names(services, body)
    await _check_guardrails(body)
    await _check_tools(services, body)
    return await services.agents.create(**_fields(body), owner_id=user.user_id)


async def list_agents(services: Container, user: Principal, page: PageOf) -> Page[Agent]:
    """The agents that the user may see; an admin sees all."""
    return await services.agents.list(user_id=None if user.is_admin else user.user_id, **page.arguments())


async def update_agent(
    services: Container, user: Principal, agent: VisibleAgent, body: UpdateAgent, *, versions: frozenset[int] | None
) -> Agent:
    """The agent, changed. Raises `InvalidRequest`, `PermissionDenied`, `PreconditionFailed`, `AgentNotFound`."""
    _check_names(services, body)
    await _check_guardrails(body)
    await _check_tools(services, body)
    _require(user, agent, "update")
    expected = None
    if versions is not None:
        expected = (await services.agents.get(agent.id))["version"]
        check_version(versions, expected)
    return await services.agents.update(agent.id, _fields(body), expected_version=expected)


async def delete_agent(
    services: Container, user: Principal, agent: VisibleAgent, *, versions: frozenset[int] | None
) -> None:
    """Delete it; its threads stay readable. Raises `PermissionDenied`, `PreconditionFailed`, `AgentNotFound`."""
    _require(user, agent, "delete")

    def delete(connection: Connection) -> None:
        if versions is not None:
            check_version(versions, store.get_agent(connection, agent.id, lock=True)["version"])
        store.delete_agent(connection, agent.id)

    await services.conn.database.write(delete)


def _require(user: Principal, agent: VisibleAgent, action: AgentAction) -> None:
    if not user.is_admin and not may_on_agent(action, agent.role):
        raise PermissionDenied(f"Your role on the agent does not allow to {action} it.")


def _check_names(services: Container, body: AnyAgent) -> None:
    """Raises `InvalidRequest` for what does not exist here, or cannot be: a provider, an API, a schema."""
    if body.output_schema is not None:
        OutputValidator(body.output_schema)
    if body.settings.api is not None and body.provider not in {None, "openai"}:
        raise InvalidRequest("Only the provider openai has several APIs.", loc=("settings", "api"))
    known = {status.name for status in services.providers.configured()}
    if body.provider is not None and body.provider not in known:
        raise _unknown("provider", known, "provider")
    for number, guardrail in enumerate(body.guardrails):
        if isinstance(guardrail, schema.Judge) and guardrail.provider not in known:
            raise _unknown("provider", known, "guardrails", number, "provider")
    for number, fallback in enumerate(body.fallbacks):
        if fallback.provider not in known:
            raise _unknown("provider", known, "fallbacks", number, "provider")


async def _check_guardrails(body: AnyAgent) -> None:
    """Raises `InvalidRequest` for one that cannot be. Large patterns take a while to compile."""
    if body.guardrails:
        await asyncio.to_thread(build_guardrails, [guardrail.model_dump() for guardrail in body.guardrails])


async def _check_tools(services: Container, body: AnyAgent) -> None:
    """Raises `InvalidRequest` for a tool that there is not, or that is off."""
    names = [tool.name if isinstance(tool, ToolChoice) else tool for tool in body.tools]
    if all(services.tools.registry.find(name) is not None for name in names):
        return
    database = services.conn.database
    missing = (await database.read(lambda c: services.tools.resolve(c, names))).missing
    if missing:
        listed = await database.read(services.tools.list_all)
        known = {tool.name for tool in listed if tool.status == "on"}
        raise _unknown("tool", known, "tools", names.index(missing[0]))


def _unknown(kind: str, known: set[str], *loc: str | int) -> InvalidRequest:
    some = ", ".join(sorted(known)[:_MOST_NAMES])
    return InvalidRequest(f"There is no {kind} of this name; there are {some}.", loc=loc)


def _fields(body: AnyAgent) -> dict[str, Any]:
    """What was sent, as the store keeps it."""
    sent = body.model_fields_set
    fields = body.model_dump(include=sent, exclude={"settings", "memory"})
    if "settings" in sent:
        fields["settings"] = body.settings.model_dump(exclude_none=True)
    if "memory" in sent:
        fields["memory"] = None if body.memory is None else body.memory.model_dump()
    return fields
