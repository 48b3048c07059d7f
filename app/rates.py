"""How many requests a user may send: a steady rate with a burst of a minute's worth, counted in this process."""

import time
from collections.abc import Callable
from math import ceil

from app.container import Principal
from app.problems import RateLimited

_WINDOW_S = 60.0
# Users who have not sent anything for a minute have their whole burst again and need not be remembered.
_TIDY_ABOVE = 10_000


class RequestRates:
    """The generic cell rate algorithm: per user one number, the time at which the burst would be used up to nothing.

    An admin is not counted: operators' tools must work when the service is busiest.
    """

    def __init__(self, per_minute: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._interval_s = _WINDOW_S / per_minute
        self._clock = clock
        self._full_at: dict[str, float] = {}

    def check(self, user: Principal) -> None:
        """Count a request in. Raises `RateLimited`, which says when the next one is taken."""
        if user.is_admin:
            return
        now = self._clock()
        begin = max(self._full_at.get(user.user_id, now), now)
        wait_s = begin + self._interval_s - now - _WINDOW_S
        # Sums of intervals are off by rounding errors that would cost the last request of a burst.
        if wait_s > 1e-6:
            raise RateLimited(
                f"More than {self._per_minute} requests in a minute, which is the limit for one user.",
                retry_after_s=ceil(wait_s),
                headers={
                    "ratelimit-policy": f'"requests";q={self._per_minute};w={_WINDOW_S:.0f}',
                    "ratelimit": f'"requests";r=0;t={ceil(wait_s)}',
                },
            )
        self._full_at[user.user_id] = begin + self._interval_s
        if len(self._full_at) > _TIDY_ABOVE:
            self._full_at = {name: full_at for name, full_at in self._full_at.items() if full_at > now}
