"""`connect`: a handle on a database whose background jobs this process carries out itself."""

from ai_agents.runner.handle import DatabaseHandle, open_handle
from ai_agents.workers.background import InProcessJobs


async def connect(
    url: str, *, redis_url: str | None = None, pool_size: int = 10, job_model: str | None = None
) -> DatabaseHandle:
    """Open a database: `sqlite:///path` or `postgresql://…`; an empty SQLite file gets its tables.

    With `redis_url` any number of processes may run agents on the database, else only this one. This process also makes
    titles and summaries, with `job_model` (`provider:model`), else with the agents' own models.
    Raises `InvalidRequest` for another kind of database, `DatabaseUnavailable` where it does not answer.
    """
    conn = await open_handle(url, redis_url=redis_url, pool_size=pool_size)
    conn.executor.background = InProcessJobs(conn.database, owner=conn.executor.owner, model=job_model)
    return conn
