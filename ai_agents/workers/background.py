"""Jobs in the process that asks for them: where there is no queue, the outbox is carried out beside the runs."""

import asyncio
import logging
from collections.abc import Sequence

from ai_agents.attachments.files import Attachments
from ai_agents.context.contexts import Contexts
from ai_agents.core.exceptions import DatabaseUnavailable
from ai_agents.runner.process.periodic import PeriodicTask
from ai_agents.store import jobs
from ai_agents.store.database import Database
from ai_agents.workers.jobs import JobRunner
from ai_agents.workers.work import Work

CONCURRENCY = 2
# Jobs of this process are begun at once; this is for those that wait for another try, or were left by others.
_LOOK_EVERY_S = 2.0
_PAGE = 50
_log = logging.getLogger(__name__)


class InProcessJobs:
    """Carries out the jobs of a database, two at a time, oldest first."""

    def __init__(
        self,
        database: Database,
        *,
        owner: str,
        model: tuple[str, str] | None = None,
        concurrency: int = CONCURRENCY,
        attachments: Attachments | None = None,
        periodic_tasks: Sequence[PeriodicTask] = (),
    ) -> None:
        self._database = database
        self._owner = owner
        self._model = model
        self._concurrency = concurrency
        self._attachments = attachments
        self._chores = tuple(periodic_tasks)
        self._runner: JobRunner | None = None
        self._waiting: asyncio.Queue[str] = asyncio.Queue()
        # Ids that wait here or are being carried out here.
        self._known: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._draining = False

    def offer(self, contexts: Contexts) -> None:
        """Ask the models that these know of."""
        work = Work(self._database, contexts, self._model, self._attachments)
        self._runner = JobRunner(work, owner=self._owner)

    def wake(self, job_ids: Sequence[str]) -> None:
        """Carry out these jobs soon."""
        if self._draining or self._runner is None:
            return
        for job_id in job_ids:
            if job_id not in self._known:
                self._known.add(job_id)
                self._waiting.put_nowait(job_id)
        wanted = min(self._concurrency, len(self._known))
        while len(self._tasks) < wanted:
            self._tasks.append(asyncio.create_task(self._carry_out(), name="ai-agents-jobs"))

    def periodic_tasks(self) -> list[PeriodicTask]:
        """Looking for jobs that nobody told of."""
        return [PeriodicTask(_LOOK_EVERY_S, self._look), *self._chores]

    async def drain(self, grace_s: float) -> None:
        """Begin nothing more that is not known here yet; after `grace_s` seconds what is left stays in the outbox."""
        self._draining = True
        if self._known and grace_s > 0:
            waiting = asyncio.create_task(self._waiting.join())
            await asyncio.wait({waiting}, timeout=grace_s)
            waiting.cancel()
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _look(self) -> None:
        if not self._draining and self._runner is not None and self._waiting.qsize() < _PAGE:
            self.wake(await self._database.read(lambda c: jobs.list_due(c, limit=_PAGE), brief=True))

    async def _carry_out(self) -> None:
        while True:
            job_id = await self._waiting.get()
            try:
                if self._runner is not None:
                    await self._runner.run(job_id)
            except DatabaseUnavailable:
                _log.warning("database unavailable, a job is tried again later", extra={"job_id": job_id})
            except Exception:  # noqa: BLE001  # the edge of a task that must not end while the process lives
                _log.exception("carrying out a job failed", extra={"job_id": job_id})
            finally:
                self._known.discard(job_id)
                self._waiting.task_done()
