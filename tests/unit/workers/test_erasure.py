"""Erasing a user: every table has its rule, and what is not seen to be gone is not in the receipt."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import JSON, Column, Connection, String, delete, insert, select, update

from ai_agents import AgentStore, Attachments, DatabaseHandle, DiskStore, MessageStore, ThreadStore
from ai_agents.attachments.storage import BlobStore
from ai_agents.core.rows import Job
from ai_agents.store.job_tables import JobTable, PeriodicTaskTable
from ai_agents.store.jobs import MAX_ATTEMPTS, JobStore
from ai_agents.store.messages import insert_messages
from ai_agents.store.models import Base, FileTable, RunTable
from ai_agents.workers.erasure import request_erasure
from ai_agents.workers.erasure_rules import RULES
from ai_agents.workers.job_context import JobContext
from ai_agents.workers.jobs import JobRunner
from ai_agents.workers.retention import request_retention
from tests.present import present
from tests.unit.workers.conftest import Bench, MakeBench

# Ids, hashes, statuses and names of ours fit into this; longer texts may be a person's.
LONGEST_NAME = 64


def may_name_a_user(column: Column[Any]) -> bool:
    if isinstance(column.type, String):
        is_free_text = column.type.length is None or column.type.length > LONGEST_NAME
        return is_free_text or column.name == "user_id"
    return isinstance(column.type, JSON)


@pytest.mark.parametrize("table", Base.metadata.sorted_tables, ids=lambda table: table.name)
def test_every_column_with_a_user_id_or_text_has_a_rule_of_erasure(table: Any) -> None:
    ruled = [rule.columns for rule in RULES if rule.table.__table__ is table]

    assert len(ruled) <= 1
    assert {column.name for column in table.columns if may_name_a_user(column)} == set().union(*ruled)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.table.__tablename__)
def test_every_rule_of_erasure_acts_or_says_why_not(rule: Any) -> None:
    assert rule.deleted_as or rule.redact or rule.redact_thread or rule.otherwise


async def run_job(bench: Bench, job_id: str, blobs: BlobStore | None) -> Job:
    """Carry a job out in a process with this storage of files; the job as it is then."""
    attachments = None if blobs is None else Attachments(bench.conn, blobs)
    context = JobContext(bench.conn.database, bench.runner.context.contexts, attachments=attachments)
    await JobRunner(context, owner="here").run(job_id)
    return await JobStore(bench.conn).get(job_id)


async def filenames(conn: DatabaseHandle) -> list[str]:
    found = select(FileTable.filename).order_by(FileTable.filename)
    return list(await conn.database.read(lambda c: c.execute(found).scalars().all()))


async def test_a_process_with_another_folder_erases_no_files(make_bench: MakeBench, tmp_path: Path) -> None:
    bench = await make_bench()
    own = DiskStore(tmp_path / "files")
    await Attachments(bench.conn, own).add("alice", "a.txt", b"words of alice")
    await Attachments(bench.conn, own).add("bob", "b.txt", b"words of bob")
    job = await bench.conn.database.write(lambda c: request_erasure(c, "alice"))

    failed = await run_job(bench, job["id"], DiskStore(tmp_path / "another"))

    assert (failed["status"], failed["result"]) == ("queued", None), "it is tried again, as other jobs are"
    assert "1 file could not be removed" in str(failed["error"])
    assert "not in the storage of this process" in str(failed["error"])
    assert await filenames(bench.conn) == ["a.txt", "b.txt"]

    await bench.hurry(job["id"])
    done = await run_job(bench, job["id"], own)

    assert done["status"] == "completed"
    assert done["result"] is not None
    assert done["result"]["removed"]["files"] == 1
    assert await filenames(bench.conn) == ["b.txt"]
    assert len([path for path in (tmp_path / "files").rglob("*") if path.is_file()]) == 1


async def test_a_process_without_a_storage_does_not_report_files_erased(make_bench: MakeBench, tmp_path: Path) -> None:
    bench = await make_bench()
    await Attachments(bench.conn, DiskStore(tmp_path)).add("alice", "a.txt", b"words of alice")
    job = await bench.conn.database.write(lambda c: request_erasure(c, "alice"))

    assert "no storage of files" in str((await run_job(bench, job["id"], None))["error"])
    assert await filenames(bench.conn) == ["a.txt"]


async def test_a_run_of_the_user_ends_before_the_user_is_erased(make_bench: MakeBench) -> None:
    bench = await make_bench(turns=1)
    now = "2026-01-01T00:00:00.000000Z"
    run = {"id": "r", "thread_id": bench.thread_id, "agent_id": "a", "agent_version": 1, "user_id": "alice"}
    run |= {"status": "running", "attempt": 1, "user_message_id": "m", "fence": 1, "cancel_requested": False}
    await bench.conn.database.write(lambda c: c.execute(insert(RunTable).values(**run, created_at=now)))
    job = await bench.conn.database.write(lambda c: request_erasure(c, "alice"))

    await JobRunner(bench.runner.context, owner="here", time_s=0.2).run(job["id"])
    assert "took longer" in str((await JobStore(bench.conn).get(job["id"]))["error"])

    await bench.conn.database.write(lambda c: c.execute(update(RunTable).values(status="completed")))
    await bench.hurry(job["id"])
    done = await run_job(bench, job["id"], None)
    assert done["result"] is not None
    assert done["result"]["removed"]["runs_redacted"] == 1


async def test_messages_that_wait_to_join_anothers_run_name_the_user_no_more(
    make_bench: MakeBench,
) -> None:
    bench = await make_bench(turns=1)
    now = "2026-01-01T00:00:00.000000Z"
    run = {"id": "r", "thread_id": bench.thread_id, "agent_id": "a", "agent_version": 1, "user_id": "bob"}
    run |= {"status": "waiting", "attempt": 1, "user_message_id": "m", "fence": 1, "cancel_requested": False}
    sent = {"key_id": None, "by_admin": False, "client_tools": [{"name": "t"}], "overrides": {"instructions": "x"}}
    steered = [{**sent, "message_id": name, "user_id": name} for name in ("alice", "bob")]
    values = run | {"steered": steered, "sender_id": "alice", "created_at": now}

    def write(connection: Connection) -> None:
        connection.execute(insert(RunTable).values(**values))
        alices = {"id": "alice", "thread_id": bench.thread_id, "run_id": "r", "seq": None, "status": "queued"}
        insert_messages(connection, [as_row(alices)])

    await bench.conn.database.write(write)
    job = await bench.conn.database.write(lambda c: request_erasure(c, "alice"))
    await run_job(bench, job["id"], None)
    found = select(RunTable.steered, RunTable.sender_id, RunTable.user_id)
    row = (await bench.conn.database.read(lambda c: c.execute(found).all()))[0]
    assert (row.sender_id, row.user_id) == ("[erased]", "bob")
    assert row.steered == [{**steered[0], "user_id": None, "client_tools": None, "overrides": None}, steered[1]]


def as_row(facts: dict[str, Any]) -> Any:
    """A row of a user's message."""
    rest: dict[str, Any] = {
        "role": "user",
        "parts": [],
        "user_id": "alice",
        "usage": None,
        "metadata": {},
        "cost": None,
    }
    return {**rest, "created_at": "2026-01-01T00:00:00.000000Z", "refused": False, "superseded": False, **facts}


async def test_an_erasure_that_never_reaches_the_files_is_given_up(make_bench: MakeBench, tmp_path: Path) -> None:
    bench = await make_bench()
    await Attachments(bench.conn, DiskStore(tmp_path / "files")).add("alice", "a.txt", b"words of alice")
    job = await bench.conn.database.write(lambda c: request_erasure(c, "alice"))
    for _ in range(MAX_ATTEMPTS):
        await bench.hurry(job["id"])
        job = await run_job(bench, job["id"], DiskStore(tmp_path / "another"))

    assert (job["status"], job["result"]) == ("failed", None)
    assert "1 file could not be removed" in str(job["error"])

    again = await bench.conn.database.write(lambda c: request_erasure(c, "alice"))
    assert again["id"] != job["id"]
    assert (await run_job(bench, again["id"], DiskStore(tmp_path / "files")))["status"] == "completed"
    payloads = await bench.conn.database.read(lambda c: c.execute(select(JobTable.payload)).scalars().all())
    assert "alice" not in str(payloads), "the job that was given up does not name the user any longer, either"
    await JobStore(bench.conn).retry(job["id"])
    assert (await run_job(bench, job["id"], None))["result"] == {"removed": {}}


@pytest.mark.parametrize("folder", ["files", "another"])
async def test_retention_counts_only_files_that_are_gone(make_bench: MakeBench, tmp_path: Path, folder: str) -> None:
    bench = await make_bench()
    await Attachments(bench.conn, DiskStore(tmp_path / "files")).add("alice", "a.txt", b"of no use")
    long_ago = update(FileTable).values(created_at="2020-01-01T00:00:00.000000Z")
    await bench.conn.database.write(lambda c: c.execute(long_ago))
    job_id = await bench.conn.database.write(lambda c: request_retention(c, {"threads": None, "files": 7}))

    job = await run_job(bench, str(job_id), DiskStore(tmp_path / folder))

    if folder == "files":
        assert (job["status"], job["result"]) == ("completed", {"threads": 0, "files": 1, "log_rows": 0})
    else:
        assert (job["status"], job["result"]) == ("queued", None)
        assert "1 file could not be removed" in str(job["error"])


async def delete_used(bench: Bench, store: DiskStore) -> str:
    """A thread of bob's with a message of bob's that refers to a file that alice has deleted; the thread's id."""
    attachments = Attachments(bench.conn, store)
    file = await attachments.add("alice", "a.txt", b"of no use")
    agent = await AgentStore(bench.conn).create("assistant")
    message = {"role": "user", "content": [{"type": "file", "file_id": file["id"]}]}
    thread = await ThreadStore(bench.conn).create(agent["id"], messages=[message], owner_id="bob")
    await attachments.delete(file["id"])
    assert await filenames(bench.conn) == ["a.txt"]
    return str(thread["id"])


async def test_what_is_left_of_a_deleted_file_is_erased_with_its_uploader(
    make_bench: MakeBench, tmp_path: Path
) -> None:
    bench, store = await make_bench(), DiskStore(tmp_path / "files")
    thread_id = await delete_used(bench, store)
    job = await bench.conn.database.write(lambda c: request_erasure(c, "alice"))

    done = await run_job(bench, job["id"], store)

    assert (done["status"], present(done["result"])["removed"]["files"]) == ("completed", 1)
    assert await filenames(bench.conn) == []
    message = (await MessageStore(bench.conn).list(thread_id))["data"][0]
    assert message["parts"] == [{"type": "text", "text": "[erased]"}]


async def test_what_is_left_of_a_deleted_file_goes_once_no_message_refers_to_it(
    make_bench: MakeBench, tmp_path: Path
) -> None:
    bench, store = await make_bench(), DiskStore(tmp_path / "files")
    thread_id = await delete_used(bench, store)
    long_ago = update(FileTable).values(created_at="2020-01-01T00:00:00.000000Z")
    await bench.conn.database.write(lambda c: c.execute(long_ago))
    for count in (0, 1):
        await bench.conn.database.write(lambda c: c.execute(delete(PeriodicTaskTable)))
        job_id = await bench.conn.database.write(lambda c: request_retention(c, {"threads": None, "files": 7}))
        job = await run_job(bench, str(job_id), store)
        assert (job["status"], job["result"]) == ("completed", {"threads": 0, "files": count, "log_rows": 0})
        if not count:
            await ThreadStore(bench.conn).delete(thread_id)
    assert await filenames(bench.conn) == []
