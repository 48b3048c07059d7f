"""The index of messages: new ones are brought into it every few seconds, and a job indexes those of older versions."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from sqlalchemy import Connection

from ai_agents.core.types import JsonObject
from ai_agents.runner.process.periodic import PeriodicTask
from ai_agents.store import jobs, processes, search_index
from ai_agents.store.database import Database
from ai_agents.store.jobs import ClaimedJob
from ai_agents.workers.job_context import Effect, JobContext

KIND = "index_messages"
_EVERY_S = 5.0
# Well within the time of a job; the next one goes on.
_JOB_S = 120.0
# Others read and write meanwhile.
_PAUSE_S = 0.02


async def index_messages(context: JobContext, _job: ClaimedJob) -> Effect:
    """Index messages that were written before searches were, until there are none or the job's time is over."""
    indexed, ends_at = 0, asyncio.get_running_loop().time() + _JOB_S
    while asyncio.get_running_loop().time() < ends_at:
        count = await context.database.write(search_index.fill, long=True)
        if not count:
            break
        indexed += count
        await asyncio.sleep(_PAUSE_S)
    result: JsonObject = {"messages": indexed}
    return lambda _connection: result


def search_tasks(database: Database, wake: Callable[[Sequence[str]], None]) -> list[PeriodicTask]:
    """The periodic task that tends the index, and requests the job where messages are missing in it."""

    async def tend() -> None:
        if await database.read(search_index.has_to_be_tended):
            claims = database.dialect != "sqlite"  # which has one process that does this
            more = await database.write(partial(_tend, claims=claims), long=True)
            while more:
                await asyncio.sleep(_PAUSE_S)
                more = await database.write(search_index.tend, long=True)
        if await database.read(search_index.is_incomplete):
            job_id = await database.write(_request)
            if job_id is not None:
                wake([job_id])

    return [PeriodicTask(_EVERY_S, tend)]


def _tend(connection: Connection, *, claims: bool) -> bool:
    if claims and not processes.claim_periodic_task(connection, "search", every_s=_EVERY_S):
        return False
    return search_index.tend(connection)


def _request(connection: Connection) -> str | None:
    """The id of the job, where it is due: of all processes that ask, one gets it."""
    if not processes.claim_periodic_task(connection, KIND, every_s=_EVERY_S):
        return None
    if (waiting := jobs.find_open(connection, KIND, KIND)) is not None:
        return str(waiting["id"])
    return jobs.request(connection, None, KIND, KIND)
