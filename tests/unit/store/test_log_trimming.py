"""Trimming logs: what a trimmed thread answers is all that comes after a place, or that it is gone; never a gap."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, event, func, insert, select, text, update

from ai_agents.core.events import TERMINAL_EVENTS
from ai_agents.core.exceptions import InvalidEventId, LogTrimmed
from ai_agents.core.ids import format_time, new_id, utc_now
from ai_agents.core.types import LogRow
from ai_agents.store import log_trimming, migrate, thread_log
from ai_agents.store.agents import create_agent
from ai_agents.store.models import MessageTable, RunTable, ThreadEventTable, ThreadTable
from ai_agents.store.thread_log import Entry
from ai_agents.store.threads import create_thread
from ai_agents.store.transactions import LOG_ROWS
from ai_agents.streams.cursor import Cursor, cursor_in_run, cursor_in_thread
from tests.support.examples import examples

# What happens in a thread: each step is of one of a few runs, or of none.
STEPS = st.lists(
    st.tuples(st.sampled_from(("begin", "queue", "say", "wait", "end", "title", "old")), st.integers(0, 2)),
    max_size=25,
)


class Thread:
    """A thread in which any of this happens, as far as a thread can; each row is a day younger than the one before."""

    def __init__(self, connection: Connection, steps: Sequence[tuple[str, int]]) -> None:
        self.connection = connection
        agent_id = create_agent(connection, {"name": "assistant"}, owner_id="ada")["id"]
        self.id = create_thread(connection, agent_id, owner_id="ada")["id"]
        self.runs: dict[int, str] = {}
        self.begun: set[str] = set()
        self.last_old = 0
        for what, number in steps:
            getattr(self, f"_{what}")(number)
        self.rows = self.read()
        self.before = format_time(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=self.last_old, hours=12))
        self.over = {row.run_id for row in self.rows if row.type in TERMINAL_EVENTS}

    def read(self) -> list[LogRow]:
        return thread_log.list_after(self.connection, self.id, 0, limit=1_000)

    def messages(self) -> list[int]:
        found = select(MessageTable.seq).where(MessageTable.thread_id == self.id).order_by(MessageTable.seq)
        return list(self.connection.scalars(found))

    def _append(self, kind: Any, run_id: str | None, *, message: bool = False, **facts: Any) -> None:
        entry = Entry(kind, run_id, facts, resets=message or kind in TERMINAL_EVENTS)
        seq = thread_log.append(self.connection, self.id, entry)
        at = format_time(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=seq))
        one = (ThreadEventTable.thread_id == self.id, ThreadEventTable.seq == seq)
        self.connection.execute(update(ThreadEventTable).where(*one).values(created_at=at))
        if message:
            row: dict[str, Any] = {"id": new_id(), "thread_id": self.id, "run_id": run_id, "seq": seq, "role": "user"}
            row |= {"parts": [], "status": "completed", "metadata": {}, "created_at": at, "refused": False}
            self.connection.execute(insert(MessageTable), row)

    def _new(self, number: int) -> str:
        run_id = self.runs[number] = new_id()
        row = {"id": run_id, "thread_id": self.id, "agent_id": new_id(), "agent_version": 1, "user_id": "ada"}
        row |= {"status": "queued", "attempt": 1, "user_message_id": new_id(), "fence": 1, "cancel_requested": False}
        self.connection.execute(insert(RunTable), row | {"created_at": utc_now()})
        return run_id

    def _queue(self, number: int) -> None:
        if number not in self.runs:
            self._append("run.queued", self._new(number), position=1)

    def _begin(self, number: int) -> None:
        run_id = self.runs.get(number) or self._new(number)
        if run_id not in self.begun:
            self.begun.add(run_id)
            self._append("run.started", run_id, message=True)

    def _say(self, number: int) -> None:
        if self.runs.get(number) in self.begun:
            self._append("message.completed", self.runs[number], message=True)

    def _wait(self, number: int) -> None:
        if self.runs.get(number) in self.begun:
            self._append("run.waiting", self.runs[number], approvals=[])

    def _end(self, number: int) -> None:
        if (run_id := self.runs.pop(number, None)) is not None:
            self._append("run.completed" if run_id in self.begun else "run.cancelled", run_id)

    def _title(self, _number: int) -> None:
        self._append("thread.updated", None)

    def _old(self, _number: int) -> None:
        found = select(func.max(ThreadEventTable.seq)).where(ThreadEventTable.thread_id == self.id)
        self.last_old = self.connection.scalar(found) or 0


def rest_of(thread: Thread, find: Callable[[], Cursor | None]) -> list[LogRow] | None:
    """What a reader is sent from this cursor on; None where it is told that it is gone."""
    try:
        cursor = find()
    except LogTrimmed as error:
        return None if error.trimmed_seq == thread_log.trimmed_seq(thread.connection, thread.id) else []
    if cursor is None:
        return []
    return thread_log.list_after(thread.connection, thread.id, cursor.seq, run_id=cursor.run_id, limit=1_000)


def check(thread: Thread) -> None:
    """Each place gives exactly what it gave before, or says that it is gone."""
    connection, rows = thread.connection, thread.rows
    kept = thread.read()
    trimmed = thread_log.trimmed_seq(connection, thread.id)
    assert kept == rows[trimmed:]
    assert all(row.created_at < thread.before for row in rows[:trimmed])
    assert {row.run_id for row in rows[:trimmed]} <= {*thread.over, None}, "a run that is not over has all its rows"
    newest = max(thread.messages(), default=0)
    for seq in range(len(rows) + 1):
        found = rest_of(thread, lambda: cursor_in_thread(connection, thread.id, f"{seq}-0"))  # noqa: B023  # called at once
        assert found == (None if seq < trimmed else rows[seq:])
        assert found is not None or seq < newest, "who has read the messages goes on"
    of_runs: defaultdict[str, list[LogRow]] = defaultdict(list)
    for row in rows:
        if row.run_id is not None:
            of_runs[row.run_id].append(row)
    for run_id, own in of_runs.items():
        found = rest_of(thread, lambda: cursor_in_run(connection, thread.id, run_id, None))  # noqa: B023  # called at once
        assert found == (None if own[0].seq <= trimmed else own)
        for number, row in enumerate(own):
            find = lambda: cursor_in_run(connection, thread.id, run_id, f"{row.seq}-0")  # noqa: B023, E731  # called at once
            assert rest_of(thread, find) == (None if row.seq <= trimmed else own[number + 1 :])


def test_a_trimmed_thread_answers_all_that_comes_after_a_place_or_that_it_is_gone(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(connection: Connection) -> None:
        connection.info[LOG_ROWS] = []

        @settings(examples(20), suppress_health_check=list(HealthCheck))
        @given(STEPS, st.sampled_from((1, 500)))
        @example([("begin", 0), ("say", 0), ("end", 0), ("old", 0)], 500)
        @example([("begin", 0), ("queue", 1), ("end", 0), ("old", 0), ("begin", 1), ("say", 1), ("end", 1)], 1)
        @example([("begin", 0), ("say", 0), ("wait", 0), ("queue", 1), ("end", 1), ("end", 0), ("old", 0)], 500)
        def holds(steps: list[tuple[str, int]], batch: int) -> None:
            monkeypatch.setattr(log_trimming, "_BATCH", batch)
            with connection.begin_nested() as step:
                thread = Thread(connection, steps)
                messages = thread.messages()
                connection.execute(update(ThreadTable).values(log_since_hour=0))
                while thread.id in log_trimming.threads_to_trim(connection, thread.before, limit=10):
                    while log_trimming.trim(connection, thread.id, thread.before).more:
                        check(thread)
                    check(thread)
                assert thread.messages() == messages
                step.rollback()

        holds()

    migrate.run_on(database_url, look, alone=False)


def test_a_log_is_trimmed_as_far_as_its_last_message_and_looked_at_again_after_a_period(sqlite_url: str) -> None:
    said = [("begin", 0), ("say", 0), ("end", 0), ("title", 0), ("begin", 1), ("say", 1), ("end", 1), ("title", 0)]

    def look(connection: Connection) -> None:
        connection.info[LOG_ROWS] = []
        idle = Thread(connection, [*said, ("old", 0)])
        busy = Thread(connection, [*said, ("begin", 2), ("say", 2), ("old", 0)])
        young = Thread(connection, said)
        for thread, left in ((idle, [7, 8]), (busy, [9, 10]), (young, list(range(1, 9)))):
            log_trimming.trim(connection, thread.id, thread.before)
            assert [row.seq for row in thread.read()] == left
            assert thread.id not in log_trimming.threads_to_trim(connection, thread.before, limit=10)
        found = connection.execute(select(ThreadTable.id, ThreadTable.log_since_hour))
        hours = {row.id: row.log_since_hour for row in found}
        assert hours[idle.id] == thread_log.activity_hour(utc_now()), "what comes is no older"
        assert hours[busy.id] == thread_log.activity_hour(busy.before) + 24, "its run may be over by tomorrow"
        assert hours[young.id] == thread_log.activity_hour(young.rows[0].created_at)

    migrate.run_on(sqlite_url, look, alone=False)


def test_threads_to_trim_are_read_from_the_index_however_many_have_the_same_hour(postgresql_url: str) -> None:
    def plan(connection: Connection) -> str:
        agent_id = create_agent(connection, {"name": "assistant"}, owner_id="ada")["id"]
        many = text("INSERT INTO threads (id, agent_id, metadata, last_seq, version, created_at, updated_at) "
                    "SELECT 't' || n, :agent, '{}', 0, 1, now(), now() FROM generate_series(1, 5000) n")  # fmt: skip
        connection.execute(many, {"agent": agent_id})
        connection.commit()
        connection.execute(text("ANALYZE threads"))
        asked: list[str] = []
        event.listen(connection, "before_cursor_execute", lambda *told: asked.append(told[2]))
        log_trimming.threads_to_trim(connection, utc_now(), limit=100)
        (sql,) = asked
        parameters = (thread_log.activity_hour(utc_now()), 100)
        return str(connection.exec_driver_sql(f"EXPLAIN {sql}", parameters).all())

    found = migrate.run_on(postgresql_url, plan, alone=False)
    assert "ix_threads_log_since_hour" in found
    assert "Sort" not in found


def test_an_id_that_no_row_has_is_invalid_in_a_trimmed_thread_too(sqlite_url: str) -> None:
    def look(connection: Connection) -> None:
        connection.info[LOG_ROWS] = []
        thread = Thread(connection, [("begin", 0), ("say", 0), ("end", 0), ("old", 0)])
        log_trimming.trim(connection, thread.id, thread.before)
        for after in ("4-0", "x"):
            with pytest.raises(InvalidEventId):
                cursor_in_thread(connection, thread.id, after)

    migrate.run_on(sqlite_url, look, alone=False)
