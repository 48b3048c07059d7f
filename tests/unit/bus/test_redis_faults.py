"""Two replicas on a Redis that is flushed, cut off, stopped, killed or full: nothing fails, and no text is lost."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import redis

from tests.support.processes import send_signal
from tests.support.redis_server import RedisServer
from tests.support.stopwatch import Stopwatch
from tests.support.waiting import eventually
from tests.unit.bus.replicas import Follower, Replica, Writer
from tests.unit.bus.threads import row, text_of


@pytest.fixture
def server(server_directory: Path) -> Iterator[RedisServer]:
    """A Redis for this test alone, which stops, kills or fills it."""
    server = RedisServer(server_directory / "redis")
    server.start()
    yield server
    send_signal(server.pid, signal.SIGCONT)
    server.kill()


@pytest.fixture
async def replicas(server: RedisServer) -> AsyncIterator[tuple[Replica, Replica]]:
    """Two that are connected."""
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(Replica(server.url))
        other = await stack.enter_async_context(Replica(server.url))
        yield one, other


async def begun(one: Replica, other: Replica) -> tuple[Writer, Follower]:
    """A message that one replica writes and the other follows."""
    writer, follower = one.write(), other.read()
    writer.say("before ")
    await follower.has(writer)
    return writer, follower


async def test_a_flush_during_a_stream_loses_nothing(replicas: tuple[Replica, Replica], server: RedisServer) -> None:
    one, other = replicas
    writer, follower = await begun(one, other)
    server.flush()
    writer.say("after")
    await follower.has(writer)
    assert follower.channel.live
    async with Replica(server.url) as third:
        await third.read().has(writer)


async def test_a_flush_during_silence_loses_nothing(replicas: tuple[Replica, Replica], server: RedisServer) -> None:
    one, other = replicas
    writer, _ = await begun(one, other)
    server.flush()
    async with Replica(server.url) as third:
        await third.read().has(writer)


async def test_forgotten_scripts_are_sent_again(replicas: tuple[Replica, Replica], server: RedisServer) -> None:
    writer, follower = await begun(*replicas)
    with redis.Redis(port=server.port) as client:
        client.script_flush()
    writer.say("after")
    await follower.has(writer)


@pytest.mark.parametrize("kind", ["pubsub", "normal"])
async def test_connections_are_made_again(replicas: tuple[Replica, Replica], server: RedisServer, kind: str) -> None:
    one, other = replicas
    writer, follower = await begun(one, other)
    for _ in range(3):
        missed = follower.channel.missed
        with redis.Redis(port=server.port) as client:
            client.client_kill_filter(_type=kind, skipme=True)
        writer.say("more ")
        one.bus.publish([row(2)])
        if kind == "pubsub":
            await eventually(lambda missed=missed: follower.channel.missed > missed, what="another look at the log")  # type: ignore[misc]  # a bound value
        await follower.is_live()
        await follower.has(writer)


async def test_a_restart_in_mid_stream_is_bridged(replicas: tuple[Replica, Replica], server: RedisServer) -> None:
    one, other = replicas
    writer, follower = await begun(one, other)
    missed = follower.channel.missed
    server.stop()
    await follower.is_cut_off()
    assert writer.channel.live
    writer.say("meanwhile ")
    one.bus.publish([row(2)])
    server.start()
    await follower.has(writer)
    await follower.is_live()
    assert follower.channel.missed > missed
    writer.say("after")
    await follower.has(writer)


async def test_readers_look_after_a_failed_publish(replicas: tuple[Replica, Replica], server: RedisServer) -> None:
    """Only the writer is cut off from Redis while it publishes."""
    one, other = replicas
    follower = other.read()
    await follower.is_heard()
    missed = follower.channel.missed
    with redis.Redis(port=server.port) as client:
        client.execute_command("CLIENT PAUSE", 4000, "WRITE")
    one.bus.publish([row(1)])
    await eventually(lambda: follower.channel.missed > missed, what="a look at the log")


async def test_a_kill_under_load_loses_no_text(replicas: tuple[Replica, Replica], server: RedisServer) -> None:
    one, other = replicas
    writers = [one.write(f"thread-{number}") for number in range(50)]
    followers = [other.read(f"thread-{number}") for number in range(50)]
    for round_ in range(60):
        if round_ in (15, 40):
            server.kill()
        if round_ in (25, 50):
            server.start()
        for writer in writers:
            writer.say(f"{round_} ")
        await asyncio.sleep(0.01)
    for follower, writer in zip(followers, writers, strict=True):
        await follower.has(writer)


async def test_a_redis_that_hangs_delays_no_caller(replicas: tuple[Replica, Replica], server: RedisServer) -> None:
    one, other = replicas
    writer, follower = await begun(one, other)
    send_signal(server.pid, signal.SIGSTOP)
    slowest = 0.0
    for number in range(300):
        watch = Stopwatch()
        writer.say(f"{number} ")
        one.bus.publish([row(number + 2)])
        one.bus.request_cancel("run")
        one.bus.release(one.bus.hold(f"thread-{number}"))
        slowest = max(slowest, watch.seconds)
        await asyncio.sleep(0.001)
    await follower.is_cut_off()
    assert writer.channel.live
    assert slowest < 0.5
    send_signal(server.pid, signal.SIGCONT)
    await follower.is_live()
    await follower.has(writer)
    async with Replica(server.url) as third:
        await third.read().has(writer)


async def test_closing_does_not_wait_for_a_redis_that_hangs(server: RedisServer) -> None:
    replica = Replica(server.url)
    await replica.bus.open()
    send_signal(server.pid, signal.SIGSTOP)
    replica.write().say("text")
    watch = Stopwatch()
    await replica.bus.close()
    assert watch.seconds < 5


async def test_a_process_finds_redis_after_its_start(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    server.kill()
    async with AsyncExitStack() as stack:
        watch = Stopwatch()
        one = await stack.enter_async_context(Replica(server.url))
        other = await stack.enter_async_context(Replica(server.url))
        assert watch.seconds < 5
        assert [record.levelno for record in caplog.records if "not connected" in record.message] == [
            logging.WARNING
        ] * 2
        follower = other.read()
        assert not follower.channel.live
        writer = one.write()
        writer.say("early ")
        one.bus.publish([row(2)])
        server.start()
        await follower.is_live()
        await follower.has(writer)


async def test_an_end_during_an_outage_is_seen(replicas: tuple[Replica, Replica], server: RedisServer) -> None:
    one, other = replicas
    writer, follower = await begun(one, other)
    server.stop()
    await follower.is_cut_off()
    missed = follower.channel.missed
    one.bus.publish([row(2, "message.completed", run="run", resets=True)])
    writer.leave()
    next_writer = one.write(base_seq=2)
    next_writer.say("the next")
    server.start()
    await follower.has(next_writer)
    assert follower.channel.missed > missed
    async with Replica(server.url) as third:
        await third.read().has(next_writer)


async def test_a_full_redis_still_carries_rows_and_text(replicas: tuple[Replica, Replica], server: RedisServer) -> None:
    one, other = replicas
    writer, follower = await begun(one, other)
    with redis.Redis(port=server.port) as client:
        client.config_set("maxmemory", 1)
    writer.say("with no room ")
    await follower.has(writer)
    one.bus.publish([row(2)])
    await eventually(lambda: follower.channel.rows_after(1) == [row(2)], what="the row")
    with redis.Redis(port=server.port) as client:
        client.config_set("maxmemory", 0)
    async with Replica(server.url) as third:
        await third.read().has(writer)
    assert text_of(writer.progress) == "<text>before with no room "
