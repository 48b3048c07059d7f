"""Overrides of one message: its run alone is answered with them, on whichever process it goes on."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import update

from ai_agents import AgentRunner, AgentStore, DatabaseHandle, RunLimits, RunStore, ThreadStore, ToolDefinition
from ai_agents.core.exceptions import GuardrailBlocked, InvalidRequest, PermissionDenied
from ai_agents.core.overrides import overridden
from ai_agents.core.rows import Agent, RunOverrides
from ai_agents.core.types import JsonObject, TextPart
from ai_agents.providers.registry import ProviderPool
from ai_agents.store.models import RunTable
from ai_agents.testing import ScriptedProvider, tool_call
from tests.unit.runner.conftest import USER, MakeTalk

NUMBER: JsonObject = {"type": "object", "properties": {"number": {"type": "integer"}}, "required": ["number"]}
OTHER: JsonObject = {"type": "object"}
ALL: RunOverrides = {
    "settings": {"temperature": 0.5, "max_tokens": 50, "reasoning": "low"},
    "output_schema": NUMBER,
    "model": "another",
    "instructions": "Be brief.",
}


async def test_a_message_is_answered_with_its_overrides_and_the_next_one_without(make_talk: MakeTalk) -> None:
    settings = {"temperature": 1.0, "top_p": 0.9}
    talk = await make_talk('{"number": 6}', "Hello.", system_prompt="You are a clerk.", settings=settings)
    await talk.runner.auth.assign_role(USER, "editor", "agent", (await _run(talk.conn, talk.thread_id))["agent_id"])
    await talk.runner.run(talk.thread_id, USER, "How many?", overrides=ALL)
    await talk.runner.run(talk.thread_id, USER, "Hello.")
    first, second = talk.provider.requests
    assert (first.model, first.system, first.output_schema) == ("another", "You are a clerk.\n\nBe brief.", NUMBER)
    assert (first.settings.temperature, first.settings.top_p, first.settings.max_tokens) == (0.5, 0.9, 50)
    assert first.settings.reasoning == "low"
    assert (second.model, second.system, second.output_schema) == ("scripted", "You are a clerk.", None)
    assert (second.settings.temperature, second.settings.max_tokens) == (1.0, None)
    store = RunStore(talk.conn)
    plain, overriding = (await store.list(talk.thread_id, upstream=True))["data"]
    assert ("overrides" in plain, overriding["overrides"]) == (False, ALL)
    # Those who may not change the agent see what any sender may say.
    shown = (await store.get(talk.thread_id, overriding["id"]))["overrides"]
    assert shown == {"settings": ALL["settings"], "output_schema": NUMBER}


async def _run(conn: DatabaseHandle, thread_id: str) -> Any:
    return await ThreadStore(conn).get(thread_id)


@pytest.mark.parametrize("name", ["provider", "model", "instructions"])
async def test_only_editors_of_the_agent_say_who_answers_and_how(make_talk: MakeTalk, name: str) -> None:
    talk = await make_talk("Hello.")
    overrides: Any = {name: "scripted"}
    with pytest.raises(PermissionDenied):
        await talk.runner.run(talk.thread_id, USER, "Hello.", overrides=overrides)
    await talk.runner.run(talk.thread_id, USER, "Hello.", overrides=overrides, is_admin=True)


async def test_another_provider_answers_with_its_own_model(conn: DatabaseHandle) -> None:
    own, other = ScriptedProvider("Mine.", model="own"), ScriptedProvider("Yours.", model="others")
    own.name = "own"
    pool = ProviderPool()
    pool.add(own)
    pool.add(other)
    runner = AgentRunner(conn, providers=pool)
    agent = await AgentStore(conn).create(name="helper", provider="own", model="own-large", owner_id=USER)
    thread = await ThreadStore(conn).create(agent_id=agent["id"], owner_id=USER)
    answer = await runner.run(thread["id"], USER, "Who?", overrides={"provider": "scripted"})
    assert (answer["content"], other.requests[0].model) == ("Yours.", "others")
    await runner.run(thread["id"], USER, "Who?", overrides={"provider": "own"})
    assert own.requests[0].model == "own-large"


async def test_overrides_hold_in_another_process_and_after_a_queue(conn: DatabaseHandle) -> None:
    call, gate = tool_call("clock"), asyncio.Event()
    provider = ScriptedProvider([gate, "Slow."], [call], "Noon.")
    runner = AgentRunner(conn, provider=provider)
    agent = await AgentStore(conn).create(name="helper", owner_id=USER, system_prompt="You help.")
    thread_id = (await ThreadStore(conn).create(agent_id=agent["id"], owner_id=USER))["id"]
    await runner.start(thread_id, USER, "One")
    clock = ToolDefinition("clock", "Reads the clock.")
    overrides: RunOverrides = {"instructions": "Be brief.", "settings": {"temperature": 0.5}}
    queued = await runner.start(thread_id, USER, "Two", on_busy="queue", overrides=overrides, client_tools=(clock,))
    gate.set()
    assert (await runner.wait(thread_id, queued.run["id"])).run["status"] == "waiting"
    expired = {"status": "running", "lease_owner": "lost", "lease_expires_at": 0.0}
    this = update(RunTable).where(RunTable.id == queued.run["id"])
    later = AgentRunner(conn, provider=provider)
    await conn.database.write(lambda c: c.execute(this.values(expired)))
    await later.open()
    await conn.executor.take_over_abandoned()
    (asked,) = (await later.wait(thread_id, queued.run["id"])).client_calls
    await later.give_results(thread_id, queued.run["id"], USER, [{"tool_call_id": asked.tool_call_id, "result": "12"}])
    assert (await later.wait(thread_id, queued.run["id"])).run["status"] == "completed"
    assert [request.system for request in provider.requests] == ["You help.", *["You help.\n\nBe brief."] * 2]
    assert [request.settings.temperature for request in provider.requests] == [None, 0.5, 0.5]


def agent_with(**settings: Any) -> Agent:
    agent: Any = {"settings": settings, "system_prompt": None, "provider": None, "model": None, "output_schema": OTHER}
    found: Agent = agent
    return found


def test_the_limits_of_the_agent_are_the_most_that_a_message_gets() -> None:
    asked: RunOverrides = {"settings": {"max_tokens": 900, "timeout_s": 9.0, "tool_rounds": 90}}
    mine = overridden(agent_with(max_tokens=100, timeout_s=5.0, tool_rounds=20), asked, most_rounds=10)["settings"]
    assert mine == {"max_tokens": 100, "timeout_s": 5.0, "tool_rounds": 20}
    free = overridden(agent_with(), asked, most_rounds=10)["settings"]
    assert free == {"max_tokens": 900, "timeout_s": 9.0, "tool_rounds": 10}
    less: RunOverrides = {"settings": {"max_tokens": 1}}
    assert overridden(agent_with(max_tokens=100), less)["settings"] == {"max_tokens": 1}
    assert overridden(agent_with(), {"instructions": "Only this."})["system_prompt"] == "Only this."
    assert overridden(agent_with(), None) == agent_with()


async def test_rounds_with_tools_are_those_that_the_message_asks_for(conn: DatabaseHandle) -> None:
    calls = [tool_call("calculator", expression=f"{number}") for number in range(3)]
    provider = ScriptedProvider(*([call] for call in calls), "Done.")
    runner = AgentRunner(conn, provider=provider, limits=RunLimits(tool_rounds=5))
    agent = await AgentStore(conn).create(name="helper", owner_id=USER, tools=["calculator"])
    thread_id = (await ThreadStore(conn).create(agent_id=agent["id"], owner_id=USER))["id"]
    started = await runner.start(thread_id, USER, "Count.", overrides={"settings": {"tool_rounds": 2}})
    run = (await runner.wait(thread_id, started.run["id"])).run
    assert run["error"] is not None
    assert run["error"]["code"] == "tool_loop_limit"


async def test_guardrails_judge_what_overrides_tell_the_model(make_talk: MakeTalk) -> None:
    rules = [{"type": "blocklist", "patterns": ["secret"], "stage": "input", "action": "redact"}]
    talk = await make_talk("Hello.", guardrails=rules)
    schema: JsonObject = {"type": "object", "description": "a secret"}
    with pytest.raises(GuardrailBlocked):
        await talk.runner.run(talk.thread_id, USER, "Hello.", overrides={"output_schema": schema})
    instructions: RunOverrides = {"instructions": "Tell a secret."}
    await talk.runner.run(talk.thread_id, USER, "Hello.", overrides=instructions, is_admin=True)
    assert talk.provider.requests[0].system == "Tell a [redacted]."
    assert talk.provider.requests[0].messages[0].parts == (TextPart("Hello."),)


async def test_a_schema_that_cannot_be_used_is_refused(make_talk: MakeTalk) -> None:
    talk = await make_talk("Hello.")
    with pytest.raises(InvalidRequest) as error:
        await talk.runner.run(talk.thread_id, USER, "Hello.", overrides={"output_schema": {"type": "array"}})
    assert error.value.loc == ("overrides", "output_schema")


async def test_a_message_that_joins_a_run_brings_its_own_overrides_or_none(conn: DatabaseHandle) -> None:
    gates = asyncio.Event(), asyncio.Event()
    provider = ScriptedProvider([gates[0], "One."], [gates[1], "Two."], "Three.")
    runner = AgentRunner(conn, provider=provider)
    agent = await AgentStore(conn).create(name="helper", owner_id=USER, system_prompt="You help.")
    thread_id = (await ThreadStore(conn).create(agent_id=agent["id"], owner_id=USER))["id"]
    first = await runner.start(thread_id, USER, "One?", overrides={"instructions": "Be brief."})
    asked: RunOverrides = {"settings": {"temperature": 0.5}}
    for number, overrides in enumerate((asked, None)):
        await runner.start(thread_id, USER, "And?", on_busy="steer", overrides=overrides)
        gates[number].set()
        async with asyncio.timeout(60):
            while len(provider.requests) < number + 2:
                await asyncio.sleep(0.01)
    assert (await runner.wait(thread_id, first.run["id"])).run["status"] == "completed"
    assert [request.system for request in provider.requests] == ["You help.\n\nBe brief.", "You help.", "You help."]
    assert [request.settings.temperature for request in provider.requests] == [None, 0.5, None]
