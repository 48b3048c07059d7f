"""The runs of this process: their tasks, their leases, and runs that it takes over from lost processes."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection

from ai_agents.bus.base import Bus, Channel
from ai_agents.context.budgets import Budgets
from ai_agents.context.contexts import Contexts
from ai_agents.core.byte_cache import expire_caches
from ai_agents.core.event_loop import Unfinished
from ai_agents.core.exceptions import DatabaseUnavailable, InvalidRequest, Overloaded, SecondProcess, ThreadNotFound
from ai_agents.core.observing import observer
from ai_agents.core.table_rows import RunKey
from ai_agents.core.types import LogRow
from ai_agents.core.upstream import UpstreamSlots
from ai_agents.runner.decisions import expire_approvals
from ai_agents.runner.ending import Answered, EndedRun
from ai_agents.runner.ownership import FollowUp, HasFollowUp, NewLease, ProcessOwner
from ai_agents.runner.preparation import TurnPreparer
from ai_agents.runner.process.held_runs import HeldRuns, start_held
from ai_agents.runner.process.periodic import DEFAULT_TIMING, PeriodicTask, Timing, run_periodic_tasks
from ai_agents.runner.process.sole_process import sole_process
from ai_agents.runner.process.takeover import take_over
from ai_agents.runner.recorder import StopKind
from ai_agents.runner.turn import Turn
from ai_agents.store import audit_chain, budgets, idempotency, revocations, runs, threads, tickets, tokens, webhooks
from ai_agents.store.database import Database
from ai_agents.store.runs import OwnedRun

T = TypeVar("T", bound=HasFollowUp | None)
_log = logging.getLogger(__name__)
# How long short tasks get to end while the process stops.
_LAST_MOMENT_S = 4.0


class Background(Protocol):
    """The background jobs of this process: it carries them out, or sends them to a queue."""

    def start(self, contexts: Contexts) -> None:
        """Begin with jobs, with the agents' models and memory; those of the last runner are used."""

    def wake(self, job_ids: Sequence[str]) -> None:
        """These jobs have been committed."""

    def periodic_tasks(self) -> list[PeriodicTask]:
        """What has to be done again and again."""

    async def drain(self, grace_s: float) -> None:
        """Begin nothing more; jobs under way get `grace_s` seconds, and are then left to other processes."""


@dataclass(slots=True)
class _RunningTurn:
    turn: Turn
    channel: Channel
    task: asyncio.Task[EndedRun | None]
    ended: asyncio.Future[EndedRun | None]
    began: float


class Executor:
    """Executes runs as tasks of this process, never of a request.

    `shared` says that other processes run agents on the same database; otherwise a lock ensures that this is the only
    one.
    """

    def __init__(
        self,
        database: Database,
        bus: Bus,
        *,
        shared: bool,
        timing: Timing = DEFAULT_TIMING,
        slots: UpstreamSlots | None = None,
    ) -> None:
        self.slots = slots or UpstreamSlots()
        self.budgets = Budgets(database)
        self.background: Background | None = None
        self.process_owner = ProcessOwner(timing.lease_s)
        self._database = database
        self._bus = bus
        self._shared = shared
        self._timing = timing
        self._sole = None if shared else sole_process(database)
        self._running: dict[str, _RunningTurn] = {}
        self.commits = Unfinished()
        self._preparer: TurnPreparer | None = None
        self._drained = False
        # The time for what is under way at a stop is over.
        self._grace_over = asyncio.Event()
        # The runs that `drain` has handed over to other processes.
        self.handed_over: tuple[str, ...] = ()
        self._periodic: asyncio.Task[None] | None = None
        self._sweep_requested = asyncio.Event()
        self._opening = asyncio.Lock()
        self._held = HeldRuns(database, self.slots, self._begin_held)

    @property
    def owner(self) -> str:
        """The name under which this process owns runs and jobs."""
        return self.process_owner.name

    @property
    def lease(self) -> NewLease | None:
        """The lease of a run that begins here; None while the process stops."""
        return self.process_owner.lease

    @property
    def running(self) -> int:
        """How many runs are under way here."""
        return len(self._running)

    async def open(self, preparer: TurnPreparer) -> None:
        """Begin to execute runs: take the lock where one is needed, take over abandoned runs, renew leases.

        `preparer` prepares the turns of runs that are taken over. Raises `SecondProcess`, `DatabaseUnavailable`.
        """
        self._preparer = preparer
        if self._periodic is None:
            await self.commits.to_its_end(self._open())

    async def _open(self) -> None:
        async with self._opening:
            if self._periodic is not None:
                return
            if self._sole is not None:
                await self._sole.acquire()
                # No other process can be alive, so that all runs of others are abandoned, whatever their leases say.
                await self.take_over_abandoned(expired_only=False)
            self._bus.listen(self._on_rows)
            self._bus.listen_cancel(partial(self.stop, kind="cancel"))
            self._bus.listen_sweep(self.request_sweep)
            # In a context of its own: it goes on long after what opened this, and belongs to no trace of it.
            self._periodic = asyncio.create_task(
                run_periodic_tasks(self._periodic_tasks(), self._sweep_requested, self._database),
                name="ai-agents-periodic",
                context=Context(),
            )
            self._held.open()

    async def commit(self, work: Callable[[Connection], T], preparer: TurnPreparer | None = None) -> T:
        """The result of a write in a transaction of its own, once it is followed up.

        A cancelled caller stops neither the write nor its follow-up: no other process would execute the run. After
        `DatabaseUnavailable` it is unknown whether the commit happened; a run that was committed is taken over in time.
        """
        if self._database.in_transaction:
            raise InvalidRequest("A run begins in a transaction of its own: leave `transaction()` first.")

        async def write() -> T:
            result = await self._database.write(work)
            if result is not None:
                self.follow_up(result.follow_up, preparer)
            return result

        return await self.commits.to_its_end(write())

    def follow_up(self, what: FollowUp, preparer: TurnPreparer | None = None) -> None:
        """Do what a committed transaction made necessary. Without `preparer` the last runner's prepares the run."""
        if what.job_ids and self.background is not None:
            self.background.wake(what.job_ids)
        if what.run is not None:
            self._launch(what.run, what, preparer)
        if what.cancel_run_id is not None:
            self._bus.request_cancel(what.cancel_run_id)

    def _launch(self, run: OwnedRun, what: FollowUp, preparer: TurnPreparer | None) -> None:
        preparer = preparer or self._preparer
        if preparer is None:
            raise Overloaded("This process is not ready to run agents.")
        running = self._running.get(run.id)
        if running is not None and running.turn.run.fence >= run.fence:
            return  # its lease expired before this, and the sweep has launched it already
        channel = self._bus.hold(run.thread_id)
        channel.own()
        turn = Turn(
            run,
            database=self._database,
            channel=channel,
            preparer=preparer,
            owner=self.process_owner,
            origin=what.origin,
            inputs=what.inputs,
        )
        ended: asyncio.Future[EndedRun | None] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(turn.execute(), name=f"run-{run.id}")
        running = self._running[run.id] = _RunningTurn(turn, channel, task, ended, monotonic())
        self.slots.take()
        # In a context of its own: what begins at the end of a run is not the work of the request that began this one.
        task.add_done_callback(partial(self._on_end, running), context=Context())

    def _on_end(self, running: _RunningTurn, task: asyncio.Task[EndedRun | None]) -> None:
        run_id = running.turn.run.id
        result: EndedRun | None = None
        if not task.cancelled() and (error := task.exception()) is not None:
            # Its lease expires, and the run is taken over.
            _log.error("a run's end could not be recorded", exc_info=error, extra={"run_id": run_id})
        elif not task.cancelled():
            result = task.result()
        if self._running.get(run_id) is running:
            del self._running[run_id]
        for waited_for in (running.ended, running.turn.answered):
            if not waited_for.done():
                waited_for.set_result(result)
        running.channel.disown()
        self._bus.release(running.channel)
        if result is not None:
            observer().run_ended(result.run["status"], monotonic() - running.began)
            self.follow_up(result.follow_up, running.turn.preparer)
        # After the next run of the thread, which takes over the slot, has been counted.
        self.slots.release()

    async def _begin_held(self, key: RunKey) -> bool:
        lease = self.lease
        if lease is None:
            return False
        try:
            return await self.commit(lambda c: start_held(c, key["id"], key["thread_id"], lease)) is not None
        except ThreadNotFound:
            return False

    def find_ended(self, run_id: str) -> asyncio.Future[EndedRun | None] | None:
        """The future ending of a run that is under way here; its result is None where another process ends the run."""
        running = self._running.get(run_id)
        return None if running is None else running.ended

    def find_answered(self, run_id: str) -> asyncio.Future[EndedRun | Answered | None] | None:
        """As `find_ended`, but a first answer after which the run goes on is enough."""
        running = self._running.get(run_id)
        return None if running is None else running.turn.answered

    def stop(self, run_id: str, kind: StopKind) -> None:
        """Stop a run that is under way here; a second call changes nothing."""
        running = self._running.get(run_id)
        if running is not None and running.turn.stopped is None:
            running.turn.stop(kind)
            if running.turn.begun:
                running.task.cancel()

    async def drain(self, grace_s: float) -> None:
        """Take no new runs, give those under way `grace_s` seconds, and hand the rest over at once.

        Background jobs get the rest of that time, and writes a last moment after it. A later call waits no more: what
        is left then cannot be written.
        """
        last_moment_s = 0.0 if self._drained else _LAST_MOMENT_S
        grace_s = 0.0 if self._drained else grace_s
        self._drained = True
        loop = asyncio.get_running_loop()
        ending = loop.call_later(grace_s, self._grace_over.set)
        end = loop.time() + grace_s + last_moment_s
        self.process_owner.refuse_runs()
        await self._held.close()
        # Writes under way may still begin runs here.
        await self.commits.wait(min(last_moment_s, end - loop.time()))
        if grace_s > 0:
            await self._within_grace(self._wait_for_runs())
        left = tuple(self._running)
        self.handed_over += left
        for run_id in left:
            self.stop(run_id, "hand_over")
        await self._wait_for_runs(min(last_moment_s, end - loop.time()))
        with suppress(TimeoutError):
            async with asyncio.timeout_at(end):
                await self._leave_the_rest(end - last_moment_s)
        ending.cancel()
        await self.budgets.close()
        if self._sole is not None:
            await self._sole.release()

    def hurry(self) -> None:
        """End the time that `drain` gives to what is under way."""
        self._grace_over.set()

    async def _leave_the_rest(self, deadline: float) -> None:
        """Let background jobs go on until the deadline, a time of the loop, and leave all to other processes."""
        if self.background is not None:
            grace_s = deadline - asyncio.get_running_loop().time()
            if grace_s > 0:
                await self._within_grace(self.background.drain(grace_s))
            else:
                await self.background.drain(0.0)
        if self._periodic is not None:
            self._periodic.cancel()
            await asyncio.wait({self._periodic})
            self._periodic = None
            with suppress(DatabaseUnavailable):
                await self._database.write(lambda c: runs.expire_leases(c, self.owner))
                self._bus.request_sweep()
        if self.background is not None:
            await self.background.drain(0.0)

    async def _within_grace(self, work: Coroutine[Any, Any, None]) -> None:
        """Wait for this, as long as what is under way has time."""
        tasks = [asyncio.ensure_future(each) for each in (work, self._grace_over.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        if not tasks[0].cancelled():
            tasks[0].result()

    async def _wait_for_runs(self, timeout_s: float | None = None) -> None:
        tasks = {running.task for running in self._running.values()}
        if tasks and (timeout_s is None or timeout_s > 0):
            await asyncio.wait(tasks, timeout=timeout_s)

    # Events of other processes.

    def _on_rows(self, rows: Sequence[LogRow]) -> None:
        for row in rows:
            if row.type == "thread.deleted":
                for run_id, running in list(self._running.items()):
                    if running.turn.run.thread_id == row.thread_id:
                        self.stop(run_id, "lease_lost")

    # Periodic tasks.

    def _periodic_tasks(self) -> list[PeriodicTask]:
        timing = self._timing
        return [
            PeriodicTask(timing.cancel_poll_s, self._stop_cancelled),
            PeriodicTask(timing.renew_every_s, self.renew_leases),
            PeriodicTask(timing.sweep_every_s, self._sweep),
            PeriodicTask(timing.tidy_every_s, self._tidy),
            PeriodicTask(timing.expire_every_s, self.expire_approvals),
            PeriodicTask(timing.forget_every_s, partial(asyncio.to_thread, expire_caches)),
            PeriodicTask(timing.audit_every_s, self._extend_audit_chain),
            *(self.background.periodic_tasks() if self.background is not None else ()),
        ]

    async def _stop_cancelled(self) -> None:
        """Stop runs whose cancellation another process requested; requests of this process come at once."""
        if self._running and self._shared:
            for run_id in await self._database.read(lambda c: runs.list_cancel_requests(c, self.owner)):
                self.stop(run_id, "cancel")

    async def _sweep(self) -> None:
        if self._sole is not None:
            try:
                await self._sole.keep()
            except SecondProcess:
                # Another process took the lock while the database was away. Runs under way here go on.
                self.process_owner.refuse_runs()
                _log.critical("another process runs agents on this database; this one takes no more messages")
        await self.take_over_abandoned()
        await self._held.begin_all()

    async def _tidy(self) -> None:
        """Remove what has expired, and what open streams and webhooks have heard of long ago."""
        sweeps = idempotency.sweep, tickets.sweep, tokens.sweep, revocations.sweep, budgets.sweep, webhooks.sweep
        await self._database.write(lambda c: [sweep(c) for sweep in sweeps], long=True)
        while await self._database.write(threads.remove_expired, long=True):
            pass

    async def _extend_audit_chain(self) -> None:
        """Chain what was added to the audit log. The newest link is logged: a copy that the database does not hold."""
        every_s = self._timing.audit_every_s
        if await self._database.read(audit_chain.has_waiting):
            link = await self._database.write(lambda c: audit_chain.extend(c, every_s=every_s), long=True)
            if link is not None:
                _log.info("audit batch", extra={"batch": link["number"], "hash": link["hash"]})

    async def expire_approvals(self) -> None:
        """Let runs go on whose approval deadline has passed."""
        for row in await self._database.read(runs.list_waited_out):
            await self.expire_approvals_of(row["id"], row["thread_id"])

    async def expire_approvals_of(self, run_id: str, thread_id: str) -> None:
        """Let a run go on if its approval deadline has passed."""
        with suppress(ThreadNotFound):
            await self.commit(lambda c: expire_approvals(c, run_id, thread_id, self.lease))

    def request_sweep(self) -> None:
        """Let all periodic tasks run now."""
        self._sweep_requested.set()

    async def renew_leases(self) -> None:
        """Renew the leases of the runs that are executed here, and only those: any other run has to be taken over."""
        mine = set(self._running)
        if not mine:
            return
        lease_s = self._timing.lease_s
        held = await self._database.write(lambda c: runs.renew_leases(c, self.owner, mine, lease_s))
        for run_id in mine - held:
            running = self._running.get(run_id)
            if running is not None and not running.task.done():
                await self._stop_if_lost(run_id, running.turn.run)

    async def _stop_if_lost(self, run_id: str, run: OwnedRun) -> None:
        """Stop a run that has another fence by now, or is gone. One that has just ended is not lost."""
        still = await self._database.read(lambda c: runs.is_owned(c, run))
        if not still:
            self.stop(run_id, "lease_lost")

    async def take_over_abandoned(self, *, expired_only: bool = True) -> None:
        """Take over all abandoned runs, page by page. Without `expired_only` all runs of other processes count."""
        other_than = None if expired_only else self.owner
        taken = 1
        while taken and self.lease is not None:
            abandoned = await self._database.read(lambda c: runs.list_abandoned(c, everything_but=other_than))
            taken = 0
            for row in abandoned:
                if row["id"] not in self._running:
                    taken += await self._take_over_one(row["id"], row["thread_id"], expired_only=expired_only)

    async def _take_over_one(self, run_id: str, thread_id: str, *, expired_only: bool) -> bool:
        lease = self.lease
        if lease is None:
            return False
        try:
            taken = await self.commit(lambda c: take_over(c, run_id, thread_id, lease, expired_only=expired_only))
        except ThreadNotFound:
            return False
        if taken is not None:
            _log.info("run taken over", extra={"run_id": run_id})
        return taken is not None
