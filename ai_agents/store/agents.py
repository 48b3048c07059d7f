"""Agents and their versions. An agent's row says what it is now; the row of a version never changes."""

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    Connection,
    bindparam,
    delete,
    exists,
    insert,
    literal,
    literal_column,
    select,
    update,
)

from ai_agents.core import json
from ai_agents.core.exceptions import AgentNotFound, InvalidRequest, PreconditionFailed
from ai_agents.core.ids import new_id, utc_now
from ai_agents.core.limits import NO_LIMITS, UserLimits
from ai_agents.core.rows import Agent, AgentCard, AgentChanges, AgentSummary, Page, only
from ai_agents.core.scopes import AgentScope
from ai_agents.core.types import JsonObject
from ai_agents.store import pages, ranks, revocations, roles, totals, visibility
from ai_agents.store.budgets import parse_budget
from ai_agents.store.database import Store, reading, writing
from ai_agents.store.models import AgentTable, AgentVersionTable, RunTable, ThreadTable
from ai_agents.store.ranks import EVERYBODY
from ai_agents.store.webhook_tables import WebhookTable

# The fields of an agent and their defaults, in the order in which clients see them.
DEFAULTS: Mapping[str, Any] = {
    "name": None,
    "description": None,
    "system_prompt": None,
    "provider": None,
    "model": None,
    "settings": {},
    "tools": [],
    "memory": None,
    "guardrails": [],
    "fallbacks": [],
    "output_schema": None,
    "budget": None,
    "metadata": {},
}
_COLUMNS = (AgentTable.id, AgentTable.spec, AgentTable.version, AgentTable.created_at, AgentTable.updated_at)
# Without what is long: lists do not even read it.
_SUMMARY = (
    AgentTable.id,
    AgentTable.name,
    *(AgentTable.spec[name].label(name) for name in ("description", "provider", "model", "metadata")),
    AgentTable.version,
    AgentTable.created_at,
    AgentTable.updated_at,
)
_GET = select(*_COLUMNS).where(AgentTable.id == bindparam("agent_id"), AgentTable.deleted_at.is_(None))
_VERSIONS = select(
    AgentVersionTable.agent_id.label("id"),
    AgentVersionTable.spec,
    AgentVersionTable.version,
    AgentTable.created_at,
    AgentVersionTable.created_at.label("updated_at"),
).join(AgentTable, AgentTable.id == AgentVersionTable.agent_id)
_GET_VERSION = _VERSIONS.where(
    AgentVersionTable.agent_id == bindparam("agent_id"), AgentVersionTable.version == bindparam("version")
)


def create_agent(
    connection: Connection, fields: Mapping[str, Any], *, owner_id: str | None, limits: UserLimits = NO_LIMITS
) -> Agent:
    """Write an agent, its first version, and its owner's role; without an owner, every user may talk to it.

    Returns the agent. The version counts for the owner, whose `limits` are these.
    Raises `InvalidRequest`, `QuotaExceeded`.
    """
    spec = _complete({}, fields)
    agent_id, now = new_id(), utc_now()
    row: dict[str, Any] = {"id": agent_id, "version": 1, "spec": spec, "created_at": now, "updated_at": now}
    connection.execute(insert(AgentTable), {**row, "name": spec["name"]})
    if owner_id is None:
        roles.insert_role(connection, user_id=EVERYBODY, role="user", resource_type="agent", resource_id=agent_id)
    else:
        roles.insert_role(connection, user_id=owner_id, role="owner", resource_type="agent", resource_id=agent_id)
    _add_version(connection, row, owner_id, limits)
    return to_public(row)


def find_agent(connection: Connection, agent_id: str, *, lock: bool = False) -> Agent | None:
    """An agent that is not deleted. With `lock`, other transactions wait until this one ends before they change it."""
    statement = _GET.with_for_update() if lock else _GET
    row = connection.execute(statement, {"agent_id": agent_id}).mappings().one_or_none()
    return None if row is None else to_public(row)


def get_agent(connection: Connection, agent_id: str, *, lock: bool = False) -> Agent:
    """An agent. Raises `AgentNotFound`, also for a deleted one."""
    found = find_agent(connection, agent_id, lock=lock)
    if found is None:
        raise AgentNotFound
    return found


def get_version(connection: Connection, agent_id: str, version: int) -> Agent:
    """The agent as it was at this version, even if it is deleted now. Raises `AgentNotFound`."""
    row = connection.execute(_GET_VERSION, {"agent_id": agent_id, "version": version}).mappings().one_or_none()
    if row is None:
        raise AgentNotFound
    return to_public(row)


def update_agent(
    connection: Connection,
    agent_id: str,
    changes: AgentChanges,
    *,
    expected_version: int | None = None,
    user_id: str | None = None,
    limits: UserLimits = NO_LIMITS,
) -> Agent:
    """Replace these fields of the agent; it gets its next version if that changes anything.

    The version counts for the user who writes it, whose `limits` are these.
    Raises `AgentNotFound`, `PreconditionFailed` if the agent is at another version, `InvalidRequest`, `QuotaExceeded`.
    """
    found = get_agent(connection, agent_id, lock=True)
    if expected_version is not None and found["version"] != expected_version:
        raise PreconditionFailed(f"The agent is at version {found['version']} now.")
    old = {name: value for name, value in found.items() if name in DEFAULTS}
    spec = _complete(old, changes)
    if json.dumps_sorted(spec) == json.dumps_sorted(old):
        return found
    row = {**found, "spec": spec, "version": found["version"] + 1, "updated_at": utc_now()}
    values = {"name": spec["name"], **{name: row[name] for name in ("spec", "version", "updated_at")}}
    connection.execute(update(AgentTable).where(AgentTable.id == agent_id).values(values))
    _add_version(connection, row, user_id, limits)
    return to_public(row)


def delete_agent(connection: Connection, agent_id: str) -> None:
    """Hide an agent for good; its threads stay readable. Raises `AgentNotFound`.

    Its versions count no longer, and what cannot be read any more is removed: an agent without threads whole, otherwise
    all versions but the last, which its threads need, and those of runs that are under way.
    """
    # A thread that is being made holds the agent until it is seen here.
    find_agent_row = select(AgentTable.version).where(AgentTable.id == agent_id, AgentTable.deleted_at.is_(None))
    version = connection.scalar(find_agent_row.with_for_update())
    if version is None:
        raise AgentNotFound
    # Processes let go of what they keep of it.
    revocations.note(connection, [revocations.role_subject("agent", agent_id)])
    connection.execute(delete(WebhookTable).where(WebhookTable.agent_id == agent_id))
    payers = totals.payers_of_versions(connection, agent_id)
    of_agent = delete(AgentVersionTable).where(AgentVersionTable.agent_id == agent_id)
    if connection.scalar(select(exists().where(ThreadTable.agent_id == agent_id))):
        # Literals, as in the partial index.
        active = RunTable.status.in_((literal_column("'running'"), literal_column("'waiting'")))
        used = select(RunTable.agent_version).where(active, RunTable.agent_id == agent_id).scalar_subquery()
        connection.execute(of_agent.where(AgentVersionTable.version != version, AgentVersionTable.version.not_in(used)))
        deleted = {"deleted_at": utc_now()}
        connection.execute(update(AgentTable).where(AgentTable.id == agent_id).values(deleted))
    else:
        roles.remove_all(connection, "agent", agent_id)
        connection.execute(of_agent)
        connection.execute(delete(AgentTable).where(AgentTable.id == agent_id))
    for user_id, count in payers.items():
        totals.give_back(connection, user_id, {"agent_versions": count})


def list_agents(
    connection: Connection,
    user_id: str | None = None,
    *,
    within: AgentScope | None = None,
    shared: bool = False,
    name: str | None = None,
    limit: int = 20,
    after: str | None = None,
) -> Page[AgentSummary]:
    """A page of the agents on which the user has a role, or that are listed for every user, newest first.

    With `shared`, also those that are every user's without being listed. None as the user: all agents.
    `within` these agents, of which one sees no more than a card. With a `name`, only those that have it.
    `{"data", "next"}`. Raises `InvalidCursor`.
    """
    statement = select(*_SUMMARY)
    conditions: tuple[ColumnElement[bool], ...] = (AgentTable.deleted_at.is_(None),)
    if name is not None:
        conditions += (AgentTable.name == name,)
    if user_id is None:
        statement = statement.where(*conditions)
    else:
        if within is None:
            statement = statement.add_columns(ranks.best_rank("agent", AgentTable.id).label("rank"))
        else:
            statement = statement.add_columns(literal(1).label("rank"))
            conditions += (AgentTable.id.in_(within.agents),)
        visible = visibility.newest_visible(
            "agent",
            AgentTable,
            user_id,
            conditions=conditions,
            before_id=None if after is None else pages.decode_time_cursor(after)[1],
            limit=limit + 1,
            shared=shared,
        )
        statement = statement.where(AgentTable.id.in_(visible)).params(user_id=user_id)
    return pages.newest_first(connection, statement, AgentTable, limit=limit, after=after, to_dict=_to_summary)


def list_versions(connection: Connection, agent_id: str, *, limit: int = 20, after: str | None = None) -> Page[Agent]:
    """A page of the agent at each of its versions, newest first: `{"data", "next"}`. `updated_at` is the version's.

    Raises `AgentNotFound`, `InvalidCursor`.
    """
    get_agent(connection, agent_id)
    before = pages.MAX_SEQ if after is None else pages.decode_number_cursor(after)
    statement = _VERSIONS.where(AgentVersionTable.agent_id == agent_id, AgentVersionTable.version < before)
    statement = statement.order_by(AgentVersionTable.version.desc()).limit(limit + 1)
    rows = connection.execute(statement).mappings().all()
    return pages.to_page(rows, limit=limit, cursor=lambda row: pages.encode_cursor(row["version"]), to_dict=to_public)


def to_public(row: Mapping[Any, Any]) -> Agent:
    """The row of an agent or of a version, as clients see it."""
    spec = row["spec"]
    # A version that was written before a field was added lacks it.
    fields = {name: spec[name] if name in spec else copy(default) for name, default in DEFAULTS.items()}
    times = {name: row[name] for name in ("version", "created_at", "updated_at")}
    return cast("Agent", {"id": row["id"], **fields, **times})


def to_card(agent: Mapping[Any, Any]) -> AgentCard:
    """What users see of an agent that they may only talk to."""
    return only(AgentCard, agent)


def _to_summary(row: Mapping[Any, Any]) -> AgentSummary:
    if "rank" in row and ranks.of_rank(row["rank"]) == "user":
        return cast("AgentSummary", to_card(row))
    return only(AgentSummary, row)


def _complete(spec: Mapping[str, Any], changes: Mapping[str, Any]) -> JsonObject:
    """The whole spec after the changes, in the order of `DEFAULTS`. Raises `InvalidRequest`."""
    unknown = changes.keys() - DEFAULTS.keys()
    if unknown:
        raise InvalidRequest("An agent has no such field.", loc=(min(unknown),))
    complete = {name: changes.get(name, spec.get(name, default)) for name, default in DEFAULTS.items()}
    if not isinstance(complete["name"], str) or not complete["name"].strip():
        raise InvalidRequest("An agent has a name.", loc=("name",))
    complete["name"] = json.clean_text(complete["name"])
    complete["budget"] = parse_budget(complete["budget"])
    try:
        # As it will be read from the database: with lists for tuples, and nothing shared with the caller.
        whole: JsonObject = json.loads(json.dumps(complete))
    except TypeError as error:
        raise InvalidRequest("An agent's fields are JSON.") from error
    return whole


def _add_version(connection: Connection, row: Mapping[str, Any], user_id: str | None, limits: UserLimits) -> None:
    version = {"agent_id": row["id"], "version": row["version"], "spec": row["spec"], "created_at": row["updated_at"]}
    version["counted_for"] = totals.NO_USER if user_id is None else user_id
    connection.execute(insert(AgentVersionTable), version)
    totals.add(connection, user_id, limits, {"agent_versions": 1})


class UncheckedAgents(Store):
    """Agents as clients read and write them. It checks neither rights nor, but for their form, the fields."""

    async def create(
        self,
        name: str,
        *,
        description: str | None = None,
        system_prompt: str | None = None,
        provider: str | None = None,
        model: str | None = None,
        settings: Mapping[str, Any] | None = None,
        tools: Sequence[str | Mapping[str, Any]] = (),
        memory: Mapping[str, Any] | None = None,
        guardrails: Sequence[Mapping[str, Any]] = (),
        fallbacks: Sequence[Mapping[str, Any]] = (),
        output_schema: Mapping[str, Any] | None = None,
        budget: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        owner_id: str | None = None,
        limits: UserLimits = NO_LIMITS,
    ) -> Agent:
        """A new agent at version 1, owned by `owner_id`; without an owner every user (`*`) may talk to it.

        Raises `InvalidRequest`, and `QuotaExceeded` where the owner has these `limits`.
        """
        fields = {
            "name": name,
            "description": description,
            "system_prompt": system_prompt,
            "provider": provider,
            "model": model,
            "settings": dict(settings or {}),
            "tools": list(tools),
            "memory": memory,
            "guardrails": list(guardrails),
            "fallbacks": list(fallbacks),
            "output_schema": output_schema,
            "budget": budget,
            "metadata": dict(metadata or {}),
        }
        return await self._db.write(lambda c: create_agent(c, fields, owner_id=owner_id, limits=limits))

    get = reading(get_agent)
    find = reading(find_agent)
    list = reading(list_agents, long=True)
    update = writing(update_agent)
    delete = writing(delete_agent)
    list_versions = reading(list_versions, long=True)
    get_version = reading(get_version)
