"""A thread with messages, and a runner of its jobs, on both databases."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import update

from ai_agents import AgentStore, DatabaseHandle, MessageStore, ThreadStore, ToolRegistry
from ai_agents.context.contexts import Contexts
from ai_agents.core.rows import Job, Thread
from ai_agents.core.types import JobKind
from ai_agents.runner.handle import open_handle
from ai_agents.store import jobs
from ai_agents.store.job_tables import JobTable
from ai_agents.store.jobs import JobStore
from ai_agents.testing import ScriptedProvider
from ai_agents.workers.job_context import JobContext
from ai_agents.workers.jobs import JobRunner
from ai_agents.workers.queue import OutboxQueue
from tests.support.summaries import SummaryStore


@dataclass
class Bench:
    """A thread, its jobs, and the provider that they ask."""

    conn: DatabaseHandle
    thread_id: str
    provider: ScriptedProvider
    runner: JobRunner

    async def ask_for(self, kind: JobKind) -> str:
        """Queue a job; its id."""
        return str((await OutboxQueue(self.conn.database).enqueue(self.thread_id, kind))["id"])

    async def do(self, kind: JobKind) -> Job:
        """Queue a job and run it; the job afterwards."""
        job_id = await self.ask_for(kind)
        await self.runner.run(job_id)
        return await JobStore(self.conn).get(job_id)

    async def hurry(self, job_id: str) -> None:
        """Make a failed job due now."""
        await self.conn.database.write(
            lambda c: c.execute(update(JobTable).where(JobTable.id == job_id).values(due_at=0.0))
        )

    async def abandon(self, job_id: str) -> None:
        """Let the lease of a running job expire, as if its process were lost."""
        values = {"lease_expires_at": 0.0}
        await self.conn.database.write(
            lambda c: c.execute(update(JobTable).where(JobTable.id == job_id).values(values))
        )

    async def thread(self) -> Thread:
        """The thread."""
        return await ThreadStore(self.conn).get(self.thread_id)

    async def covers(self) -> int:
        """The last message that the newest summary covers; 0 without a summary."""
        found = await SummaryStore(self.conn).newest(self.thread_id)
        return found.covers_through_seq if found else 0

    async def contents(self) -> list[str]:
        """The contents of all messages."""
        page = await MessageStore(self.conn).list(self.thread_id, limit=100)
        return [message["content"] for message in page["data"]]


MakeBench = Callable[..., Awaitable[Bench]]


@pytest.fixture
async def conn(database_url: str) -> AsyncIterator[DatabaseHandle]:
    """A handle on a fresh database."""
    handle = await open_handle(database_url)
    yield handle
    await handle.close(grace_s=0)


@pytest.fixture
def make_bench(conn: DatabaseHandle) -> MakeBench:
    """Make a thread with these messages, and a provider with these answers."""

    async def make(*answers: object, messages: Any = (), turns: int = 0, **agent: Any) -> Bench:
        provider = ScriptedProvider(*answers)  # type: ignore[arg-type]  # answers of any kind pass through
        contexts = Contexts(conn.database, provider=provider, tools=ToolRegistry())
        said = list(messages)
        for number in range(1, turns + 1):
            said += [
                {"role": "user", "content": f"question {number}"},
                {"role": "assistant", "content": f"answer {number}"},
            ]
        created = await AgentStore(conn).create(name="assistant", **agent)
        thread = await ThreadStore(conn).create(created["id"], messages=said, owner_id="ada")
        runner = JobRunner(JobContext(conn.database, contexts), owner="here")
        return Bench(conn, thread["id"], provider, runner)

    return make


async def claim(bench: Bench, job_id: str, owner: str = "elsewhere") -> jobs.ClaimedJob | None:
    """Claim a job as another process would."""
    return await bench.conn.database.write(lambda c: jobs.claim(c, job_id, owner=owner, lease_s=60))
