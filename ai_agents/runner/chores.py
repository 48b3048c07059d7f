"""What a process does again and again beside its runs: each chore at its own pace, one at a time, whatever fails."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from ai_agents.core.exceptions import DatabaseUnavailable

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Chore:
    """Something to be done every `every_s` seconds; `due_at` is the loop's time of the next."""

    every_s: float
    do: Callable[[], Awaitable[None]]
    due_at: float = 0.0


async def do_chores(chores: Sequence[Chore], hurry: asyncio.Event) -> None:
    """Do each when it is due, and all of them at once when `hurry` is set, until cancelled."""
    loop = asyncio.get_running_loop()
    for chore in chores:
        chore.due_at = loop.time() + chore.every_s
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout_at(min(chore.due_at for chore in chores)):
                await hurry.wait()
        hurried = hurry.is_set()
        hurry.clear()
        for chore in chores:
            if hurried or chore.due_at <= loop.time():
                await _attempt(chore)
                chore.due_at = loop.time() + chore.every_s


async def _attempt(chore: Chore) -> None:
    try:
        await chore.do()
    except DatabaseUnavailable:
        _log.warning("database unavailable, trying again later")
    except Exception:  # noqa: BLE001  # the edge of a task that must not end while the process lives
        _log.exception("a chore failed")
