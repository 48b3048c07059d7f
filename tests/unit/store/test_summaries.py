"""Summaries: added only to the summary that they were made from, and logged."""

import asyncio

import pytest

from ai_agents.core import json
from ai_agents.core.exceptions import InvalidRequest, ThreadNotFound
from ai_agents.core.ids import new_id
from ai_agents.core.types import StoredSummary
from ai_agents.store import thread_log
from ai_agents.store.database import Database
from ai_agents.store.threads import ThreadStore
from tests.support.summaries import SummaryStore


@pytest.fixture
def store(database: Database) -> SummaryStore:
    """The summaries of the database."""
    return SummaryStore(database)


@pytest.fixture
async def spoken(threads: ThreadStore, agent_id: str) -> str:
    """A thread of 20 messages."""
    messages = [{"role": "user", "content": str(n)} for n in range(20)]
    return str((await threads.create(agent_id, messages=messages))["id"])


async def test_a_summary_is_logged(store: SummaryStore, threads: ThreadStore, database: Database, spoken: str) -> None:
    assert await store.newest(spoken) is None
    assert await store.add(spoken, " They counted. ", covers_through_seq=8, expected_covers=0)
    assert await store.newest(spoken) == StoredSummary("They counted.", 8)
    (row,) = await database.read(lambda c: thread_log.list_after(c, spoken, 20))
    assert (row.seq, row.type, row.resets) == (21, "context.compacted", False)
    assert json.loads(row.data) == {
        "type": "context.compacted",
        "thread_id": spoken,
        "summary": "They counted.",
        "covers_through_seq": 8,
    }
    thread, version = await threads.get_with_version(spoken)
    assert (thread["summary"], version) == ("They counted.", 2)


async def test_a_summary_of_an_older_one_changes_nothing(store: SummaryStore, database: Database, spoken: str) -> None:
    assert await store.add(spoken, "one", covers_through_seq=8, expected_covers=0)
    assert not await store.add(spoken, "two", covers_through_seq=12, expected_covers=0)
    assert not await store.add(spoken, "two", covers_through_seq=6, expected_covers=8)
    assert await store.newest(spoken) == StoredSummary("one", 8)
    assert len(await database.read(lambda c: thread_log.list_after(c, spoken, 20))) == 1
    assert await store.add(spoken, "two", covers_through_seq=12, expected_covers=8)
    assert await store.newest(spoken) == StoredSummary("two", 12)


async def test_of_summaries_made_at_once_one_counts(store: SummaryStore, database: Database, spoken: str) -> None:
    added = await asyncio.gather(
        *(store.add(spoken, f"s{n}", covers_through_seq=8 + n, expected_covers=0) for n in range(5))
    )
    assert sorted(added) == [False, False, False, False, True]
    assert await store.newest(spoken) == StoredSummary(f"s{added.index(True)}", 8 + added.index(True))
    assert len(await database.read(lambda c: thread_log.list_after(c, spoken, 20))) == 1


async def test_an_impossible_summary_changes_nothing(store: SummaryStore, database: Database, spoken: str) -> None:
    for text, covers in (("", 8), (" \n", 8), ("s", 21), ("s", 999)):
        with pytest.raises(InvalidRequest):
            await store.add(spoken, text, covers_through_seq=covers, expected_covers=0)
    assert not await store.add(spoken, "s", covers_through_seq=0, expected_covers=0)
    with pytest.raises(ThreadNotFound):
        await store.add(new_id(), "s", covers_through_seq=1, expected_covers=0)
    assert await store.newest(spoken) is None
    assert await database.read(lambda c: thread_log.list_after(c, spoken, 20)) == []


async def test_a_summary_after_a_cleared_one_counts(store: SummaryStore, threads: ThreadStore, spoken: str) -> None:
    await store.add(spoken, "one", covers_through_seq=8, expected_covers=0)
    await threads.update(spoken, {"summary": None})
    assert await store.newest(spoken) is None
    assert not await store.add(spoken, "two", covers_through_seq=10, expected_covers=8)
    assert not await store.add(spoken, "less would never count", covers_through_seq=5, expected_covers=0)
    assert await store.add(spoken, "two", covers_through_seq=8, expected_covers=0)
    assert await store.newest(spoken) == StoredSummary("two", 8)
