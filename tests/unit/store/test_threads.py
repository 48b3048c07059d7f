"""Threads: how they are created, changed, forked and deleted."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import Connection, func, insert, select

from ai_agents.agents import AgentStore
from ai_agents.core import json
from ai_agents.core.exceptions import (
    AgentDeleted,
    AgentNotFound,
    InvalidCursor,
    InvalidRequest,
    MessageNotFound,
    PreconditionFailed,
    ThreadNotFound,
)
from ai_agents.core.ids import is_id, new_id, utc_now
from ai_agents.core.rows import Thread, ThreadChanges
from ai_agents.core.types import (
    REVOKED,
    LogRow,
    MessageRole,
    Part,
    ReasoningPart,
    StoredSummary,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    Usage,
)
from ai_agents.store import summaries, thread_log
from ai_agents.store.database import Database
from ai_agents.store.message_store import MessageStore
from ai_agents.store.messages import insert_message
from ai_agents.store.models import Base, RunTable
from ai_agents.store.revocations import lost_subject
from ai_agents.store.roles import RoleStore
from ai_agents.store.thread_lists import to_fields
from ai_agents.store.thread_log import Entry
from ai_agents.store.threads import ThreadStore
from tests.support.summaries import SummaryStore

IMPOSSIBLE: tuple[dict[str, Any], ...] = (
    {},
    {"role": "system", "content": "x"},
    {"role": ["user"], "content": "x"},
    {"role": "user"},
    {"role": "user", "content": ""},
    {"role": "user", "content": []},
    {"role": "user", "content": 7},
    {"role": "user", "content": [7]},
    {"role": "user", "content": [{"type": "text"}]},
    {"role": "user", "content": [{"type": "text", "text": 7}]},
    {"role": "user", "content": [{"type": "text", "text": "x", "more": 1}]},
    {"role": "user", "content": [{"type": "nothing", "text": "x"}]},
    {"role": "user", "content": [{"type": "text", "text": "\ud800"}]},
    {"role": "assistant", "content": [{"type": "reasoning", "text": "x", "origin": {"provider": "p"}}]},
    {"role": "user", "content": [{"type": "tool_call", "tool_call_id": "c", "name": "n", "arguments": {}}]},
    {"role": "tool", "content": "a tool's answer is a part"},
)


async def test_a_thread_needs_only_an_agent(threads: ThreadStore, agent_id: str) -> None:
    thread = await threads.create(agent_id)
    assert is_id(thread["id"])
    assert list(thread.items()) == [
        ("id", thread["id"]),
        ("agent_id", agent_id),
        ("title", None),
        ("summary", None),
        ("metadata", {}),
        ("created_at", thread["created_at"]),
        ("updated_at", thread["created_at"]),
        ("last_activity_at", thread["created_at"]),
        ("preview", None),
        ("message_count", 0),
        ("running", False),
    ]
    assert await threads.get(thread["id"]) == await threads.find(thread["id"]) == thread
    assert await threads.get_with_version(thread["id"]) == (thread, 1)


async def test_a_thread_is_its_owners(threads: ThreadStore, database: Database, agent_id: str) -> None:
    thread = await threads.create(agent_id, owner_id="ann")
    roles = (await RoleStore(database).list("thread", thread["id"]))["data"]
    assert [(role["user_id"], role["role"]) for role in roles] == [("ann", "owner")]


async def test_initial_messages_are_history_and_log(threads: ThreadStore, database: Database, agent_id: str) -> None:
    call = {"type": "tool_call", "tool_call_id": "c1", "name": "calculator", "arguments": {"expression": "1+1"}}
    result = {"type": "tool_result", "tool_call_id": "c1", "name": "calculator", "result": {"v": 2}, "is_error": False}
    thread = await threads.create(
        agent_id,
        title="Sums",
        summary="They met.",
        metadata={"k": 1},
        owner_id="ann",
        messages=[
            {"role": "user", "content": "1+1?", "metadata": {"m": 1}},
            {"role": "assistant", "content": [{"type": "text", "text": "Let me see"}, call]},
            {"role": "tool", "content": [result]},
        ],
    )
    assert (thread["title"], thread["summary"], thread["metadata"]) == ("Sums", "They met.", {"k": 1})
    messages = (await MessageStore(database).list(thread["id"]))["data"]
    assert [
        (message["seq"], message["role"], message["content"], message["user_id"], message["metadata"])
        for message in messages
    ] == [
        (1, "user", "1+1?", "ann", {"m": 1}),
        (2, "assistant", "Let me see", None, {}),
        (3, "tool", '{"v":2}', None, {}),
    ]
    assert [message["parts"] for message in messages[1:]] == [[{"type": "text", "text": "Let me see"}, call], [result]]
    assert {message["run_id"] for message in messages} == {None}
    rows = await _log(database, thread["id"])
    assert [(row.seq, row.type, row.run_id, row.resets) for row in rows] == [
        (seq, "message.completed", None, True) for seq in (1, 2, 3)
    ]
    assert [json.loads(row.data)["message"] for row in rows] == messages
    # The summary is about what came before these messages, so it replaces none of them.
    summary = await database.read(lambda c: summaries.newest(c, thread["id"]))
    assert summary == StoredSummary("They met.", 0)


async def test_an_impossible_first_message_makes_no_thread(threads: ThreadStore, agent_id: str) -> None:
    for message in IMPOSSIBLE:
        with pytest.raises(InvalidRequest) as caught:
            await threads.create(agent_id, messages=[{"role": "user", "content": "fine"}, message])
        assert caught.value.loc[:2] == ("messages", 1)
    assert (await threads.list())["data"] == []


async def test_text_that_a_database_refuses_is_mended(threads: ThreadStore, agent_id: str) -> None:
    thread = await threads.create(agent_id, title="a\0b", summary="c\ud800d")
    assert (thread["title"], thread["summary"]) == ("a\ufffdb", "c\ufffdd")


async def test_a_thread_with_a_nul_in_its_json_is_read_and_found(
    threads: ThreadStore, database: Database, agent_id: str
) -> None:
    thread = await threads.create(agent_id, metadata={"a": "x\0y", "b\0": "y", "c": "z"})
    parts: list[Part] = [TextPart("said\0"), ToolCallPart("c", "calculator", {"expression": "1\0"})]

    def say(connection: Connection) -> None:
        seq = thread_log.reserve(connection, thread["id"], 1)
        insert_message(
            connection,
            message_id=new_id(),
            thread_id=thread["id"],
            run_id=None,
            seq=seq,
            role="assistant",
            parts=parts,
            created_at=utc_now(),
        )

    await database.write(say)
    assert str((await threads.get(thread["id"]))["preview"]).startswith("said")
    (found,) = (await threads.list(metadata=[("c", "z")]))["data"]
    assert found["id"] == thread["id"]


async def test_a_thread_of_no_agent_is_refused(threads: ThreadStore) -> None:
    for agent_id in (new_id(), "nonsense"):
        with pytest.raises(AgentNotFound):
            await threads.create(agent_id)


async def test_a_change_is_kept_counted_and_logged(threads: ThreadStore, database: Database, agent_id: str) -> None:
    thread = await threads.create(agent_id, metadata={"a": 1})
    changed, version = await threads.update_with_version(thread["id"], {"title": "T", "metadata": {"b": 2}})
    assert changed == {**thread, "title": "T", "metadata": {"b": 2}, "updated_at": changed["updated_at"]}
    assert changed["updated_at"] > thread["updated_at"]
    assert await threads.get_with_version(thread["id"]) == (changed, 2) == (changed, version)
    (row,) = await _log(database, thread["id"])
    assert (row.seq, row.type, row.resets) == (1, "thread.updated", False)
    assert json.loads(row.data) == {"type": "thread.updated", "thread_id": thread["id"], "thread": to_fields(changed)}


async def test_an_empty_change_leaves_no_trace(threads: ThreadStore, database: Database, agent_id: str) -> None:
    thread = await threads.create(agent_id, title="T", metadata={"a": 1, "b": 2})
    changes: tuple[ThreadChanges, ...] = ({}, {"title": "T"}, {"metadata": {"b": 2, "a": 1}}, {"summary": None})
    for change in changes:
        assert await threads.update(thread["id"], change) == thread
    assert await threads.get_with_version(thread["id"]) == (thread, 1)
    assert await _log(database, thread["id"]) == []


async def test_what_a_thread_cannot_become_is_refused(threads: ThreadStore, thread_id: str) -> None:
    before = await threads.get_with_version(thread_id)
    changes: tuple[Any, ...] = ({"agent_id": "x"}, {"version": 2}, {"title": 7}, {"metadata": {"x": 2**70}})
    for change in changes:
        with pytest.raises(InvalidRequest):
            await threads.update(thread_id, change)
    assert await threads.get_with_version(thread_id) == before


async def test_a_change_of_an_unexpected_version_is_refused(threads: ThreadStore, thread_id: str) -> None:
    await threads.update(thread_id, {"title": "one"}, expected_version=1)
    with pytest.raises(PreconditionFailed):
        await threads.update(thread_id, {"title": "two"}, expected_version=1)
    assert (await threads.get(thread_id))["title"] == "one"


async def test_simultaneous_changes_leave_no_gaps(threads: ThreadStore, database: Database, thread_id: str) -> None:
    await asyncio.gather(*(threads.update(thread_id, {"title": f"t{n}"}) for n in range(8)))
    rows = await _log(database, thread_id)
    assert [row.seq for row in rows] == list(range(1, 9))
    assert json.loads(rows[-1].data)["thread"] == to_fields(await threads.get(thread_id))
    assert (await threads.get_with_version(thread_id))[1] == 9


async def test_a_written_summary_replaces_the_text(threads: ThreadStore, database: Database, agent_id: str) -> None:
    messages = [{"role": "user", "content": str(n)} for n in range(3)]
    thread_id = (await threads.create(agent_id, messages=messages))["id"]
    await SummaryStore(database).add(thread_id, "by job", covers_through_seq=2, expected_covers=0)
    assert (await threads.get(thread_id))["summary"] == "by job"
    assert (await threads.update(thread_id, {"summary": "by hand"}))["summary"] == "by hand"
    newest = await database.read(lambda c: summaries.newest(c, thread_id))
    assert newest == StoredSummary("by hand", 2)
    assert (await threads.update(thread_id, {"summary": None}))["summary"] is None
    assert await database.read(lambda c: summaries.newest(c, thread_id)) is None


async def test_a_deleted_thread_leaves_nothing(threads: ThreadStore, database: Database, agent_id: str) -> None:
    kept = await threads.create(agent_id, owner_id="ann", messages=[{"role": "user", "content": "x"}])
    before = await database.read(_count_all)
    thread = await threads.create(agent_id, owner_id="ann", summary="s", messages=[{"role": "user", "content": "x"}])
    await database.write(lambda c: _insert_run(c, thread["id"], agent_id))
    published: list[LogRow] = []

    def tell(rows: Sequence[LogRow]) -> None:
        published.extend(rows)

    database.after_commit = tell
    await threads.delete(thread["id"])
    # For an hour it is known that a role was lost, of which user only by a hash.
    counts = await database.read(_count_all)
    assert counts.pop("revocations") == before.pop("revocations") + 1
    assert counts == before
    lost, row = published
    assert (lost.type, lost.data) == (REVOKED, lost_subject(thread["id"], "ann"))
    assert (row.thread_id, row.seq, row.type) == (thread["id"], 2, "thread.deleted")
    assert json.loads(row.data) == {"type": "thread.deleted", "thread_id": thread["id"], "thread": to_fields(thread)}
    assert await threads.get(kept["id"]) == kept
    for attempt in (
        threads.get(thread["id"]),
        threads.update(thread["id"], {"title": "x"}),
        threads.delete(thread["id"]),
        threads.fork(thread["id"], new_id()),
    ):
        with pytest.raises(ThreadNotFound):
            await attempt
    assert await threads.find(thread["id"]) is None


async def test_lists_follow_roles(threads: ThreadStore, agents: AgentStore, database: Database, agent_id: str) -> None:
    other_agent = (await agents.create("other"))["id"]
    mine = await threads.create(agent_id, owner_id="ann")
    hers = await threads.create(agent_id, owner_id="bea")
    nobodys = await threads.create(agent_id)
    shared = await threads.create(other_agent, owner_id="bea")
    await RoleStore(database).assign("ann", "viewer", "thread", shared["id"])
    open_to_all = await threads.create(other_agent, owner_id="ann")
    await RoleStore(database).assign("*", "viewer", "thread", open_to_all["id"])

    async def listed(user_id: str | None, agent: str | None = None, *, shared: bool = True) -> list[Thread]:
        return (await threads.list(user_id, agent_id=agent, shared=shared))["data"]

    assert await listed(None) == [open_to_all, shared, nobodys, hers, mine]
    assert await listed(None, agent_id) == [nobodys, hers, mine]
    assert await listed("ann") == [open_to_all, shared, mine]
    assert await listed("ann", agent_id) == [mine]
    assert await listed("bea", other_agent) == [open_to_all, shared]
    assert await listed("cid") == [open_to_all]
    assert await listed("cid", shared=False) == []
    assert await listed("bea", other_agent, shared=False) == [shared]
    assert await listed("cid", agent_id) == []


async def test_pages_follow_one_another_without_gap_or_repetition(threads: ThreadStore, agent_id: str) -> None:
    made = [await threads.create(agent_id, owner_id="ann") for _ in range(7)]
    for user_id, agent in ((None, None), (None, agent_id), ("ann", None), ("ann", agent_id)):
        seen: list[Thread] = []
        after: str | None = None
        for expected in (3, 3, 1):
            page = await threads.list(user_id, agent_id=agent, limit=3, after=after)
            assert len(page["data"]) == expected
            seen += page["data"]
            after = page["next"]
        assert after is None
        assert seen == made[::-1]
        with pytest.raises(InvalidCursor):
            await threads.list(user_id, agent_id=agent, after="nonsense")


async def test_a_fork_ends_with_its_message(threads: ThreadStore, database: Database, agent_id: str) -> None:
    source = await threads.create(agent_id, title="T", metadata={"k": 1}, owner_id="ann")
    last = await database.write(lambda c: _converse(c, source["id"]))
    fork = await threads.fork(source["id"], last, owner_id="bea")
    own = {"id": 0, "created_at": 0, "updated_at": 0, "last_activity_at": 0}
    assert {**fork, **own} == {**source, **own, "preview": "2", "message_count": 4}
    assert fork["last_activity_at"] == fork["created_at"]
    store = MessageStore(database)
    old, new = (await store.list(source["id"]))["data"], (await store.list(fork["id"]))["data"]
    assert len(old) == 5
    assert [message["seq"] for message in new] == [1, 2, 3, 4]
    for name in ("role", "content", "parts", "status", "user_id", "metadata", "created_at"):
        assert [message[name] for message in new] == [message[name] for message in old[:4]]
    assert not {message["id"] for message in new} & {message["id"] for message in old}
    assert {(message["run_id"], message["usage"]) for message in new} == {(None, None)}
    rows = await _log(database, fork["id"])
    assert [json.loads(row.data)["message"] for row in rows] == new
    assert [row.seq for row in rows] == [1, 2, 3, 4]
    roles = (await RoleStore(database).list("thread", fork["id"]))["data"]
    assert [(role["user_id"], role["role"]) for role in roles] == [("bea", "owner")]
    # New messages in the fork leave the source as it was.
    assert await database.write(lambda c: thread_log.append(c, fork["id"], Entry("thread.updated"))) == 5
    assert (await store.list(source["id"]))["data"] == old


async def test_a_fork_keeps_what_providers_want_back(threads: ThreadStore, database: Database, thread_id: str) -> None:
    last = await database.write(lambda c: _converse(c, thread_id))
    fork = await threads.fork(thread_id, last)
    stored = await database.read(
        lambda c: c.execute(select(Base.metadata.tables["messages"].c.parts).where(_of(fork["id"]))).scalars().all()
    )
    assert {"type": "reasoning", "text": "hm", "origin": {"provider": "p", "signature": "s"}} in stored[1]


async def test_a_fork_takes_the_summary_that_fits(threads: ThreadStore, database: Database, thread_id: str) -> None:
    await database.write(lambda c: _converse(c, thread_id))
    messages = (await MessageStore(database).list(thread_id))["data"]
    store = SummaryStore(database)
    # The source has other rows between the messages; the numbers of the fork have no gaps.
    assert [message["seq"] for message in messages] == [2, 4, 6, 8, 10]
    assert await store.add(thread_id, "short", covers_through_seq=3, expected_covers=0)
    assert await store.add(thread_id, "long", covers_through_seq=8, expected_covers=3)
    found = []
    for message in messages:
        fork = await threads.fork(thread_id, message["id"])
        summary = await store.newest(fork["id"])
        assert fork["summary"] == (summary and summary.text)
        found.append(summary and (summary.text, summary.covers_through_seq))
    assert found == [None, ("short", 1), ("short", 1), ("long", 4), ("long", 4)]


async def test_refused_forks(threads: ThreadStore, agents: AgentStore, database: Database, agent_id: str) -> None:
    """A fork of what does not exist or is still queued is refused."""
    thread_id = (await threads.create(agent_id, messages=[{"role": "user", "content": "x"}]))["id"]
    other_id = (await threads.create(agent_id, messages=[{"role": "user", "content": "y"}]))["id"]
    (message,) = (await MessageStore(database).list(thread_id))["data"]
    waiting = await database.write(lambda c: _say(c, thread_id, "user", [TextPart("later")], seq=None))
    for of, at in ((other_id, message["id"]), (thread_id, new_id()), (thread_id, waiting)):
        with pytest.raises(MessageNotFound):
            await threads.fork(of, at)
    await agents.delete(agent_id)
    with pytest.raises(AgentDeleted):
        await threads.fork(thread_id, message["id"])


async def test_a_long_thread_is_forked_whole(threads: ThreadStore, database: Database, agent_id: str) -> None:
    messages = [{"role": "user", "content": str(n)} for n in range(1200)]
    thread_id = (await threads.create(agent_id, messages=messages))["id"]
    last = (await MessageStore(database).list(thread_id, limit=1, order="desc"))["data"][0]
    fork = await threads.fork(thread_id, last["id"])
    page = await MessageStore(database).list(fork["id"], limit=2, order="desc")
    assert [(message["seq"], message["content"]) for message in page["data"]] == [(1200, "1199"), (1199, "1198")]
    assert len(await database.read(lambda c: thread_log.list_after(c, fork["id"], 0, limit=5000))) == 1200


def _of(thread_id: str) -> Any:
    return Base.metadata.tables["messages"].c.thread_id == thread_id


async def _log(database: Database, thread_id: str) -> list[LogRow]:
    return await database.read(lambda c: thread_log.list_after(c, thread_id, 0))


def _converse(connection: Connection, thread_id: str) -> str:
    """Write a turn with a tool call, and the next question, each after another log row. Returns the answer's id."""
    call = ToolCallPart("c1", "calculator", {"e": "1"}, origin={"provider": "p"})
    said: list[tuple[MessageRole, list[Part]]] = [
        ("user", [TextPart("1+1?")]),
        ("assistant", [ReasoningPart("hm", {"provider": "p", "signature": "s"}), call]),
        ("tool", [ToolResultPart("c1", "calculator", 2)]),
        ("assistant", [TextPart("2")]),
        ("user", [TextPart("thanks")]),
    ]
    ids = []
    for role, parts in said:
        thread_log.append(connection, thread_id, Entry("run.queued"))
        seq = thread_log.append(connection, thread_id, Entry("message.completed"))
        ids.append(_say(connection, thread_id, role, parts, seq=seq))
    return ids[3]


def _say(connection: Connection, thread_id: str, role: MessageRole, parts: Sequence[Part], *, seq: int | None) -> str:
    message_id = new_id()
    insert_message(
        connection,
        message_id=message_id,
        thread_id=thread_id,
        run_id=new_id(),
        seq=seq,
        role=role,
        parts=parts,
        status="queued" if seq is None else "incomplete",
        user_id="ann" if role == "user" else None,
        usage=Usage(input_tokens=1),
        metadata={"m": seq},
        created_at=utc_now(),
    )
    return message_id


def _insert_run(connection: Connection, thread_id: str, agent_id: str) -> None:
    run = {
        "id": new_id(),
        "thread_id": thread_id,
        "agent_id": agent_id,
        "agent_version": 1,
        "user_id": "ann",
        "status": "running",
        "attempt": 1,
        "user_message_id": new_id(),
        "fence": 1,
        "cancel_requested": False,
        "created_at": utc_now(),
    }
    connection.execute(insert(RunTable), run)


def _count_all(connection: Connection) -> dict[str, int]:
    counts = {}
    for name, table in Base.metadata.tables.items():
        counts[name] = connection.execute(select(func.count()).select_from(table)).scalar_one()
    return counts
