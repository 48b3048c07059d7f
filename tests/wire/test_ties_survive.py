"""What a provider ties to calls and reasoning survives approvals, a restart, windows, forks and other models."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from ai_agents import AgentRunner, AgentStore, DatabaseHandle, MessageStore, ProviderPool, ThreadStore, ToolRegistry
from ai_agents.core.rows import Run
from ai_agents.core.types import JsonObject
from ai_agents.providers.openai import OpenAIProvider
from ai_agents.runner.handle import open_handle
from tests.fakes.answers import Raw, say
from tests.fakes.provider_server import FakeProviderServer

USER = "ada"
MODEL = "gemini-of-a-gateway"
SIGNATURE = {"google": {"thought_signature": "c2ln"}}
DETAILS = [{"type": "reasoning.encrypted", "data": "ZGF0YQ==", "index": 0}]
CALL = {"index": 0, "id": "c__thought__c2ln", "function": {"name": "calculator", "arguments": '{"expression":"6*7"}'}}


def stream(*deltas: JsonObject, finish: str = "tool_calls", more: str = "") -> Raw:
    """A stream of these deltas, and a last chunk after them."""
    chunks: list[JsonObject] = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
    return Raw(["".join([*lines, more, "data: [DONE]\n\n"]).encode()])


TIED = stream(
    {"reasoning": "Hm.", "reasoning_details": DETAILS},
    {"content": "Let me see.", "extra_content": SIGNATURE},
    {"tool_calls": [CALL | {"extra_content": SIGNATURE}]},
)


@dataclass
class Desk:
    """A thread whose agent may calculate once a person approves it."""

    fake: FakeProviderServer
    conn: DatabaseHandle
    pool: ProviderPool
    agent_id: str
    thread_id: str

    def new_runner(self) -> AgentRunner:
        """A runner, as after a restart."""
        return AgentRunner(self.conn, providers=self.pool, tools=ToolRegistry())

    async def say(self) -> Run:
        """Send a message; the run once it waits or has ended."""
        runner = self.new_runner()
        started = await runner.start(self.thread_id, USER, "What is it?")
        return (await runner.wait(self.thread_id, started.run["id"])).run

    async def approve(self, run: Run) -> Run:
        """Approve the call that the run waits for, in another runner; the run when it has ended."""
        runner = self.new_runner()
        message = (await MessageStore(self.conn).list(self.thread_id, limit=100))["data"][-1]
        (call_id,) = [part["tool_call_id"] for part in message["parts"] if part["type"] == "tool_call"]
        await runner.decide(self.thread_id, run["id"], call_id, approved=True)
        return (await runner.wait(self.thread_id, run["id"])).run

    def sent(self) -> JsonObject:
        """The assistant's message with calls in the last request."""
        messages = self.fake.requests[-1].json["messages"]
        return next(message for message in messages if message.get("tool_calls"))


@pytest.fixture
async def desk(database_url: str) -> AsyncIterator[Desk]:
    """A thread whose run waited for an approval, and was answered."""
    async with FakeProviderServer() as fake:
        pool = ProviderPool(default=("gateway", MODEL))
        for name in ("gateway", "elsewhere"):
            pool.add(OpenAIProvider(name=name, api_key="a-key", base_url=fake.base_url("openai"), max_retries=0))
        conn = await open_handle(database_url)
        tools: Any = [{"name": "calculator", "approval": "always"}]
        agent = await AgentStore(conn).create(name="assistant", provider="gateway", model=MODEL, tools=tools)
        thread = await ThreadStore(conn).create(agent["id"], owner_id=USER)
        desk = Desk(fake, conn, pool, agent["id"], thread["id"])
        fake.script("openai", [TIED, say("42.")])
        try:
            assert (await desk.approve(await desk.say()))["status"] == "completed"
            yield desk
        finally:
            await conn.close(grace_s=0)
            await pool.aclose()


def tied(message: JsonObject) -> tuple[Any, ...]:
    (call,) = message["tool_calls"]
    own_id = "__thought__" in call["id"]
    fields = [message.get(name) for name in ("extra_content", "reasoning_details", "reasoning")]
    return (call.get("extra_content"), own_id, *fields)


async def test_it_goes_back_after_an_approval_and_in_later_turns(desk: Desk) -> None:
    whole = (SIGNATURE, True, SIGNATURE, DETAILS, "Hm.")
    assert tied(desk.sent()) == whole

    await desk.say()
    assert tied(desk.sent()) == whole
    memory: JsonObject = {"strategy": "first_last", "first": 4, "last": 2}
    await AgentStore(desk.conn).update(desk.agent_id, {"memory": memory})
    await desk.say()
    assert tied(desk.sent()) == whole


async def test_it_goes_along_into_a_fork(desk: Desk) -> None:
    last = (await MessageStore(desk.conn).list(desk.thread_id, limit=100))["data"][-1]
    desk.thread_id = (await ThreadStore(desk.conn).fork(desk.thread_id, last["id"], owner_id=USER))["id"]

    await desk.say()

    assert tied(desk.sent()) == (SIGNATURE, True, SIGNATURE, DETAILS, "Hm.")


async def test_another_model_gets_the_signature_of_the_call_alone_and_another_provider_nothing(desk: Desk) -> None:
    await AgentStore(desk.conn).update(desk.agent_id, {"model": "another-model"})
    await desk.say()
    assert tied(desk.sent()) == (SIGNATURE, False, None, None, None)

    await AgentStore(desk.conn).update(desk.agent_id, {"provider": "elsewhere", "model": MODEL})
    await desk.say()
    assert tied(desk.sent()) == (None, False, None, None, None)

    await AgentStore(desk.conn).update(desk.agent_id, {"provider": "gateway", "model": MODEL})
    await desk.say()
    assert tied(desk.sent()) == (SIGNATURE, True, SIGNATURE, DETAILS, "Hm.")


async def test_a_fallback_elsewhere_gets_nothing_and_the_next_turn_all(desk: Desk) -> None:
    fallbacks: Any = [{"provider": "elsewhere", "model": "another-model"}]
    await AgentStore(desk.conn).update(desk.agent_id, {"fallbacks": fallbacks})
    desk.fake.script("openai", [Raw([], status=500), say("Here."), say("There.")])

    await desk.say()
    assert tied(desk.sent()) == (None, False, None, None, None)
    await desk.say()
    assert tied(desk.sent()) == (SIGNATURE, True, SIGNATURE, DETAILS, "Hm.")


async def test_nothing_of_it_is_shown(desk: Desk) -> None:
    shown = json.dumps((await MessageStore(desk.conn).list(desk.thread_id, limit=100))["data"])

    assert "c2ln" not in shown
    assert "ZGF0YQ" not in shown


REFUSED = {
    "message": "parameters did not match schema",
    "code": "tool_use_failed",
    "failed_generation": '{"name":"calculator","arguments":{"expresion":"6*7"}}',
    "status_code": 400,
}


async def test_a_model_is_told_of_a_call_that_its_server_refused_and_may_correct_it(desk: Desk) -> None:
    await AgentStore(desk.conn).update(desk.agent_id, {"tools": ["calculator"]})
    refused = stream({"reasoning": "Hm."}, more=f"data: {json.dumps({'error': REFUSED})}\n\n")
    corrected = stream({"tool_calls": [CALL]})
    desk.fake.script("openai", [refused, corrected, say("42.")])

    run = await desk.say()

    assert run["status"] == "completed"
    results = [m["content"] for m in desk.fake.requests[-1].json["messages"] if m["role"] == "tool"][-2:]
    assert "expresion" in results[0]
    assert "did not match schema" in results[0]
    assert results[1] == "42"


async def test_a_model_whose_calls_are_refused_again_and_again_is_not_asked_for_ever(desk: Desk) -> None:
    await AgentStore(desk.conn).update(desk.agent_id, {"tools": ["calculator"]})
    before = len(desk.fake.requests)
    desk.fake.script("openai", [Raw([json.dumps({"error": REFUSED}).encode()], status=400)] * 60)

    run = await desk.say()

    assert run["status"] == "failed"
    assert run["error"] is not None
    assert run["error"]["code"] == "tool_loop_limit"
    assert len(desk.fake.requests) - before <= 30
