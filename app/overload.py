"""Notices that this process has more work than it can do, and refuses new requests rather than answer all too late.

Two signs tell of it. One is how many requests are in hand: they wait for this process, and not for a model or for their
client. The other is the delay of the event loop's own timers. A loop with too much work does not fail: each of its
turns takes longer, and a request needs many turns, so that all become slow until clients give up and ask again.
"""

import asyncio
import time
from collections.abc import Callable
from typing import NoReturn

import structlog
from starlette.types import Scope

from ai_agents.core.exceptions import Overloaded
from app.metrics import EVENT_LOOP_LAG

# A timer that is later than this says that a request, which needs ten turns and more, takes seconds.
LATE_S = 0.5
# One long stop is no overload: timers are late again and again, and none is on time for so long.
_LATE_PROBES = 2
_LATE_FOR_S = 1.0
# Requests in hand and open streams. With fewer it is no crowd that makes the loop late: the machine is busy with
# something else, and to refuse the next request would help none.
_FEWEST = 32
# A process that took less processor time than this while a timer was late was not busy: it was stopped.
_BUSY_SHARE = 0.02
_PROBE_EVERY_S = 0.1
_TELL_EVERY_S = 10.0
# The share that is refused grows by this for each `LATE_S` that a timer is late. It shrinks more slowly, with each that
# is on time, so that what was just turned away does not come back all at once.
_MORE, _LESS, _MOST = 0.2, 0.02, 0.95
_RETRY_AFTER_S = 2.0
# What a process of one core takes ten seconds for.
MOST_IN_HAND = 2000
# Where the request's scope says that the request is in hand.
_IN_HAND = "in_hand"
log: structlog.typing.FilteringBoundLogger = structlog.get_logger("app")


class Overload:
    """How overloaded this process is.

    `share` of new requests is refused because the event loop is late, 0 while it is not; `in_hand` counts requests.
    """

    def __init__(
        self, *, late_s: float = LATE_S, late_for_s: float = _LATE_FOR_S, most_in_hand: int = MOST_IN_HAND
    ) -> None:
        self.share = 0.0
        self.in_hand = 0
        self.most_in_hand = most_in_hand
        self._late_s = late_s
        self._late_for_s = late_for_s
        self._late_probes = 0
        self._refused = 0
        self._told_at = -_TELL_EVERY_S
        # What adds up to whole requests.
        self._owed = 0.0
        self._on_time_at = 0.0
        self._due_at = 0.0
        self._worked_s = 0.0
        self._open_streams: Callable[[], int] = int
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None

    def open(self, open_streams: Callable[[], int]) -> None:
        """Begin to look. `open_streams` counts the streams that this process writes to."""
        self._open_streams = open_streams
        self._loop = asyncio.get_running_loop()
        self._on_time_at = self._loop.time()
        self._worked_s = time.process_time()
        self._wait()

    def close(self) -> None:
        """Look no longer, and refuse nothing."""
        if self._timer is not None:
            self._timer.cancel()
        self.share = 0.0

    def take(self, scope: Scope) -> None:
        """The request of this scope waits for this process."""
        if not scope.get(_IN_HAND):
            scope[_IN_HAND] = True
            self.in_hand += 1

    def let_go(self, scope: Scope) -> None:
        """The request waits for a model or its client, or is being answered."""
        if scope.get(_IN_HAND):
            scope[_IN_HAND] = False
            self.in_hand -= 1

    def check(self) -> None:
        """Raises `Overloaded` for a request that is not to be begun."""
        if self.in_hand > self.most_in_hand:
            self._refuse()
        if self.share:
            self._owed += self.share
            if self._owed >= 1:
                self._owed -= 1
                self._refuse()

    def _refuse(self) -> NoReturn:
        self._refused += 1
        detail = "This process has more work than it can do now; the request was not begun."
        raise Overloaded(detail, retry_after_s=_RETRY_AFTER_S)

    def _wait(self) -> None:
        assert self._loop is not None  # noqa: S101  # set by `open`
        self._due_at = self._loop.time() + _PROBE_EVERY_S
        self._timer = self._loop.call_at(self._due_at, self._probe)

    def _probe(self) -> None:
        assert self._loop is not None  # noqa: S101  # as above
        now = self._loop.time()
        late_s = now - self._due_at
        EVENT_LOOP_LAG.observe(max(0.0, late_s))
        worked_s = time.process_time() - self._worked_s
        self._worked_s += worked_s
        self._wait()
        is_crowded = self.in_hand + self._open_streams() >= _FEWEST
        if late_s < self._late_s or worked_s < _BUSY_SHARE * late_s or not is_crowded:
            self._late_probes = 0
            self._on_time_at = now
            self.share = 0.0 if self.share < _LESS else self.share - _LESS
        else:
            self._late_probes += 1
        if self._late_probes >= _LATE_PROBES and now - self._on_time_at >= self._late_for_s:
            self.share = min(_MOST, self.share + _MORE * late_s / self._late_s)
        self._tell(now, late_s)

    def _tell(self, now: float, late_s: float) -> None:
        """Log what was refused since the last line, at most one line in ten seconds."""
        if self._refused and now - self._told_at >= _TELL_EVERY_S:
            log.warning(
                "overloaded: new requests are refused",
                refused=self._refused,
                in_hand=self.in_hand,
                late_s=round(late_s, 2),
            )
            self._refused = 0
            self._told_at = now
