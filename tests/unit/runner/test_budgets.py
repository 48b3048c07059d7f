"""Budgets of a day: a call that could pass one is not made, whatever else runs, fails, stops or dies meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine, event, func, select, update

from ai_agents import AgentRunner, AgentStore, BudgetExceeded, MessageStore, RunStore, ThreadStore, ToolRegistry
from ai_agents.auth.limits import Limits
from ai_agents.context import budgets as context_budgets
from ai_agents.context.catalogue import ModelCatalogue, ModelFacts, ModelPrice
from ai_agents.core.exceptions import ProviderRejected
from ai_agents.core.limits import NO_LIMITS
from ai_agents.core.rows import Budget, Run
from ai_agents.core.types import ModelEvent, ModelRequest, ResponseEnd, Usage
from ai_agents.runner.handle import DatabaseHandle
from ai_agents.runner.process.periodic import Timing
from ai_agents.store.budget_tables import BudgetClaimTable, BudgetDayTable
from ai_agents.store.model_calls import UsageStore
from ai_agents.store.provider_tables import ModelCallTable
from ai_agents.testing import ScriptedProvider, tool_call
from tests.present import present
from tests.unit.runner.conftest import USER, MakeTalk, Talk
from tests.unit.runner.test_runner import until_asked, until_text
from tests.unit.runner.test_takeover import HASTY, Process

# The scripted provider reports 10 tokens in and 5 out. A claim is the estimate of this message, and 5.
MESSAGE = "Please tell me in a few words what there is to know about budgets of tokens and of money."
PRICED = ModelCatalogue({"scripted:": ModelFacts(ModelPrice(Decimal(1), Decimal(2)))})
SHORT = {"max_tokens": 5}


def budget(tokens: int | None = None, cost: float | None = None) -> Budget:
    return {"tokens_per_day": tokens, "cost_per_day": cost}


async def agent_of(talk: Talk) -> str:
    return (await ThreadStore(talk.conn).get(talk.thread_id))["agent_id"]


async def used(conn: DatabaseHandle) -> dict[tuple[str, str], tuple[int, int]]:
    """What was counted, by payer and day."""
    days = BudgetDayTable
    rows = await conn.database.read(
        lambda c: c.execute(select(days.kind, days.day, days.tokens, days.cost_pico_usd)).all()
    )
    return {(row.kind, row.day): (row.tokens, row.cost_pico_usd) for row in rows}


async def tokens(conn: DatabaseHandle, kind: str = "agent") -> int:
    return (await used(conn))[kind, today()][0]


async def claims(conn: DatabaseHandle) -> int:
    counted = select(func.count()).select_from(BudgetClaimTable)
    return await conn.database.read(lambda c: c.execute(counted).scalar_one())


def today() -> str:
    return datetime.now(UTC).date().isoformat()


async def newest_run(talk: Talk) -> Run:
    return (await RunStore(talk.conn).list(talk.thread_id))["data"][0]


async def test_what_calls_used_is_counted_and_no_claim_is_left(make_talk: MakeTalk) -> None:
    rounds = [[tool_call("calculator", expression="1+1")], "2", "And again."]
    talk = await make_talk(*rounds, tools=ToolRegistry(), models=PRICED, settings=SHORT, budget=budget(10_000, 1.0))

    await talk.runner.run(talk.thread_id, USER, MESSAGE)
    await talk.runner.run(talk.thread_id, USER, MESSAGE)

    assert await used(talk.conn) == {("agent", today()): (45, 60_000_000)}
    assert await claims(talk.conn) == 0
    assert (await newest_run(talk))["notices"] == []


async def test_where_nothing_is_left_a_message_is_refused_and_not_stored(make_talk: MakeTalk) -> None:
    talk = await make_talk("One.", "Two.", settings=SHORT, budget=budget(40))
    await talk.runner.run(talk.thread_id, USER, MESSAGE)
    await AgentStore(talk.conn).update(await agent_of(talk), {"budget": budget(15)})

    with pytest.raises(BudgetExceeded) as caught:
        await talk.runner.run(talk.thread_id, USER, MESSAGE)

    assert (caught.value.budget, caught.value.limit) == ("agent", "tokens_per_day")
    assert caught.value.resets_at > datetime.now(UTC).isoformat()
    assert len((await MessageStore(talk.conn).list(talk.thread_id))["data"]) == 2
    assert len(talk.provider.requests) == 1

    await AgentStore(talk.conn).update(await agent_of(talk), {"budget": None})
    assert (await talk.runner.run(talk.thread_id, USER, MESSAGE))["content"] == "Two."


class Spender(ScriptedProvider):
    """A provider whose calls use 100 tokens in and 5 out: 110 millionths of a dollar."""

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        async for each in super().stream(request):
            if isinstance(each, ResponseEnd):
                yield replace(each, usage=Usage(input_tokens=100, output_tokens=5))
            else:
                yield each


@pytest.mark.parametrize("limits", [budget(260), budget(cost=0.00026)], ids=["tokens", "money"])
async def test_a_run_that_would_pass_its_budget_fails_and_the_thread_stays_usable(
    make_talk: MakeTalk, limits: Budget
) -> None:
    rounds = [[tool_call("calculator", expression=f"{number}+1")] for number in range(5)]
    facts: dict[str, Any] = {"tools": ToolRegistry(), "models": PRICED, "settings": SHORT, "budget": limits}
    talk = await make_talk(scripted=Spender(*rounds), **facts)

    with pytest.raises(BudgetExceeded):
        await talk.runner.run(talk.thread_id, USER, MESSAGE)

    run = await newest_run(talk)
    error: Any = run["error"]
    assert (run["status"], error["code"], error["budget"]) == ("failed", "budget_exceeded", "agent")
    assert len(talk.provider.requests) == 2
    assert await used(talk.conn) == {("agent", today()): (210, 220_000_000)}
    assert await claims(talk.conn) == 0
    assert "budget_low" in [notice["code"] for notice in run["notices"]]

    await AgentStore(talk.conn).update(await agent_of(talk), {"budget": None})
    talk.provider.answers = ["Here again."]
    assert (await talk.runner.run(talk.thread_id, USER, MESSAGE))["content"] == "Here again."


class Meeting(ScriptedProvider):
    """A provider that answers when nothing more can begin: then as many calls as ever are under way at once."""

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        await asyncio.sleep(0.05)
        async for each in super().stream(request):
            yield each


async def test_twenty_runs_on_two_processes_never_pass_a_budget(database_url: str) -> None:
    processes = [Process(database_url, timing=Timing()) for _ in range(2)]
    try:
        for process in processes:
            process.provider = Meeting()
            process.runner = AgentRunner(process.conn, provider=process.provider)
            process.conn.executor.budgets.limits = Limits({**NO_LIMITS, "tokens_per_day": 400})
        one = processes[0].conn
        agent = await AgentStore(one).create("assistant", settings=SHORT, budget=budget(300))
        threads = [(await ThreadStore(one).create(agent["id"], owner_id=USER))["id"] for _ in range(20)]

        async def run(number: int) -> str:
            try:
                await processes[number % 2].runner.run(threads[number], USER, MESSAGE)
            except BudgetExceeded as error:
                return error.budget
            return "answered"

        ended = await asyncio.gather(*map(run, range(20)))

        asked = [len(process.provider.requests) for process in processes]
        assert set(ended) == {"answered", "agent"}
        assert ended.count("answered") == sum(asked)
        assert await tokens(one) == await tokens(one, "user") == 15 * sum(asked) <= 300
        assert await claims(one) == 0
        # What one call claimed and did not use is there for the next ones.
        for number in range(20):
            await run(number)
        left = 300 - await tokens(one)
        assert 0 <= left < 60
    finally:
        for process in processes:
            await process.conn.close(grace_s=0)


async def test_a_call_that_is_cancelled_refused_or_cut_leaves_no_claim(make_talk: MakeTalk) -> None:
    refused = ProviderRejected("no", provider="scripted")
    talk = await make_talk(["A word or two", asyncio.Event()], refused, settings=SHORT, budget=budget(1_000))
    started = await talk.runner.start(talk.thread_id, USER, MESSAGE)
    await until_text(talk, started.run["id"], "A word or two")
    assert await claims(talk.conn) == 1

    await talk.runner.cancel(talk.thread_id, started.run["id"])
    assert await claims(talk.conn) == 0
    after_cancel = await tokens(talk.conn)
    assert after_cancel > 0

    with pytest.raises(ProviderRejected):
        await talk.runner.run(talk.thread_id, USER, MESSAGE)
    assert (await tokens(talk.conn), await claims(talk.conn)) == (after_cancel, 0)

    started = await talk.runner.start(talk.thread_id, USER, MESSAGE)
    await talk.runner.wait(talk.thread_id, started.run["id"])
    now = datetime.now(UTC)
    [spent] = (await UsageStore(talk.conn).sums(since=now - timedelta(days=1), until=now + timedelta(days=1)))["data"]
    counts = spent["usage"]
    assert await tokens(talk.conn) == present(counts["input_tokens"]) + present(counts["output_tokens"])


async def test_a_thread_that_is_deleted_during_a_call_leaves_no_claim(make_talk: MakeTalk) -> None:
    talk = await make_talk(["A word or two", asyncio.Event()], settings=SHORT, budget=budget(1_000))
    started = await talk.runner.start(talk.thread_id, USER, MESSAGE)
    await until_text(talk, started.run["id"], "A word or two")

    await ThreadStore(talk.conn).delete(talk.thread_id)
    async with asyncio.timeout(60):
        while talk.conn.executor.running:
            await asyncio.sleep(0.01)

    assert await claims(talk.conn) == 0
    assert await tokens(talk.conn) > 0


async def test_the_claim_of_a_process_that_died_counts_until_it_expires(database_url: str) -> None:
    one = Process(database_url, [asyncio.Event()], timing=HASTY)
    two = Process(database_url, "A whole answer.", timing=HASTY)
    try:
        agent = await AgentStore(one.conn).create("assistant", settings=SHORT, budget=budget(75))
        thread_id = (await ThreadStore(one.conn).create(agent["id"], owner_id=USER))["id"]
        run = (await one.runner.start(thread_id, USER, MESSAGE)).run
        async with asyncio.timeout(60):
            while not one.provider.requests:
                await asyncio.sleep(0.005)
        await one.die()
        await one.conn.executor.budgets.close()
        await two.runner.open()
        ended = await two.ended(thread_id, run["id"])
        # What it claimed, the call that was lost, and what the next one could use are more than there is.
        assert (ended["status"], present(ended["error"])["code"]) == ("failed", "budget_exceeded")
        assert await claims(two.conn) == 1
        lost = await tokens(two.conn)
        assert lost > 0

        await two.conn.database.write(lambda c: c.execute(update(BudgetClaimTable).values(expires_at=0.0)).close())
        answer = await two.runner.run(thread_id, USER, "Short.")
        assert answer["content"] == "A whole answer."
        assert await tokens(two.conn) == lost + 15
        await two.conn.executor._tidy()
        assert await claims(two.conn) == 0
    finally:
        for process in (one, two):
            await process.conn.close(grace_s=0)


async def test_a_claim_is_renewed_as_long_as_its_call_lasts(
    make_talk: MakeTalk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context_budgets, "_RENEW_EVERY_S", 0.02)
    talk = await make_talk([asyncio.Event()], settings=SHORT, budget=budget(1_000))
    await talk.runner.start(talk.thread_id, USER, MESSAGE)
    await until_asked(talk)
    expiry = select(BudgetClaimTable.expires_at)

    first = await talk.conn.database.read(lambda c: c.execute(expiry).scalar_one())
    async with asyncio.timeout(60):
        while await talk.conn.database.read(lambda c: c.execute(expiry).scalar_one()) == first:
            await asyncio.sleep(0.01)


async def test_at_midnight_budgets_are_full_again(make_talk: MakeTalk) -> None:
    newest = {"strategy": "last_n", "n": 1}
    talk = await make_talk("One.", "Two.", settings=SHORT, memory=newest, budget=budget(60))
    evening = datetime.now(UTC).replace(hour=23, minute=59)
    budgets = talk.conn.executor.budgets
    budgets.now = lambda: evening
    await talk.runner.run(talk.thread_id, USER, MESSAGE)
    with pytest.raises(BudgetExceeded):
        await talk.runner.run(talk.thread_id, USER, MESSAGE * 3)

    budgets.now = lambda: evening + timedelta(minutes=2)
    await talk.runner.run(talk.thread_id, USER, "Short.")

    counted = await used(talk.conn)
    assert counted["agent", evening.date().isoformat()] == (15, 0)
    assert len(counted) == 2


async def test_what_was_used_before_there_was_a_budget_counts(make_talk: MakeTalk) -> None:
    talk = await make_talk("One.", "Two.", "Three.", settings=SHORT)
    await talk.runner.run(talk.thread_id, USER, MESSAGE)
    await AgentStore(talk.conn).update(await agent_of(talk), {"budget": budget(1_000)})
    await talk.runner.run(talk.thread_id, USER, MESSAGE)

    assert await tokens(talk.conn) == 30


async def test_a_price_that_is_not_known_counts_no_money_and_is_told(make_talk: MakeTalk) -> None:
    talk = await make_talk("One.", "Two.", settings=SHORT, budget=budget(cost=0.01))

    await talk.runner.run(talk.thread_id, USER, MESSAGE)

    [notice] = (await newest_run(talk))["notices"]
    assert notice == {"code": "cost_unknown", "provider": "scripted", "model": "scripted"}
    assert await used(talk.conn) == {("agent", today()): (15, 0)}


async def test_a_run_says_that_a_budget_is_nearly_used(make_talk: MakeTalk) -> None:
    talk = await make_talk("One.", "Two.", settings=SHORT, budget=budget(1_000))
    talk.conn.executor.budgets.limits = Limits({**NO_LIMITS, "tokens_per_day": 60})
    await talk.runner.run(talk.thread_id, USER, "Short.")
    assert (await newest_run(talk))["notices"] == []

    await talk.runner.run(talk.thread_id, USER, MESSAGE)

    [notice] = (await newest_run(talk))["notices"]
    assert notice["code"] == "budget_low"
    assert (notice["budget"], notice["limit"]) == ("user", "tokens_per_day")


async def test_a_judge_is_paid_from_the_budget_and_never_passed_without_one(make_talk: MakeTalk) -> None:
    judge = {"type": "judge", "provider": "scripted", "model": "scripted", "policy": "Be kind.", "stage": "input"}
    allowed = '{"allowed": true}'
    talk = await make_talk(allowed, "An answer.", settings=SHORT, guardrails=[judge], budget=budget(100_000))
    runner = AgentRunner(talk.conn, provider=talk.provider, judges_fail_open=True)
    await runner.run(talk.thread_id, USER, MESSAGE)
    assert await tokens(talk.conn) == 30

    await AgentStore(talk.conn).update(await agent_of(talk), {"budget": budget(200)})
    with pytest.raises(BudgetExceeded):
        await runner.run(talk.thread_id, USER, MESSAGE)
    assert len(talk.provider.requests) == 2


async def test_without_a_budget_there_is_no_statement_about_budgets(make_talk: MakeTalk) -> None:
    talk = await make_talk("One.", settings=SHORT)
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        statements.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        await talk.runner.run(talk.thread_id, USER, MESSAGE)
    finally:
        event.remove(Engine, "before_cursor_execute", note)

    assert not [each for each in statements if "budget_" in each]
    assert [each for each in statements if "model_calls" in each]


async def test_calls_of_one_user_are_counted_for_that_user_alone(make_talk: MakeTalk) -> None:
    talk = await make_talk("One.", "Two.", settings=SHORT)
    limits = Limits()
    limits.load({USER: {"tokens_per_day": 10}})
    talk.conn.executor.budgets.limits = limits
    other = (await ThreadStore(talk.conn).create(await agent_of(talk), owner_id="bea"))["id"]

    with pytest.raises(BudgetExceeded, match="Your budget"):
        await talk.runner.run(talk.thread_id, USER, MESSAGE)
    assert (await talk.runner.run(other, "bea", MESSAGE))["content"] == "One."
    callers = select(ModelCallTable.user_id)
    assert await talk.conn.database.read(lambda c: list(c.execute(callers).scalars())) == ["bea"]
