"""Requests and streams of a user count on all replicas together, over a real Redis, and for each replica without it."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ai_agents.bus.base import Bus
from ai_agents.bus.redis import RedisBus
from app import shared_usage
from app.errors import RateLimited
from app.event_streams import EventStreamResponse, OpenStreams
from app.main import share_usage
from app.rates import RequestRates
from app.services.identity import Principal
from tests.api.live import Live, serve
from tests.api.service import check_problem, make_agent, make_thread, settings_for
from tests.support.limits import limits_for_all
from tests.support.redis_server import RedisServer
from tests.support.waiting import eventually

ALICE = Principal("alice", is_admin=False, token="")
PER_MINUTE, STREAMS = 600, 50
# Streams are only counted here.
NO_READER: Any = None


class Replica:
    """What a process of the service counts with."""

    def __init__(self, bus: Bus) -> None:
        limits = limits_for_all({"requests_per_minute": PER_MINUTE, "streams": STREAMS})
        self.bus = bus
        self.rates, self.streams = RequestRates(limits), OpenStreams(limits)
        kinds = {"requests": self.rates, "repeats": RequestRates(limits)}
        self.usage = share_usage(bus, self.streams, kinds)

    def takes(self) -> bool:
        """Whether a request of Alice's is let in."""
        try:
            self.rates.check(ALICE)
        except RateLimited:
            return False
        return True

    def may_stream(self) -> bool:
        try:
            self.streams.check(ALICE)
        except RateLimited:
            return False
        return True

    def open_stream(self) -> EventStreamResponse[Any]:
        stream = EventStreamResponse(NO_READER, user=ALICE, streams=self.streams)
        self.streams.add(stream)
        return stream

    async def die(self) -> None:
        """End as a killed process does: nothing is said to the others."""
        self.usage._bus = Bus()
        await self.usage.close()


@asynccontextmanager
async def replica(url: str) -> AsyncIterator[Replica]:
    bus = RedisBus(url)
    await bus.open()
    opened = Replica(bus)
    try:
        yield opened
    finally:
        await opened.usage.close()
        await bus.close()


@pytest.fixture
async def both(redis_server: RedisServer) -> AsyncIterator[tuple[Replica, Replica]]:
    async with replica(redis_server.url) as one, replica(redis_server.url) as other:
        yield one, other


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes say more often that they are alive, and are given up sooner."""
    monkeypatch.setattr(shared_usage, "ALIVE_EVERY_S", 0.1)
    monkeypatch.setattr(shared_usage, "FORGET_AFTER_S", 0.5)


@pytest.fixture
def own_server(server_directory: Path) -> Iterator[RedisServer]:
    """A Redis for this test alone."""
    server = RedisServer(server_directory / "redis")
    server.start()
    yield server
    if server.is_running:
        server.kill()


async def test_a_limit_of_requests_holds_for_all_replicas_together(both: tuple[Replica, Replica]) -> None:
    began, sent, taken = time.monotonic(), 0, 0
    while sent < 2 * PER_MINUTE + 100:
        taken += both[sent % 2].takes()
        sent += 1
        await asyncio.sleep(0.001)
    elapsed_s = time.monotonic() - began

    # At the steady rate, and what was sent to the other replica in the tenth of a second before it was told.
    untold = 0.1 * sent / elapsed_s
    assert PER_MINUTE <= taken <= PER_MINUTE + elapsed_s * PER_MINUTE / 60 + untold
    # What was let in too much is paid for: both refuse until then, and say so.
    for each in both:
        with pytest.raises(RateLimited) as refused:
            each.rates.check(ALICE)
        assert 1 <= int(refused.value.headers["ratelimit"].rpartition("=")[2]) <= 1 + untold * 60 / PER_MINUTE


async def test_a_replica_that_comes_later_knows_what_was_spent_and_opened(redis_server: RedisServer) -> None:
    async with replica(redis_server.url) as one:
        assert all(one.takes() for _ in range(PER_MINUTE))
        opened = [one.open_stream() for _ in range(STREAMS)]
        async with replica(redis_server.url) as other:
            await eventually(lambda: not other.takes() and not other.may_stream(), what="the other to know")
            one.streams.discard(opened[0])
            await eventually(other.may_stream, what="the stream to be given back")


async def test_streams_count_together_and_those_of_a_dead_replica_are_given_back(
    hasty: None, redis_server: RedisServer
) -> None:
    async with replica(redis_server.url) as one, replica(redis_server.url) as other:
        for _ in range(STREAMS // 2):
            one.open_stream()
            other.open_stream()
        await eventually(lambda: not one.may_stream() and not other.may_stream(), what="both to refuse")
        await asyncio.sleep(1)  # as long as a replica is alive, its streams count
        assert not one.may_stream()

        await other.die()

        await eventually(one.may_stream, what="the dead one's streams to be given back", timeout_s=5)
        for _ in range(STREAMS - STREAMS // 2):
            assert one.may_stream()
            one.open_stream()
        assert not one.may_stream()


async def test_a_replica_that_stops_gives_its_streams_back_at_once(both: tuple[Replica, Replica]) -> None:
    one, other = both
    for _ in range(STREAMS):
        other.open_stream()
    await eventually(lambda: not one.may_stream(), what="the first to refuse")

    await other.usage.close()

    await eventually(one.may_stream, what="the streams to be given back", timeout_s=2)


async def test_without_redis_each_replica_counts_for_itself_and_later_together_again(
    hasty: None, own_server: RedisServer
) -> None:
    async with replica(own_server.url) as one, replica(own_server.url) as other:
        other.open_stream()
        await eventually(lambda: one.streams.elsewhere.of("alice") == 1, what="the other's stream to be known")

        own_server.kill()
        await eventually(lambda: one.streams.elsewhere.of("alice") == 0, what="the other to be given up")
        assert all(one.takes() for _ in range(PER_MINUTE))
        assert other.takes()
        for _ in range(STREAMS - 1):
            other.open_stream()
        assert one.may_stream()
        assert not other.may_stream()

        own_server.start()
        await eventually(lambda: not one.may_stream() and not other.takes(), what="both to know of each other")


async def test_what_is_not_understood_does_no_harm(both: tuple[Replica, Replica]) -> None:
    one, other = both
    odd: list[Any] = [
        {}, {"process": 1}, {"process": "x", "streams": [1]}, {"process": "x", "streams": {"alice": "many"}},
        {"process": "x", "spent": {"requests": {"alice": -5, "bob": None}}}, {"process": "x", "left": 7},
        {"process": "x", "spent": {"requests": {"alice": 1e300}}}, {"process": None, "gone": True},
    ]  # fmt: skip
    for facts in odd:
        other.bus.tell_usage(facts)
    other.open_stream()

    await eventually(lambda: one.streams.elsewhere.of("alice") == 1, what="what is understood")
    assert one.takes()


async def test_streams_of_a_user_count_on_both_services(
    postgresql_url: str, tmp_path: Path, redis_server: RedisServer
) -> None:
    settings = settings_for(
        postgresql_url, tmp_path, redis_url=redis_server.url, max_streams_per_user=4, max_requests_per_minute=1000
    )
    async with AsyncExitStack() as opened:
        lives: list[Live] = [await opened.enter_async_context(serve(settings)) for _ in range(2)]
        clients = [await live.user("alice") for live in lives]
        thread = await make_thread(clients[0], (await make_agent(clients[0], provider="echo"))["id"])
        path = f"/threads/{thread['id']}/events"
        for number in range(4):
            stream = await opened.enter_async_context(clients[number % 2].stream("GET", path))
            assert stream.status_code == 200
        for live in lives:
            await eventually(lambda: live.app.state.streams.elsewhere.of("alice") == 2, what="the other's streams")  # noqa: B023  # called at once
        for client in clients:
            check_problem(await client.get(path), 429, "rate_limited")


async def test_many_streams_that_are_opened_at_once_are_no_more_than_there_may_be(
    sqlite_url: str, tmp_path: Path
) -> None:
    async with serve(settings_for(sqlite_url, tmp_path, max_streams_per_user=3)) as live, AsyncExitStack() as opened:
        alice = await live.user("alice")
        thread = await make_thread(alice, (await make_agent(alice, provider="echo"))["id"])

        async def begin() -> int:
            stream = alice.stream("GET", f"/threads/{thread['id']}/events")
            return (await opened.enter_async_context(stream)).status_code

        answers = await asyncio.gather(*(begin() for _ in range(12)))
        assert sorted(answers) == [200] * 3 + [429] * 9
