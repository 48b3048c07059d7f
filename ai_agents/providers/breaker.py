"""Circuit breakers: a model that failed several times in a row is skipped for a while, if there is another one."""

from collections.abc import Callable
from time import monotonic

from ai_agents.core.exceptions import ProviderError, ProviderNotConfigured, ProviderRejected
from ai_agents.providers.retry import MAX_RETRY_AFTER_S

# Failed calls in a row. Each of them was tried several times.
THRESHOLD = 3
OPEN_S = 30.0
# A provider may ask to wait for an hour; it is tried again earlier.
MAX_OPEN_S = 300.0
MAX_BREAKERS = 1000


class Breaker:
    """The breaker of one model. Closed, it allows every call; open, none; after a while, one call at a time."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._open_until: float | None = None
        self._probing = False

    @property
    def is_open(self) -> bool:
        """Whether a call is expected to fail."""
        if self._open_until is None:
            return False
        return self._probing or self._clock() < self._open_until

    def begin(self) -> None:
        """A call begins. On an open breaker it is the one that probes the model."""
        self._probing = self._open_until is not None

    def succeed(self) -> None:
        """The call was answered."""
        self._failures, self._open_until, self._probing = 0, None, False

    def fail(self, error: ProviderError) -> None:
        """The call failed. A refused request says nothing about the health of the model."""
        was_open, self._probing = self._open_until is not None, False
        if isinstance(error, ProviderRejected | ProviderNotConfigured):
            return
        self._failures += 1
        asked_s = error.retry_after_s or 0.0
        if was_open or self._failures >= THRESHOLD or asked_s > MAX_RETRY_AFTER_S:
            self._open_until = self._clock() + min(max(OPEN_S, asked_s), MAX_OPEN_S)

    def give_up(self) -> None:
        """The call ended without an answer or a failure, because it was cancelled."""
        self._probing = False


class Breakers:
    """The breakers of one process, by provider and model; the oldest are dropped."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._breakers: dict[tuple[str, str], Breaker] = {}

    def count_open(self) -> int:
        """How many models are skipped now."""
        return sum(each.is_open for each in self._breakers.values())

    def get(self, provider: str, model: str) -> Breaker:
        """The breaker of this model."""
        key = (provider, model)
        if key not in self._breakers:
            if len(self._breakers) >= MAX_BREAKERS:
                del self._breakers[next(iter(self._breakers))]
            self._breakers[key] = Breaker(self._clock)
        return self._breakers[key]
