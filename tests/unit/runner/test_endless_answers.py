"""Models that write or call tools without end: their runs end, and do not take the service from others."""

import asyncio
import itertools
from collections.abc import AsyncIterator

from ai_agents import ToolRegistry
from ai_agents.core.types import ModelEvent, ModelRequest, PartDelta, PartStart
from ai_agents.providers.assembly import MOST_CALLS
from ai_agents.runner.shown_answer import MOST_CHARACTERS
from ai_agents.testing import ScriptedProvider, tool_call
from tests.present import present
from tests.unit.runner.conftest import USER, MakeTalk
from tests.unit.runner.failing import Counting


class Slow(Counting):
    """Notes how many of its calls run at once."""

    def __init__(self) -> None:
        super().__init__()
        self.running = self.most = 0

    async def execute(self, expression: str = "") -> str:
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(0.001)
        self.running -= 1
        return await super().execute(expression)


class Endless(ScriptedProvider):
    """Writes until it is closed."""

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """The same again and again."""
        try:
            yield PartStart(0, "text")
            for _ in itertools.count():
                yield PartDelta(0, "text", "again and " * 10_000)
        finally:
            self.closed += 1


async def test_the_calls_of_one_answer_are_made_a_few_at_a_time_up_to_a_number_beyond_which_none_is(
    make_talk: MakeTalk,
) -> None:
    tool = Slow()
    many = [tool_call("counter", expression=str(number)) for number in range(MOST_CALLS)]
    talk = await make_talk(many, "Done.", [*many, many[0]], tools=ToolRegistry([tool]))

    assert (await talk.runner.run(talk.thread_id, USER, "Count."))["content"] == "Done."
    assert (tool.ran, tool.most) == (MOST_CALLS, 16)

    started = await talk.runner.start(talk.thread_id, USER, "Count more.")
    ended = await talk.runner.wait(talk.thread_id, started.run["id"])
    assert present(ended.run["error"])["code"] == "provider_error"
    assert tool.ran == MOST_CALLS


async def test_an_answer_without_end_ends_its_run_and_its_stream(make_talk: MakeTalk) -> None:
    provider = Endless()
    talk = await make_talk(scripted=provider)

    started = await talk.runner.start(talk.thread_id, USER, "Hello!")
    ended = await talk.runner.wait(talk.thread_id, started.run["id"])

    error = present(ended.run["error"])
    assert error["code"] == "provider_error"
    assert f"{MOST_CHARACTERS:,}" in error["detail"]
    assert provider.closed == 1
