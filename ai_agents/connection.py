"""`connect`: a handle on a database whose background jobs this process carries out itself."""

from ai_agents.core.upstream import DEFAULT_MAX_CONNECTIONS, DEFAULT_MAX_HELD_RUNS, UpstreamSlots
from ai_agents.runner.handle import DatabaseHandle, open_handle
from ai_agents.workers.background import InProcessJobs


async def connect(
    url: str,
    *,
    redis_url: str | None = None,
    pool_size: int = 10,
    job_model: str | None = None,
    max_upstream_connections: int = DEFAULT_MAX_CONNECTIONS,
    max_held_runs: int = DEFAULT_MAX_HELD_RUNS,
) -> DatabaseHandle:
    """Open a database: `sqlite:///path` or `postgresql://…`; an empty SQLite file gets its tables.

    With `redis_url` any number of processes may run agents on the database, else only this one. This process also makes
    titles and summaries, with `job_model` (`provider:model`), else with the agents' own models. It has at most
    `max_upstream_connections` runs under way; `max_held_runs` more may wait, in all processes, then `Overloaded` is
    raised.
    Raises `InvalidRequest` for another kind of database, `DatabaseUnavailable` where it does not answer.
    """
    slots = UpstreamSlots(max_upstream_connections, max_held=max_held_runs)
    conn = await open_handle(url, redis_url=redis_url, pool_size=pool_size, slots=slots)
    conn.executor.background = InProcessJobs(conn.database, owner=conn.executor.owner, model=job_model)
    return conn
