"""The request of a turn is the beginning of the next one, byte for byte, so that providers' caches can be used."""

import os
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest

from ai_agents import AgentRunner, AgentStore, ThreadStore
from ai_agents import connect as open_database
from ai_agents.core.types import ModelMessage, ToolResultPart
from ai_agents.providers.base import Provider
from tests.fakes.answers import Answer, Call, Reasoning, say
from tests.fakes.provider_server import FakeProviderServer
from tests.wire.conftest import Connect
from tests.wire.requests import CALCULATOR, MODELS, WIRES, ask, user

# The bytes `]}` follow the last message of a request.
CLOSING = b"]}"
SETTINGS = {"reasoning": "low", "max_tokens": 4000}
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}


async def turn(provider: Provider, wire: str, history: list[ModelMessage], *, tool: bool, settings: object) -> None:
    """Run one turn, and add its messages to the history."""
    asked = await provider.complete(
        ask(wire, *history, system="Be brief.", tools=(CALCULATOR,), settings=settings, output_schema=SCHEMA)
    )
    history.append(ModelMessage("assistant", asked.parts))
    if tool:
        history += [
            ModelMessage("tool", (ToolResultPart(call.tool_call_id, call.name, "42"),)) for call in asked.tool_calls
        ]


def check_prefixes(bodies: Sequence[bytes]) -> None:
    for before, after in pairwise(bodies):
        assert before.endswith(CLOSING)
        assert after.startswith(before.removesuffix(CLOSING))


@pytest.mark.parametrize("wire", WIRES)
async def test_a_conversation_only_grows(wire: str, fake: FakeProviderServer, connect: Connect) -> None:
    provider = connect(wire)
    history: list[ModelMessage] = []

    for number in range(4):
        history.append(user(f"Question {number}"))
        await turn(provider, wire, history, tool=False, settings={})

    assert len(fake.requests) == 4
    check_prefixes([request.body for request in fake.requests])


# Ollama is missing here: its templates drop the thinking of earlier turns, so it is not sent again.
@pytest.mark.parametrize("wire", ["anthropic", "openai", "responses"])
async def test_earlier_turns_are_sent_unchanged(wire: str, fake: FakeProviderServer, connect: Connect) -> None:
    provider = connect(wire)
    history: list[ModelMessage] = []
    calls = [Call("calculator", {"expression": "6*7"}), Call("calculator", {"expression": "7*7"})]

    for number in range(3):
        fake.script(wire, [Answer([Reasoning([f"hm {number}"]), *calls]), Answer([Reasoning(["so"])]), say("42")])
        history.append(user(f"Question {number}"))
        await turn(provider, wire, history, tool=True, settings=SETTINGS)
        await turn(provider, wire, history, tool=True, settings=SETTINGS)
        await turn(provider, wire, history, tool=True, settings=SETTINGS)

    assert [request.refused for request in fake.requests] == [None] * 9
    check_prefixes([request.body for request in fake.requests])


@pytest.mark.parametrize("wire", WIRES)
async def test_the_same_request_is_the_same_bytes(wire: str, fake: FakeProviderServer, connect: Connect) -> None:
    for _ in range(2):
        request = ask(wire, user("Hi"), system="Be brief.", tools=(CALCULATOR,), output_schema=SCHEMA)
        await connect(wire).complete(request)

    first, second = fake.requests
    assert first.body == second.body


_RENDER = """
import json, sys
from ai_agents.core.types import ModelRequest, ToolDefinition
from tests.wire.requests import MODELS, sent, user

schema = {"type": "object", "properties": {name: {"type": "string"} for name in "zyxabc"}, "required": ["z", "a"]}
names = ("orders", "mail", "files", "calendar", "wiki")
tools = tuple(ToolDefinition(f"{name}/{name}", name, schema) for name in names)
for wire, model in MODELS.items():
    sys.stdout.write(json.dumps(sent(wire, ModelRequest(model, (user(),), "Be brief.", tools, output_schema=schema))))
"""


def test_another_process_renders_the_same_bytes() -> None:
    """The order of sets differs between processes; requests must not depend on it."""
    rendered = {
        subprocess.run(  # this interpreter, with the code above
            [sys.executable, "-c", _RENDER],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(rendered) == 1
    assert b"calendar" in rendered.pop()


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    "memory",
    [
        {"strategy": "last_n", "n": 6, "step": 8},
        {"strategy": "first_last", "first": 2, "last": 4, "step": 8},
        {"strategy": "token_window", "max_tokens": 250},
    ],
    ids=lambda memory: memory["strategy"],
)
async def test_a_long_threads_requests_begin_as_the_ones_before(
    memory: dict[str, Any], wire: str, fake: FakeProviderServer, connect: Connect, sqlite_url: str
) -> None:
    conn = await open_database(sqlite_url)
    settings: dict[str, Any] = {"api": "responses"} if wire == "responses" else {}
    agent = await AgentStore(conn).create("a", model=MODELS[wire], memory=memory, settings=settings)
    thread = await ThreadStore(conn).create(agent["id"], owner_id="ada")
    runner = AgentRunner(conn, provider=connect(wire))

    for number in range(40):
        fake.script(wire, [say(f"Answer {number}.")])
        await runner.run(thread["id"], "ada", f"Question {number}?")
    await conn.close()

    bodies = [request.body for request in fake.requests]
    assert len(bodies) == 40
    assert b"Question 0?" in bodies[3]
    assert b"Question 6?" not in bodies[39]
    moves = [before for before, after in pairwise(bodies) if not after.startswith(before.removesuffix(CLOSING))]
    # The edge moves every fourth turn, and that of the tokens not much oftener.
    assert 2 <= len(moves) <= 40 / 3
