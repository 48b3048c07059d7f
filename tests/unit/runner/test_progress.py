"""The clock of a run measures the time without progress, not the time since the run began."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from ai_agents import RunLimits, Tool, ToolRegistry
from ai_agents.core.types import ModelEvent, ModelRequest, PartDelta, PartEnd, PartStart, ResponseEnd, TextPart, Usage
from ai_agents.testing import ScriptedProvider, tool_call
from tests.present import present
from tests.unit.runner.conftest import USER, MakeTalk

LIMIT_S = 0.2


class Trickling(ScriptedProvider):
    """Says a piece every few milliseconds, for `total_s`."""

    def __init__(self, piece: str, *, total_s: float) -> None:
        super().__init__()
        self.piece = piece
        self.total_s = total_s

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """One text of many pieces."""
        self.requests.append(request)
        ends_at = time.monotonic() + self.total_s
        text = "So"
        yield PartStart(0, "text")
        yield PartDelta(0, "text", text)
        while time.monotonic() < ends_at:
            await asyncio.sleep(LIMIT_S / 20)
            text += self.piece
            yield PartDelta(0, "text", self.piece)
        yield PartEnd(0, TextPart(text))
        yield ResponseEnd("end", Usage(), "scripted")


async def ask(make_talk: MakeTalk, *answers: object, **options: Any) -> Any:
    talk = await make_talk(*answers, limits=RunLimits(run_time_s=LIMIT_S), **options)
    started = await talk.runner.start(talk.thread_id, USER, "Hello!")
    return (await talk.runner.wait(talk.thread_id, started.run["id"])).run


async def test_a_run_that_goes_on_saying_something_may_take_longer_than_its_limit(make_talk: MakeTalk) -> None:
    began = time.monotonic()
    run = await ask(make_talk, scripted=Trickling("+", total_s=3 * LIMIT_S))
    assert run["status"] == "completed"
    assert time.monotonic() - began > 3 * LIMIT_S


async def test_deltas_without_text_are_no_progress(make_talk: MakeTalk) -> None:
    run = await ask(make_talk, scripted=Trickling("", total_s=60))
    assert (run["status"], present(run["error"])["code"]) == ("failed", "provider_timeout")
    assert "no progress for 0.2 s" in present(run["error"])["detail"]


class Nap(Tool):
    """Takes more than half of the limit."""

    name = "nap"

    async def execute(self) -> str:
        """Sleep."""
        await asyncio.sleep(0.6 * LIMIT_S)
        return "rested"


async def test_each_result_of_a_tool_is_progress(make_talk: MakeTalk) -> None:
    rounds = [[tool_call("nap")] for _ in range(3)]
    run = await ask(make_talk, *rounds, "Fresh again.", tools=ToolRegistry([Nap()]))
    assert run["status"] == "completed"


async def test_a_run_that_falls_silent_after_a_result_fails(make_talk: MakeTalk) -> None:
    run = await ask(make_talk, [tool_call("nap")], [asyncio.Event()], tools=ToolRegistry([Nap()]))
    assert (run["status"], present(run["error"])["code"]) == ("failed", "provider_timeout")
