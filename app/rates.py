"""How many requests a user may send: a steady rate, with bursts of up to a minute's requests. Counted per process."""

import time
from collections.abc import Callable
from math import ceil

from app.errors import RateLimited
from app.services.identity import Principal

_WINDOW_S = 60.0
# Users who sent nothing for a minute have their full burst again and can be forgotten.
_TIDY_ABOVE = 10_000


class RequestRates:
    """The generic cell rate algorithm. It keeps one number per user: the time until which their requests are paid for.

    Admins are not counted: operators' tools must work when the service is busiest.
    """

    def __init__(self, per_minute: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._interval_s = _WINDOW_S / per_minute
        self._clock = clock
        self._paid_until: dict[str, float] = {}

    def check(self, user: Principal) -> None:
        """Count a request of the user. Raises `RateLimited`, which says when the next request is admitted."""
        if user.is_admin:
            return
        now = self._clock()
        begin = max(self._paid_until.get(user.user_id, now), now)
        wait_s = begin + self._interval_s - now - _WINDOW_S
        # Sums of intervals have rounding errors, which must not cost the last request of a burst.
        if wait_s > 1e-6:
            raise RateLimited(
                f"More than {self._per_minute} requests in a minute, which is the limit for one user.",
                retry_after_s=ceil(wait_s),
                headers={
                    "ratelimit-policy": f'"requests";q={self._per_minute};w={_WINDOW_S:.0f}',
                    "ratelimit": f'"requests";r=0;t={ceil(wait_s)}',
                },
            )
        self._paid_until[user.user_id] = begin + self._interval_s
        if len(self._paid_until) > _TIDY_ABOVE:
            self._paid_until = {name: paid_until for name, paid_until in self._paid_until.items() if paid_until > now}
