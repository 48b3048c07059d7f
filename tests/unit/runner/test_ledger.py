"""Each model call is recorded with its usage and cost, even if it, its run or its thread is gone."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import RowMapping, select

from ai_agents import AgentRunner, DatabaseHandle, MessageStore, RunStore, ThreadStore, ToolRegistry
from ai_agents.context.catalogue import ModelCatalogue, ModelFacts, ModelPrice
from ai_agents.core.exceptions import ProviderRejected, ProviderTruncated
from ai_agents.core.rows import Money, Run
from ai_agents.core.types import ModelEvent, ModelRequest, ResponseEnd, Usage
from ai_agents.store.provider_tables import ModelCallTable
from ai_agents.testing import ScriptedProvider, tool_call
from ai_agents.workers.erasure_rules import RULES
from tests.present import present
from tests.unit.runner.conftest import USER, MakeTalk, Talk
from tests.unit.runner.test_runner import until_asked, until_text

# The scripted provider reports 10 tokens in and 5 out: 20 millionths of a dollar.
PRICED = ModelCatalogue({"scripted:": ModelFacts(ModelPrice(Decimal(1), Decimal(2)))})


async def calls(conn: DatabaseHandle) -> Sequence[RowMapping]:
    columns = ModelCallTable.__table__.c
    return await conn.database.read(lambda c: c.execute(select(*columns).order_by(columns.id)).mappings().all())


async def newest_run(talk: Talk) -> Run:
    return (await RunStore(talk.conn).list(talk.thread_id))["data"][0]


async def test_an_answer_costs_what_its_call_cost(make_talk: MakeTalk) -> None:
    talk = await make_talk("Hello.", models=PRICED)

    answer = await talk.runner.run(talk.thread_id, USER, "Hello!")

    run = await newest_run(talk)
    [call] = await calls(talk.conn)
    assert answer["cost"] == run["cost"] == Money(currency="USD", amount="0.00002")
    assert answer["usage"] == run["usage"]
    assert (call["run_id"], call["thread_id"], call["agent_id"], call["user_id"]) == (
        run["id"],
        talk.thread_id,
        run["agent_id"],
        USER,
    )
    assert (call["provider"], call["model"], call["outcome"]) == ("scripted", "scripted", "completed")
    assert (call["input_tokens"], call["output_tokens"], call["cost_pico_usd"]) == (10, 5, 20_000_000)
    assert call["estimated"] is False


async def test_without_a_price_the_cost_is_unknown_and_not_zero(make_talk: MakeTalk) -> None:
    talk = await make_talk([tool_call("calculator", expression="1+1")], "2", tools=ToolRegistry())

    answer = await talk.runner.run(talk.thread_id, USER, "1+1?")

    assert answer["cost"] is None
    assert (await newest_run(talk))["cost"] is None
    assert [call["cost_pico_usd"] for call in await calls(talk.conn)] == [None, None]


async def test_every_round_with_tools_is_a_call_and_the_run_costs_their_sum(make_talk: MakeTalk) -> None:
    talk = await make_talk([tool_call("calculator", expression="1+1")], "2", tools=ToolRegistry(), models=PRICED)

    await talk.runner.run(talk.thread_id, USER, "1+1?")

    run = await newest_run(talk)
    assert [call["outcome"] for call in await calls(talk.conn)] == ["completed", "completed"]
    assert run["cost"] == {"currency": "USD", "amount": "0.00004"}
    assert run["usage"] == Usage(input_tokens=20, output_tokens=10).to_dict()
    costs = [message["cost"] for message in (await MessageStore(talk.conn).list(talk.thread_id))["data"]]
    assert costs == [None, {"currency": "USD", "amount": "0.00002"}, None, {"currency": "USD", "amount": "0.00002"}]


async def test_a_cancelled_call_is_recorded_with_estimated_usage(make_talk: MakeTalk) -> None:
    talk = await make_talk(["A word or two", asyncio.Event()], models=PRICED)
    started = await talk.runner.start(talk.thread_id, USER, "Hello!")
    await until_text(talk, started.run["id"], "A word or two")

    run = await talk.runner.cancel(talk.thread_id, started.run["id"])

    [call] = await calls(talk.conn)
    assert (call["outcome"], call["estimated"]) == ("cancelled", True)
    assert call["input_tokens"] > 0
    assert call["output_tokens"] > 1
    assert present(run["cost"])["estimated"] is True
    assert present(run["usage"])["input_tokens"] == call["input_tokens"]
    assert Decimal(present(run["cost"])["amount"]) * 10**12 == call["cost_pico_usd"]


async def test_a_call_that_is_cancelled_before_its_first_word_is_recorded(make_talk: MakeTalk) -> None:
    talk = await make_talk([asyncio.Event()])
    started = await talk.runner.start(talk.thread_id, USER, "Hello!")
    await until_asked(talk)

    await talk.runner.cancel(talk.thread_id, started.run["id"])

    [call] = await calls(talk.conn)
    assert (call["outcome"], call["estimated"], call["output_tokens"]) == ("cancelled", True, 0)


async def test_a_call_that_was_cut_and_repeated_is_recorded_twice(make_talk: MakeTalk) -> None:
    talk = await make_talk(["Half an", ProviderTruncated("cut", provider="scripted")], "A whole answer.", models=PRICED)

    answer = await talk.runner.run(talk.thread_id, USER, "Hello!")

    first, second = await calls(talk.conn)
    assert [(call["outcome"], call["estimated"]) for call in (first, second)] == [
        ("failed", True),
        ("completed", False),
    ]
    run = await newest_run(talk)
    assert run["cost"] == {
        "currency": "USD",
        "amount": f"{Decimal(first['cost_pico_usd'] + 20_000_000).scaleb(-12):f}".rstrip("0"),
        "estimated": True,
    }
    assert answer["cost"] == {"currency": "USD", "amount": "0.00002"}


async def test_the_usage_that_a_provider_reports_of_a_failed_call_is_recorded(make_talk: MakeTalk) -> None:
    reported = Usage(input_tokens=700, output_tokens=1, cached_input_tokens=600)
    error = ProviderTruncated("cut", provider="scripted", usage=reported, retryable=False)
    talk = await make_talk(["Half an answer of several words", error], models=PRICED)

    await talk.runner.wait(talk.thread_id, (await talk.runner.start(talk.thread_id, USER, "Hello!")).run["id"])

    [call] = await calls(talk.conn)
    assert (call["outcome"], call["input_tokens"], call["cached_input_tokens"]) == ("failed", 700, 600)
    assert call["output_tokens"] > 1  # what was seen of the answer, as nothing was said of all of it


async def test_a_request_that_is_refused_costs_nothing(make_talk: MakeTalk) -> None:
    talk = await make_talk(ProviderRejected("no", provider="scripted"), models=PRICED)

    await talk.runner.wait(talk.thread_id, (await talk.runner.start(talk.thread_id, USER, "Hello!")).run["id"])

    [call] = await calls(talk.conn)
    assert (call["outcome"], call["input_tokens"], call["estimated"]) == ("failed", 0, False)
    assert (await newest_run(talk))["cost"] == {"currency": "USD", "amount": "0"}


async def test_a_run_that_never_called_a_model_has_no_cost(make_talk: MakeTalk) -> None:
    talk = await make_talk([asyncio.Event()], models=PRICED)
    await talk.runner.start(talk.thread_id, USER, "Hello!")
    await until_asked(talk)
    queued = await talk.runner.start(talk.thread_id, USER, "And?", on_busy="queue")

    run = await talk.runner.cancel(talk.thread_id, queued.run["id"])

    assert (run["status"], run["cost"]) == ("cancelled", None)
    assert await calls(talk.conn) == []


async def test_the_ledger_outlives_its_thread_but_not_its_user(make_talk: MakeTalk) -> None:
    talk = await make_talk("Hello.", models=PRICED)
    await talk.runner.run(talk.thread_id, USER, "Hello!")

    await ThreadStore(talk.conn).delete(talk.thread_id)
    assert [call["user_id"] for call in await calls(talk.conn)] == [USER]

    rule = next(rule for rule in RULES if rule.table is ModelCallTable)
    assert await talk.conn.database.write(lambda c: rule.delete_own(c, USER)) == {"model_calls": 1}
    assert await calls(talk.conn) == []


async def test_a_call_under_way_when_its_thread_is_deleted_is_recorded(make_talk: MakeTalk) -> None:
    talk = await make_talk(["A word or two", asyncio.Event()], models=PRICED)
    started = await talk.runner.start(talk.thread_id, USER, "Hello!")
    await until_text(talk, started.run["id"], "A word or two")

    await ThreadStore(talk.conn).delete(talk.thread_id)
    async with asyncio.timeout(60):
        while talk.conn.executor.running:
            await asyncio.sleep(0.01)

    [call] = await calls(talk.conn)
    assert (call["outcome"], call["estimated"], call["run_id"]) == ("cancelled", True, started.run["id"])


class _Boaster(ScriptedProvider):
    """A provider whose figures are none."""

    def __init__(self, usage: Usage) -> None:
        super().__init__("Hello.")
        self.usage = usage

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        async for event in super().stream(request):
            yield replace(event, usage=self.usage) if isinstance(event, ResponseEnd) else event


@pytest.mark.parametrize("figure", ["12", -1, 10**30, True, 1.5, {}])
async def test_impossible_figures_are_not_recorded(make_talk: MakeTalk, figure: Any) -> None:
    talk = await make_talk()
    provider = _Boaster(Usage(figure, figure, figure, figure, cache_write_tokens=figure))
    runner = AgentRunner(talk.conn, provider=provider, models=PRICED)

    answer = await runner.run(talk.thread_id, USER, "Hello!")

    [call] = await calls(talk.conn)
    assert answer["content"] == "Hello."
    assert answer["usage"] == Usage().to_dict()
    assert (call["input_tokens"], call["output_tokens"], call["cost_pico_usd"]) == (None, None, None)
