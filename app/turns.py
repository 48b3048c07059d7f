"""Requests that take processor time: a user's are served one at a time, and users take turns.

Which routes these are is said here alone, by the dependencies that they name. A message that waits for its answer is
none, and neither is a stream: each of them costs little while it is open.
"""

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, Request
from starlette.requests import ClientDisconnect

from ai_agents.core.fair_work import Places
from app.authentication import ScopedUser
from app.services.identity import Principal

# How many are served at once. What they do on the event loop, each new step of a chat may have to wait for.
_AT_ONCE = 4
# So many more of a user's wait; the next one is refused.
_MOST_WAITING = 32
# After a long request its user's next one waits for twice as long as it took: others get most of the time.
_LONG_S, _REST, _LONGEST_REST_S = 0.02, 2.0, 1.0


class RequestTurns:
    """Lets requests in, in turn between users. Admins are not counted: their tools must work when it is busiest."""

    def __init__(self, at_once: int = _AT_ONCE) -> None:
        self._places = Places(at_once, most_waiting=_MOST_WAITING)

    def __len__(self) -> int:
        """How many requests wait."""
        return len(self._places)

    @asynccontextmanager
    async def turn(self, user: Principal) -> AsyncGenerator[None]:
        """Wait for the user's turn, which lasts as long as the block. Raises `TooManyAtOnce`."""
        if user.is_admin:
            yield
            return
        await self._places.take(user.user_id)
        began = time.monotonic()
        try:
            yield
        finally:
            took_s = time.monotonic() - began
            self._places.release(user.user_id, rest_s=min(_REST * took_s, _LONGEST_REST_S) if took_s > _LONG_S else 0.0)


class Turns:
    """The turns of an application.

    `large`: of requests that read or write much. `agents`: of those that make or change an agent. They may wait until
    patterns are compiled, and do not hold up the others.
    """

    def __init__(self) -> None:
        self.large = RequestTurns()
        self.agents = RequestTurns(at_once=1_000)


async def _large(request: Request, user: ScopedUser) -> AsyncGenerator[None]:
    """The turn of a request that reads or writes much. It ends before the answer is sent: a client may be slow."""
    async with request.app.state.turns.large.turn(user):
        await _require_client(request)
        yield


async def _agents(request: Request, user: ScopedUser) -> AsyncGenerator[None]:
    """The turn of a request that makes or changes an agent."""
    async with request.app.state.turns.agents.turn(user):
        await _require_client(request)
        yield


async def _require_client(request: Request) -> None:
    """Raises `ClientDisconnect` if the client has left while it waited: nothing is done for it then."""
    for _ in range(2):  # the first look may take the end of the request, where it has no body
        if await request.is_disconnected():
            raise ClientDisconnect


# Named last by a route, so that no turn waits for a body.
LargeTurn = Annotated[None, Depends(_large, scope="function")]
AgentTurn = Annotated[None, Depends(_agents, scope="function")]
