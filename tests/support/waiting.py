"""Waiting for what happens without a signal: in another program, or in a task that is not awaited."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

from tests.support.processes import PATIENCE_S, POLL_S

T = TypeVar("T")


@overload
async def eventually(look: Callable[[], Awaitable[T]], *, what: str = ..., timeout_s: float = ...) -> T: ...
@overload
async def eventually(look: Callable[[], T], *, what: str = ..., timeout_s: float = ...) -> T: ...
async def eventually(look: Callable[[], Any], *, what: str = "it", timeout_s: float = PATIENCE_S) -> Any:
    """The result of `look`, polled until it is true. Raises `AssertionError`, naming `what`, after `timeout_s`."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    while True:
        found = look()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return found
        assert loop.time() < deadline, f"waited {timeout_s:g} s for {what}"
        await asyncio.sleep(POLL_S)
