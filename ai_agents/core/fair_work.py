"""Processor-heavy work: in turn, so that no user's work holds up the others.

A user has one place at a time. While others wait, the users take turns, however much each of them has waiting.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from ai_agents.core.exceptions import TooManyAtOnce

T = TypeVar("T")
P = ParamSpec("P")
# After work that holds the interpreter a thread rests for so many times as long: the event loop gets most of the time.
_REST = 2.0
_LEAST_REST_S = 0.001
_thread = threading.local()


class Places:
    """So many places, of which a user has one at a time. Users who wait get theirs in turn.

    A user who has `most_waiting` requests waiting may not add another one; None means any number. It belongs to one
    event loop.
    """

    def __init__(self, count: int, *, most_waiting: int | None = None) -> None:
        self._free = count
        self._most_waiting = most_waiting
        self._busy: set[Hashable] = set()
        # By user, who comes next first.
        self._waiting: dict[Hashable, deque[asyncio.Future[None]]] = {}

    def __len__(self) -> int:
        """How many wait."""
        return sum(map(len, self._waiting.values()))

    @asynccontextmanager
    async def place(self, user: Hashable) -> AsyncGenerator[None]:
        """Wait for a place, and hold it within the block. Raises `TooManyAtOnce`."""
        await self.take(user)
        try:
            yield
        finally:
            self.release(user)

    async def take(self, user: Hashable) -> None:
        """Wait for a place, which `release` gives back. Raises `TooManyAtOnce`."""
        queue = self._waiting.setdefault(user, deque())
        if self._most_waiting is not None and len(queue) >= self._most_waiting:
            raise TooManyAtOnce(
                f"{self._most_waiting} of your requests wait for their turn already. This kind of request takes much "
                "processor time, and is served one at a time for each user.",
                retry_after_s=1,
            )
        future = asyncio.get_running_loop().create_future()
        queue.append(future)
        self._hand_out()
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self.release(user)
            else:
                self._forget(user, future)
            raise

    def release(self, user: Hashable, *, rest_s: float = 0.0) -> None:
        """Give a place back. The user gets the next one after `rest_s` seconds at the earliest, others at once."""
        self._free += 1
        if rest_s > 0:
            asyncio.get_running_loop().call_later(rest_s, self._make_idle, user)
            self._hand_out()
        else:
            self._make_idle(user)

    def _make_idle(self, user: Hashable) -> None:
        self._busy.discard(user)
        if (queue := self._waiting.pop(user, None)) is not None:
            self._waiting[user] = queue  # behind all others
        self._hand_out()

    def _hand_out(self) -> None:
        while self._free:
            user = next((user for user in self._waiting if user not in self._busy), None)
            if user is None:
                return
            queue = self._waiting.pop(user)
            future = queue.popleft()
            if queue:
                self._waiting[user] = queue
            if future.cancelled():
                continue
            self._free -= 1
            self._busy.add(user)
            future.set_result(None)

    def _forget(self, user: Hashable, future: asyncio.Future[None]) -> None:
        queue = self._waiting.get(user)
        if queue is not None:
            with suppress(ValueError):
                queue.remove(future)
            if not queue:
                del self._waiting[user]


class FairWork:
    """Runs functions in a few threads of its own, one at a time for each user.

    How much may wait is bounded by what begins it: runs and requests.
    """

    def __init__(self, name: str, threads: int = 2) -> None:
        self._name = name
        self._threads = threads
        self._places = Places(threads)
        self._pool: ThreadPoolExecutor | None = None

    async def run(self, user: Hashable, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of the function. If the caller is cancelled, the place is free when the function has ended."""
        await self._places.take(user)
        loop = asyncio.get_running_loop()

        def give_back(_done: object) -> None:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._places.release, user)

        try:
            found = self._threads_of_its_own().submit(function, *args, **kwargs)
        except BaseException:
            self._places.release(user)
            raise
        found.add_done_callback(give_back)
        return await asyncio.wrap_future(found)

    def _threads_of_its_own(self) -> ThreadPoolExecutor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, f"ai-agents-{self._name}", initializer=_begin_thread)
        return self._pool


@dataclass(frozen=True, slots=True)
class UserWork:
    """The work of one user."""

    work: FairWork
    user: Hashable

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """See `FairWork.run`."""
        return await self.work.run(self.user, function, *args, **kwargs)


def rest_after(began: float) -> None:
    """Let the event loop go on, after work that held the interpreter since `began`, by `time.perf_counter`.

    Does nothing outside the threads of `FairWork`.
    """
    took_s = time.perf_counter() - began
    if took_s > _LEAST_REST_S and getattr(_thread, "rests", False):
        time.sleep(_REST * took_s)


def _begin_thread() -> None:
    _thread.rests = True
