"""Circuit breakers: a model that failed again and again is left alone for a while, where another one can be asked."""

from collections.abc import Callable
from time import monotonic

from ai_agents.core.exceptions import ProviderError, ProviderNotConfigured, ProviderRejected
from ai_agents.providers.retry import MAX_RETRY_AFTER_S

# Failed calls in a row, each of them tried several times.
THRESHOLD = 3
OPEN_S = 30.0
# A provider may ask for an hour; it is looked at again earlier.
MAX_OPEN_S = 300.0
_MAX_BREAKERS = 1000


class Breaker:
    """Of one provider's model. Closed it lets every call through, open none, and after a while one at a time."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._open_until: float | None = None
        self._probing = False

    @property
    def is_open(self) -> bool:
        """Whether a call would be in vain, as far as is known."""
        if self._open_until is None:
            return False
        return self._probing or self._clock() < self._open_until

    def begin(self) -> None:
        """A call is made; where it finds out how things are, no other one does so meanwhile."""
        self._probing = self._open_until is not None

    def succeed(self) -> None:
        """The call was answered."""
        self._failures, self._open_until, self._probing = 0, None, False

    def fail(self, error: ProviderError) -> None:
        """The call failed. What the provider refuses says nothing of how it is."""
        was_open, self._probing = self._open_until is not None, False
        if isinstance(error, ProviderRejected | ProviderNotConfigured):
            return
        self._failures += 1
        wished_s = error.retry_after_s or 0.0
        if was_open or self._failures >= THRESHOLD or wished_s > MAX_RETRY_AFTER_S:
            self._open_until = self._clock() + min(max(OPEN_S, wished_s), MAX_OPEN_S)

    def give_up(self) -> None:
        """The call ended without a verdict: whoever made it left."""
        self._probing = False


class Breakers:
    """The breakers of one process, by provider and model."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._breakers: dict[tuple[str, str], Breaker] = {}

    def get(self, provider: str, model: str) -> Breaker:
        """The breaker of this model."""
        key = (provider, model)
        breaker = self._breakers.get(key)
        if breaker is None:
            if len(self._breakers) >= _MAX_BREAKERS:
                del self._breakers[next(iter(self._breakers))]
            breaker = self._breakers[key] = Breaker(self._clock)
        return breaker
