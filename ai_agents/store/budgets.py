"""Budgets of a day: what agents and users may use, what their calls used, and claims of the calls under way.

What was used and what is claimed never passes a budget: a claim is made while the row of the day is locked. A call that
uses more than it claimed may pass it, and the next claim is refused.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, cast

from sqlalchemy import (
    BigInteger,
    Connection,
    Float,
    Insert,
    Select,
    Table,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from ai_agents.core.exceptions import BudgetExceeded, InvalidRequest
from ai_agents.core.ids import format_time
from ai_agents.core.rows import Budget
from ai_agents.core.types import BudgetLimit, BudgetOf
from ai_agents.store.budget_tables import BudgetClaimTable, BudgetDayTable
from ai_agents.store.clock import database_now
from ai_agents.store.models import AgentTable
from ai_agents.store.provider_tables import ModelCallTable
from ai_agents.store.statements import prepared

LIMITS: tuple[BudgetLimit, ...] = ("tokens_per_day", "cost_per_day")
# The part of a budget from which runs say that it is low.
_LOW = Decimal("0.8")
PICO_PER_USD = 10**12
_DAYS = cast(Table, BudgetDayTable.__table__)
_CLAIMS = cast(Table, BudgetClaimTable.__table__)
_MOST_TOKENS, _MOST_USD = 10**15, 10**6
# Days that are over are kept so long for those who look at them.
_KEPT_DAYS = 7
# The statements of each call.
_IS_DAY = (
    _DAYS.c.kind == bindparam("of_kind"),
    _DAYS.c.subject_id == bindparam("of_subject"),
    _DAYS.c.day == bindparam("of_day"),
)
_OF_DAY = select(_DAYS.c.tokens, _DAYS.c.cost_pico_usd).where(*_IS_DAY)
_USED, _USED_LOCKED = prepared(_OF_DAY), prepared(_OF_DAY.with_for_update())
_COUNT = prepared(
    update(_DAYS)
    .where(*_IS_DAY)
    .values(
        tokens=_DAYS.c.tokens + bindparam("used_tokens", type_=BigInteger),
        cost_pico_usd=_DAYS.c.cost_pico_usd + bindparam("used_cost", type_=BigInteger),
    )
)
_END_CLAIM = prepared(delete(_CLAIMS).where(_CLAIMS.c.id == bindparam("claim_id")))
_BUDGET_OF_AGENT = prepared(select(AgentTable.spec["budget"]).where(AgentTable.id == bindparam("agent_id")))


@dataclass(frozen=True, slots=True, order=True)
class Payer:
    """An agent or a user, whose budget pays for a call."""

    kind: BudgetOf
    id: str


@dataclass(frozen=True, slots=True)
class Amount:
    """Tokens, and money in millionths of a millionth of a US dollar."""

    tokens: int = 0
    pico_usd: int = 0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.tokens + other.tokens, self.pico_usd + other.pico_usd)


@dataclass(frozen=True, slots=True)
class Charge:
    """Whose budgets a call is counted in, on which day, and the claim that ends with it, if there is one."""

    payers: tuple[Payer, ...]
    day: str
    claim_id: str | None = None


@dataclass(frozen=True, slots=True)
class LowBudget:
    """A budget of which at least 80 % is used, or would be after a call."""

    payer: Payer
    limit: BudgetLimit


class DayNotOpened(Exception):
    """There is no row yet for what the payer used on the day: `open_day` makes it."""

    def __init__(self, payer: Payer) -> None:
        super().__init__()
        self.payer = payer


@cache
def _claim(dialect: str) -> Insert:
    return prepared(
        insert(_CLAIMS).values(
            id=bindparam("claim_id"),
            kind=bindparam("of_kind"),
            subject_id=bindparam("of_subject"),
            day=bindparam("of_day"),
            tokens=bindparam("tokens"),
            cost_pico_usd=bindparam("cost"),
            expires_at=database_now(dialect) + bindparam("lease_s", type_=Float),
        )
    )


@cache
def _held(dialect: str) -> Select[Any]:
    sums = (func.coalesce(func.sum(column), 0) for column in (_CLAIMS.c.tokens, _CLAIMS.c.cost_pico_usd))
    return prepared(
        select(*sums).where(
            _CLAIMS.c.kind == bindparam("of_kind"),
            _CLAIMS.c.subject_id == bindparam("of_subject"),
            _CLAIMS.c.day == bindparam("of_day"),
            _CLAIMS.c.expires_at >= database_now(dialect),
        )
    )


def parse_budget(given: object) -> Budget | None:
    """A budget as it is stored; None where it limits nothing. Raises `InvalidRequest`."""
    if given is None:
        return None
    if not isinstance(given, Mapping) or not given.keys() <= set(LIMITS):
        raise InvalidRequest(f"A budget has {' and '.join(LIMITS)}.", loc=("budget",))
    tokens, cost = (given.get(name) for name in LIMITS)
    if tokens is not None and (type(tokens) is not int or not 0 <= tokens <= _MOST_TOKENS):
        raise InvalidRequest("A number of tokens, or null.", loc=("budget", "tokens_per_day"))
    if cost is not None and (type(cost) not in (int, float) or not 0 <= cost <= _MOST_USD):
        raise InvalidRequest("An amount of US dollars, or null.", loc=("budget", "cost_per_day"))
    return None if tokens is None and cost is None else {"tokens_per_day": tokens, "cost_per_day": cost}


def day_of(time: datetime) -> str:
    """The day of UTC."""
    return time.astimezone(UTC).date().isoformat()


def end_of_day(day: str) -> datetime:
    """When budgets of this day are full again."""
    return datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(days=1)


def claim(
    connection: Connection,
    claim_id: str,
    payers: Mapping[Payer, Budget],
    amount: Amount,
    *,
    day: str,
    lease_s: float,
    instead_of: Collection[str] = (),
) -> list[LowBudget]:
    """Claim what a call may use, in the budget of each payer; the budgets that are low then.

    The budget of an agent is read anew: it may be another one than that of the run's version.

    Claims with an id of `instead_of` are given back. Raises `BudgetExceeded`, `DayNotOpened`.
    """
    for former in instead_of:
        connection.execute(_END_CLAIM, {"claim_id": former})
    low: list[LowBudget] = []
    # All transactions lock days in this order.
    for payer in sorted(payers):
        budget = payers[payer] if payer.kind == "user" else _budget_of_agent(connection, payer.id)
        if budget is None:
            continue
        used = _used(connection, payer, day, lock=True)
        if used is None:
            raise DayNotOpened(payer)
        held = _claimed(connection, payer, day)
        for limit in LIMITS:
            most = _most(budget, limit)
            if most is None:
                continue
            if _part(used + held + amount, limit) > most:
                raise exceeded(payer, limit, day)
            if _part(used + amount, limit) >= most * _LOW:
                low.append(LowBudget(payer, limit))
        claimed = {"claim_id": claim_id, "tokens": amount.tokens, "cost": amount.pico_usd, "lease_s": lease_s}
        connection.execute(_claim(connection.dialect.name), claimed | _named(payer, day))
    return low


def require_left(connection: Connection, budgets: Mapping[Payer, Budget], day: str) -> None:
    """Raises `BudgetExceeded` where nothing is left of one of these budgets."""
    for payer, budget in budgets.items():
        used = _used(connection, payer, day) or Amount()
        for limit in LIMITS:
            most = _most(budget, limit)
            if most is not None and _part(used, limit) >= most:
                raise exceeded(payer, limit, day)


def settle(connection: Connection, charge: Charge, used: Amount) -> None:
    """Count what a call used, and end its claim; in the transaction that records the call."""
    for payer in sorted(charge.payers):
        counted = {"used_tokens": used.tokens, "used_cost": used.pico_usd}
        connection.execute(_COUNT, counted | _named(payer, charge.day))
    if charge.claim_id is not None:
        connection.execute(_END_CLAIM, {"claim_id": charge.claim_id})


def open_day(connection: Connection, payer: Payer, day: str) -> None:
    """Begin to count what the payer uses on a day, with what was used before there was a budget."""
    so_far = sum_of_calls(connection, payer, day)
    counted = {"tokens": so_far.tokens, "cost_pico_usd": so_far.pico_usd}
    row: dict[str, Any] = {"kind": payer.kind, "subject_id": payer.id, "day": day, **counted}
    statement = (postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert)(_DAYS)
    connection.execute(statement.values(row).on_conflict_do_nothing())


def sum_of_calls(connection: Connection, payer: Payer, day: str) -> Amount:
    """What the calls of the payer used from the beginning of a day on."""
    column = ModelCallTable.agent_id if payer.kind == "agent" else ModelCallTable.user_id
    tokens = func.coalesce(ModelCallTable.input_tokens, 0) + func.coalesce(ModelCallTable.output_tokens, 0)
    sums = select(func.sum(tokens), func.sum(ModelCallTable.cost_pico_usd)).where(
        column == payer.id, ModelCallTable.created_at >= format_time(datetime.fromisoformat(day).replace(tzinfo=UTC))
    )
    tokens_so_far, cost_so_far = connection.execute(sums).one()
    return Amount(int(tokens_so_far or 0), int(cost_so_far or 0))


def used_on(connection: Connection, payer: Payer, day: str, *, has_budget: bool) -> Amount:
    """What the payer has used on this day, which has not ended: as it is counted for a budget, else of all calls."""
    counted = _used(connection, payer, day) if has_budget else None
    return sum_of_calls(connection, payer, day) if counted is None else counted


def renew(connection: Connection, claim_ids: Collection[str], lease_s: float) -> set[str]:
    """Let these claims count for longer; the ids of those that still exist."""
    statement = (
        update(_CLAIMS)
        .where(_CLAIMS.c.id.in_(claim_ids))
        .values(expires_at=database_now(connection.dialect.name) + lease_s)
        .returning(_CLAIMS.c.id)
    )
    return set(connection.execute(statement).scalars())


def sweep(connection: Connection) -> None:
    """Remove claims that have expired, and days that were over a week ago."""
    connection.execute(delete(_CLAIMS).where(_CLAIMS.c.expires_at < database_now(connection.dialect.name)))
    first_kept = day_of(datetime.now(UTC) - timedelta(days=_KEPT_DAYS))
    connection.execute(delete(_DAYS).where(_DAYS.c.day < first_kept))


def exceeded(payer: Payer, limit: BudgetLimit, day: str) -> BudgetExceeded:
    """The error of a call that this budget does not allow. It names no figures: an agent's are not every user's."""
    what = "tokens" if limit == "tokens_per_day" else "money"
    whose = "The agent's budget" if payer.kind == "agent" else "Your budget"
    ends = end_of_day(day)
    return BudgetExceeded(
        f"{whose} of {what} for today does not allow another model call.",
        budget=payer.kind,
        limit=limit,
        resets_at=format_time(ends),
        retry_after_s=max(1.0, (ends - datetime.now(UTC)).total_seconds()),
    )


def _budget_of_agent(connection: Connection, agent_id: str) -> Budget | None:
    row = connection.execute(_BUDGET_OF_AGENT, {"agent_id": agent_id}).one_or_none()
    return None if row is None else cast("Budget | None", row[0])


def _used(connection: Connection, payer: Payer, day: str, *, lock: bool = False) -> Amount | None:
    row = connection.execute(_USED_LOCKED if lock else _USED, _named(payer, day)).one_or_none()
    return None if row is None else Amount(row[0], row[1])


def _claimed(connection: Connection, payer: Payer, day: str) -> Amount:
    """What calls under way may use. The caller has locked the day, so that no claim is made meanwhile."""
    tokens, pico_usd = connection.execute(_held(connection.dialect.name), _named(payer, day)).one()
    return Amount(int(tokens), int(pico_usd))


def _named(payer: Payer, day: str) -> dict[str, Any]:
    """The parameters that say whose day it is."""
    return {"of_kind": payer.kind, "of_subject": payer.id, "of_day": day}


def _most(budget: Budget, limit: BudgetLimit) -> Decimal | None:
    """The limit in the units of `_part`."""
    most = budget[limit]
    if most is None:
        return None
    # By way of its text: 0.1 is meant as it is written.
    return Decimal(most) if limit == "tokens_per_day" else Decimal(str(most)) * PICO_PER_USD


def _part(amount: Amount, limit: BudgetLimit) -> int:
    return amount.tokens if limit == "tokens_per_day" else amount.pico_usd
