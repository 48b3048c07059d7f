"""A thread to talk in, on both databases, and a provider with scripted answers."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from ai_agents import AgentRunner, AgentStore, DatabaseHandle, RunLimits, ThreadStore, ToolRegistry, connect
from ai_agents.context.catalogue import ModelCatalogue
from ai_agents.providers import retry
from ai_agents.runner.handle import open_handle
from ai_agents.runner.process.periodic import Timing
from ai_agents.testing import ScriptedProvider
from ai_agents.workers.background import InProcessJobs
from tests.fakes.provider_server import FakeProviderServer
from tests.unit.runner.failing import Thread, make_thread

USER = "ada"


@dataclass
class Talk:
    """A runner, its scripted provider and a thread whose owner is `USER`."""

    conn: DatabaseHandle
    runner: AgentRunner
    provider: ScriptedProvider
    thread_id: str


MakeTalk = Callable[..., Awaitable[Talk]]


@pytest.fixture
def timing() -> Timing:
    """How often the process does what; a test may override it."""
    return Timing()


@pytest.fixture
async def conn(database_url: str, timing: Timing) -> AsyncIterator[DatabaseHandle]:
    """A handle on a fresh database."""
    handle = await open_handle(database_url, timing=timing)
    handle.executor.background = InProcessJobs(handle.database, owner=handle.executor.owner)
    yield handle
    await handle.close(grace_s=0)


@pytest.fixture
def make_talk(conn: DatabaseHandle) -> MakeTalk:
    """Make a thread whose agent gives these answers."""

    async def make(
        *answers: object,
        tools: ToolRegistry | None = None,
        models: ModelCatalogue | None = None,
        limits: RunLimits | None = None,
        scripted: ScriptedProvider | None = None,
        **agent: object,
    ) -> Talk:
        provider = scripted or ScriptedProvider(*answers)  # type: ignore[arg-type]  # answers of any kind pass through
        runner = AgentRunner(conn, provider=provider, tools=tools, models=models, limits=limits)
        names = [tool.name for tool in tools.list_tools()] if tools else []
        created = await AgentStore(conn).create(name="assistant", tools=names, **agent)  # type: ignore[arg-type]  # fields pass through
        thread = await ThreadStore(conn).create(agent_id=created["id"], owner_id=USER)
        return Talk(conn, runner, provider, thread["id"])

    return make


@pytest.fixture
async def fake() -> AsyncIterator[FakeProviderServer]:
    """A fake of all providers that refuses what they would refuse."""
    async with FakeProviderServer() as server:
        yield server


OpenThread = Callable[..., Awaitable[Thread]]


@pytest.fixture
async def open_thread(
    sqlite_url: str, fake: FakeProviderServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[OpenThread]:
    """Make a thread whose agent talks to the fake provider; there is no waiting between tries.

    One database is enough: what differs is the provider.
    """
    monkeypatch.setattr(retry, "_FIRST_BACKOFF_S", 0.001)
    async with AsyncExitStack() as stack:
        conn = await connect(sqlite_url)
        stack.push_async_callback(conn.close, grace_s=0)

        async def make(wire: str, **facts: Any) -> Thread:
            thread = await make_thread(conn, fake, wire, **facts)
            stack.push_async_callback(thread.pool.aclose)
            return thread

        yield make
