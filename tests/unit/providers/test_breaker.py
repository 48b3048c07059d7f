"""A breaker opens after failures in a row, lets one call probe the model, and closes when that call is answered."""

import pytest

from ai_agents.core.exceptions import ProviderError, ProviderRateLimited, ProviderRejected
from ai_agents.providers.breaker import MAX_BREAKERS, MAX_OPEN_S, OPEN_S, THRESHOLD, Breaker, Breakers
from tests.support.clock import Clock

DOWN = ProviderError("down", retryable=True)


@pytest.fixture
def clock() -> Clock:
    return Clock(1000)


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(clock)


def fail(breaker: Breaker, times: int, error: ProviderError = DOWN) -> None:
    for _ in range(times):
        breaker.begin()
        breaker.fail(error)


def is_open(breaker: Breaker) -> bool:
    return breaker.is_open


def test_it_opens_after_failures_in_a_row(breaker: Breaker) -> None:
    fail(breaker, THRESHOLD - 1)
    assert not is_open(breaker)
    fail(breaker, 1)
    assert is_open(breaker)


def test_an_answer_between_failures_keeps_it_closed(breaker: Breaker) -> None:
    fail(breaker, THRESHOLD - 1)
    breaker.begin()
    breaker.succeed()
    fail(breaker, THRESHOLD - 1)
    assert not is_open(breaker)


def test_after_a_while_one_call_may_probe_the_model(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, THRESHOLD)
    clock.now += OPEN_S
    assert not is_open(breaker)
    breaker.begin()
    assert is_open(breaker)
    breaker.succeed()
    assert not is_open(breaker)


def test_a_probe_that_fails_opens_it_again_at_once(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, THRESHOLD)
    clock.now += OPEN_S
    fail(breaker, 1)
    assert is_open(breaker)
    clock.now += OPEN_S - 1
    assert is_open(breaker)


def test_after_a_cancelled_probe_the_next_call_may_probe(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, THRESHOLD)
    clock.now += OPEN_S
    breaker.begin()
    breaker.give_up()
    assert not is_open(breaker)


def test_refused_requests_do_not_open_it(breaker: Breaker) -> None:
    fail(breaker, THRESHOLD * 2, ProviderRejected("no such model"))
    assert not is_open(breaker)


@pytest.mark.parametrize("wished_s, open_s", [(60.0, 60.0), (86_400.0, MAX_OPEN_S)])
def test_a_retry_after_keeps_it_open(breaker: Breaker, clock: Clock, wished_s: float, open_s: float) -> None:
    fail(breaker, 1, ProviderRateLimited("slow down", retry_after_s=wished_s))
    clock.now += open_s - 1
    assert is_open(breaker)
    clock.now += 1
    assert not is_open(breaker)


def test_each_model_has_its_own_breaker_and_their_number_is_limited(clock: Clock) -> None:
    breakers = Breakers(clock)
    one = breakers.get("a", "m")
    assert breakers.get("a", "m") is one
    assert breakers.get("a", "n") is not one
    others = [breakers.get("a", str(number)) for number in range(MAX_BREAKERS)]
    assert breakers.get("a", str(MAX_BREAKERS - 1)) is others[-1]
    assert breakers.get("a", "m") is not one
