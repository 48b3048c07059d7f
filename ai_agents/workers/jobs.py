"""Carrying out a job: claim it, hold the claim, do what it is about, and note how it went.

Whoever was told of a job may call `run`, however often and however late: what has been done is not done again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from ai_agents.core.exceptions import AIAgentsError, DatabaseUnavailable, ThreadNotFound
from ai_agents.store import jobs
from ai_agents.store.jobs import ClaimedJob, JobLost
from ai_agents.workers import erasure, retention
from ai_agents.workers.summarizing import make_summary
from ai_agents.workers.titles import make_title
from ai_agents.workers.work import Effect, Work

# Short, so that another process takes over soon after this one is lost; a claim is renewed long before.
LEASE_S = 15.0
_RENEW_EVERY_S = 4.0
# A summary of a long stretch by a slow model takes a minute or two.
JOB_TIME_S = 240.0
_LONGEST_REASON = 500
Handler = Callable[[Work, ClaimedJob], Awaitable[Effect]]
HANDLERS: Mapping[str, Handler] = {
    "title": make_title,
    "summarize": make_summary,
    retention.KIND: retention.remove_expired,
    erasure.KIND: erasure.erase_user,
}
_log = logging.getLogger(__name__)


class JobRunner:
    """Carries out jobs of one database under one owner's name."""

    def __init__(
        self,
        work: Work,
        *,
        owner: str,
        time_s: float = JOB_TIME_S,
        lease_s: float = LEASE_S,
        handlers: Mapping[str, Handler] = HANDLERS,
    ) -> None:
        self._work = work
        self._database = work.database
        self._owner = owner
        self._time_s = time_s
        self._lease_s = lease_s
        self._handlers = handlers

    async def run(self, job_id: str) -> bool:
        """Carry the job out, if it is still to be done and nobody else is at it; whether it was begun here.

        Raises `DatabaseUnavailable`; then the job is done again later.
        """
        job = await self._database.write(lambda c: jobs.claim(c, job_id, owner=self._owner, lease_s=self._lease_s))
        if job is None:
            return False
        holding = asyncio.create_task(self._hold(job), name=f"hold-job-{job.id}")
        try:
            await self._attempt(job)
        except JobLost:
            _log.info("job lost to another process", extra={"job_id": job.id})
        except asyncio.CancelledError:
            with suppress(JobLost, DatabaseUnavailable):
                await asyncio.shield(self._database.write(lambda c: jobs.give_back(c, job)))
            raise
        finally:
            holding.cancel()
            await asyncio.wait({holding})
        return True

    async def run_with_others(self, job_id: str, *, others: int) -> None:
        """Carry the job out, and beside it as many others as wait: most of a job's time is waiting for a model.

        Only such as nobody has tried yet: one that takes its process with it takes each of them at most once.
        Raises `DatabaseUnavailable`.
        """
        waiting = await self._database.read(lambda c: jobs.list_due(c, limit=others, untried=True))
        job_ids = dict.fromkeys([job_id, *waiting])
        ended = await asyncio.gather(*map(self.run, job_ids), return_exceptions=True)
        for error in ended:
            if isinstance(error, BaseException):
                raise error

    async def _attempt(self, job: ClaimedJob) -> None:
        try:
            async with asyncio.timeout(self._time_s):
                effect = await self._handler(job.kind)(self._work, job)
            await self._database.write(lambda c: jobs.finish(c, job, effect(c)))
        except (JobLost, ThreadNotFound, DatabaseUnavailable):
            # Nobody can say anything about the job now, or there is none any more.
            raise JobLost from None
        except TimeoutError:
            await self._fail(job, f"It took longer than {self._time_s:g} s.")
        except AIAgentsError as error:
            await self._fail(job, f"{error.code}: {error}")
        except Exception as error:  # noqa: BLE001  # the edge of a job: whatever happens in it, the others go on
            _log.exception("job failed", extra={"job_id": job.id, "kind": job.kind})
            await self._fail(job, f"{type(error).__name__}: see the log.")

    def _handler(self, kind: str) -> Handler:
        handler = self._handlers.get(kind)
        if handler is None:
            raise LookupError(f"there are no jobs of the kind {kind!r}")
        return handler

    async def _fail(self, job: ClaimedJob, reason: str) -> None:
        given_up = await self._database.write(lambda c: jobs.fail(c, job, reason[:_LONGEST_REASON]))
        said = "job given up" if given_up else "job failed, to be tried again"
        _log.warning(said, extra={"job_id": job.id, "kind": job.kind, "attempt": job.attempts, "reason": reason})

    async def _hold(self, job: ClaimedJob) -> None:
        """Renew the claim until it is cancelled, or lost."""
        while True:
            await asyncio.sleep(min(_RENEW_EVERY_S, self._lease_s / 3))
            try:
                await self._database.write(lambda c: jobs.renew(c, job, lease_s=self._lease_s))
            except JobLost:
                return
            except DatabaseUnavailable:
                _log.warning("database unavailable, a job's claim may run out", extra={"job_id": job.id})
