"""Budgets in this process: what a model call may use is claimed before it, and renewed while the call lasts.

Only where there is a budget. A call without one makes no statement here.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial

from sqlalchemy import Connection

from ai_agents.auth.limits import Limits
from ai_agents.context.notices import add_notices
from ai_agents.context.purposes import CallPurpose
from ai_agents.core.exceptions import DatabaseUnavailable
from ai_agents.core.ids import format_time, new_id
from ai_agents.core.notices import Notice
from ai_agents.core.rows import Budget
from ai_agents.store import budgets
from ai_agents.store.budgets import Amount, Charge, DayNotOpened, LowBudget, Payer
from ai_agents.store.database import Database

# Of an answer whose length is not limited more closely.
MOST_OUTPUT_TOKENS = 4096
# The claim of a process that died counts so long.
LEASE_S = 30.0
_RENEW_EVERY_S = 10.0
_FIRST_DELAY_S, _LONGEST_DELAY_S = 0.05, 2.0
_log = logging.getLogger(__name__)


class Budgets:
    """The claims of this process. `limits` has the budgets of users; `now` is the time that tells the day."""

    def __init__(self, database: Database, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.limits = Limits()
        self.now = now
        self._database = database
        # Ids of claims whose calls are under way.
        self._open: set[str] = set()
        self._renewing: asyncio.Task[None] | None = None

    @property
    def today(self) -> str:
        """The day whose budgets pay now."""
        return budgets.day_of(self.now())

    def account(self, purpose: CallPurpose, *, notices: list[Notice] | None = None) -> "BudgetAccount | None":
        """What pays for such calls; None where there is no budget. That of a run adds to its `notices`."""
        return BudgetAccount(self, purpose, notices=notices) if self.find(purpose) else None

    def find(self, purpose: CallPurpose) -> dict[Payer, Budget]:
        """The budgets that pay for such calls, the agent's first. There is no query."""
        found: dict[Payer, Budget] = {}
        if purpose.agent_id is not None and purpose.agent_budget is not None:
            found[Payer("agent", purpose.agent_id)] = purpose.agent_budget
        if purpose.user_id is not None:
            limits = self.limits.of(purpose.user_id, is_admin=purpose.by_admin)
            tokens, cost = limits["tokens_per_day"], limits["cost_per_day"]
            if tokens is not None or cost is not None:
                found[Payer("user", purpose.user_id)] = {"tokens_per_day": tokens, "cost_per_day": cost}
        return found

    def require_left(self, connection: Connection, purpose: CallPurpose) -> None:
        """Raises `BudgetExceeded` where nothing is left for such calls. Without a budget there is no query."""
        if found := self.find(purpose):
            budgets.require_left(connection, found, self.today)

    async def claim(
        self,
        claim_id: str,
        payers: Mapping[Payer, Budget],
        amount: Amount,
        *,
        day: str,
        instead_of: Sequence[str],
        waits: bool,
    ) -> list[LowBudget]:
        """Claim; with `waits`, once the database is there. Raises `BudgetExceeded`, `DatabaseUnavailable`."""
        low = await self._claim_at_last(claim_id, payers, amount, day=day, instead_of=instead_of, waits=waits)
        self._open.add(claim_id)
        if self._renewing is None or self._renewing.done():
            self._renewing = asyncio.create_task(self._renew(), name="budget-claims")
        return low

    async def _claim_at_last(
        self,
        claim_id: str,
        payers: Mapping[Payer, Budget],
        amount: Amount,
        *,
        day: str,
        instead_of: Sequence[str],
        waits: bool,
    ) -> list[LowBudget]:
        # The claim may have been committed before, and only the answer lost.
        former = [*instead_of, claim_id]

        def work(connection: Connection, *, is_first: bool = False) -> list[LowBudget]:
            ended = instead_of if is_first else former
            return budgets.claim(connection, claim_id, payers, amount, day=day, lease_s=LEASE_S, instead_of=ended)

        delay_s, attempt = _FIRST_DELAY_S, partial(work, is_first=True)
        while True:
            try:
                try:
                    return await self._database.write(attempt)
                except DayNotOpened as missing:
                    # The first call of a day, or since there is a budget. It may have to add up many calls.
                    opening = partial(budgets.open_day, payer=missing.payer, day=day)
                await self._database.write(opening, long=True)
            except DatabaseUnavailable as error:
                if not waits:
                    raise
                _log.warning(
                    "database unavailable, a model call waits for its budget", extra=self._database.explain(error)
                )
                attempt = partial(work)
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, _LONGEST_DELAY_S)

    def forget(self, claim_id: str) -> None:
        """Renew this claim no more: its call is over."""
        self._open.discard(claim_id)

    async def close(self) -> None:
        """Renew nothing more."""
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.wait({self._renewing})

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(_RENEW_EVERY_S)
            mine = set(self._open)
            if not mine:
                return
            try:
                held = await self._database.write(partial(budgets.renew, claim_ids=mine, lease_s=LEASE_S))
                self._open -= mine - held
            except DatabaseUnavailable:
                continue
            except Exception:  # noqa: BLE001  # the edge of a task: claims that are not renewed end by themselves
                _log.exception("claims of budgets could not be renewed")


class BudgetAccount:
    """Whose budgets pay for the calls of one run, or for one call beside runs. One call is under way at a time.

    Only a run, which has `notices`, waits for the database.
    """

    def __init__(self, owner: Budgets, purpose: CallPurpose, *, notices: list[Notice] | None = None) -> None:
        self._owner = owner
        self._purpose = purpose
        self._notices = notices
        self._charge: Charge | None = None

    @property
    def charge(self) -> Charge:
        """What the call under way is counted in."""
        return self._charge or Charge(tuple(self._owner.find(self._purpose)), self._owner.today)

    async def claim(self, amount: Amount) -> None:
        """Claim what the next call may use, in place of the claim before.

        Raises `BudgetExceeded`, `DatabaseUnavailable`.
        """
        former = None if self._charge is None else self._charge.claim_id
        claim_id, day = new_id(), self._owner.today
        instead_of = [] if former is None else [former]
        waits, payers = self._notices is not None, self._owner.find(self._purpose)
        low = await self._owner.claim(claim_id, payers, amount, day=day, instead_of=instead_of, waits=waits)
        self.close()
        self._charge = Charge(tuple(payers), day, claim_id)
        resets_at = format_time(budgets.end_of_day(day))
        for each in low:
            self._tell({"code": "budget_low", "budget": each.payer.kind, "limit": each.limit, "resets_at": resets_at})

    def note_unknown_cost(self, provider: str, model: str) -> None:
        """Tell that calls of this model count no money."""
        if any(budget["cost_per_day"] is not None for budget in self._owner.find(self._purpose).values()):
            self._tell({"code": "cost_unknown", "provider": provider, "model": model})

    def close(self) -> None:
        """No call is under way any more. A claim that was not settled ends by itself."""
        if self._charge is not None and self._charge.claim_id is not None:
            self._owner.forget(self._charge.claim_id)

    def _tell(self, notice: Notice) -> None:
        if self._notices is not None:
            add_notices(self._notices, [notice])
