"""A thread to talk in, on both databases, and a provider that says what it is told."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest

from ai_agents import AgentRunner, AgentStore, Connection, ThreadStore, ToolRegistry, connect
from ai_agents.context.catalogue import ModelCatalogue
from ai_agents.testing import ScriptedProvider

USER = "ada"


@dataclass
class Talk:
    """A runner, its scripted provider and a thread whose owner is `USER`."""

    conn: Connection
    runner: AgentRunner
    provider: ScriptedProvider
    thread_id: str


MakeTalk = Callable[..., Awaitable[Talk]]


@pytest.fixture
async def conn(database_url: str) -> AsyncIterator[Connection]:
    """A handle on a fresh database."""
    handle = await connect(database_url)
    yield handle
    await handle.close(grace_s=0)


@pytest.fixture
def make_talk(conn: Connection) -> MakeTalk:
    """Make a thread whose agent gives these answers."""

    async def make(
        *answers: object, tools: ToolRegistry | None = None, models: ModelCatalogue | None = None, **agent: object
    ) -> Talk:
        provider = ScriptedProvider(*answers)  # type: ignore[arg-type]  # answers of any kind pass through
        runner = AgentRunner(conn, provider=provider, tools=tools, models=models)
        names = [tool.name for tool in tools.list_tools()] if tools else []
        created = await AgentStore(conn).create(name="assistant", tools=names, **agent)  # type: ignore[arg-type]  # fields pass through
        thread = await ThreadStore(conn).create(agent_id=created["id"], owner_id=USER)
        return Talk(conn, runner, provider, thread["id"])

    return make
