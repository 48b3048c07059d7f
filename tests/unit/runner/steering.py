"""Messages that join a run: sending, waiting and reading in tests of them."""

import asyncio
from contextlib import aclosing
from typing import Any

from sqlalchemy import select

from ai_agents import AgentRunner, Tool, ToolContext
from ai_agents.core.exceptions import ProviderError
from ai_agents.core.rows import Run
from ai_agents.providers.errors import error_from_response
from ai_agents.runner.outcomes import Started
from ai_agents.store.models import RunTable
from tests.faults.support.stream import SentEvent, Told
from tests.unit.runner.conftest import USER, Talk
from tests.unit.runner.test_runner import history

LIMIT_S = 20


class Slow(Tool):
    """Works until it may end, and notes the users that it works for."""

    name = "slow"

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.may_end = asyncio.Event()
        self.users: list[str] = []

    async def execute(self, context: ToolContext) -> str:
        self.users.append(context.user_id)
        self.begun.set()
        await self.may_end.wait()
        return "done"


def refusal() -> ProviderError:
    """What a provider says of content that it always refuses."""
    return error_from_response("scripted", 400, {}, b'{"error": {"code": "content_filter", "message": "Filtered."}}')


async def steer(talk: Talk, content: str, **options: Any) -> Started:
    return await talk.runner.start(talk.thread_id, options.pop("user_id", USER), content, on_busy="steer", **options)


async def read(talk: Talk, run_id: str) -> Told:
    """What a reader is told who leaves after each event and resumes; every row comes once, and texts add up."""
    told = Told(run_id=run_id)
    async with asyncio.timeout(LIMIT_S):
        while told.terminal is None:
            reader = await talk.runner.read_run(talk.thread_id, run_id, after=told.last_event_id)
            assert reader is not None
            async with aclosing(reader.events()) as events:
                async for event in events:
                    told.take(SentEvent(event.id, event.type, dict(event.data)))
                    break
    return told


async def until_text(talk: Talk, run_id: str, text: str) -> None:
    """Wait until a reader of the run has seen that the message in progress begins so."""
    await until_read(talk.runner, talk.thread_id, run_id, text)


async def until_read(runner: AgentRunner, thread_id: str, run_id: str, text: str) -> None:
    """Wait until a reader of the run has seen that the message in progress begins so."""
    reader = await runner.read_run(thread_id, run_id)
    assert reader is not None
    seen = ""
    async with asyncio.timeout(LIMIT_S), aclosing(reader.events()) as events:
        async for event in events:
            seen = seen + str(event) if event.type == "message.delta" else ""
            if seen.startswith(text):
                return
    raise AssertionError(f"the run ended without {text!r}")


async def ended(talk: Talk, run_id: str) -> Run:
    async with asyncio.timeout(LIMIT_S):
        return (await talk.runner.wait(talk.thread_id, run_id)).run


async def said(talk: Talk) -> list[tuple[str, str]]:
    return [(message["role"], message["content"]) for message in await history(talk)]


async def until_waiting(talk: Talk, run_id: str, count: int) -> None:
    """Wait until so many messages wait to join the run."""
    statement = select(RunTable.steered).where(RunTable.id == run_id)
    async with asyncio.timeout(LIMIT_S):
        while len(await talk.conn.database.read(lambda c: c.execute(statement).scalar_one()) or ()) != count:
            await asyncio.sleep(0.005)
