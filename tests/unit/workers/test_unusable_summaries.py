"""A model whose summaries are not usable is asked for them ever more seldom, and the runs say so."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select

from ai_agents import AgentRunner, AgentStore, DatabaseHandle, ThreadStore, connect
from ai_agents.core.exceptions import ProviderTimeout
from ai_agents.core.notices import Notice
from ai_agents.runner.needed_jobs import NeededSummary
from ai_agents.store.jobs import JobStore
from ai_agents.store.models import ThreadTable
from ai_agents.testing import ScriptedProvider
from tests.support.waiting import eventually
from tests.unit.workers.conftest import MakeBench

USABLE = "Ada asked questions, and each of them was answered."


class Talk:
    """One thread whose turns follow each other once the jobs of the turn before are done."""

    def __init__(self, conn: DatabaseHandle, thread_id: str, agent_id: str) -> None:
        self.conn, self.thread_id, self.agent_id = conn, thread_id, agent_id
        self.provider = ScriptedProvider(*["short"] * 1000)
        self._runner = AgentRunner(conn, provider=self.provider)
        self.turns = 0

    async def _is_idle(self) -> bool:
        counts = await JobStore(self.conn).count()
        return counts["queued"] == counts["running"] == 0

    async def turn(self, *, summary: object = "short") -> tuple[bool, list[Notice]]:
        """Whether a summary was asked for after the turn, and the run's notices."""
        self.turns += 1
        self.provider.answers[:2] = ["short", summary]
        asked = len(self.provider.requests) + 1
        message = await self._runner.run(self.thread_id, "ada", "question")
        await eventually(self._is_idle)
        run = (await self._runner.wait(self.thread_id, str(message["run_id"]))).run
        return len(self.provider.requests) > asked, run["notices"]

    async def turns_asked(self, through: int) -> list[int]:
        """The turns up to this one after which a summary was asked for."""
        return [self.turns for _ in range(through - self.turns) if (await self.turn())[0]]


@pytest.fixture
async def talk(database_url: str) -> AsyncIterator[Talk]:
    """A thread whose memory is summarized beyond eight messages."""
    async with await connect(database_url) as conn:
        agent = await AgentStore(conn).create(name="assistant", memory={"strategy": "summarize", "recent": 4})
        thread = await ThreadStore(conn).create(agent["id"], owner_id="ada")
        yield Talk(conn, thread["id"], agent["id"])


async def test_sixty_turns_ask_five_times_and_say_so_from_the_third_on(talk: Talk) -> None:
    assert await talk.turns_asked(through=10) == [5, 7]
    asked, notices = await talk.turn()
    assert (asked, notices) == (True, []), "this run ended before the third answer came"
    assert (await talk.turn())[1] == [{"code": "summary_unusable", "times": 3}]
    assert await talk.turns_asked(through=60) == [19, 35]


async def test_a_usable_summary_one_of_a_person_and_another_version_of_the_agent_begin_anew(talk: Talk) -> None:
    assert await talk.turns_asked(through=12) == [5, 7, 11]
    await AgentStore(talk.conn).update(talk.agent_id, {"system_prompt": "Be brief."})
    assert await talk.turn() == (True, []), "a new version may have a better model"
    assert await talk.turn() == (False, [])
    await ThreadStore(talk.conn).update(talk.thread_id, {"summary": "What a person wrote of it."})
    assert await talk.turn(summary=USABLE) == (True, [])
    assert (await ThreadStore(talk.conn).get(talk.thread_id))["summary"] == USABLE
    # Four messages are left. The next five make nine.
    assert await talk.turns_asked(through=20) == [18, 20], "the waits are as short as at first"


async def test_a_provider_that_fails_is_tried_again_by_the_rules_of_jobs_alone(make_bench: MakeBench) -> None:
    bench = await make_bench(ProviderTimeout("No answer."), "short", turns=30, memory={"strategy": "summarize"})
    misses = select(ThreadTable.summary_misses).where(ThreadTable.id == bench.thread_id)

    job = await bench.do("summarize")
    assert (job["status"], job["attempts"]) == ("queued", 1)
    assert await bench.conn.database.read(lambda c: c.scalar(misses)) is None

    await bench.hurry(job["id"])
    await bench.runner.run(job["id"])
    assert await bench.conn.database.read(lambda c: c.scalar(misses)) == {"times": 1, "seq": 60, "agent_version": 1}


def test_growth_that_the_run_did_not_read_counts_as_enough() -> None:
    needed = NeededSummary(covers=10, recent=4, seqs=(90, 91), recorded=1, unread_before_seq=90)
    seldom = {"times": 9, "agent_version": 1}
    assert needed.is_due({**seldom, "seq": 89})
    assert not needed.is_due({**seldom, "seq": 90})
