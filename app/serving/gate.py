"""The gate of the server: what a connection may cost before its client is known.

One timer looks after all connections. Connections that wait for the same thing stand in one queue, in the order in
which their time is up, so that each look costs only what is due. Nothing here has a task or a timer per connection.
"""

import asyncio
import errno
import os
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import structlog

from app.serving.memory import give_back_memory

# A look takes so many of each queue; more come within the next hundredth of a second, and requests in between.
_AT_ONCE = 200
_SOON_S = 0.01
# What is refused is one line of the log in this time.
_LOG_EVERY_S = 10
# So many refusals are an attack. When it has been over for so long, what it took is given back to the system: buffers
# that are freed in any order leave holes in the heap, which stay otherwise.
_ATTACK, _OVER_S = 100, 20
# Connections that make room at each look while no descriptor is left.
_ROOM_AT_ONCE = 16
log: structlog.typing.FilteringBoundLogger = structlog.get_logger("app")


@dataclass(frozen=True, slots=True)
class GateLimits:
    """How long a client may take, in seconds, and how much."""

    max_header_bytes: int
    connections: int
    # Places beyond them for requests that are refused, or that ask for the service's health.
    beyond: int
    head_s: float = 10
    # Of a body at least `least_rate` bytes a second arrive in each window.
    body_window_s: float = 10
    least_rate: int = 1024
    # Longer than proxies keep idle connections, so that the proxy closes them.
    idle_s: float = 65
    # What is left of an answer is taken at the same rate.
    sending_window_s: float = 60
    # A client that was refused may still be sending; if its bytes were not read, it would not see the answer.
    linger_s: float = 2
    look_every_s: float = 1


class Connection(Protocol):
    """What the gate does with a connection when its time is up."""

    queue: "Queue | None"

    def end_head(self) -> None:
        """The head of its request is not complete in time."""

    def check_body(self) -> None:
        """A window of its body is over."""

    def end_idle(self) -> None:
        """It has been idle for too long, or others need its place."""

    def check_sending(self) -> None:
        """A window is over in which it had not taken all of its answer."""

    def turn_away(self) -> None:
        """It came when there was no place, and has asked for nothing yet."""

    def abort(self) -> None:
        """Cut it."""


class Queue:
    """Connections that wait for equally long, so that the first is always the next whose time is up."""

    def __init__(self, wait_s: float, on_due: Callable[[Connection], None]) -> None:
        self.wait_s = wait_s
        self.on_due = on_due
        # Ordered dictionaries find their first entry at once, however many were removed before it; a dict does not.
        self._since: OrderedDict[Connection, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._since)

    def add(self, connection: Connection, now: float) -> None:
        """Let it wait from now on."""
        self._since[connection] = now
        self._since.move_to_end(connection)

    def discard(self, connection: Connection) -> None:
        """It waits no longer."""
        self._since.pop(connection, None)

    def take_due(self, now: float, waited_s: float) -> Connection | None:
        """The connection that has waited longest, if that is for so many seconds. It waits no longer."""
        if not self._since:
            return None
        connection, since = next(iter(self._since.items()))
        if now - since < waited_s:
            return None
        del self._since[connection]
        return connection


class Gate:
    """All connections of a server: how many there may be, and how long each may take."""

    def __init__(self, limits: GateLimits) -> None:
        self.limits = limits
        # Stands still while the event loop is held up: what clients sent meanwhile is only late here.
        self.clock = 0.0
        self.heads = Queue(limits.head_s, lambda connection: connection.end_head())
        self.bodies = Queue(limits.body_window_s, lambda connection: connection.check_body())
        # Bodies whose request is answered.
        self.rests = Queue(limits.body_window_s, lambda connection: connection.abort())
        self.idle = Queue(limits.idle_s, lambda connection: connection.end_idle())
        self.leaving = Queue(limits.linger_s, lambda connection: connection.abort())
        self.beyond = Queue(limits.look_every_s, lambda connection: connection.turn_away())
        # A connection may be in this queue beside another one.
        self.sending = Queue(limits.sending_window_s, lambda connection: connection.check_sending())
        self._queues = (self.heads, self.bodies, self.rests, self.idle, self.leaving, self.beyond, self.sending)
        self._refused: Counter[str] = Counter()
        self._logged_at = -float(_LOG_EVERY_S)
        self._refused_at = 0.0
        self._refused_in_all = 0
        self._looked_at = 0.0
        self._listening = -1
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None

    def open(self, listening: int) -> None:
        """Begin to look after connections. `listening` is the descriptor of the socket that they come from."""
        self._loop = asyncio.get_running_loop()
        self._listening = listening
        self._looked_at = self._loop.time()
        self._timer = self._loop.call_later(self.limits.look_every_s, self._look)

    def close(self) -> None:
        """Look no longer."""
        if self._timer is not None:
            self._timer.cancel()
        self._log_refused()

    def note(self, code: str) -> None:
        """Count what was refused, for the log."""
        self._refused[code] += 1
        self._refused_at = self.clock
        self._refused_in_all += 1

    def has_room(self, connections: int) -> bool:
        """Whether one of so many connections may stay. Another one goes for it if there is one that asks nothing."""
        return connections - len(self.beyond) <= self.limits.connections or self._make_room()

    def has_place_beyond(self) -> bool:
        """Whether a connection that cannot stay may still say what it wants."""
        return len(self.beyond) + len(self.leaving) < self.limits.beyond

    def _make_room(self) -> bool:
        """End the connection that has asked for nothing for longest, of the kind of which there are most.

        So clients that fill the places lose them first: half-open requests go before the connections of users that
        rest between two requests, or the other way round.
        """
        queue = self.leaving or max(self.rests, self.heads, self.idle, key=len)
        connection = queue.take_due(self.clock, 0)
        if connection is None:
            return False
        connection.queue = None
        self.note("made_room")
        (connection.end_idle if queue is self.idle else connection.abort)()
        return True

    def _look(self) -> None:
        assert self._loop is not None  # noqa: S101  # set before the first look
        now = self._loop.time()
        # A look that comes late says that the event loop was held up.
        self.clock += min(now - self._looked_at, 2 * self.limits.look_every_s)
        self._looked_at = now
        next_s = self.limits.look_every_s
        try:
            are_more = [self._end_due(queue) for queue in self._queues]
            if any(are_more):
                next_s = _SOON_S
            self._check_descriptors()
            if self._refused and self.clock - self._logged_at >= _LOG_EVERY_S:
                self._log_refused()
            if self._refused_in_all >= _ATTACK and self.clock - self._refused_at >= _OVER_S:
                self._refused_in_all = 0
                self._loop.run_in_executor(None, give_back_memory)
        finally:
            self._timer = self._loop.call_later(next_s, self._look)

    def _end_due(self, queue: Queue) -> bool:
        """End what is due in this queue. Whether there may be more of it."""
        # The clock is as old as the last look, so that one look is added to each wait.
        waited_s = queue.wait_s + self.limits.look_every_s
        for _ in range(_AT_ONCE):
            connection = queue.take_due(self.clock, waited_s)
            if connection is None:
                return False
            if queue is not self.sending:
                connection.queue = None
            queue.on_due(connection)
        return True

    def _check_descriptors(self) -> None:
        """Find out whether the process has any descriptor left: libuv closes new connections silently if not."""
        try:
            os.close(os.dup(self._listening))
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                return  # it is closed: the process stops
            self.note("no_descriptors")
            for _ in range(_ROOM_AT_ONCE):
                self._make_room()

    def _log_refused(self) -> None:
        if self._refused:
            log.warning("connections and requests refused at the door", **self._refused)
            self._refused.clear()
            self._logged_at = self.clock
