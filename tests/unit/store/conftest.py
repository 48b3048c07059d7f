"""Databases of both kinds, with an agent and a thread."""

from collections.abc import AsyncIterator

import pytest

from ai_agents.store.agents import UncheckedAgents
from ai_agents.store.database import Database
from ai_agents.store.threads import ThreadStore


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A database, once on SQLite and once on PostgreSQL."""
    made = Database(database_url)
    yield made
    await made.close()


@pytest.fixture
def agents(database: Database) -> UncheckedAgents:
    """The agents of the database."""
    return UncheckedAgents(database)


@pytest.fixture
def threads(database: Database) -> ThreadStore:
    """The threads of the database."""
    return ThreadStore(database)


@pytest.fixture
async def agent_id(agents: UncheckedAgents) -> str:
    """An agent that every user may use."""
    return str((await agents.create("assistant"))["id"])


@pytest.fixture
async def thread_id(threads: ThreadStore, agent_id: str) -> str:
    """An empty thread."""
    return str((await threads.create(agent_id))["id"])
