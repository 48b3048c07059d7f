"""How busy the event loop is, and how long senders pause then."""

import asyncio
import time

import pytest

from ai_agents.bus.base import Channel, TextInProgress
from ai_agents.core.event_loop import Pressure, pressure


def _late(pressure: Pressure, seconds: float, *, times: int = 100) -> None:
    for _ in range(times):
        pressure.note(time.monotonic() - seconds)


def test_a_loop_that_keeps_up_lets_nothing_wait() -> None:
    pressure = Pressure()
    assert pressure.pause_s(1.0) == 0
    _late(pressure, 0.001)
    assert pressure.pause_s(1.0) == 0


def test_the_later_things_are_done_the_longer_text_gathers_up_to_a_bound() -> None:
    a_little, much, very = Pressure(), Pressure(), Pressure()
    _late(a_little, 0.005)
    _late(much, 0.01)
    _late(very, 10.0)
    assert 0 < a_little.pause_s(1.0) < much.pause_s(1.0) < 0.2
    assert very.pause_s(0.1) == 0.1


def test_one_late_round_among_many_in_time_is_forgotten() -> None:
    pressure = Pressure()
    _late(pressure, 0.0)
    _late(pressure, 0.02, times=1)
    _late(pressure, 0.0)
    assert pressure.pause_s(1.0) == 0


def test_what_was_long_ago_says_nothing_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    pressure = Pressure()
    _late(pressure, 0.05)
    later = time.monotonic() + 10
    monkeypatch.setattr("ai_agents.core.event_loop.time.monotonic", lambda: later)
    assert pressure.pause_s(1.0) == 0


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The event loop has fallen behind, and stays so."""
    monkeypatch.setattr(pressure, "is_late", True)
    monkeypatch.setattr(Pressure, "note", lambda _pressure, _due: None)
    monkeypatch.setattr(Pressure, "pause_s", lambda _pressure, longest_s: longest_s)


@pytest.fixture
def woken() -> list[float]:
    return []


@pytest.fixture
def channel(woken: list[float]) -> Channel:
    channel = Channel("thread")
    channel.attach(lambda: woken.append(time.monotonic()))
    return channel


async def _rounds() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


@pytest.mark.usefixtures("busy")
async def test_first_text_is_sent_at_once_on_a_busy_loop(channel: Channel, woken: list[float]) -> None:
    channel.begin(TextInProgress(run_id="run", fence=1, message_id="message", base_seq=1))
    await _rounds()
    assert len(woken) == 1
    channel.touch_text()
    await _rounds()
    assert len(woken) == 2


@pytest.mark.usefixtures("busy")
async def test_more_text_gathers_on_a_busy_loop(channel: Channel, woken: list[float]) -> None:
    channel.touch_text()
    await _rounds()
    began = time.monotonic()
    for _ in range(5):
        channel.touch_text()
        await _rounds()
    assert len(woken) == 1
    async with asyncio.timeout(60):
        while len(woken) < 2:
            await asyncio.sleep(0.001)
    assert woken[1] - began >= 0.09
    await _rounds()
    assert len(woken) == 2


@pytest.mark.usefixtures("busy")
async def test_what_lasts_does_not_wait_for_text_that_gathers(channel: Channel, woken: list[float]) -> None:
    channel.touch_text()
    await _rounds()
    channel.touch_text()
    channel.touch()
    await _rounds()
    assert len(woken) == 2
