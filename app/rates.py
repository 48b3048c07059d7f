"""How many requests each user may send in a minute."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from math import ceil

from ai_agents.auth.limits import Limits
from ai_agents.core.ids import format_time
from ai_agents.core.limits import LimitUse
from app.errors import RateLimited
from app.services.identity import Principal

# Requests are counted per user over this time.
_WINDOW_S = 60.0
# Users who sent nothing for a minute have their full burst again and can be forgotten.
_TIDY_ABOVE = 10_000


class RequestRates:
    """The generic cell rate algorithm. It keeps one number per user: the time until which their requests are paid for.

    A user without a limit is not counted. Admins have none by default: operators' tools must work when the service is
    busiest.
    """

    def __init__(self, limits: Limits, *, clock: Callable[[], float] = time.monotonic) -> None:
        # Is called with the user and the seconds of the limit that a request costs.
        self.on_spent: Callable[[str, float], None] = lambda _user_id, _seconds: None
        self._limits = limits
        self._clock = clock
        self._paid_until: dict[str, float] = {}

    def check(self, user: Principal) -> None:
        """Count a request of the user. Raises `RateLimited`, which says when the next request is admitted."""
        per_minute = self._limits.of(user.user_id, is_admin=user.is_admin)["requests_per_minute"]
        if per_minute is None:
            return
        interval_s = _WINDOW_S / per_minute
        now = self._clock()
        begin = max(self._paid_until.get(user.user_id, now), now)
        wait_s = begin + interval_s - now - _WINDOW_S
        # Sums of intervals have rounding errors, which must not cost the last request of a burst.
        if wait_s > 1e-6:
            raise RateLimited(
                f"More than {per_minute} requests in a minute, which is the limit for one user.",
                retry_after_s=ceil(wait_s),
                headers={
                    "ratelimit-policy": f'"requests";q={per_minute};w={_WINDOW_S:.0f}',
                    "ratelimit": f'"requests";r=0;t={ceil(wait_s)}',
                },
            )
        self._pay(user.user_id, begin + interval_s)
        self.on_spent(user.user_id, interval_s)

    def take(self, user_id: str, seconds: float) -> None:
        """Count what the user spent of the limit in another process."""
        now = self._clock()
        self._pay(user_id, max(self._paid_until.get(user_id, now), now) + seconds)

    def left(self) -> dict[str, float]:
        """The seconds of the limit that each user has spent and that are not over."""
        now = self._clock()
        return {name: paid_until - now for name, paid_until in self._paid_until.items() if paid_until > now}

    def _pay(self, user_id: str, until: float) -> None:
        self._paid_until[user_id] = until
        if len(self._paid_until) > _TIDY_ABOVE:
            now = self._clock()
            self._paid_until = {name: paid_until for name, paid_until in self._paid_until.items() if paid_until > now}

    def use_of(self, user: Principal) -> LimitUse:
        """What the user has used of a minute. As many requests as are paid for by the end are used."""
        per_minute = self._limits.of(user.user_id, is_admin=user.is_admin)["requests_per_minute"]
        if per_minute is None:
            return {"limit": None, "used": None, "resets_at": None}
        left_s = max(0.0, self._paid_until.get(user.user_id, 0.0) - self._clock())
        used = min(per_minute, ceil(left_s * per_minute / _WINDOW_S - 1e-6))
        resets_at = format_time(datetime.now(UTC) + timedelta(seconds=left_s)) if used else None
        return {"limit": per_minute, "used": used, "resets_at": resets_at}
