"""Places that users have in turn, and work in threads."""

import asyncio
import threading
import time

import pytest

from ai_agents.core.exceptions import TooManyAtOnce
from ai_agents.core.fair_work import FairWork, Places, rest_after


class Order:
    """Holds places until it is told to let go, and notes who got one."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self.begun: list[str] = []
        self._ends: dict[str, asyncio.Event] = {}

    def ask(self, name: str) -> asyncio.Task[None]:
        """Ask for a place; the first letter of the name is the user."""
        self._ends[name] = asyncio.Event()
        return asyncio.create_task(self._hold(name))

    async def _hold(self, name: str) -> None:
        async with self._places.place(name[0]):
            self.begun.append(name)
            await self._ends[name].wait()

    async def end(self, *names: str) -> None:
        for name in names:
            self._ends[name].set()
        await settle()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_user_has_one_place_and_those_who_wait_take_turns() -> None:
    order = Order(Places(2))
    tasks = [order.ask(name) for name in ("a1", "a2", "a3", "a4", "b1", "b2", "c1")]
    await settle()
    assert order.begun == ["a1", "b1"], "one place each, and the second user does not wait for the first one's rest"
    await order.end("a1")
    assert order.begun[2:] == ["c1"], "a third user is before the second request of the first"
    await order.end("c1", "b1")
    assert order.begun[3:] == ["a2", "b2"]
    await order.end("a2", "b2", "a3", "a4")
    assert order.begun[5:] == ["a3", "a4"]
    await asyncio.gather(*tasks)


async def test_one_who_leaves_gives_up_the_place_or_the_wait_for_it() -> None:
    order = Order(Places(1))
    first, second, third = (order.ask(name) for name in ("a1", "b1", "c1"))
    await settle()
    second.cancel()
    await settle()
    # It gets the place and leaves in the same moment.
    first.cancel()
    await asyncio.sleep(0)
    third.cancel()
    await settle()
    last = order.ask("d1")
    await settle()
    assert order.begun == ["a1", "d1"]
    await order.end("d1")
    await last


async def test_who_has_many_requests_waiting_may_not_add_more_and_others_may() -> None:
    places = Places(1, most_waiting=2)
    order = Order(places)
    tasks = [order.ask(name) for name in ("a1", "a2", "a3")]
    await settle()
    with pytest.raises(TooManyAtOnce) as refused:
        await places.take("a")
    assert (refused.value.code, refused.value.retry_after_s) == ("rate_limited", 1)
    tasks.append(order.ask("b1"))
    await settle()
    await order.end("a1", "a2", "a3", "b1")
    assert order.begun == ["a1", "b1", "a2", "a3"]
    await asyncio.gather(*tasks)


async def test_a_rest_delays_the_same_user_alone() -> None:
    places = Places(1)
    await places.take("a")
    places.release("a", rest_s=30)
    await asyncio.wait_for(places.take("b"), 1)
    places.release("b")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(places.take("a"), 0.01)


async def test_work_of_one_user_is_done_one_after_the_other_and_beside_that_of_another() -> None:
    work = FairWork("test")
    both = threading.Barrier(2, timeout=10)
    running: list[str] = []

    def alone(user: str) -> None:
        running.append(user)
        assert running.count(user) == 1
        if "b" in running:
            both.abort()
        time.sleep(0)
        running.remove(user)

    await asyncio.gather(*(work.run("a", alone, "a") for _ in range(20)))
    assert not both.broken
    await asyncio.gather(work.run("a", both.wait), work.run("b", both.wait))


async def test_the_place_of_cancelled_work_is_free_when_the_thread_has_ended() -> None:
    work = FairWork("test")
    go_on, ended = threading.Event(), threading.Event()

    def first() -> None:
        go_on.wait(10)
        ended.set()

    task = asyncio.create_task(work.run("a", first))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    second = asyncio.create_task(work.run("a", ended.is_set))
    go_on.set()
    assert await asyncio.wait_for(second, 60), "the second began only after the first"


async def test_a_thread_rests_after_what_held_the_interpreter_and_no_other_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rests: list[float] = []
    monkeypatch.setattr("ai_agents.core.fair_work.time.sleep", rests.append)
    rest_after(time.perf_counter() - 1)
    assert rests == []
    await FairWork("test").run("a", lambda: rest_after(time.perf_counter() - 1))
    assert [round(rest, 1) for rest in rests] == [2.0]
