"""Jobs without workers: the process that runs the agents carries out the outbox, too."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextvars import Context

from ai_agents.attachments.files import Attachments
from ai_agents.context.contexts import Contexts
from ai_agents.core.exceptions import DatabaseUnavailable
from ai_agents.runner.process.periodic import PeriodicTask
from ai_agents.store import jobs
from ai_agents.store.database import Database
from ai_agents.store.sealing import Sealer
from ai_agents.tools.outbound import Outbound
from ai_agents.workers.job_context import JobContext
from ai_agents.workers.jobs import ASKS_MODEL, JobRunner
from ai_agents.workers.retention import retention_tasks
from ai_agents.workers.search import search_tasks

CONCURRENCY = 2
# Jobs that ask no model and are carried out beside those, where all of those take long.
_BESIDE = 2
# Jobs of this process begin at once. The look finds retries, and jobs that other processes left.
_LOOK_EVERY_S = 2.0
_PAGE = 50
_log = logging.getLogger(__name__)


class InProcessJobs:
    """Carries out the jobs of a database, `CONCURRENCY` at a time, oldest first.

    Where all of these wait, perhaps for a slow model, a few that ask no model are carried out beside them.
    """

    def __init__(
        self,
        database: Database,
        *,
        owner: str,
        model: str | None = None,
        attachments: Attachments | None = None,
        retention: Mapping[str, int | None] | None = None,
        outbound: Outbound | None = None,
        sealer: Sealer | None = None,
    ) -> None:
        self._database = database
        self._owner = owner
        self._model = model
        self._attachments = attachments
        self._retention = retention or {}
        self._outbound, self._sealer = outbound, sealer
        self._runner: JobRunner | None = None
        self._waiting: asyncio.Queue[str] = asyncio.Queue()
        # Ids that wait here or are being carried out here.
        self._known: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._beside: set[asyncio.Task[None]] = set()
        self._draining = False

    def start(self, contexts: Contexts) -> None:
        """Start to carry out jobs, with the models of these contexts."""
        context = JobContext(
            self._database, contexts, self._model, self._attachments, outbound=self._outbound, sealer=self._sealer
        )
        self._runner = JobRunner(context, owner=self._owner)

    def wake(self, job_ids: Sequence[str]) -> None:
        """Carry out these jobs soon."""
        if self._draining or self._runner is None:
            return
        for job_id in job_ids:
            if job_id not in self._known:
                self._known.add(job_id)
                self._waiting.put_nowait(job_id)
        wanted = min(CONCURRENCY, len(self._known))
        while len(self._tasks) < wanted:
            # In a context of its own: it goes on long after the request that woke it.
            task = asyncio.create_task(self._carry_out(), name="ai-agents-jobs", context=Context())
            self._tasks.append(task)

    def periodic_tasks(self) -> list[PeriodicTask]:
        """Looking for due jobs that this process was not woken for, retention, and tending the index of messages."""
        retention = retention_tasks(self._database, self._retention, self.wake)
        return [PeriodicTask(_LOOK_EVERY_S, self._look), *retention, *search_tasks(self._database, self.wake)]

    async def drain(self, grace_s: float) -> None:
        """Finish the jobs that are known here; what is left after `grace_s` seconds stays in the outbox."""
        self._draining = True
        loop = asyncio.get_running_loop()
        until = loop.time() + grace_s
        if self._known and grace_s > 0:
            waiting = asyncio.create_task(self._waiting.join())
            try:
                await asyncio.wait({waiting}, timeout=grace_s)
            finally:
                waiting.cancel()
            if self._beside:
                await asyncio.wait(self._beside, timeout=max(0.0, until - loop.time()))
        tasks, self._tasks = [*self._tasks, *self._beside], []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _look(self) -> None:
        if not self._draining and self._runner is not None and self._waiting.qsize() < _PAGE:
            self.wake(await self._database.read(lambda c: jobs.list_due(c, limit=_PAGE)))
        free = _BESIDE - len(self._beside)
        if free and self._are_all_busy and not self._draining:
            for job_id in await self._database.read(lambda c: jobs.list_due(c, limit=free, without=ASKS_MODEL)):
                # Where it waits here, too, its turn will find it done.
                task = asyncio.create_task(self._run(job_id), name=f"job-{job_id}", context=Context())
                self._beside.add(task)
                task.add_done_callback(self._beside.discard)

    @property
    def _are_all_busy(self) -> bool:
        return len(self._known) - self._waiting.qsize() >= CONCURRENCY

    async def _carry_out(self) -> None:
        while True:
            job_id = await self._waiting.get()
            try:
                await self._run(job_id)
            finally:
                self._known.discard(job_id)
                self._waiting.task_done()

    async def _run(self, job_id: str) -> None:
        try:
            if self._runner is not None:
                await self._runner.run(job_id)
        except DatabaseUnavailable as error:
            _log.warning(
                "database unavailable, a job is tried again later",
                extra={"job_id": job_id, **self._database.explain(error)},
            )
        except Exception:  # noqa: BLE001  # the edge of a job: the process goes on
            _log.exception("a job could not be carried out", extra={"job_id": job_id})
