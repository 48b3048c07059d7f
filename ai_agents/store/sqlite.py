"""SQLite: one writer at a time, and readers that do not wait for it (WAL).

Writes begin with BEGIN IMMEDIATE: without it, two read-modify-write transactions lose updates silently.
`synchronous=FULL` makes a commit survive a crash of the machine, not only of the process.

A thread takes the interpreter's lock from the event loop and gives it back at every statement, which costs more than a
turn's statements themselves: 3.4 ms of processor time a turn under load in a thread, 2.3 ms on the event loop. So the
event loop runs all work itself that is not `long`, and the writer's thread does only what waits for the disk: the
commit. Work that arrives during a commit is then committed together.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from sqlalchemy.engine import URL

from ai_agents.core.exceptions import DatabaseBusy, DatabaseUnavailable
from ai_agents.core.types import LogRow
from ai_agents.store.sqlite_connections import HeldConnection, QueuedWork, is_busy, open_engine, transact
from ai_agents.store.sqlite_files import database_file, make_file
from ai_agents.store.transactions import MOST_WAIT_S, JoinWork, PublishRows, Work

T = TypeVar("T")
_log = logging.getLogger(__name__)
# More threads than this would only wait for the interpreter's lock.
_MAX_READERS = 4
# How much short work is done, and committed as one, before the event loop gets to do something else.
_MOST_TOGETHER = 8
# A timer may fire a moment early.
_A_MOMENT_S = 0.01


@dataclass(slots=True)
class _Job(QueuedWork):
    """Work that waits for the writer. Its caller waits for `future`."""

    publish: PublishRows
    long: bool
    future: asyncio.Future[Any]
    since: float


class SqliteBackend:
    """The writer of one file, and its readers. A database in memory has only the writer."""

    def __init__(self, url: URL, *, readers: int) -> None:
        in_memory = database_file(url) is None
        make_file(url)
        self._lock = asyncio.Lock()
        self._write_engine = open_engine(url, pool_size=1, in_memory=in_memory, writes=True)
        self._writer = HeldConnection(self._write_engine, begin="BEGIN IMMEDIATE")
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="sqlite-writer")
        self._jobs: deque[_Job] = deque()
        self._task: asyncio.Task[None] | None = None
        self._looking: asyncio.TimerHandle | None = None
        self._reads: _Readers | None = None if in_memory else _Readers(url, min(readers, _MAX_READERS))

    async def read(self, work: Work[T], *, long: bool) -> T:
        """Run the work on the last committed state, without waiting for the writer."""
        if self._reads is None:
            return await self.write(work, lambda _rows: None, long=long)
        return await self._reads.read(work, long=long)

    async def write(self, work: Work[T], publish: PublishRows, *, long: bool) -> T:
        """Run the work when the writers before it are done."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        # A cancelled caller does not look at an error any more, which is no fault.
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._jobs.append(_Job(work=work, publish=publish, long=long, future=future, since=time.monotonic()))
        self._look_later(MOST_WAIT_S)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write_all(), name="sqlite-writer")
        return await asyncio.shield(future)

    async def _write_all(self) -> None:
        try:
            while self._jobs:
                async with self._lock:
                    jobs = self._take()
                    if not jobs:
                        break
                    try:
                        await (self._do_long(jobs[0]) if jobs[0].long else self._do_short(jobs))
                    except Exception as error:  # noqa: BLE001  # the callers get it through their futures
                        _fail(jobs, error)
                    _settle(jobs)
        finally:
            # Jobs are left only where the event loop stops.
            while self._jobs:
                self._jobs.popleft().future.cancel()

    def _take(self) -> list[_Job]:
        """The next job, with those that can be committed together with it; none where all have waited for too long."""
        self._refuse_late()
        if not self._jobs:
            return []
        jobs = [self._jobs.popleft()]
        while not jobs[0].long and self._jobs and not self._jobs[0].long and len(jobs) < _MOST_TOGETHER:
            jobs.append(self._jobs.popleft())
        return jobs

    def _refuse_late(self) -> None:
        """Refuse what has waited for too long, and look again when the next work has."""
        oldest = time.monotonic() - MOST_WAIT_S
        while self._jobs and self._jobs[0].since < oldest:
            late = self._jobs.popleft()
            if not late.future.done():
                late.future.set_exception(DatabaseBusy())

    def _look_for_late(self) -> None:
        self._refuse_late()
        self._looking = None
        if self._jobs:
            self._look_later(self._jobs[0].since + MOST_WAIT_S - time.monotonic())

    def _look_later(self, wait_s: float) -> None:
        # One timer for all work: it fires every ten seconds under load, and not at all for a handle without work.
        if self._looking is None:
            self._looking = asyncio.get_running_loop().call_later(max(wait_s, 0.0) + _A_MOMENT_S, self._look_for_late)

    async def _do_long(self, job: _Job) -> None:
        def do() -> None:
            self._writer.begin()
            self._writer.do_all([job])

        await self._in_thread(do, [job])
        if job.error is None:
            await self._in_thread(self._writer.commit, [job])

    async def _do_short(self, jobs: list[_Job]) -> None:
        if not self._writer.try_begin():
            await self._in_thread(self._writer.begin, jobs)
        if not any(job.error for job in jobs):
            self._writer.do_all(jobs)
        if not all(job.error for job in jobs):
            await self._in_thread(self._writer.commit, jobs)

    async def _in_thread(self, function: Callable[[], None], jobs: list[_Job]) -> None:
        """Run this to its end, even if the event loop is stopping. If it fails, the jobs have failed."""
        future = self._on_writer(function)
        await _to_its_end(future)
        if (error := future.exception()) is not None:
            _fail(jobs, error)

    @asynccontextmanager
    async def begin(self, publish: PublishRows) -> AsyncGenerator[JoinWork]:
        """Hold the writer for several steps."""
        async with self._turn():
            try:
                await asyncio.shield(self._on_writer(self._writer.begin))
                rows = self._writer.rows
                yield lambda work: asyncio.shield(self._on_writer(self._writer.join, work))
                committing = self._on_writer(self._writer.commit)
                committing.add_done_callback(partial(_publish_of, publish, rows))
                await asyncio.shield(committing)
            finally:
                # A cancelled task does not wait for the steps above. They are done before this one, since there is only
                # one thread, and the lock is held until then.
                if await _to_its_end(self._on_writer(self._writer.rollback)):
                    raise asyncio.CancelledError

    @asynccontextmanager
    async def _turn(self) -> AsyncGenerator[None]:
        try:
            async with asyncio.timeout(MOST_WAIT_S):
                await self._lock.acquire()
        except TimeoutError:
            raise DatabaseBusy from None
        try:
            yield
        finally:
            self._lock.release()

    def _on_writer(self, function: Callable[..., T], *arguments: Any) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._writing, function, *arguments)

    def checked_out(self) -> int:
        """Connections in use, readers and writer together."""
        return self._writer.in_use + (self._reads.in_use if self._reads else 0)

    async def close(self) -> None:
        """Wait for work in progress, then close."""
        while self._task is not None and not self._task.done():
            await asyncio.wait({self._task})
        if self._looking is not None:
            self._looking.cancel()
        async with self._lock:
            await asyncio.to_thread(self._close)

    def _close(self) -> None:
        if self._reads is not None:
            self._reads.close()
        self._writing.shutdown()
        self._writer.close()
        self._write_engine.dispose()


class _Readers:
    """Connections that only read: one for short work on the event loop, the others for long work in threads."""

    def __init__(self, url: URL, threads: int) -> None:
        self._engine = open_engine(url, pool_size=threads + 1, in_memory=False)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="sqlite-reader")
        self._here = HeldConnection(self._engine, begin="BEGIN")
        self._reading = 0

    @property
    def in_use(self) -> int:
        """How many are in use."""
        return self._reading

    async def read(self, work: Work[T], *, long: bool) -> T:
        """Run the work on what is committed now."""
        if not long:
            if not self._here.is_open:
                await self._in_thread(self._here.open)
            try:
                return self._here.read(work)
            except DatabaseUnavailable as error:
                if not is_busy(error):
                    raise
        return await self._in_thread(transact, self._engine, work)

    async def _in_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        self._reading += 1
        begin = partial(_in_time, time.monotonic(), function)
        future = asyncio.get_running_loop().run_in_executor(self._threads, begin, *arguments)
        future.add_done_callback(self._has_read)
        return await asyncio.shield(future)

    def _has_read(self, done: asyncio.Future[Any]) -> None:
        self._reading -= 1
        done.cancelled() or done.exception()  # a cancelled caller does not look at an error any more

    def close(self) -> None:
        """Wait for reads in progress, then disconnect."""
        self._threads.shutdown()
        self._here.close()
        self._engine.dispose()


def _in_time(since: float, function: Callable[..., T], *arguments: Any) -> T:
    if time.monotonic() - since > MOST_WAIT_S:
        raise DatabaseBusy
    return function(*arguments)


async def _to_its_end(future: asyncio.Future[Any]) -> bool:
    """Wait until it is done, even if this task is cancelled meanwhile. Returns whether it was cancelled."""
    cancelled = False
    while not future.done():
        try:
            await asyncio.wait({future})
        except asyncio.CancelledError:
            cancelled = True
    return cancelled


def _fail(jobs: list[_Job], error: BaseException) -> None:
    for job in jobs:
        job.error = job.error or error


def _settle(jobs: list[_Job]) -> None:
    """Publish what was committed, in its order, and give each caller its result."""
    for job in jobs:
        if job.error is None:
            try:
                job.publish(job.rows)
            except Exception:  # noqa: BLE001  # it was committed: its caller gets the result all the same
                _log.exception("publishing a commit failed")
    for job in jobs:
        if job.future.done():
            continue
        if job.error is None:
            job.future.set_result(job.result)
        else:
            job.future.set_exception(job.error)


def _publish_of(publish: PublishRows, rows: list[LogRow], done: asyncio.Future[None]) -> None:
    if not done.cancelled() and done.exception() is None:
        publish(rows)
