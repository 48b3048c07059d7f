"""The runs of this process: their tasks, their leases, and the runs of others that it takes over."""

import asyncio
import logging
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from ai_agents.bus.base import Bus, Channel
from ai_agents.core.exceptions import DatabaseUnavailable, Overloaded, ThreadNotFound
from ai_agents.core.ids import new_id
from ai_agents.core.types import LogRow
from ai_agents.runner import lease
from ai_agents.runner.recording import Ended, Successor
from ai_agents.runner.turn import MAX_ATTEMPTS, Prepare, StopKind, Turn
from ai_agents.store import runs
from ai_agents.store.database import Database
from ai_agents.store.runs import OwnedRun

_log = logging.getLogger(__name__)


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
        self.owner = f"{socket.gethostname()[:20]}-{os.getpid()}-{new_id()[-8:]}"
        self._database = database
        self._bus = bus
        self._shared = shared
        self._sole = None if shared else lease.sole_process(database)
        self._running: dict[str, _Running] = {}
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
        async with self._opening:
            self._prepare = prepare
            if self._tending is not None:
                return
            if self._sole is not None:
                await self._sole.acquire()
                # Nobody else can be alive here, so what others own is abandoned, whatever their leases say.
                await self._take_over(everything=True)
            self._bus.listen(self._on_rows)
            self._bus.listen_cancel(self._on_cancel)
            self._bus.listen_sweep(self._sweep_asked.set)
            self._tending = asyncio.create_task(self._tend(), name="ai-agents-leases")

    def launch(self, run: OwnedRun, *, resumed: bool = False) -> None:
        """Run a turn that this process owns."""
        if self._prepare is None:
            raise Overloaded("This process is not ready to run agents.")
        channel = self._bus.hold(run.thread_id)
        channel.own()
        turn = Turn(
            run,
            database=self._database,
            channel=channel,
            prepare=self._prepare,
            successor=lambda: self.successor,
            owner=self.owner,
            resumed=resumed,
        )
        ended: asyncio.Future[Ended | None] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._execute(turn, channel, ended), name=f"run-{run.id}")
        self._running[run.id] = _Running(turn, channel, task, ended)

    async def _execute(self, turn: Turn, channel: Channel, ended: asyncio.Future[Ended | None]) -> None:
        run_id = turn.run.id
        result: Ended | None = None
        try:
            result = await turn.execute()
        finally:
            running = self._running.get(run_id)
            if running is not None and running.turn is turn:
                del self._running[run_id]
            if not ended.done():
                ended.set_result(result)
            channel.disown()
            self._bus.release(channel)
        self.follow_up(result)

    def follow_up(self, ended: Ended | None) -> None:
        """Run the next of the queue, where the ending of the last one let it start here."""
        if ended is not None and ended.next_run is not None:
            self.launch(ended.next_run)

    def find_ended(self, run_id: str) -> asyncio.Future[Ended | None] | None:
        """The future ending of a run that is under way here; its result is None where another process ends it."""
        running = self._running.get(run_id)
        return None if running is None else running.ended

    def stop(self, run_id: str, kind: StopKind) -> None:
        """Stop a run that is under way here; a second call changes nothing."""
        running = self._running.get(run_id)
        if running is not None and running.turn.stopped is None:
            running.turn.stopped = kind
            running.task.cancel()

    async def drain(self, grace_s: float) -> None:
        """Take no new runs, give those under way `grace_s` seconds, and hand the rest over at once."""
        self._draining = True
        tasks = {running.task for running in self._running.values()}
        if tasks and grace_s > 0:
            await asyncio.wait(tasks, timeout=grace_s)
        for run_id in list(self._running):
            self.stop(run_id, "hand_over")
        tasks = {running.task for running in self._running.values()}
        if tasks:
            await asyncio.wait(tasks, timeout=5)
        if self._tending is not None:
            self._tending.cancel()
            await asyncio.wait({self._tending})
            self._tending = None
            with suppress(DatabaseUnavailable):
                await self._database.write(lambda c: runs.expire_leases(c, self.owner))
                self._bus.request_sweep()
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

    async def _tend(self) -> None:
        """Look for cancellations, renew leases and take over abandoned runs, each at its own pace, until the drain."""
        loop = asyncio.get_running_loop()
        renewed = swept = loop.time()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(lease.CANCEL_POLL_S):
                    await self._sweep_asked.wait()
                    swept = float("-inf")
            self._sweep_asked.clear()
            try:
                if self._running and self._shared:
                    for run_id in await self._database.read(lambda c: runs.list_cancel_requests(c, self.owner)):
                        self.stop(run_id, "cancel")
                if self._running and loop.time() - renewed >= lease.RENEW_EVERY_S:
                    renewed = loop.time()
                    await self._renew()
                if not self._draining and loop.time() - swept >= lease.SWEEP_EVERY_S:
                    swept = loop.time()
                    await self._take_over(everything=False)
            except DatabaseUnavailable:
                _log.warning("database unavailable while tending leases")
            except Exception:  # noqa: BLE001  # the edge of a task that must not end while the process lives
                _log.exception("tending leases failed")

    async def _renew(self) -> None:
        mine = set(self._running)
        held = await self._database.write(lambda c: runs.renew_leases(c, self.owner, lease.LEASE_S))
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
        while taken and (successor := self.successor) is not None:
            abandoned = await self._database.read(lambda c: runs.list_abandoned(c, everything_but=others_than))
            taken = 0
            for row in abandoned:
                if row["id"] not in self._running:
                    taken += await self._take_over_one(row["id"], row["thread_id"], successor, everything=everything)

    async def _take_over_one(self, run_id: str, thread_id: str, successor: Successor, *, everything: bool) -> bool:
        try:
            taken = await self._database.write(
                lambda c: lease.take_over(
                    c, run_id, thread_id, successor, max_attempts=MAX_ATTEMPTS, expired_only=not everything
                )
            )
        except ThreadNotFound:
            return False
        if isinstance(taken, OwnedRun):
            _log.info("run taken over", extra={"run_id": run_id, "attempt": taken.attempt})
            self.launch(taken, resumed=True)
        else:
            self.follow_up(taken)
        return taken is not None
