"""Exports and imports: everything, on the other database too, again without a change, and from a damaged file."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select

from ai_agents import (
    AgentRunner,
    AgentStore,
    Attachments,
    DatabaseHandle,
    DiskStore,
    FeedbackStore,
    MessageStore,
    RunStore,
    ThreadStore,
)
from ai_agents.core.exceptions import LogTrimmed
from ai_agents.moving import exporting, importing
from ai_agents.moving.exporting import Export
from ai_agents.moving.importing import Import
from ai_agents.moving.outcomes import Outcome, Unusable
from ai_agents.runner.handle import open_handle
from ai_agents.store import totals
from ai_agents.store.database import Database
from ai_agents.store.models import ThreadTable
from ai_agents.store.roles import RoleStore
from ai_agents.store.thread_log import trimmed_seq
from ai_agents.streams.cursor import cursor_in_thread
from ai_agents.testing import ScriptedProvider, tool_call
from app.commands.exports import open_output
from tests.support.examples import FUZZ
from tests.support.trimming import trim_logs

USER = "ada"


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a few rows and bytes be several pages, chunks and transactions."""
    monkeypatch.setattr(exporting, "_CHUNK_BYTES", 1_000)
    monkeypatch.setattr(exporting, "_PAGE", 2)
    monkeypatch.setattr(importing, "_BATCH", 3)


@pytest.fixture
async def source(sqlite_url: str) -> AsyncIterator[DatabaseHandle]:
    """Where everything is first."""
    handle = await open_handle(sqlite_url)
    yield handle
    await handle.close(grace_s=0)


@pytest.fixture
async def target(postgresql_url: str) -> AsyncIterator[Database]:
    """Where nothing is at first, on the other kind of database."""
    made = Database(postgresql_url)
    yield made
    await made.close()


async def fill(conn: DatabaseHandle, attachments: Attachments) -> str:
    """An agent of two versions, and a thread with each kind of thing in it, one run of which waits; the thread's id."""
    agents, threads = AgentStore(conn), ThreadStore(conn)
    tools = [{"name": "calculator", "approval": "always"}]
    agent = await agents.create("cashier", tools=tools, metadata={"a": [1, None, "ü"]}, owner_id=USER)
    await agents.update(agent["id"], {"description": "Counts."})
    thread = await threads.create(agent["id"], title="Sums", summary="Before.", metadata={"k": 1}, owner_id=USER)
    provider = ScriptedProvider("A square.", [tool_call("calculator", expression="6*7")])
    runner = AgentRunner(conn, provider=provider, blobs=attachments.blobs)
    table = await attachments.add(USER, "table.csv", b"a,b\n1,2\n")
    notes = await attachments.add_text(USER, "notes.txt", "long \N{WHITE SMILING FACE} " * 500)
    gone = await attachments.add_text(USER, "gone.txt", "gone")
    ids = [table["id"], notes.file_id, gone.file_id]
    answer = await runner.run(thread["id"], USER, "What is it? \N{WHITE SMILING FACE}", attachments=ids)
    await attachments.delete(gone.file_id)
    await FeedbackStore(conn).put(thread["id"], answer["id"], USER, rating=1, comment="Good.")
    await RoleStore(conn).assign("bob", "editor", "thread", thread["id"])
    waiting = await runner.start(thread["id"], USER, "Six times seven?")
    async with asyncio.timeout(60):
        assert (await runner.wait(thread["id"], waiting.run["id"])).run["status"] == "waiting"
    await runner.start(thread["id"], USER, "Hurry!", on_busy="steer")
    await runner.start(thread["id"], USER, "And later?", on_busy="queue")
    return thread["id"]


async def exported(database: Database | DatabaseHandle, attachments: Attachments | None, **options: Any) -> list[str]:
    lines: list[str] = []
    await Export(database, lines.append, attachments=attachments, **options).run()
    return lines


async def imported(
    database: Database, lines: list[str], attachments: Attachments | None = None, owner_id: str | None = None
) -> list[Outcome]:
    told: list[Outcome] = []
    await Import(database, told.append, attachments=attachments, owner_id=owner_id).run(
        line.encode() + b"\n" for line in lines
    )
    return told


def without_ids_of_roles(lines: list[str]) -> list[Any]:
    found = [json.loads(line) for line in lines]
    return [{**each, "id": None} if each["record"] == "role" else each for each in found[1:]]


async def test_everything_comes_to_the_other_database_and_a_second_time_changes_nothing(
    source: DatabaseHandle, target: Database, tmp_path: Path
) -> None:
    here, there = Attachments(source, DiskStore(tmp_path / "a")), Attachments(target, DiskStore(tmp_path / "b"))
    thread_id = await fill(source, here)
    lines = await exported(source, here)
    kinds = [json.loads(line)["record"] for line in lines]
    assert kinds[0] == "ai_agents_export"
    assert kinds[-1] == "end"
    assert set(kinds) >= {"agent", "agent_version", "file", "file_content", "thread", "summary", "event", "message"}
    assert set(kinds) >= {"run", "feedback", "role", "agent_end", "file_end", "thread_end"}

    told = await imported(target, lines, there)
    assert "failed" not in str(told[-1]), str(told[-1])
    assert [(each.kind, each.result) for each in told] == [
        ("agent", "imported"), ("file", "imported"), ("file", "imported"), ("file", "imported"), ("thread", "imported"),
    ]  # fmt: skip
    assert "2 runs that were under way are cancelled" in str(told[-1])
    runs = [await RunStore(each).list(thread_id) for each in (source, target)]
    assert [[run["status"] for run in page["data"]] for page in runs] == [
        ["queued", "waiting", "completed"],
        ["cancelled", "cancelled", "completed"],
    ]
    again = await exported(target, there)
    history = {each["id"]: each for each in (await MessageStore(source).list(thread_id, limit=100))["data"]}
    for message in (await MessageStore(target).list(thread_id, limit=100))["data"]:
        if message["id"] in history:
            assert message == history[message["id"]]
        else:
            assert message["content"] in ("Hurry!", "And later?"), "what waited has its place, unanswered"
    of_source = [
        each for each in without_ids_of_roles(lines) if each["record"] in ("agent", "file", "feedback", "role")
    ]
    of_target = [
        each for each in without_ids_of_roles(again) if each["record"] in ("agent", "file", "feedback", "role")
    ]
    assert of_source == of_target
    events = [json.loads(line) for line in again if '"record":"event"' in line]
    assert [each["seq"] for each in events] == list(range(1, len(events) + 1))
    before = [json.loads(line) for line in lines if '"record":"event"' in line]
    assert events[: len(before)] == before
    assert [each["data"]["type"] for each in events[len(before) :]] == [
        "message.completed", "run.cancelled", "message.completed", "run.cancelled",
    ]  # fmt: skip
    assert (await MessageStore(target).search("square", user_id="bob"))["data"] != []
    assert dict(await target.read(lambda c: totals.find_totals(c, USER)))["threads"] == 1

    assert {each.result for each in await imported(target, lines, there)} == {"exists"}
    assert (await exported(target, there))[1:] == again[1:]
    # A third one has the same, with what is finished now.
    third = Database("sqlite://")
    await third.create_all()
    assert {each.result for each in await imported(third, again, Attachments(third, DiskStore(tmp_path / "c")))} == {
        "imported"
    }
    assert without_ids_of_roles(
        await exported(third, Attachments(third, DiskStore(tmp_path / "c")))
    ) == without_ids_of_roles(again)
    await third.close()


async def test_a_user_gets_what_the_user_owns_and_gives_all_of_it_to_another_one(
    source: DatabaseHandle, tmp_path: Path
) -> None:
    agents, threads = AgentStore(source), ThreadStore(source)
    agent = await agents.create("of no thread", owner_id="carl")
    for user_id in ("ann", "bob"):
        agent = await agents.create(f"of {user_id}", owner_id=user_id)
        await threads.create(agent["id"], owner_id="ann", messages=[{"role": "user", "content": f"for {user_id}"}])
    await threads.create(agent["id"], owner_id="bob", messages=[{"role": "user", "content": "canary"}])

    lines = await exported(source, None, user_id="ann")
    assert "canary" not in "".join(lines)
    other = Database("sqlite://")
    await other.create_all()
    assert [each.kind for each in await imported(other, lines, owner_id="eve")] == ["agent"] * 2 + ["thread"] * 2
    assert len((await ThreadStore(other).list("eve"))["data"]) == 2
    assert (await ThreadStore(other).list("ann"))["data"] == []
    assert len((await AgentStore(other).list("eve"))["data"]) == 2
    assert {each.result for each in await imported(other, lines, owner_id="ann")} == {"exists"}
    assert (await ThreadStore(other).list("ann"))["data"] == []
    await other.close()


def damaged(lines: list[str], chance: random.Random) -> list[str]:
    """The lines with one mistake."""
    number = chance.randrange(1, len(lines))
    line = lines[number]
    record = json.loads(line)
    texts = (line[: chance.randrange(len(line))], "\udcff", "{}", "[]", "null", json.dumps({**record, "more": 1}))
    values = (None, 1.5, "x", "a\0b", [1], {"a": 1}, 2**40, True)
    ways = [[], [line, line], *([each] for each in texts)]
    ways += [[json.dumps({**record, name: value})] for name in record for value in values]
    return [*lines[:number], *chance.choice(ways), *lines[number + 1 :]]


async def test_a_damaged_file_is_told_by_its_line_and_the_whole_one_mends_what_it_left(
    source: DatabaseHandle, tmp_path: Path
) -> None:
    here = Attachments(source, DiskStore(tmp_path / "a"))
    await fill(source, here)
    lines = await exported(source, here)
    chance = random.Random(5)  # the same damage each time
    for number in range(400 if FUZZ else 25):
        database = Database("sqlite://")
        await database.create_all()
        there = Attachments(database, DiskStore(tmp_path / f"b{number}"))
        told: list[Outcome] = []
        broken = [line.encode("utf-8", "surrogateescape") + b"\n" for line in damaged(lines, chance)]
        await Import(database, told.append, attachments=there).run(broken)
        failed = [each for each in told if each.result == "failed"]
        for each in failed:
            assert any(why in each.reason for why in ("line ", "its last record is missing", "is missing")), each
        ids = [each.id for each in failed if each.kind == "thread"]
        left = select(ThreadTable.id).where(ThreadTable.id.in_(ids))
        assert await database.read(partial(_all, statement=left)) == []
        assert "failed" not in {each.result for each in await imported(database, lines, there)}
        await database.close()


def _all(connection: Connection, statement: Any) -> list[Any]:
    return list(connection.execute(statement))


@pytest.mark.parametrize(
    "lines,reason",
    [
        ([], "The file is empty."),
        (["{"], "Line 1: it is no JSON."),
        (['{"record":"agent"}'], "Line 1: this is no export of AI Agents."),
        (['{"record":"ai_agents_export","format":2}'], "Line 1: the export has format 2, not 1 as here."),
    ],
)
async def test_what_is_no_export_is_refused(lines: list[str], reason: str) -> None:
    database = Database("sqlite://")
    with pytest.raises(Unusable) as caught:
        await imported(database, lines)
    assert str(caught.value) == reason
    await database.close()


async def test_a_thread_whose_log_is_trimmed_says_so_where_it_is_imported_too(
    source: DatabaseHandle, target: Database, tmp_path: Path
) -> None:
    here = Attachments(source, DiskStore(tmp_path / "a"))
    thread_id = await fill(source, here)
    await trim_logs(source.database)
    lines = await exported(source, None)
    told = await imported(target, lines)
    assert told[-1].result == "imported", str(told[-1])
    trimmed = await source.database.read(lambda c: trimmed_seq(c, thread_id))
    assert trimmed > 0
    assert await target.read(lambda c: trimmed_seq(c, thread_id)) == trimmed
    with pytest.raises(LogTrimmed):
        await target.read(lambda c: cursor_in_thread(c, thread_id, "0-0"))
    assert (await target.read(lambda c: cursor_in_thread(c, thread_id, None))).seq > trimmed


async def test_an_export_of_a_version_without_trimmed_logs_is_imported(
    source: DatabaseHandle, target: Database, tmp_path: Path
) -> None:
    thread_id = await fill(source, Attachments(source, DiskStore(tmp_path / "a")))
    records = [json.loads(line) for line in await exported(source, None)]
    for record in records:
        record.pop("trimmed_seq", None)
    told = await imported(target, [json.dumps(record) for record in records])
    assert told[-1].result == "imported", str(told[-1])
    assert await target.read(lambda c: trimmed_seq(c, thread_id)) == 0


def test_half_an_export_has_no_name(tmp_path: Path) -> None:
    whole, half = tmp_path / "whole.jsonl", tmp_path / "half.jsonl"
    with open_output(str(whole)) as file:
        file.write(b"all")
    with suppress(OSError), open_output(str(half)) as file:
        file.write(b"some")
        raise OSError("the disk is full")

    assert whole.read_bytes() == b"all"
    assert list(tmp_path.iterdir()) == [whole]
