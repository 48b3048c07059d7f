"""Metrics in the text format of Prometheus."""

from datetime import UTC, datetime

from ai_agents.core.rows import JobCounts
from ai_agents.store import processes
from app.container import Container
from app.services.access import require_admin
from app.services.identity import Principal


async def render_metrics(container: Container, user: Principal, *, open_streams: int) -> str:
    """Gauges of this process, and of the jobs of all processes. Raises `PermissionDenied`."""
    require_admin(user)
    jobs = await container.jobs.count()
    workers = await container.conn.database.read(processes.count_workers)
    lines = [
        "# HELP ai_agents_jobs Background jobs by state; done ones are not counted.",
        "# TYPE ai_agents_jobs gauge",
        *(f'ai_agents_jobs{{status="{status}"}} {jobs[status]}' for status in ("queued", "running", "failed")),
        *_gauge("jobs_oldest_age_seconds", "Age of the oldest job that is not done.", _age_s(jobs)),
        *_gauge("workers", "Workers that were alive a moment ago.", workers),
        *_gauge("runs_running", "Runs that this process executes.", container.conn.executor.running),
        *_gauge("streams_open", "Event streams that this process has open.", open_streams),
        *_gauge("database_connections_in_use", "Of this process's pool.", container.conn.database.checked_out()),
    ]
    return "\n".join(lines) + "\n"


def _gauge(name: str, text: str, value: float) -> list[str]:
    name = f"ai_agents_{name}"
    return [f"# HELP {name} {text}", f"# TYPE {name} gauge", f"{name} {value:g}"]


def _age_s(jobs: JobCounts) -> float:
    made = jobs["oldest_created_at"]
    if made is None:
        return 0.0
    return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(made)).total_seconds())
