"""A thread whose agent talks to a fake provider over HTTP, and the ways in which a provider fails."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from ai_agents import (
    AgentRunner,
    AgentStore,
    DatabaseHandle,
    MessageStore,
    RunStore,
    ThreadStore,
    Tool,
    ToolDefinition,
    ToolRegistry,
)
from ai_agents.core.rows import Run
from ai_agents.providers.registry import ProviderPool
from ai_agents.runner.outcomes import RunResult
from tests.fakes.answers import Answer, Call, Piece, Raw, say
from tests.fakes.frames import frames
from tests.fakes.provider_server import FakeProviderServer
from tests.wire.requests import MODELS, provider_of

USER = "ada"
QUESTION = "Hello!"
# Each provider's word for a refusal; None where it has none.
REFUSED = {
    "anthropic": "refusal",
    "openai": "content_filter",
    "responses": "content_filter",
    "ollama": None,
    "gemini": "SAFETY",
}
# Its word for an answer that is cut in a call's arguments; None where arguments come whole.
CUT = {
    "anthropic": "max_tokens",
    "openai": "length",
    "responses": "max_output_tokens",
    "ollama": None,
    "gemini": None,
}


class Counting(Tool):
    """A tool that counts how often it ran."""

    name = "counter"

    def __init__(self) -> None:
        self.ran = 0

    async def execute(self, expression: str = "") -> str:
        self.ran += 1
        return "42"

    def get_definition(self) -> ToolDefinition:
        parameters = {"type": "object", "properties": {"expression": {"type": "string"}}}
        return ToolDefinition(self.name, "Counts.", parameters)


@dataclass
class Thread:
    """A thread of an agent whose provider is the fake one."""

    conn: DatabaseHandle
    runner: AgentRunner
    fake: FakeProviderServer
    pool: ProviderPool
    tool: Counting
    id: str

    async def ask(self, content: str = QUESTION) -> RunResult:
        """Send a message; how its run ended."""
        started = await self.runner.start(self.id, USER, content)
        return await self.runner.wait(self.id, started.run["id"])

    async def events(self, run_id: str) -> list[str]:
        """The types of a run's events that last."""
        reader = await self.runner.read_run(self.id, run_id)
        assert reader is not None
        return [event.type async for event in reader.events()]

    async def history(self) -> list[Any]:
        """The thread's messages."""
        return (await MessageStore(self.conn).list(self.id, limit=100))["data"]

    async def run(self, run_id: str) -> Run:
        """A run as clients see it."""
        return await RunStore(self.conn).get(self.id, run_id)


async def make_thread(
    conn: DatabaseHandle,
    fake: FakeProviderServer,
    wire: str,
    *,
    addresses: Mapping[str, str] | None = None,
    **agent: Any,
) -> Thread:
    """A thread whose agent speaks this wire format. `addresses` are the providers', where they are not the fake's."""
    options: dict[str, dict[str, str]] = {}
    for name in ("anthropic", "openai", "ollama", "gemini"):
        address = (addresses or {}).get(name, fake.base_url(name))
        options[name] = {"base_url": address} | ({} if name == "ollama" else {"api_key": "a-key"})
    tool = Counting()
    pool = ProviderPool(options)
    runner = AgentRunner(conn, providers=pool, tools=ToolRegistry([tool]))
    api = {"api": "responses"} if wire == "responses" else {}
    facts = {"provider": provider_of(wire), "model": MODELS[wire], "tools": ["counter"]} | agent
    facts["settings"] = api | dict(agent.get("settings", {}))
    created = await AgentStore(conn).create(name="assistant", **facts)
    thread = await ThreadStore(conn).create(agent_id=created["id"], owner_id=USER)
    return Thread(conn, runner, fake, pool, tool, str(thread["id"]))


def status(number: int, **headers: str) -> Raw:
    """An error response, with a body that must not be shown."""
    secret = b'{"type":"error","error":{"type":"some_error","code":null,"message":"secret sk-123"}}'
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Raw([secret], status=number, headers={"content-type": "application/json"} | names)


def page(number: int) -> Raw:
    """An error page of something that stands before the provider."""
    return Raw([b"<html><h1>secret Bad Gateway</h1>"], status=number, headers={"content-type": "text/html"})


def body(wire: str, answer: Answer) -> bytes:
    """An answer's bytes."""
    return b"".join(piece for piece in frames(wire, answer, MODELS[wire]) if isinstance(piece, bytes))


def begun(wire: str, word: str = "Half ") -> list[Piece]:
    """The frames of an answer up to its first word."""
    pieces = frames(wire, say(word, "an answer"), MODELS[wire])
    said = orjson.dumps(word)[1:-1]
    return pieces[: next(n for n, piece in enumerate(pieces) if isinstance(piece, bytes) and said in piece) + 1]


def cut_in_arguments(wire: str) -> Raw:
    """An answer that breaks off in the midst of a tool call's arguments."""
    data = body(wire, Answer([Call("counter", {"expression": "6*7"})]))
    return Raw([data[: data.rindex(b"6*7") + 1]])


def failure_inside(wire: str) -> Raw:
    """An error in a response that began with 200, before any word."""
    inside = {
        "anthropic": b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"secret"}}\n\n',
        "openai": b'data: {"error":{"type":"server_error","code":503,"message":"secret"}}\n\n',
        "responses": b'data: {"type":"error","code":"server_error","message":"secret"}\n\n',
        "ollama": b'{"error":"secret"}\n',
        "gemini": b'data: {"error":{"code":503,"message":"secret","status":"UNAVAILABLE"}}\n\n',
    }[wire]
    return Raw([inside])


Script = Callable[[str], Sequence[Answer | Raw]]
