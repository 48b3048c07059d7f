"""What users use on all replicas together: how many requests they send, and how many streams they have open.

No request waits for Redis. Each process counts by itself, and tells the others over the bus what it has counted, a
twentieth of a second later. So a limit is passed by what a user sends to several replicas within that time, and no
more: what was let in too much is paid for by what is refused after it. Without Redis, or while it is away, each process
counts for itself.

What a process tells of its open streams counts as long as it is heard: it says every five seconds that it is alive.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from ai_agents.bus.base import Bus
from ai_agents.core.ids import new_id

SHARE_AFTER_S = 0.05
ALIVE_EVERY_S = 5.0
# A process that was not heard for so long has no streams any more.
FORGET_AFTER_S = 15.0
# Users in one message.
_MOST_USERS = 1_000
Amounts = dict[str, float]


class SharedRates:
    """What this process knows of one kind of requests. `take` counts what others counted.

    `spent` are the seconds of the limit that users spent here and the others were not told of yet.
    """

    def __init__(self, take: Callable[[str, float], None], left: Callable[[], Mapping[str, float]]) -> None:
        self.take = take
        self.left = left
        self.spent: defaultdict[str, float] = defaultdict(float)


class StreamsElsewhere:
    """The open streams of other processes, by user."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._processes: dict[str, Amounts] = {}
        self._heard: dict[str, float] = {}

    def of(self, user_id: str) -> int:
        """How many streams the user has there."""
        if not self._processes:
            return 0
        return int(sum(counts.get(user_id, 0) for counts in self._processes.values()))

    def hear(self, process: str) -> bool:
        """The process is alive. Returns whether it is new here."""
        is_new = process not in self._heard
        self._heard[process] = self._clock()
        return is_new

    def take(self, process: str, counts: Mapping[str, float], *, whole: bool) -> None:
        """Take how many streams users have in a process; with `whole`, others have none there."""
        known = self._processes.setdefault(process, {})
        if whole:
            known.clear()
        known.update(counts)
        for user_id in [name for name, count in counts.items() if count <= 0]:
            known.pop(user_id, None)

    def forget(self, process: str) -> None:
        """The process has ended."""
        self._processes.pop(process, None)
        self._heard.pop(process, None)

    def forget_silent(self) -> None:
        """Forget processes that were not heard for a while."""
        limit = self._clock() - FORGET_AFTER_S
        for process in [name for name, heard in self._heard.items() if heard < limit]:
            self.forget(process)


class SharedUsage:
    """Tells other processes what users use here, and counts what they use there.

    `own_streams` gives the open streams of this process by user.
    """

    def __init__(
        self,
        bus: Bus,
        rates: Mapping[str, SharedRates],
        elsewhere: StreamsElsewhere,
        own_streams: Callable[[], Mapping[str, int]],
    ) -> None:
        self._bus = bus
        self._rates = rates
        self._elsewhere = elsewhere
        self._own_streams = own_streams
        self._id = new_id()
        self._changed: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._greets_again = False

    def open(self) -> None:
        """Begin to tell and to hear, if there are other processes at all."""
        if self._bus.is_shared:
            self._bus.listen_usage(self._hear)
            self._bus.listen_connected(self._on_connected)
            self._task = asyncio.create_task(self._keep_alive(), name="shared-usage")
            self._greet()

    async def close(self) -> None:
        """Give the streams of this process back at once."""
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            self._tell({"gone": True})

    def note_spent(self, kind: str, user_id: str, seconds: float) -> None:
        """A request of this kind was let in, which costs so many seconds of the user's limit."""
        if self._task is not None:
            self._rates[kind].spent[user_id] += seconds
            self._schedule()

    def note_streams(self, user_id: str) -> None:
        """The number of the user's open streams has changed."""
        if self._task is not None:
            self._changed.add(user_id)
            self._schedule()

    # Telling.

    def _schedule(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SHARE_AFTER_S, self._share)

    def _share(self) -> None:
        self._timer = None
        for kind, rates in self._rates.items():
            spent = dict(rates.spent)
            rates.spent.clear()
            for part in _parts(spent):
                self._tell({"spent": {kind: part}})
        changed, own = self._changed, self._own_streams()
        self._changed = set()
        for part in _parts({user_id: float(own.get(user_id, 0)) for user_id in changed}):
            self._tell({"streams": part})

    def _on_connected(self) -> None:
        self._greet()
        # The bus may hear again before it can tell.
        self._greets_again = True

    def _greet(self) -> None:
        """Tell all of this process, and ask the others for the same: something may have been missed, or all."""
        self._tell_all()
        self._tell({"hello": True})

    def _tell_all(self) -> None:
        self._tell({"whole": True, "streams": {}})
        for part in _parts({user_id: float(count) for user_id, count in self._own_streams().items()}):
            self._tell({"streams": part})
        for kind, rates in self._rates.items():
            for part in _parts(rates.left()):
                self._tell({"left": {kind: part}})

    def _tell(self, facts: Mapping[str, Any]) -> None:
        self._bus.tell_usage({"process": self._id, **facts})

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(ALIVE_EVERY_S)
            self._elsewhere.forget_silent()
            if self._greets_again:
                self._greets_again = False
                self._greet()
            else:
                self._tell({})

    # Hearing.

    def _hear(self, facts: Mapping[str, Any]) -> None:
        """Take what another process tells. What is not understood is left out."""
        process = facts.get("process")
        if not isinstance(process, str) or process == self._id:
            return
        if facts.get("gone") is True:
            self._elsewhere.forget(process)
            return
        if self._elsewhere.hear(process):
            # It may have missed what was told here, as this process has missed what it told.
            self._greets_again = True
        if "streams" in facts:
            self._elsewhere.take(process, _amounts(facts["streams"]), whole=facts.get("whole") is True)
        for kind, rates in self._rates.items():
            for user_id, seconds in _amounts(_of(facts.get("spent"), kind)).items():
                rates.take(user_id, seconds)
            known = rates.left() if "left" in facts else {}
            for user_id, seconds in _amounts(_of(facts.get("left"), kind)).items():
                rates.take(user_id, max(0.0, seconds - known.get(user_id, 0.0)))
        if facts.get("hello") is True:
            self._tell_all()


def _parts(amounts: Mapping[str, float]) -> Iterator[Amounts]:
    """The amounts, in messages of a bounded size."""
    items = iter(amounts.items())
    while part := dict(islice(items, _MOST_USERS)):
        yield part


def _of(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, Mapping) else None


def _amounts(value: Any) -> Amounts:
    """What is an amount of a user in a message."""
    if not isinstance(value, Mapping):
        return {}
    return {str(name): float(each) for name, each in value.items() if type(each) in (int, float) and 0 <= each < 1e6}
