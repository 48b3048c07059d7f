"""Periodic tasks of a process: each at its own pace, one at a time. A failure of one stops none."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from ai_agents.core.exceptions import DatabaseUnavailable

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class PeriodicTask:
    """A task that runs every `every_s` seconds; `due_at` is the event loop's time of its next run."""

    every_s: float
    do: Callable[[], Awaitable[None]]
    due_at: float = 0.0


async def run_periodic_tasks(periodic_tasks: Sequence[PeriodicTask], hurry: asyncio.Event) -> None:
    """Run each task when it is due, and all of them when `hurry` is set, until cancelled."""
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
                await _attempt(task)
                task.due_at = loop.time() + task.every_s


async def _attempt(task: PeriodicTask) -> None:
    try:
        await task.do()
    except DatabaseUnavailable:
        _log.warning("database unavailable, trying again later")
    except Exception:  # noqa: BLE001  # the edge of a task that must not end while the process lives
        _log.exception("a task failed")
