"""Periodic tasks of a process: each at its own pace, one at a time. A failure of one stops none."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from ai_agents.core.exceptions import DatabaseUnavailable
from ai_agents.store.database import Database

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class PeriodicTask:
    """A task that runs every `every_s` seconds; `due_at` is the event loop's time of its next run."""

    every_s: float
    do: Callable[[], Awaitable[None]]
    due_at: float = 0.0


async def run_periodic_tasks(periodic_tasks: Sequence[PeriodicTask], hurry: asyncio.Event, database: Database) -> None:
    """Run each task when it is due, and all of them when `hurry` is set, until cancelled.

    `database` is the one that they use: where it does not answer, the log says which it is, and why.
    """
    loop = asyncio.get_running_loop()
    for task in periodic_tasks:
        task.due_at = loop.time() + task.every_s
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout_at(min(task.due_at for task in periodic_tasks)):
                await hurry.wait()
        hurried = hurry.is_set()
        hurry.clear()
        for task in periodic_tasks:
            if hurried or task.due_at <= loop.time():
                await _attempt(task, database)
                task.due_at = loop.time() + task.every_s


async def _attempt(task: PeriodicTask, database: Database) -> None:
    try:
        await task.do()
    except DatabaseUnavailable as error:
        _log.warning("database unavailable, trying again later", extra=database.explain(error))
    except Exception:  # noqa: BLE001  # the edge of a task that must not end while the process lives
        _log.exception("a task failed")


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. A lease lasts for three renewals, so that one slow renewal loses no run."""

    lease_s: float = 10.0
    renew_every_s: float = 3.0
    sweep_every_s: float = 2.0
    # Cancellations from other processes usually come over the bus; this is for when it is away.
    cancel_poll_s: float = 0.5
    # Agents may say how long their calls wait for an approval; it costs one look into a small index.
    expire_every_s: float = 2.0
    # Caches let go of what was not used for long.
    forget_every_s: float = 10.0
    # What was taken away by another process usually comes over the bus; open streams end within 15 s without it, too.
    revocations_every_s: float = 5.0
    # New entries of the audit log get their link in the chain.
    audit_every_s: float = 5.0
    # Expired keys and tickets are refused anyway; this only frees their space.
    tidy_every_s: float = 600.0


DEFAULT_TIMING = Timing()
