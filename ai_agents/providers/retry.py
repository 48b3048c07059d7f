"""Trying again before the first token. Nothing that was streamed is ever asked for twice here."""

import asyncio
from collections.abc import Awaitable, Callable
from random import random
from time import monotonic
from typing import TypeVar

from ai_agents.core.exceptions import ProviderError

T = TypeVar("T")

# A wait longer than this is better spent at another provider, or told to the caller with `retry_after_s`.
MAX_RETRY_AFTER_S = 20.0
# All tries together; what is left of patience after that belongs to the fallbacks.
MAX_TOTAL_S = 60.0
_FIRST_BACKOFF_S = 0.5
_MAX_BACKOFF_S = 8.0


async def with_retries(attempt: Callable[[float], Awaitable[T]], *, retries: int, within_s: float | None = None) -> T:
    """What `attempt` gives, tried `retries` times again where its error is retryable. Raises the last error.

    Each try is told how many of the `within_s` seconds are left (None: `MAX_TOTAL_S`); none begins after them.
    """
    deadline = monotonic() + (MAX_TOTAL_S if within_s is None else within_s)
    for tried in range(retries + 1):
        try:
            return await attempt(max(0.0, deadline - monotonic()))
        except ProviderError as error:
            delay = retry_delay_s(error, tried=tried)
            if delay is None or tried == retries or monotonic() + delay > deadline:
                raise
            await asyncio.sleep(delay)
    raise AssertionError("the last try returns or raises")


def retry_delay_s(error: ProviderError, *, tried: int) -> float | None:
    """Seconds before the next try: the provider's wish, else doubling with jitter. None if there is to be none."""
    if not error.retryable:
        return None
    if error.retry_after_s is not None:
        return error.retry_after_s if error.retry_after_s <= MAX_RETRY_AFTER_S else None
    return min(_FIRST_BACKOFF_S * 2.0**tried, _MAX_BACKOFF_S) * (1 - 0.25 * random())  # noqa: S311  # spreads retries
