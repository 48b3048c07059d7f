"""Agents: making, reading, changing and deleting them."""

from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import Connection

from ai_agents.auth.roles import AgentAction, may_on_agent, seen_agents
from ai_agents.core.exceptions import AgentNotFound, InvalidRequest, PermissionDenied
from ai_agents.core.rows import Agent, AgentChanges, Page, SeenAgent, SeenAgentCard, SeenAgentSummary
from ai_agents.core.types import Loc
from ai_agents.core.wording import there_are
from ai_agents.store import agents, audit
from ai_agents.tools.registry import approvals_by_name
from ai_agents.tools.schema import OutputValidator
from app.container import Container
from app.schemas.agents import AgentFields, AgentSettings, CreateAgent, UpdateAgent
from app.services import catalogue
from app.services.identity import PageArguments, Principal, VisibleAgent, act_of, check_version, whose

_MOST_NAMES = 20


async def create_agent(container: Container, user: Principal, body: CreateAgent) -> SeenAgent:
    """A new agent, owned by the user. Raises `InvalidRequest`, `QuotaExceeded`."""
    await _check_settings(container, user, body)
    await _check_providers(container, user, body)
    container.runner.contexts.models.check_model(body.provider, body.model)
    await _check_guardrails(container, user, body)
    await _check_tools(container, user, body)
    limits = container.limits.of(user.user_id, is_admin=user.is_admin)
    made = await container.agents.create(**_fields(body), owner_id=user.user_id, limits=limits)
    return {**made, "role": "owner"}


async def require_to_read(container: Container, user: Principal, agent_id: str) -> None:
    """Raises `AgentNotFound` for a user who may not read all of the agent."""
    try:
        await container.auth.agent_access(user.user_id, agent_id, "read", **user.reach)
    except PermissionDenied:
        raise AgentNotFound from None


async def list_agents(
    container: Container, user: Principal, page: PageArguments, *, shared: bool
) -> Page[SeenAgentSummary]:
    """The agents that the user sees, in short, newest first; an admin sees all. Raises `InvalidCursor`."""
    owner = await whose(container, user, "agent")

    def read(connection: Connection) -> Page[SeenAgentSummary]:
        found = agents.list_agents(connection, owner, within=user.within, shared=shared, **page)
        seen = seen_agents(connection, user.user_id, found["data"], within=user.within)
        return {"data": seen, "next": found["next"]}

    return await container.conn.database.read(read, long=True)


async def get_agent(container: Container, user: Principal, agent: VisibleAgent) -> SeenAgent | SeenAgentCard:
    """The agent as it is now; for a user who may only talk to it, what they see of it. Raises `AgentNotFound`."""
    found = await container.agents.get(agent.id)
    if user.is_admin or may_on_agent("read", agent.role):
        return {**found, "role": agent.role}
    return {**agents.to_card(found), "role": agent.role}


async def list_agent_versions(
    container: Container, user: Principal, agent: VisibleAgent, page: PageArguments
) -> Page[Agent]:
    """The agent in each of its versions, newest first. Raises `PermissionDenied`, `AgentNotFound`, `InvalidCursor`."""
    _require(user, agent, "read")
    return await container.agents.list_versions(agent.id, **page)


async def update_agent(
    container: Container, user: Principal, agent: VisibleAgent, body: UpdateAgent, *, versions: frozenset[int] | None
) -> SeenAgent:
    """Change the agent.

    Raises `InvalidRequest`, `PermissionDenied`, `PreconditionFailed`, `AgentNotFound`, `QuotaExceeded`.
    """
    await _check_settings(container, user, body)
    await _check_providers(container, user, body, agent)
    if body.model_fields_set & {"provider", "model"}:
        kept, given = await container.agents.get(agent.id), body.model_fields_set
        container.runner.contexts.models.check_model(
            body.provider if "provider" in given else kept["provider"],
            body.model if "model" in given else kept["model"],
        )
    await _check_guardrails(container, user, body, agent)
    await _check_tools(container, user, body, agent)
    _require(user, agent, "update")
    expected = None
    if versions is not None:
        expected = (await container.agents.get(agent.id))["version"]
        check_version(versions, expected)
    changes, limits = cast("AgentChanges", _fields(body)), container.limits.of(user.user_id, is_admin=user.is_admin)
    async with container.user_locks.hold(user.user_id):
        changed = await container.agents.update(
            agent.id, changes, expected_version=expected, user_id=user.user_id, limits=limits
        )
    return {**changed, "role": agent.role}


async def delete_agent(
    container: Container, user: Principal, agent: VisibleAgent, *, versions: frozenset[int] | None
) -> None:
    """Delete the agent; its threads stay readable. Raises `PermissionDenied`, `PreconditionFailed`, `AgentNotFound`."""
    _require(user, agent, "delete")

    def delete(connection: Connection) -> None:
        if versions is not None:
            check_version(versions, agents.get_agent(connection, agent.id, lock=True)["version"])
        agents.delete_agent(connection, agent.id)
        audit.record(connection, act_of(user, "agent.delete", "agent", agent.id))

    await container.conn.database.write(delete)


def _require(user: Principal, agent: VisibleAgent, action: AgentAction) -> None:
    if not user.is_admin and not may_on_agent(action, agent.role):
        raise PermissionDenied(f"Your role on the agent does not allow to {action} it.")


async def _check_settings(container: Container, user: Principal, body: AgentFields) -> None:
    """Raises `InvalidRequest` for an API that the provider does not have, or a bad output schema."""
    if body.output_schema is not None:
        # In a thread: counting what it applies may take a tenth of a second.
        await container.runner.contexts.compiling.run(user.user_id, OutputValidator, body.output_schema)
    if body.provider is not None:
        check_api(container, body.provider, body.settings)


def check_api(container: Container, provider: str, settings: AgentSettings, *place: str) -> None:
    """Raises `InvalidRequest` for an API that the provider does not have. `place` is where the settings are."""
    found = None if settings.api is None else container.providers.find(provider)
    if found is not None and found.type not in {"openai", "python"}:
        raise InvalidRequest("Only providers of the type openai have several APIs.", loc=(*place, "settings", "api"))


async def check_provider(container: Container, user: Principal, provider: str, *loc: str) -> None:
    """Raises `InvalidRequest` for a provider that the user may not use, as for one that does not exist."""
    await _require_usable(container, user, [(loc, provider)])


async def _check_providers(
    container: Container, user: Principal, body: AgentFields, agent: VisibleAgent | None = None
) -> None:
    """Raises `InvalidRequest` for a provider that the user may not use, as for one that does not exist.

    A name that the agent has already is not asked about.
    """
    await _require_usable(container, user, _named_providers(body), agent)


async def _require_usable(
    container: Container, user: Principal, named: Sequence[tuple[Loc, str]], agent: VisibleAgent | None = None
) -> None:
    if any(container.providers.find(name) is None for _, name in named):
        # It may have been made on another replica just now.
        await container.stored_providers.refresh()
    usable = {name for name in container.providers.names() if _may_name(container, user, name)}
    refused = [(loc, name) for loc, name in named if name not in usable]
    if refused and agent is not None and _may_change(user, agent):
        kept = {name for _, name in _named_providers(await container.agents.get(agent.id))}
        refused = [(loc, name) for loc, name in refused if name not in kept]
    for loc, _ in refused:
        raise _unknown("provider", usable, *loc)


def _named_providers(agent: AgentFields | Agent) -> list[tuple[Loc, str]]:
    """The providers that an agent names, each with its place: its own, those of its judges and of its fallbacks."""
    fields: Any = agent.model_dump() if isinstance(agent, AgentFields) else agent
    named: list[tuple[Loc, str | None]] = [(("provider",), fields["provider"])]
    for kind in ("guardrails", "fallbacks"):
        named += [((kind, number, "provider"), each.get("provider")) for number, each in enumerate(fields[kind] or ())]
    return [(loc, name) for loc, name in named if name is not None]


def _may_name(container: Container, user: Principal, provider: str) -> bool:
    return container.use_rights.may_use(user.user_id, "provider", provider, is_admin=user.is_admin)


async def _check_guardrails(
    container: Container, user: Principal, body: AgentFields, agent: VisibleAgent | None = None
) -> None:
    """Raises `InvalidRequest` for a guardrail that cannot be built.

    Those that the agent has already are not checked: they may be larger than new ones may be.
    """
    if not body.guardrails:
        return
    configs = [guardrail.model_dump() for guardrail in body.guardrails]
    if (
        agent is not None
        and _may_change(user, agent)
        and (await container.agents.get(agent.id))["guardrails"] == configs
    ):
        return
    await container.runner.contexts.check_new(configs, user.user_id)


async def _check_tools(
    container: Container, user: Principal, body: AgentFields, agent: VisibleAgent | None = None
) -> None:
    """Raises `InvalidRequest` for a tool that does not exist, is off, or that the user may not use: all alike.

    A name that the agent has already is not asked about.
    """
    names = list(approvals_by_name(body.model_dump(include={"tools"})["tools"]))
    if all(container.tools.registry.find(name) is not None for name in names):
        return
    database = container.conn.database
    missing = {*(await database.read(lambda c: container.tools.resolve(c, names))).missing}
    if not all(catalogue.may_name(container, user, name) for name in names):
        # A role may have been given on another replica just now.
        await container.stored_providers.refresh()
    missing.update(name for name in names if not catalogue.may_name(container, user, name))
    if missing and agent is not None and _may_change(user, agent):
        missing -= approvals_by_name((await container.agents.get(agent.id))["tools"]).keys()
    if missing:
        listed = await database.read(container.tools.list_all, long=True)
        known = {each.name for each in listed if each.status == "on" and catalogue.may_name(container, user, each.name)}
        raise _unknown("tool", known, "tools", min(names.index(name) for name in missing))


def _may_change(user: Principal, agent: VisibleAgent) -> bool:
    """Whether the user may change the agent. Other users do not learn what it names."""
    return user.is_admin or may_on_agent("update", agent.role)


def _unknown(kind: str, known: set[str], *loc: str | int) -> InvalidRequest:
    return InvalidRequest(f"There is no {kind} of this name; {there_are(sorted(known)[:_MOST_NAMES])}.", loc=loc)


def _fields(body: AgentFields) -> dict[str, Any]:
    """The fields that were sent, as the store takes them."""
    sent = body.model_fields_set
    fields = body.model_dump(include=sent, exclude={"settings", "memory"})
    if "settings" in sent:
        fields["settings"] = body.settings.model_dump(exclude_none=True)
    if "memory" in sent:
        memory = body.memory
        # Agents from before there were steps have none; so have those that name none.
        fields["memory"] = memory and memory.model_dump(exclude={"step"} - memory.model_fields_set)
    return fields
