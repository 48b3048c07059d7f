"""Temporary threads and files: in no list, counted for no user, and gone at their time."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, update

from ai_agents import AgentStore, ThreadStore
from ai_agents.attachments.files import Attachments
from ai_agents.attachments.storage import DiskStore
from ai_agents.core.ids import format_time
from ai_agents.core.limits import NO_LIMITS
from ai_agents.store import jobs, threads
from ai_agents.store.models import FileTable, ThreadTable
from ai_agents.store.totals import find_totals
from ai_agents.workers.retention import request_retention
from tests.unit.workers.conftest import MakeBench
from tests.unit.workers.test_erasure import filenames, run_job

FOR_EVER = {"threads": None, "files": None}


def in_hours(hours: float) -> str:
    return format_time(datetime.now(UTC) + timedelta(hours=hours))


def let_time_pass(connection: Connection) -> None:
    for table in (ThreadTable, FileTable):
        past = update(table).where(table.expires_at.is_not(None)).values(expires_at=in_hours(-1))
        connection.execute(past)


async def test_what_is_temporary_counts_for_no_user_is_in_no_list_and_goes_at_its_time(
    make_bench: MakeBench, tmp_path: Path
) -> None:
    bench = await make_bench()
    database, store = bench.conn.database, DiskStore(tmp_path / "files")
    attachments = Attachments(bench.conn, store)
    agent = await AgentStore(bench.conn).create("assistant")
    with attachments.receive() as incoming:
        incoming.write(b"of a day")
        inspected = await attachments.inspect(await incoming.finish(), "day.txt", user_id="alice")
        async with attachments.kept(inspected):
            file = await attachments.record("alice", inspected, limits=NO_LIMITS, expires_at=in_hours(1))
    message = {"role": "user", "content": [{"type": "file", "file_id": file["id"]}]}
    thread = await database.write(
        lambda c: threads.create_thread(
            c, agent["id"], messages=[message], owner_id="alice", limits=NO_LIMITS, expires_at=in_hours(1)
        )
    )

    for order in ("created", "activity"):
        for user_id in ("alice", None):
            listed = await ThreadStore(bench.conn).list(user_id, order=order)
            assert thread["id"] not in [each["id"] for each in listed["data"]]
    totals = await database.read(lambda c: find_totals(c, "alice"))
    assert (totals["threads"], totals["files"], totals["files_bytes"]) == (0, 0, 0)
    assert await database.write(threads.remove_expired) == 0
    assert await database.write(lambda c: request_retention(c, FOR_EVER)) is None, "nothing is to be removed yet"

    await database.write(let_time_pass)
    assert await database.write(lambda c: request_retention(c, FOR_EVER)) is None, "a message refers to the file"
    assert await database.write(threads.remove_expired) == 1
    assert await ThreadStore(bench.conn).find(thread["id"]) is None
    job_id = await database.write(lambda c: request_retention(c, FOR_EVER))
    assert job_id is not None
    job = await run_job(bench, job_id, store)

    assert job["result"] == {"threads": 0, "files": 1, "log_rows": 0}
    assert await filenames(bench.conn) == []
    assert await database.read(lambda c: find_totals(c, "alice")) == totals
    assert await database.read(lambda c: jobs.find_open(c, "retention", "retention")) is None
