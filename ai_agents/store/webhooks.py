"""Webhooks: what is told to which address, and the deliveries of that.

A delivery is written in the transaction of the event that it tells of, with its job in the outbox. A process keeps in
memory which agents have webhooks, so that events of all others cost nothing.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast, get_args

from sqlalchemy import Connection, Table, and_, delete, func, insert, or_, select, update

from ai_agents.core.exceptions import AgentNotFound, Conflict, DeliveryNotFound, WebhookNotFound
from ai_agents.core.ids import format_time, new_id, utc_now
from ai_agents.core.rows import Page, only
from ai_agents.core.webhook_rows import Delivery, DeliveryRow, Webhook, WebhookEvent, WebhookRow
from ai_agents.store import jobs, pages
from ai_agents.store.access_tables import ApiKeyTable, RoleAssignmentTable
from ai_agents.store.clock import database_now
from ai_agents.store.database import Store, reading
from ai_agents.store.job_tables import JobTable
from ai_agents.store.keys import hold_key
from ai_agents.store.models import AgentTable, RunTable, ThreadTable
from ai_agents.store.roles import get_role
from ai_agents.store.statements import send_together
from ai_agents.store.thread_log import Entry
from ai_agents.store.webhook_tables import DeliveryTable, WebhookTable

KIND = "webhook"
EVENTS: tuple[WebhookEvent, ...] = get_args(WebhookEvent)
# For so long a delivery is attempted.
EXPIRES_S = 86_400.0
MOST_OF_USER = 100
# Deliveries are listed for this time, and so many of each webhook.
KEPT = timedelta(days=7)
MOST_KEPT = 1_000
_SWEPT_AT_ONCE = 5_000
_HOOKS, _DELIVERIES = cast(Table, WebhookTable.__table__), cast(Table, DeliveryTable.__table__)


@dataclass(slots=True)
class HookedAgents:
    """The agents that have webhooks, as far as this process knows. `every`: there is a webhook for all agents."""

    agents: frozenset[str] = frozenset()
    every: bool = False
    _events: frozenset[str] = field(default=frozenset(EVENTS), init=False)

    def load(self, agent_ids: Collection[str | None]) -> None:
        """These are the agents of all webhooks; None stands for every agent."""
        self.agents = frozenset(each for each in agent_ids if each is not None)
        self.every = None in agent_ids

    def note(self, connection: Connection, thread_id: str, entries: Sequence[Entry]) -> None:
        """Write deliveries for these entries of a thread's log, in their transaction."""
        if not (self.agents or self.every):
            return
        told = [entry for entry in entries if entry.type in self._events]
        if told and (self.every or any(self._may_be_hooked(entry) for entry in told)):
            note_entries(connection, thread_id, told)

    def _may_be_hooked(self, entry: Entry) -> bool:
        """Whether the agent has a webhook; an entry that does not name its agent may be of one."""
        of: Mapping[str, Any] = entry.facts.get("run") or entry.facts.get("thread") or {}
        return of.get("agent_id") is None or of["agent_id"] in self.agents


def note_entries(connection: Connection, thread_id: str, entries: Sequence[Entry]) -> None:
    """Write a delivery, and its job, for each entry and each webhook that is told of it."""
    send_together(connection)
    found = connection.execute(
        select(_HOOKS.c.id, _HOOKS.c.events)
        .join(ThreadTable, or_(_HOOKS.c.agent_id.is_(None), _HOOKS.c.agent_id == ThreadTable.agent_id))
        .where(ThreadTable.id == thread_id, ThreadTable.expires_at.is_(None))
        .order_by(_HOOKS.c.id)
    ).all()
    for entry in entries:
        for hook in found:
            if entry.type in hook.events:
                insert_delivery(connection, hook.id, cast("WebhookEvent", entry.type), thread_id, entry.run_id)


def insert_delivery(
    connection: Connection, webhook_id: str, event: WebhookEvent, thread_id: str, run_id: str | None
) -> str:
    """Write a delivery and its job. Returns its id. The next process that looks for jobs takes it."""
    row = {
        "id": new_id(),
        "webhook_id": webhook_id,
        "event": event,
        "thread_id": thread_id,
        "run_id": run_id,
        "status": "pending",
        "attempts": 0,
        "tries": 0,
        "last_status": None,
        "expires_at": database_now(connection.dialect.name) + EXPIRES_S,
        "created_at": utc_now(),
    }
    connection.execute(insert(_DELIVERIES).values(row))
    _request(connection, str(row["id"]), run_id)
    return str(row["id"])


def _request(connection: Connection, delivery_id: str, run_id: str | None) -> None:
    job_id = jobs.request(connection, None, KIND, delivery_id)
    # The trace of what is told of.
    trace = select(RunTable.trace).where(RunTable.id == run_id).scalar_subquery()
    jobs.put_back(connection, [str(job_id)], **({} if run_id is None else {"trace": trace}))


# What clients make and read.


def insert_webhook(connection: Connection, row: WebhookRow) -> Webhook:
    """Write a webhook.

    Raises `Conflict` for a user who has too many, `AgentNotFound` and `KeyNotFound` for what was deleted.
    """
    own = select(func.count()).where(_HOOKS.c.user_id == row["user_id"])
    if (connection.scalar(own) or 0) >= MOST_OF_USER:
        raise Conflict(f"A user has at most {MOST_OF_USER} webhooks.")
    if row["key_id"] is not None:
        hold_key(connection, row["key_id"])
    if row["agent_id"] is not None:
        agent = select(AgentTable.id).where(AgentTable.id == row["agent_id"], AgentTable.deleted_at.is_(None))
        if connection.scalar(agent.with_for_update(key_share=True)) is None:
            raise AgentNotFound
    connection.execute(insert(_HOOKS), dict(row))
    return only(Webhook, row)


def _owned_agents(user_id: str) -> Any:
    table = RoleAssignmentTable
    return select(table.resource_id).where(
        table.user_id == user_id, table.resource_type == "agent", table.role == "owner"
    )


def find_webhook(connection: Connection, webhook_id: str, *, user_id: str | None = None) -> WebhookRow:
    """One webhook; with `user_id`, one that this user made, or of an agent that the user owns.

    Raises `WebhookNotFound`.
    """
    found = select(_HOOKS).where(_HOOKS.c.id == webhook_id)
    if user_id is not None:
        found = found.where(_visible(user_id))
    row = connection.execute(found).mappings().one_or_none()
    if row is None:
        raise WebhookNotFound
    return only(WebhookRow, row)


def _visible(user_id: str) -> Any:
    return or_(_HOOKS.c.user_id == user_id, _HOOKS.c.agent_id.in_(_owned_agents(user_id)))


def list_webhooks(
    connection: Connection, user_id: str | None = None, *, limit: int = 20, after: str | None = None
) -> Page[Webhook]:
    """A page of webhooks, newest first; with `user_id`, of those that this user sees. Raises `InvalidCursor`."""
    statement = select(_HOOKS) if user_id is None else select(_HOOKS).where(_visible(user_id))
    return pages.newest_first(
        connection, statement, WebhookTable, limit=limit, after=after, to_dict=lambda row: only(Webhook, row)
    )


def change_webhook(
    connection: Connection, webhook_id: str, *, url: str | None, events: Sequence[WebhookEvent] | None
) -> Webhook:
    """Give a webhook another address or other events. Raises `WebhookNotFound`."""
    values: dict[str, Any] = {} if events is None else {"events": list(events)}
    if url is not None:
        values |= {"url": url, "failures": 0, "paused_until": 0.0}
    if values:
        connection.execute(update(_HOOKS).where(_HOOKS.c.id == webhook_id).values(values))
    return only(Webhook, find_webhook(connection, webhook_id))


def delete_webhook(connection: Connection, webhook_id: str) -> None:
    """Delete a webhook with its deliveries. Raises `WebhookNotFound`."""
    if not connection.execute(delete(_HOOKS).where(_HOOKS.c.id == webhook_id)).rowcount:
        raise WebhookNotFound


def list_deliveries(
    connection: Connection, webhook_id: str, *, limit: int = 20, after: str | None = None
) -> Page[Delivery]:
    """A page of a webhook's deliveries, newest first. Raises `InvalidCursor`."""
    statement = select(_DELIVERIES).where(_DELIVERIES.c.webhook_id == webhook_id)
    return pages.newest_first(
        connection, statement, DeliveryTable, limit=limit, after=after, to_dict=lambda row: only(Delivery, row)
    )


def find_delivery(connection: Connection, delivery_id: str, *, webhook_id: str | None = None) -> DeliveryRow:
    """One delivery; with `webhook_id`, one of this webhook. Raises `DeliveryNotFound`."""
    found = select(_DELIVERIES).where(_DELIVERIES.c.id == delivery_id)
    if webhook_id is not None:
        found = found.where(_DELIVERIES.c.webhook_id == webhook_id)
    row = connection.execute(found).mappings().one_or_none()
    if row is None:
        raise DeliveryNotFound
    return only(DeliveryRow, row)


def retry_delivery(connection: Connection, delivery_id: str, *, webhook_id: str) -> Delivery:
    """Send a delivery again under its id, for another day. Returns it. Raises `DeliveryNotFound`."""
    row = find_delivery(connection, delivery_id, webhook_id=webhook_id)
    now = database_now(connection.dialect.name)
    again = {"status": "pending", "tries": 0, "expires_at": now + EXPIRES_S}
    connection.execute(update(_DELIVERIES).where(_DELIVERIES.c.id == delivery_id).values(again))
    # It is asked for because the address answers again.
    connection.execute(update(_HOOKS).where(_HOOKS.c.id == webhook_id).values(paused_until=0.0))
    of_this = (JobTable.thread_id.is_(None), JobTable.kind == KIND, JobTable.range_key == delivery_id)
    waiting = update(JobTable).where(*of_this, JobTable.status == "queued").values(due_at=0.0, sent_at=None)
    running = select(JobTable.id).where(*of_this, JobTable.status == "running")
    if not connection.execute(waiting).rowcount and connection.scalar(running) is None:
        connection.execute(delete(JobTable).where(*of_this))
        _request(connection, delivery_id, row["run_id"])
    return only(Delivery, {**row, **again})


# What a process that delivers reads and writes.


def list_hooked(connection: Connection) -> list[str | None]:
    """The agents that have webhooks; None stands for every agent."""
    return list(connection.scalars(select(_HOOKS.c.agent_id).distinct()))


def still_holds(connection: Connection, hook: WebhookRow) -> bool:
    """Whether the user who made the webhook may still hear of these events.

    The key that made it is valid, and an admin's where an admin made it; any other user owns the agent.
    """
    if hook["key_id"] is not None:
        key = select(ApiKeyTable.admin).where(
            ApiKeyTable.id == hook["key_id"],
            or_(ApiKeyTable.expires_at.is_(None), ApiKeyTable.expires_at > utc_now()),
        )
        is_admin = connection.scalar(key)
        if is_admin is None or (hook["by_admin"] and not is_admin):
            return False
    if hook["agent_id"] is None:
        return hook["by_admin"]
    try:
        role = get_role(connection, hook["user_id"], "agent", hook["agent_id"])
    except AgentNotFound:
        return False
    return hook["by_admin"] or role == "owner"


def seconds_paused(connection: Connection, hook: WebhookRow) -> float:
    """For how long nothing new is sent to the webhook; 0 if it is not paused."""
    now = connection.scalar(select(database_now(connection.dialect.name))) or 0.0
    return max(0.0, hook["paused_until"] - float(now))


def seconds_left(connection: Connection, delivery: DeliveryRow) -> float:
    """For how long the delivery is attempted."""
    now = connection.scalar(select(database_now(connection.dialect.name))) or 0.0
    return delivery["expires_at"] - float(now)


def record_attempt(connection: Connection, delivery: DeliveryRow, status: int | None, *, ended: str | None) -> None:
    """Record an attempt; `status` is the HTTP status of its answer. `ended`: how the delivery ended, if it did."""
    values: dict[str, Any] = {
        "attempts": _DELIVERIES.c.attempts + 1,
        "tries": _DELIVERIES.c.tries + 1,
        "last_status": status,
    }
    if ended is not None:
        values["status"] = ended
    connection.execute(update(_DELIVERIES).where(_DELIVERIES.c.id == delivery["id"]).values(values))
    _trim(connection, delivery["webhook_id"])


def give_up(connection: Connection, delivery_id: str) -> None:
    """Record that a delivery failed without a further attempt."""
    connection.execute(update(_DELIVERIES).where(_DELIVERIES.c.id == delivery_id).values(status="failed"))


def record_health(connection: Connection, webhook_id: str, *, failures: int, paused_s: float) -> None:
    """Record how many attempts failed in a row, and that nothing new is sent for so many seconds."""
    until = database_now(connection.dialect.name) + paused_s if paused_s else 0.0
    connection.execute(update(_HOOKS).where(_HOOKS.c.id == webhook_id).values(failures=failures, paused_until=until))


def _trim(connection: Connection, webhook_id: str) -> None:
    """Delete the deliveries of a webhook that are more than are kept."""
    of_hook = _DELIVERIES.c.webhook_id == webhook_id
    order = _DELIVERIES.c.created_at.desc(), _DELIVERIES.c.id.desc()
    last = connection.execute(
        select(_DELIVERIES.c.created_at, _DELIVERIES.c.id).where(of_hook).order_by(*order).offset(MOST_KEPT).limit(1)
    ).one_or_none()
    if last is not None:
        older = or_(
            _DELIVERIES.c.created_at < last.created_at,
            and_(_DELIVERIES.c.created_at == last.created_at, _DELIVERIES.c.id <= last.id),
        )
        connection.execute(delete(_DELIVERIES).where(of_hook, older))


def sweep(connection: Connection) -> int:
    """Delete deliveries that are no longer kept, so many at once that others do not wait for it. Returns how many."""
    before = format_time(datetime.now(UTC) - KEPT)
    found = select(_DELIVERIES.c.id).where(_DELIVERIES.c.created_at < before).limit(_SWEPT_AT_ONCE)
    return connection.execute(delete(_DELIVERIES).where(_DELIVERIES.c.id.in_(found))).rowcount


class WebhookStore(Store):
    """Webhooks and their deliveries as clients read them. It does not check rights."""

    find = reading(find_webhook)
    list = reading(list_webhooks, long=True)
    find_delivery = reading(find_delivery)
    list_deliveries = reading(list_deliveries, long=True)
