"""Model calls: what each of them used and cost, aborted ones included, and sums of that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Literal, cast

from sqlalchemy import Cast, ColumnElement, Connection, Integer, Label, bindparam, case, func, literal_column, select

from ai_agents.core.context_rows import LastCall
from ai_agents.core.exceptions import InvalidRequest
from ai_agents.core.ids import format_time, new_id, utc_now
from ai_agents.core.rows import Money, Page, UsageSum
from ai_agents.core.types import Usage
from ai_agents.store import budgets, pages
from ai_agents.store.budgets import Charge
from ai_agents.store.database import Store, reading
from ai_agents.store.provider_tables import ModelCallTable
from ai_agents.store.statements import prepared, prepared_insert

# `lost`: its process died, and it is not known how far it came.
CallStatus = Literal["completed", "failed", "cancelled", "lost"]
_INSERT = prepared_insert(ModelCallTable)
# The calls among which a thread's last one of a model is sought.
_NEWEST = (
    select(ModelCallTable)
    .where(ModelCallTable.thread_id == bindparam("thread_id"))
    .order_by(ModelCallTable.created_at.desc())
    .limit(100)
    .subquery()
)
_PICO = Decimal("1E-12")
_COUNTS = ("input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens")


@dataclass(frozen=True, slots=True)
class CallRecord:
    """A model call. `cost` is in US dollars, None where it is not known. `charge` says whose budgets pay for it."""

    provider: str
    model: str
    usage: Usage
    cost: Decimal | None
    outcome: CallStatus
    id: str = field(default_factory=new_id)
    charge: Charge | None = None

    def cost_to_dict(self) -> Money | None:
        """The cost as clients see it."""
        return cost_to_dict(self.cost, estimated=self.usage.estimated)


def insert_call(
    connection: Connection,
    call: CallRecord,
    *,
    run_id: str | None,
    thread_id: str | None,
    agent_id: str | None,
    user_id: str | None,
) -> None:
    """Record a call, and count it in the budgets that pay for it. `user_id` is the user who caused it."""
    row: dict[str, Any] = {
        "id": call.id,
        "run_id": run_id,
        "thread_id": thread_id,
        "agent_id": agent_id,
        "user_id": user_id,
        "provider": call.provider,
        "model": call.model,
        **call.usage.fields(),
        "cost_pico_usd": to_pico(call.cost),
        "outcome": call.outcome,
        "created_at": utc_now(),
    }
    connection.execute(_INSERT, row)
    if call.charge is not None:
        tokens = (call.usage.input_tokens or 0) + (call.usage.output_tokens or 0)
        budgets.settle(connection, call.charge, budgets.Amount(tokens, row["cost_pico_usd"] or 0))


def exists(connection: Connection, call_id: str) -> bool:
    """Whether a call is recorded."""
    return connection.scalar(select(ModelCallTable.id).where(ModelCallTable.id == call_id)) is not None


def sum_usage(
    connection: Connection,
    *,
    since: datetime,
    until: datetime,
    user_id: str | None = None,
    group_by: Sequence[str] = (),
    limit: int = 100,
    after: str | None = None,
) -> Page[UsageSum]:
    """The sums of a time, `since` included and `until` not, of one user or (None) of all: `{"data", "next"}`.

    `group_by` has some of `agent`, `model`, `user`, `day`; without any there is one sum. Days are in UTC.
    Raises `InvalidRequest`, `InvalidCursor`.
    """
    keys = _keys(group_by, connection.dialect.name)
    statement = select(*keys.values(), *_SUMS).where(
        ModelCallTable.created_at >= format_time(since), ModelCallTable.created_at < format_time(until)
    )
    if user_id is not None:
        statement = statement.where(ModelCallTable.user_id == user_id)
    # All sums are computed for each page, so an offset costs no more than a cursor of keys would.
    place = 0 if after is None else pages.decode_number_cursor(after)
    if keys:
        columns = [key.element for key in keys.values()]
        statement = statement.group_by(*columns).order_by(*columns).offset(place).limit(limit + 1)
    return pages.to_page(
        connection.execute(statement).mappings().all(),
        limit=limit,
        cursor=lambda _: pages.encode_cursor(place + limit),
        to_dict=lambda row: _to_sum(row, keys),
    )


_LAST_OF_THREAD = prepared(
    select(_NEWEST.c.input_tokens, _NEWEST.c.cached_input_tokens)
    .where(
        _NEWEST.c.provider == bindparam("provider"),
        _NEWEST.c.model == bindparam("model"),
        _NEWEST.c.outcome == literal_column("'completed'"),
        _NEWEST.c.run_id.is_not(None),  # not a title or a summary
    )
    .order_by(_NEWEST.c.created_at.desc())
    .limit(1)
)


def last_of_thread(connection: Connection, thread_id: str, *, provider: str, model: str) -> LastCall | None:
    """The last completed call of this model in a run of the thread, among its last hundred calls."""
    values = {"thread_id": thread_id, "provider": provider, "model": model}
    row = connection.execute(_LAST_OF_THREAD, values).one_or_none()
    if row is None:
        return None
    return {
        "input_tokens": row.input_tokens,
        "cached_input_tokens": row.cached_input_tokens,
        "cached_share": _share(row.cached_input_tokens, row.input_tokens),
    }


def _share(cached: int | None, tokens: int | None) -> float | None:
    """How much of the input came from a cache, from 0 to 1; None where it is not known."""
    return None if cached is None or not tokens else round(min(1.0, cached / tokens), 4)


_UNKNOWN = ModelCallTable.cost_pico_usd.is_(None)
_SUMS: tuple[Label[Any], ...] = (
    func.count().label("calls"),
    *(func.sum(getattr(ModelCallTable, name)).label(name) for name in _COUNTS),
    func.sum(ModelCallTable.cost_pico_usd).label("cost"),
    func.sum(Cast(_UNKNOWN, Integer)).label("unpriced_calls"),
    func.sum(Cast(ModelCallTable.estimated, Integer)).label("estimated_calls"),
    # The input of calls of which it is known how much was cached.
    func.sum(case((ModelCallTable.cached_input_tokens.is_not(None), ModelCallTable.input_tokens))).label("told_input"),
)


def _keys(group_by: Sequence[str], dialect: str) -> dict[str, Label[Any]]:
    """The columns by which the sums are grouped. Raises `InvalidRequest` for an unknown group."""
    columns: dict[str, dict[str, ColumnElement[Any]]] = {
        "agent": {"agent_id": ModelCallTable.agent_id.expression},
        "model": {"provider": ModelCallTable.provider.expression, "model": ModelCallTable.model.expression},
        "user": {"user_id": ModelCallTable.user_id.expression},
        "day": {"day": _day(dialect)},
    }
    if not columns.keys() >= set(group_by):
        raise InvalidRequest(f"Usage is grouped by {', '.join(columns)}.", loc=("group_by",))
    found = {name: column for group in dict.fromkeys(group_by) for name, column in columns[group].items()}
    return {name: column.label(name) for name, column in found.items()}


def _day(dialect: str) -> ColumnElement[str]:
    if dialect == "postgresql":
        return func.to_char(func.timezone("UTC", ModelCallTable.created_at), "YYYY-MM-DD")
    return func.substr(ModelCallTable.created_at, 1, 10)


def _to_sum(row: Mapping[Any, Any], keys: Mapping[str, Any]) -> UsageSum:
    estimated = bool(row["estimated_calls"])
    # PostgreSQL adds big integers up to decimals.
    counts = {name: None if row[name] is None else int(row[name]) for name in _COUNTS}
    share = _share(counts["cached_input_tokens"], None if row["told_input"] is None else int(row["told_input"]))
    found = {
        **{name: row[name] for name in keys},
        "calls": row["calls"],
        "usage": counts | {"estimated": True} if estimated else counts,
        **({} if share is None else {"cached_share": share}),
        "cost": cost_to_dict(from_pico(row["cost"]), estimated=estimated),
        "unpriced_calls": int(row["unpriced_calls"] or 0),
    }
    return cast("UsageSum", found)


def cost_to_dict(usd: Decimal | None, *, estimated: bool = False) -> Money | None:
    """The form that clients see: `{"currency": "USD", "amount": "0.00123"}`; None where the cost is not known.

    The amount is text, since it is exact: no exponent, no trailing zeros. `estimated` is present only where it is true:
    the tokens were counted here.
    """
    if usd is None:
        return None
    cost: Money = {"currency": "USD", "amount": _plain(usd.quantize(_PICO, ROUND_HALF_EVEN))}
    if estimated:
        cost["estimated"] = True
    return cost


def cost_from_dict(cost: Money | None) -> Decimal | None:
    """The amount that `cost_to_dict` wrote."""
    return None if cost is None else Decimal(cost["amount"])


def to_pico(usd: Decimal | None) -> int | None:
    """The amount in millionths of a millionth of a dollar, which databases add up exactly."""
    return None if usd is None else int(usd.quantize(_PICO, ROUND_HALF_EVEN) / _PICO)


def from_pico(pico_usd: int | Decimal | None) -> Decimal | None:
    """The inverse of `to_pico`."""
    return None if pico_usd is None else Decimal(pico_usd) * _PICO


def _plain(amount: Decimal) -> str:
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


class UsageStore(Store):
    """What models were used for, and what that cost."""

    sums = reading(sum_usage, long=True)
