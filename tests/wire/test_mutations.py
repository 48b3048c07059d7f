"""Whatever becomes of a stream on its way, the answer is an honest reading of its bytes, or one provider error."""

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_agents import AgentRunner, AgentStore, ProviderPool, ThreadStore, Tool, ToolRegistry
from ai_agents.core.exceptions import ProviderError
from ai_agents.core.types import (
    ModelEvent,
    PartDelta,
    PartEnd,
    PartStart,
    ResponseEnd,
    TextPart,
    ToolCallPart,
    ToolDefinition,
)
from ai_agents.runner.handle import open_handle
from tests.fakes.answers import Raw
from tests.fakes.provider_server import FakeProviderServer
from tests.support.examples import examples, times
from tests.wire.honest import cleaned, honest_calls, honest_text, says_its_end, written
from tests.wire.mutations import mutated, pieces_of
from tests.wire.requests import MODELS, ask, parser_of, provider_of
from tests.wire.streams import STREAMS, TOOLS

DEFINITIONS = tuple(ToolDefinition(name, "") for name in TOOLS)


def read(wire: str, data: bytes, random: Random) -> tuple[list[ModelEvent], ProviderError | None]:
    """The events of these bytes, in random pieces, and the error that ends them."""
    parser = parser_of(wire, ask(wire, tools=DEFINITIONS))
    error = None
    for piece in pieces_of(data, random):
        if (error := parser.feed(piece)) is not None or parser.done:
            return parser.writer.events, error
    return parser.writer.events, parser.finish()


def check_events(events: list[ModelEvent], *, whole: bool) -> None:
    """Parts come one after another, each as its deltas say, and the end comes last."""
    for index, end in enumerate(event for event in events if isinstance(event, PartEnd)):
        own = [event for event in events if not isinstance(event, ResponseEnd) and event.index == index]
        assert isinstance(own[0], PartStart)
        assert own[-1] is end
        if not isinstance(end.part, ToolCallPart):
            assert "".join(event.text for event in own if isinstance(event, PartDelta)) == end.part.text
    ends = [event for event in events if isinstance(event, ResponseEnd)]
    assert [event for event in events[-1:] if isinstance(event, ResponseEnd)] == ends
    assert len(ends) == whole
    for event in ends:
        counts = [event.usage.input_tokens, event.usage.output_tokens, event.usage.cached_input_tokens]
        assert all(count is None or (type(count) is int and count >= 0) for count in counts)


def check_reading(wire: str, data: bytes, random: Random) -> bool:
    """Read the bytes, and fail unless that is an honest reading or a provider's error. Whether it is an answer."""
    events, error = read(wire, data, random)
    assert error is None or isinstance(error, ProviderError)
    check_events(events, whole=error is None)
    parts = [event.part for event in events if isinstance(event, PartEnd)]
    calls = [part for part in parts if isinstance(part, ToolCallPart)]
    honest = honest_calls(wire, data)
    for call in calls:
        # No tool has an empty name, so a call without a name runs nothing.
        assert call.malformed is not None or not call.name or (cleaned(call.name), written(call.arguments)) in honest
    if error is not None:
        return False
    assert says_its_end(wire, data)
    assert parts
    assert isinstance(events[-1], ResponseEnd)
    assert calls or events[-1].stop_reason != "tool_use"
    if wire in {"openai", "ollama"} and (text := honest_text(wire, data)) is not None:
        assert cleaned("".join(part.text for part in parts if isinstance(part, TextPart))) == cleaned(text)
    return True


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_as_it_is_meant_is_read_whole(name: str) -> None:
    wire, frames = STREAMS[name]
    for seed in range(20):
        assert check_reading(wire, b"".join(frames), Random(seed))


@pytest.mark.parametrize("name", STREAMS)
@given(seed=st.integers(0, 2**32))
@examples(150)
def test_a_mutated_stream_is_read_honestly_or_fails(name: str, seed: int) -> None:
    wire, frames = STREAMS[name]
    random = Random(seed)

    check_reading(wire, mutated(frames, random), random)


class Recorder(Tool):
    """A tool that records the arguments that it is run with."""

    def __init__(self, name: str, ran: set[tuple[str, str]]) -> None:
        self.name = name
        self.parameters = {"type": "object", "properties": {}}
        self._ran = ran

    async def execute(self, **arguments: Any) -> str:
        self._ran.add((self.name, written(arguments)))
        return "Fine."


@pytest.mark.parametrize("name", [name for name, (_, frames) in STREAMS.items() if any(b"Oslo" in f for f in frames)])
async def test_a_run_on_a_mutated_stream_completes_or_fails_by_its_provider(name: str, sqlite_url: str) -> None:
    wire, frames = STREAMS[name]
    ran: set[tuple[str, str]] = set()
    wrong: list[Any] = []
    async with FakeProviderServer() as fake:
        options = {"base_url": fake.base_url(wire), "max_retries": 0} | ({} if wire == "ollama" else {"api_key": "key"})
        pool = ProviderPool({provider_of(wire): options})
        conn = await open_handle(sqlite_url)
        runner = AgentRunner(conn, providers=pool, tools=ToolRegistry([Recorder(tool, ran) for tool in TOOLS]))
        agent = await AgentStore(conn).create(
            name="mutated",
            provider=provider_of(wire),
            model=MODELS[wire],
            tools=list(TOOLS),
            settings={"api": "responses"} if wire == "responses" else {},
        )
        for seed in range(times(6)):
            random = Random(seed)
            data = mutated(frames, random)
            fake.script(wire, [Raw(pieces_of(data, random), end=random.choice(("clean", "reset")))])
            thread = await ThreadStore(conn).create(agent["id"], owner_id="ada")
            started = await runner.start(thread["id"], "ada", "Hello!")
            run = (await runner.wait(thread["id"], started.run["id"])).run
            if run["error"] is not None and not run["error"]["code"].startswith("provider_"):
                wrong.append((seed, run["error"]))
            if not ran <= honest_calls(wire, data):
                wrong.append((seed, set(ran)))
            ran.clear()
        await conn.close(grace_s=0)
        await pool.aclose()

    assert wrong == []
