"""Tries a request again before its first token. After the first token nothing here asks again."""

import asyncio
from collections.abc import Awaitable, Callable
from random import random
from time import monotonic
from typing import TypeVar

from ai_agents.core.exceptions import ProviderError, UnknownFinishReason

T = TypeVar("T")

# For a longer wait it is better to ask another provider, or to give the caller `retry_after_s`.
MAX_RETRY_AFTER_S = 20.0
# All tries together. The fallbacks have what is left of the run's patience.
MAX_TOTAL_S = 60.0
_FIRST_BACKOFF_S = 0.5
_MAX_BACKOFF_S = 8.0


async def with_retries(attempt: Callable[[float], Awaitable[T]], *, retries: int, within_s: float) -> T:
    """The result of `attempt`, which is tried up to `retries` more times after retryable errors.

    Each try gets the seconds that are left of `within_s`; none begins later. Raises the last error.
    """
    deadline = monotonic() + within_s
    before: ProviderError | None = None
    for tried in range(retries + 1):
        try:
            return await attempt(max(0.0, deadline - monotonic()))
        except ProviderError as error:
            delay = retry_delay_s(error, tried=tried)
            if delay is None or tried == retries or monotonic() + delay > deadline or ends_again(before, error):
                raise
            before = error
            await asyncio.sleep(delay)
    raise AssertionError("the last try returns or raises")


def ends_again(before: ProviderError | None, error: ProviderError) -> bool:
    """Whether two answers running ended with the same unknown reason: a third one would, too."""
    return (
        isinstance(before, UnknownFinishReason)
        and isinstance(error, UnknownFinishReason)
        and before.finish_reason == error.finish_reason
    )


def retry_delay_s(error: ProviderError, *, tried: int) -> float | None:
    """Seconds to wait before the next try: as the provider asks, or doubling with jitter. None: do not try again."""
    if not error.retryable:
        return None
    if error.retry_after_s is not None:
        return error.retry_after_s if error.retry_after_s <= MAX_RETRY_AFTER_S else None
    return min(_FIRST_BACKOFF_S * 2.0**tried, _MAX_BACKOFF_S) * (1 - 0.25 * random())  # noqa: S311  # spreads retries
