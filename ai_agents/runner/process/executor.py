"""The runs of this process: their tasks, their leases, and the runs of others that it takes over."""

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from ai_agents.bus.base import Bus, Channel
from ai_agents.context.contexts import Contexts
from ai_agents.core.exceptions import DatabaseUnavailable, InvalidRequest, Overloaded, SecondProcess, ThreadNotFound
from ai_agents.core.ids import new_id
from ai_agents.core.types import LogRow
from ai_agents.core.unfinished import Unfinished
from ai_agents.runner import approvals
from ai_agents.runner.process import lease
from ai_agents.runner.process.periodic import PeriodicTask, run_periodic_tasks
from ai_agents.runner.recording import Ended, Successor
from ai_agents.runner.turn import MAX_ATTEMPTS, Origin, Prepare, StopKind, Turn
from ai_agents.store import idempotency, runs, tickets
from ai_agents.store.database import Database
from ai_agents.store.runs import OwnedRun

T = TypeVar("T")
_log = logging.getLogger(__name__)
# What does not need longer than a moment gets this long while the process stops.
_AT_THE_END_S = 5.0


class Background(Protocol):
    """What becomes of background jobs: this process carries them out, or tells a queue of them."""

    def offer(self, contexts: Contexts) -> None:
        """Here are the agents' models and memory; the last runner's are used."""
        ...

    def wake(self, job_ids: Sequence[str]) -> None:
        """These jobs have been committed."""
        ...

    def periodic_tasks(self) -> list[PeriodicTask]:
        """What is to be done again and again."""
        ...

    async def drain(self, grace_s: float) -> None:
        """Begin nothing more; what is under way gets `grace_s` seconds, and is then left to others."""
        ...


@dataclass(slots=True)
class _Running:
    turn: Turn
    channel: Channel
    task: asyncio.Task[None]
    ended: asyncio.Future[Ended | None]


class Executor:
    """Runs turns as tasks of this process, never of a request.

    `shared` says that other processes run agents on the same database; else this one makes sure that it is alone.
    """

    def __init__(self, database: Database, bus: Bus, *, shared: bool) -> None:
        self.background: Background | None = None
        self.owner = f"{socket.gethostname()[:20]}-{os.getpid()}-{new_id()[-8:]}"
        self._database = database
        self._bus = bus
        self._shared = shared
        self._sole = None if shared else lease.sole_process(database)
        self._running: dict[str, _Running] = {}
        self._unfinished = Unfinished()
        self._prepare: Prepare | None = None
        self._tending: asyncio.Task[None] | None = None
        self._sweep_asked = asyncio.Event()
        self._opening = asyncio.Lock()
        self._draining = False

    @property
    def successor(self) -> Successor | None:
        """This process as the owner of a run to come; None while it is stopping."""
        return None if self._draining else Successor(self.owner, lease.LEASE_S)

    @property
    def running(self) -> int:
        """How many runs are under way here."""
        return len(self._running)

    async def open(self, prepare: Prepare) -> None:
        """Begin to run turns: claim the database where that has to be, take over what was left, keep leases alive.

        `prepare` makes turns ready, those of others too. Raises `SecondProcess`, `DatabaseUnavailable`.
        """
        self._prepare = prepare
        if self._tending is None:
            await self._unfinished.to_its_end(self._open())

    async def _open(self) -> None:
        async with self._opening:
            if self._tending is not None:
                return
            if self._sole is not None:
                await self._sole.acquire()
                # Nobody else can be alive here, so what others own is abandoned, whatever their leases say.
                await self._take_over(everything=True)
            self._bus.listen(self._on_rows)
            self._bus.listen_cancel(self._on_cancel)
            self._bus.listen_sweep(self._sweep_asked.set)
            self._tending = asyncio.create_task(
                run_periodic_tasks(self._chores(), self._sweep_asked), name="ai-agents-periodic"
            )

    async def commit(self, work: Callable[[Connection], T], launch: Callable[[T], None]) -> T:
        """The result of a write that may make runs ours, once `launch` was called with it.

        A caller that is cancelled leaves both to be done: nobody else would run what is ours. It is a transaction of
        its own. Raises `DatabaseUnavailable`, after which nobody knows: what was committed is taken over in time.
        """
        if self._database.in_transaction:
            raise InvalidRequest("A run begins in a transaction of its own: leave `transaction()` first.")

        async def write() -> T:
            result = await self._database.write(work)
            launch(result)
            return result

        return await self._unfinished.to_its_end(write())

    def launch(self, run: OwnedRun, *, prepare: Prepare | None = None, origin: Origin = "new") -> None:
        """Run a turn that this process owns, prepared as its runner wants it; without one, as the last runner does."""
        prepare = prepare or self._prepare
        if prepare is None:
            raise Overloaded("This process is not ready to run agents.")
        running = self._running.get(run.id)
        if running is not None and running.turn.run.fence >= run.fence:
            return  # its lease ran out before this, and the sweep was quicker
        channel = self._bus.hold(run.thread_id)
        channel.own()
        turn = Turn(
            run,
            database=self._database,
            channel=channel,
            prepare=prepare,
            successor=lambda: self.successor,
            owner=self.owner,
            origin=origin,
        )
        ended: asyncio.Future[Ended | None] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._execute(turn, channel, ended), name=f"run-{run.id}")
        self._running[run.id] = _Running(turn, channel, task, ended)

    async def _execute(self, turn: Turn, channel: Channel, ended: asyncio.Future[Ended | None]) -> None:
        run_id = turn.run.id
        result: Ended | None = None
        try:
            result = await turn.execute()
        except Exception:  # noqa: BLE001  # the edge of a task: its lease runs out, and the run is taken over
            _log.exception("a run's end could not be recorded", extra={"run_id": run_id})
        finally:
            running = self._running.get(run_id)
            if running is not None and running.turn is turn:
                del self._running[run_id]
            if not ended.done():
                ended.set_result(result)
            channel.disown()
            self._bus.release(channel)
        self.follow_up(result, prepare=turn.prepare)

    def follow_up(self, ended: Ended | None, *, prepare: Prepare | None = None) -> None:
        """See to the jobs that a run made needed, and run the next of the queue, where its end let that start here."""
        if ended is None:
            return
        if ended.jobs and self.background is not None:
            self.background.wake(ended.jobs)
        if ended.next_run is not None:
            self.launch(ended.next_run, prepare=prepare)

    def find_ended(self, run_id: str) -> asyncio.Future[Ended | None] | None:
        """The future ending of a run that is under way here; its result is None where another process ends it."""
        running = self._running.get(run_id)
        return None if running is None else running.ended

    def stop(self, run_id: str, kind: StopKind) -> None:
        """Stop a run that is under way here; a second call changes nothing."""
        running = self._running.get(run_id)
        if running is not None and running.turn.stopped is None:
            running.turn.stopped = kind
            if running.turn.begun:
                running.task.cancel()

    async def drain(self, grace_s: float) -> None:
        """Take no new runs, give those under way `grace_s` seconds, and hand the rest over at once.

        Background jobs get what is then left of the time.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + grace_s
        self._draining = True
        # What is committed now may still begin here.
        await self._unfinished.wait(_AT_THE_END_S)
        tasks = {running.task for running in self._running.values()}
        if tasks and grace_s > 0:
            await asyncio.wait(tasks, timeout=grace_s)
        for run_id in list(self._running):
            self.stop(run_id, "hand_over")
        tasks = {running.task for running in self._running.values()}
        if tasks:
            await asyncio.wait(tasks, timeout=_AT_THE_END_S)
        if self.background is not None:
            await self.background.drain(grace_s)
        if self._tending is not None:
            self._tending.cancel()
            await asyncio.wait({self._tending})
            self._tending = None
            with suppress(DatabaseUnavailable):
                await self._database.write(lambda c: runs.expire_leases(c, self.owner))
                self._bus.request_sweep()
        if self.background is not None:
            await self.background.drain(max(0.0, deadline - loop.time()))
        if self._sole is not None:
            await self._sole.release()

    # What goes on beside the runs.

    def _on_rows(self, rows: Sequence[LogRow]) -> None:
        for row in rows:
            if row.type == "thread.deleted":
                for run_id, running in list(self._running.items()):
                    if running.turn.run.thread_id == row.thread_id:
                        self.stop(run_id, "lease_lost")

    def _on_cancel(self, run_id: str) -> None:
        self.stop(run_id, "cancel")

    def _chores(self) -> list[PeriodicTask]:
        return [
            PeriodicTask(lease.CANCEL_POLL_S, self._stop_cancelled),
            PeriodicTask(lease.RENEW_EVERY_S, self._renew),
            PeriodicTask(lease.SWEEP_EVERY_S, self._sweep),
            PeriodicTask(lease.TIDY_EVERY_S, self._tidy),
            PeriodicTask(lease.WAITED_OUT_EVERY_S, self._give_up_waiting),
            *(self.background.periodic_tasks() if self.background is not None else ()),
        ]

    async def _stop_cancelled(self) -> None:
        """Stop what somebody asked another process to cancel; our own requests come at once."""
        if self._running and self._shared:
            for run_id in await self._database.read(lambda c: runs.list_cancel_requests(c, self.owner)):
                self.stop(run_id, "cancel")

    async def _sweep(self) -> None:
        """Take over what was abandoned, if this process may."""
        if self._sole is not None:
            try:
                await self._sole.keep()
            except SecondProcess:
                # Another process took the place while the database was away: what runs here goes on, that is all.
                self._draining = True
                _log.critical("another process runs agents on this database; this one takes no more messages")
        await self._take_over(everything=False)

    async def _tidy(self) -> None:
        """Remove what has outlived its time."""
        await self._database.write(lambda c: (idempotency.sweep(c), tickets.sweep(c)), long=True)

    async def _give_up_waiting(self) -> None:
        """Let runs go on whose person has not spoken in time."""
        for row in await self._database.read(runs.list_waited_out):
            await self._give_up_waiting_for(row["id"], row["thread_id"])

    async def _give_up_waiting_for(self, run_id: str, thread_id: str) -> None:
        def go_on(decided: approvals.Decided | None) -> None:
            if decided is not None and decided.resumed is not None:
                self.launch(decided.resumed, origin="waited")

        with suppress(ThreadNotFound):
            await self.commit(lambda c: approvals.give_up_waiting(c, run_id, thread_id, self.successor), go_on)

    async def _renew(self) -> None:
        """Hold on to what is executed here, and to nothing else: the lease of any other run of ours has to run out."""
        mine = set(self._running)
        if not mine:
            return
        held = await self._database.write(lambda c: runs.renew_leases(c, self.owner, mine, lease.LEASE_S))
        for run_id in mine - held:
            running = self._running.get(run_id)
            if running is not None and not running.task.done():
                await self._stop_if_lost(run_id, running.turn.run)

    async def _stop_if_lost(self, run_id: str, run: OwnedRun) -> None:
        """A run that ended between the two looks is not lost; one that has another fence, or is gone, is."""
        still = await self._database.read(lambda c: runs.is_owned(c, run))
        if not still:
            self.stop(run_id, "lease_lost")

    async def _take_over(self, *, everything: bool) -> None:
        """Take every abandoned run, page by page until a page brings none."""
        others_than = self.owner if everything else None
        taken = 1
        while taken and self.successor is not None:
            abandoned = await self._database.read(lambda c: runs.list_abandoned(c, everything_but=others_than))
            taken = 0
            for row in abandoned:
                if row["id"] not in self._running:
                    taken += await self._take_over_one(row["id"], row["thread_id"], everything=everything)

    async def _take_over_one(self, run_id: str, thread_id: str, *, everything: bool) -> bool:
        successor = self.successor
        if successor is None:
            return False

        def go_on(taken: lease.Taken | Ended | None) -> None:
            if isinstance(taken, lease.Taken):
                _log.info("run taken over", extra={"run_id": run_id, "attempt": taken.run.attempt})
                self.launch(taken.run, origin="lost" if taken.lost else "waited")
            else:
                self.follow_up(taken)

        try:
            taken = await self.commit(
                lambda c: lease.take_over(
                    c, run_id, thread_id, successor, max_attempts=MAX_ATTEMPTS, expired_only=not everything
                ),
                go_on,
            )
        except ThreadNotFound:
            return False
        return taken is not None
