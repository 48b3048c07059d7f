"""`ai-agents jobs`: background jobs."""

import argparse
from typing import TYPE_CHECKING

from app.commands.command import Command, CommandFailed, Group
from app.commands.opening import read_settings, require_schema, with_database
from app.commands.options import add_json
from app.commands.terminal import print_json, print_listed

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ai_agents.core.rows import Job
    from ai_agents.store.database import Database


_COLUMNS = ("id", "status", "kind", "attempts", "created_at", "error")


def _list(arguments: argparse.Namespace) -> None:
    settings = read_settings()
    require_schema(settings)
    found = with_database(settings, _open_jobs)
    print_listed(found, _COLUMNS, as_json=arguments.json, empty="No job has failed, runs or waits.")


async def _open_jobs(database: "Database") -> "list[Job]":
    """The newest jobs that failed, run or are queued."""
    from ai_agents.store.jobs import JobStore

    store = JobStore(database)
    pages = [await store.list(status=status, limit=100) for status in ("failed", "running", "queued")]
    return [job for page in pages for job in page["data"]]


def _add_show(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", help="its id, as `ai-agents jobs list` and the answer to an erasure say it")


def _show(arguments: argparse.Namespace) -> None:
    from ai_agents.core.exceptions import JobNotFound
    from ai_agents.store.jobs import JobStore

    settings = read_settings()
    require_schema(settings)
    try:
        print_json(with_database(settings, lambda database: JobStore(database).get(arguments.job)))
    except JobNotFound:
        raise CommandFailed(f"There is no job {arguments.job}.") from None


def _add_retry(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", nargs="*", help="their ids; without any, all failed jobs")


def _retry(arguments: argparse.Namespace) -> None:
    from ai_agents.store import jobs

    def retry(connection: "Connection") -> int:
        job_ids = arguments.job or jobs.list_failed(connection)
        for job_id in job_ids:
            jobs.retry(connection, job_id, send_now=False)
        return len(job_ids)

    settings = read_settings()
    require_schema(settings)
    retried = with_database(settings, lambda database: database.write(retry))
    print(f"{retried} to be done again.")


JOBS = Group(
    "jobs",
    "Background jobs.",
    [
        Command(
            "list",
            "Jobs that failed or wait, and why.",
            _list,
            add_json,
            place="database",
            examples=("ai-agents jobs list", "ai-agents jobs list --json"),
        ),
        Command(
            "show",
            "One job with its result, as JSON.",
            _show,
            _add_show,
            place="database",
            examples=("ai-agents jobs show 01a206ba-da91-7460-b9a9-ac8706ae2953",),
        ),
        Command(
            "retry",
            "Start failed jobs again.",
            _retry,
            _add_retry,
            place="database",
            examples=("ai-agents jobs retry", "ai-agents jobs retry 01a206ba-da91-7460-b9a9-ac8706ae2953"),
        ),
    ],
)
