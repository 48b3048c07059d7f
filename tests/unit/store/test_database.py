"""Short transactions on both databases: what they undo, what they publish, and what they survive."""

import asyncio
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select, text, update

from ai_agents.core.exceptions import DatabaseBusy, DatabaseUnavailable, InvalidRequest, ThreadNotFound
from ai_agents.core.ids import new_id, utc_now
from ai_agents.core.types import LogRow
from ai_agents.store import sqlite, thread_log
from ai_agents.store.database import Database
from ai_agents.store.models import AgentTable, ThreadTable
from ai_agents.store.provider_tables import TokenRatioTable
from ai_agents.store.thread_log import Entry
from tests.support.postgres import PostgresServer
from tests.support.shared import SharedDirectory
from tests.support.waiting import eventually

TIMEOUT_S = 20


async def test_sixteen_writers_lose_no_update(database: Database) -> None:
    await database.write(_insert_counter)

    async def count() -> None:
        for _ in range(10):
            await database.write(_increment)

    async with asyncio.timeout(TIMEOUT_S):
        await asyncio.gather(*(count() for _ in range(16)))
    assert await database.read(_count) == 160
    assert database.checked_out() == 0


async def test_work_that_raises_leaves_nothing_and_tells_of_nothing(database: Database, thread_id: str) -> None:
    published = _listen(database)

    def work(connection: Connection) -> None:
        thread_log.append(connection, thread_id, Entry("thread.updated"))
        raise InvalidRequest

    with pytest.raises(InvalidRequest):
        await database.write(work)
    assert published == []
    assert await database.read(lambda c: thread_log.list_after(c, thread_id, 0)) == []


async def test_rows_of_the_log_are_told_of_after_their_commit(database: Database, thread_id: str) -> None:
    published = _listen(database)
    await asyncio.gather(*(database.write(lambda c: _append(c, thread_id)) for _ in range(8)))
    # The answers of PostgreSQL to two commits may overtake each other.
    in_order = published if database.dialect == "sqlite" else sorted(published, key=lambda row: row.seq)
    assert [row.seq for row in in_order] == list(range(1, 9))
    assert in_order == await database.read(lambda c: thread_log.list_after(c, thread_id, 0))


async def test_a_transaction_holds_several_calls_together(database: Database, thread_id: str) -> None:
    published = _listen(database)
    async with database.transaction():
        await database.write(lambda c: _append(c, thread_id))
        async with database.transaction():
            await database.write(lambda c: _append(c, thread_id))
        assert [row.seq for row in await database.read(lambda c: thread_log.list_after(c, thread_id, 0))] == [1, 2]
        assert published == []
    assert [row.seq for row in published] == [1, 2]
    assert database.checked_out() == 0


async def test_a_transaction_that_raises_undoes_all_of_its_calls(database: Database, thread_id: str) -> None:
    published = _listen(database)

    async def use() -> None:
        async with database.transaction():
            await database.write(lambda c: _append(c, thread_id))
            raise FileNotFoundError  # an OSError, but not an error of the database

    with pytest.raises(FileNotFoundError):
        await use()
    assert published == []
    assert await database.read(lambda c: thread_log.list_after(c, thread_id, 0)) == []
    assert database.checked_out() == 0


async def test_a_failed_call_within_a_transaction_undoes_only_itself(database: Database, thread_id: str) -> None:
    published = _listen(database)

    def half(connection: Connection) -> None:
        _append(connection, thread_id)
        _append(connection, new_id())

    async with database.transaction():
        await database.write(lambda c: _append(c, thread_id))
        with pytest.raises(ThreadNotFound):
            await database.write(half)
        await database.write(lambda c: _append(c, thread_id))
    assert [row.seq for row in published] == [1, 2]
    assert published == await database.read(lambda c: thread_log.list_after(c, thread_id, 0))


async def test_other_tasks_are_not_part_of_a_transaction(database: Database, thread_id: str) -> None:
    others: list[asyncio.Task[None]] = []

    async def use() -> None:
        async with database.transaction():
            others.append(asyncio.create_task(database.write(_insert_counter)))
            await database.write(lambda c: _append(c, thread_id))
            raise InvalidRequest

    with pytest.raises(InvalidRequest):
        await use()
    async with asyncio.timeout(TIMEOUT_S):
        await others[0]
    assert await database.read(_count) == 0
    assert await database.read(lambda c: thread_log.list_after(c, thread_id, 0)) == []


async def test_a_write_of_a_cancelled_caller_finishes_and_is_published(database: Database, thread_id: str) -> None:
    published: asyncio.Queue[Sequence[LogRow]] = asyncio.Queue()
    database.after_commit = published.put_nowait
    begun = threading.Event()

    def work(connection: Connection) -> None:
        _append(connection, thread_id)
        begun.set()

    task = asyncio.create_task(database.write(work))
    async with asyncio.timeout(TIMEOUT_S):
        while not begun.is_set():
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        rows = await published.get()
    assert rows == await database.read(lambda c: thread_log.list_after(c, thread_id, 0))
    assert len(rows) == 1


async def test_cancelling_at_any_point_leaves_the_database_usable(database: Database, thread_id: str) -> None:
    await database.write(_insert_counter)

    async def several() -> None:
        async with database.transaction():
            await database.write(lambda c: _append(c, thread_id))
            await database.read(_count)

    async def one() -> None:
        await database.read(_count)

    async with asyncio.timeout(TIMEOUT_S):
        for turns in range(16):
            for job in (several(), one()):
                task = asyncio.create_task(job)
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
            await database.write(lambda c: _append(c, thread_id))
            rows = await database.read(lambda c: thread_log.list_after(c, thread_id, 0))
            assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
            # The read of a cancelled caller still finishes.
            await eventually(lambda: database.checked_out() == 0, what="the connections")


async def test_a_statement_that_is_wrong_is_not_taken_for_an_absent_database(database: Database) -> None:
    with pytest.raises(Exception, match="syntax error"):
        await database.read(lambda c: c.execute(text("SELECT 1 FRM threads")))
    await database.ping()


async def test_a_value_that_cannot_be_stored_is_the_requests_fault(database: Database, thread_id: str) -> None:
    def change(**values: object) -> Callable[[Connection], object]:
        return lambda c: c.execute(update(ThreadTable).where(ThreadTable.id == thread_id).values(**values))

    refused = [change(title="\ud800"), change(last_seq=2**70), change(meta={"a": "\ud800"}), change(meta={"a": 2**70})]
    refused.append(lambda c: c.execute(select(ThreadTable.id).where(ThreadTable.id == "\ud800")))
    if database.dialect == "postgresql":
        refused += [change(title="a\0b"), change(last_seq=2**40)]
    for work in refused:
        with pytest.raises(InvalidRequest):
            await database.write(work)
    assert await database.read(lambda c: c.execute(select(ThreadTable.title)).scalar_one()) is None


async def test_values_come_back_as_they_went_in(database: Database) -> None:
    spec = {"z": 1, "a": [1.5, None, True, "ü\u0000"], "m": {"b": 2, "a": 1}}
    now = utc_now()
    row = {"id": new_id(), "name": "ü", "version": 1, "spec": spec, "created_at": now, "updated_at": now}

    def work(connection: Connection) -> tuple[object, ...]:
        connection.execute(insert(AgentTable), row)
        return tuple(connection.execute(select(AgentTable.spec, AgentTable.created_at, AgentTable.deleted_at)).one())

    stored, created_at, deleted_at = await database.write(work)
    assert stored == spec
    assert isinstance(stored, dict)
    assert list(stored) == ["z", "a", "m"]
    assert (created_at, deleted_at) == (now, None)


async def test_a_database_in_memory_lives_as_long_as_its_handle() -> None:
    database = Database("sqlite://")
    assert await database.is_empty()
    await database.create_all()
    await database.write(_insert_counter)
    await asyncio.gather(*(database.write(_increment) for _ in range(20)))
    async with database.transaction():
        assert await database.read(_count) == 20
    await database.close()


async def test_two_handles_on_one_file_wait_for_each_other(sqlite_url: str) -> None:
    one, other = Database(sqlite_url), Database(sqlite_url)
    await one.write(_insert_counter)
    async with asyncio.timeout(TIMEOUT_S):
        await asyncio.gather(*(handle.write(_increment) for handle in (one, other) for _ in range(20)))
    assert await other.read(_count) == 40
    await one.close()
    await other.close()


async def test_readers_see_the_last_commit_during_a_write(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    await database.write(_insert_counter)
    async with database.transaction():
        await database.write(_increment)
        async with asyncio.timeout(TIMEOUT_S):
            assert await asyncio.create_task(database.read(_count)) == 0
    assert await database.read(_count) == 1
    await database.close()


@pytest.mark.parametrize("url", ["mysql://localhost/x", "nonsense", ""])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(InvalidRequest):
        Database(url)


async def test_a_server_that_is_not_there_is_said_to_be_unavailable() -> None:
    database = Database("postgresql://postgres@127.0.0.1:1/none")
    for attempt in (database.ping(), database.write(_increment)):
        with pytest.raises(DatabaseUnavailable):
            await attempt
    with pytest.raises(DatabaseUnavailable):
        async with database.transaction():
            pass
    assert database.checked_out() == 0
    await database.close()


async def test_a_file_that_cannot_be_opened_is_said_to_be_unavailable(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}")
    with pytest.raises(DatabaseUnavailable):
        await database.ping()
    with pytest.raises(DatabaseUnavailable):
        async with database.transaction():
            pass
    await database.close()


async def test_connections_cut_by_a_restart_of_the_server_are_replaced(shared_directory: SharedDirectory) -> None:
    server = PostgresServer(shared_directory.path / f"restarted-{os.getpid()}")
    server.start()
    uses = (_use_write, _use_read, _use_transaction)
    database = Database(server.url)
    await database.create_all()
    await database.write(_insert_counter)
    async with asyncio.timeout(60):
        for use in uses:
            # Several at once, so that the pool has more than one dead connection.
            await asyncio.gather(*(database.read(_take_a_while) for _ in range(4)))
            server.restart()
            await use(database)
        assert await database.read(_count) == 2
        server.stop()
        for use in uses:
            with pytest.raises(DatabaseUnavailable):
                await use(database)
        server.start()
        await asyncio.gather(*(use(database) for use in uses))
        assert await database.read(_count) == 4
    assert database.checked_out() == 0
    await database.close()
    server.stop()


async def test_two_transactions_that_wait_for_each_other_both_succeed(postgresql_url: str) -> None:
    database = Database(postgresql_url)
    first, second = await database.write(_insert_thread), await database.write(_insert_thread)
    tries: list[str] = []

    async def cross(one: str, other: str) -> None:
        def work(connection: Connection) -> None:
            tries.append(one)
            _append(connection, one)
            # Long enough for the other one to lock its first row. The server then ends one of the two.
            connection.execute(text("SELECT pg_sleep(0.2)"))
            _append(connection, other)

        await database.write(work)

    async with asyncio.timeout(TIMEOUT_S):
        await asyncio.gather(cross(first, second), cross(second, first))
    assert len(tries) > 2  # one of them was ended, and tried again
    for thread_id in (first, second):
        rows = await database.read(lambda c, t=thread_id: thread_log.list_after(c, t, 0))  # type: ignore[misc]  # bound now
        assert [row.seq for row in rows] == [1, 2]
    await database.close()


async def _use_write(database: Database) -> None:
    await database.write(_increment)


async def _use_read(database: Database) -> None:
    await database.read(_count)


async def _use_transaction(database: Database) -> None:
    async with database.transaction():
        await database.write(_increment)


def _listen(database: Database) -> list[LogRow]:
    published: list[LogRow] = []

    def tell(rows: Sequence[LogRow]) -> None:
        published.extend(rows)

    database.after_commit = tell
    return published


def _append(connection: Connection, thread_id: str) -> int:
    return thread_log.append(connection, thread_id, Entry("thread.updated"))


def _insert_thread(connection: Connection) -> str:
    now = utc_now()
    times = {"created_at": now, "updated_at": now}
    agent_id, thread_id = new_id(), new_id()
    connection.execute(insert(AgentTable), {"id": agent_id, "name": "a", "version": 1, "spec": {}, **times})
    thread = {"id": thread_id, "agent_id": agent_id, "metadata": {}, "last_seq": 0, "version": 1, **times}
    connection.execute(insert(ThreadTable), thread)
    return thread_id


def _insert_counter(connection: Connection) -> None:
    row = {"provider": "p", "model": "m", "ratio": 1.0, "samples": 0, "updated_at": utc_now()}
    connection.execute(insert(TokenRatioTable), row)


def _increment(connection: Connection) -> None:
    """Read a number, then write it plus one, which loses updates unless writers wait for each other."""
    samples = connection.execute(select(TokenRatioTable.samples).with_for_update()).scalar_one()
    connection.execute(update(TokenRatioTable).values(samples=samples + 1))


def _count(connection: Connection) -> int:
    return connection.execute(select(TokenRatioTable.samples)).scalar_one()


def _take_a_while(connection: Connection) -> None:
    connection.execute(text("SELECT pg_sleep(0.05)"))


async def test_what_waits_too_long_for_the_writer_is_refused_and_never_done(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "MOST_WAIT_S", 0.2)
    database = Database(sqlite_url)
    await database.write(lambda c: c.execute(text("CREATE TABLE numbers (value INTEGER)")))

    async def begin() -> None:
        async with database.transaction():
            raise AssertionError("it has its turn")

    def add(connection: Connection) -> None:
        connection.execute(text("INSERT INTO numbers VALUES (1)"))

    async with database.transaction():
        for long in (False, True):
            waiting = [asyncio.create_task(database.write(add, long=long)) for _ in range(20)]
            waiting.append(asyncio.create_task(begin()))
            await asyncio.wait(waiting, timeout=2)
            assert {type(task.exception()) for task in waiting} == {DatabaseBusy}
    await database.write(add)
    assert await database.read(lambda c: c.execute(text("SELECT count(*) FROM numbers")).scalar_one()) == 1
    await database.close()
