"""Carrying out a job: claim it, renew the claim, run its handler, and record how it ended.

`run` may be called by any process, any number of times and late: a job that is done is not done again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from random import random

from sqlalchemy import Connection

from ai_agents.core import tracing
from ai_agents.core.exceptions import AIAgentsError, BudgetExceeded, DatabaseUnavailable, ThreadNotFound
from ai_agents.core.ids import seconds_since
from ai_agents.core.log_context import log_with
from ai_agents.store import jobs
from ai_agents.store.jobs import ClaimedJob, JobLost
from ai_agents.workers import erasure, retention, search, webhooks
from ai_agents.workers.job_context import Effect, JobContext, JobPutOff
from ai_agents.workers.summarizing import make_summary
from ai_agents.workers.titles import make_title

# Short, so that another process takes over soon after this one is lost; a claim is renewed long before it ends.
LEASE_S = 15.0
_RENEW_EVERY_S = 4.0
# A summary of a long stretch by a slow model takes a minute or two.
JOB_TIME_S = 240.0
_LONGEST_REASON = 500
# Jobs that ask a model, and may wait for it as long as they may take. Others keep places that they never have.
ASKS_MODEL = frozenset({"title", "summarize"})
KEPT_PLACES = 2
# How often a process that waits for its jobs looks for more.
_LOOK_EVERY_S = 2.0
# Over this time jobs begin that waited for the next day's budgets.
_SPREAD_S = 600.0
Handler = Callable[[JobContext, ClaimedJob], Awaitable[Effect]]
HANDLERS: Mapping[str, Handler] = {
    "title": make_title,
    "summarize": make_summary,
    retention.KIND: retention.remove_expired,
    erasure.KIND: erasure.erase_user,
    webhooks.KIND: webhooks.deliver,
    search.KIND: search.index_messages,
}
# Rows of their own, or messages that are found, tell what they did.
_NOT_KEPT = {webhooks.KIND, search.KIND}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class JobRunner:
    """Carries out jobs of one database. `owner` names the process in its claims."""

    context: JobContext
    owner: str
    time_s: float = JOB_TIME_S

    async def run(self, job_id: str) -> bool:
        """Carry the job out if it is due and unclaimed; whether it began here.

        Raises `DatabaseUnavailable`; then the job is tried again later.
        """
        job = await self.context.database.write(lambda c: jobs.claim(c, job_id, owner=self.owner, lease_s=LEASE_S))
        if job is None:
            return False
        log_with(job_id=job.id, **({} if job.thread_id is None else {"thread_id": job.thread_id}))
        renewing = asyncio.create_task(self._renew(job), name=f"renew-job-{job.id}")
        try:
            with tracing.spanned(f"{tracing.JOB} {job.kind}", _span_of(job), kind="consumer", parent=job.trace) as span:
                if (failure := await self._attempt(job)) is not None and span is not None:
                    tracing.fail(span, failure)
        except JobLost:
            _log.info("job lost to another process", extra={"job_id": job.id})
        except asyncio.CancelledError:
            with suppress(JobLost, DatabaseUnavailable):
                await asyncio.shield(self.context.database.write(lambda c: jobs.give_back(c, job)))
            raise
        finally:
            renewing.cancel()
            await asyncio.wait({renewing})
        return True

    async def run_with_others(self, job_id: str, *, others: int) -> None:
        """Carry the job out, and up to `others` due jobs at the same time: a job mostly waits for a model.

        As long as one of these is under way, others take the places of those that end, so that a slow model does not
        hold up the jobs of everyone. The others are jobs without an attempt so far: a job that crashes the process
        costs each of them one attempt at most. Raises `DatabaseUnavailable`.
        """
        wanted, errors = [job_id, *await self._list_beside(1, places=others + 1)], list[BaseException]()
        # Others begin only while these are under way: a process that is to stop has soon ended all of them.
        first, running = frozenset(wanted), dict[str, asyncio.Task[bool]]()
        try:
            while wanted or running:
                for each in wanted:
                    if each not in running:
                        running[each] = asyncio.create_task(self.run(each), name=f"job-{each}")
                ended, _ = await asyncio.wait(running.values(), timeout=_LOOK_EVERY_S)
                errors += [error for task in ended if (error := task.exception()) is not None]
                running = {each: task for each, task in running.items() if task not in ended}
                look = not errors and not first.isdisjoint(running)
                wanted = await self._list_beside(len(running), places=others + 1) if look else []
        finally:
            for task in running.values():
                task.cancel()
            if running:
                await asyncio.wait(running.values())
        if errors:
            raise errors[0]

    async def _list_beside(self, under_way: int, *, places: int) -> list[str]:
        """Due jobs for the places that are free, the last of which are for jobs that ask no model."""

        def look(connection: Connection) -> list[str]:
            free = max(0, places - KEPT_PLACES - under_way)
            found = jobs.list_due(connection, limit=free, untried=True) if free else []
            left = places - under_way - len(found)
            if left > 0 and len(found) == free:
                found += jobs.list_due(connection, limit=left, untried=True, without=ASKS_MODEL)
            return list(dict.fromkeys(found))

        return await self.context.database.read(look) if under_way < places else []

    async def _attempt(self, job: ClaimedJob) -> str | None:
        """Do it, and record how it ended. Returns the code of its failure, if it failed."""
        try:
            async with asyncio.timeout(self.time_s):
                effect = await HANDLERS[job.kind](self.context, job)
            keep = job.kind not in _NOT_KEPT
            await self.context.database.write(lambda c: jobs.finish(c, job, effect(c), keep=keep), long=True)
            _log.info("job done", extra={"kind": job.kind, "attempt": job.attempts})
        except (JobLost, ThreadNotFound, DatabaseUnavailable):
            # The job is gone, or its row cannot be reached: there is nothing to record.
            raise JobLost from None
        except TimeoutError:
            await self._fail(job, f"It took longer than {self.time_s:g} s.")
            return "timeout"
        except JobPutOff as error:
            await self._record_put_off(job, error)
            return "put_off"
        except BudgetExceeded as error:
            await self._put_off(job, error)
            return error.code
        except AIAgentsError as error:
            await self._fail(job, f"{error.code}: {error}")
            return error.code
        except Exception as error:  # noqa: BLE001  # one job must not end the others
            _log.exception("job failed", extra={"job_id": job.id, "kind": job.kind})
            await self._fail(job, f"{type(error).__name__}: see the log.")
            return type(error).__name__
        return None

    async def _record_put_off(self, job: ClaimedJob, later: JobPutOff) -> None:
        def record(connection: Connection) -> None:
            jobs.put_off(connection, job, str(later), wait_s=later.wait_s)
            later.record(connection)

        await self.context.database.write(record)

    async def _put_off(self, job: ClaimedJob, error: BudgetExceeded) -> None:
        """Try again once the budget is full again, and not all such jobs in the same second."""
        wait_s = (error.retry_after_s or 0.0) + random() * _SPREAD_S  # noqa: S311  # spreads jobs
        await self.context.database.write(lambda c: jobs.put_off(c, job, f"{error.code}: {error}", wait_s=wait_s))
        _log.info("job waits for its budget", extra={"job_id": job.id, "kind": job.kind})

    async def _fail(self, job: ClaimedJob, reason: str) -> None:
        given_up = await self.context.database.write(lambda c: jobs.fail(c, job, reason[:_LONGEST_REASON]))
        event = "job given up" if given_up else "job failed, trying again later"
        _log.warning(event, extra={"job_id": job.id, "kind": job.kind, "attempt": job.attempts, "reason": reason})

    async def _renew(self, job: ClaimedJob) -> None:
        """Renew the claim until this is cancelled or the claim is lost."""
        while True:
            await asyncio.sleep(_RENEW_EVERY_S)
            try:
                await self.context.database.write(lambda c: jobs.renew(c, job, lease_s=LEASE_S))
            except JobLost:
                return
            except DatabaseUnavailable as error:
                _log.warning(
                    "database unavailable, a job's claim may run out",
                    extra={"job_id": job.id, **self.context.database.explain(error)},
                )


def _span_of(job: ClaimedJob) -> tracing.Attributes:
    if not tracing.is_on():
        return {}
    return {
        tracing.JOB_ID: job.id,
        tracing.JOB_KIND: job.kind,
        tracing.JOB_ATTEMPT: job.attempts,
        tracing.JOB_WAITED_S: seconds_since(job.created_at),
        tracing.CONVERSATION_ID: job.thread_id,
    }
