"""Two replicas on one Redis: what each hears of the other."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest
import redis

from ai_agents.core.types import LogRow
from tests.support.redis_server import RedisServer
from tests.support.waiting import eventually
from tests.unit.bus.replicas import Replica
from tests.unit.bus.threads import row, text_of

THREAD_CHANNELS = "aia:0:thread:*"


@pytest.fixture
async def replicas(redis_server: RedisServer) -> AsyncIterator[tuple[Replica, Replica]]:
    """Two that are connected."""
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(Replica(redis_server.url))
        other = await stack.enter_async_context(Replica(redis_server.url))
        assert one.is_connected
        assert other.is_connected
        yield one, other


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[redis.Redis]:
    """A look into Redis from outside."""
    with redis.Redis(port=redis_server.port) as connection:
        yield connection


def published(client: redis.Redis) -> int:
    """How many messages were published so far."""
    return int(client.info("commandstats").get("cmdstat_publish", {}).get("calls", 0))


def heard_channels(client: redis.Redis) -> list[bytes]:
    return list(client.pubsub_channels(THREAD_CHANNELS))  # type: ignore[arg-type]  # a sync client answers at once


async def test_text_is_followed_on_another_replica(replicas: tuple[Replica, Replica]) -> None:
    one, other = replicas
    follower = other.read()
    await follower.is_heard()
    writer = one.write()
    for text in ("Hel", "lo", " añ🙂"):
        writer.say(text)
        await follower.has(writer)
    writer.say("why", "reasoning")
    writer.say("!")
    await follower.has(writer)
    assert follower.text == "<text>Hello añ🙂<reasoning>why<text>!"


async def test_a_late_reader_gets_the_text_so_far(replicas: tuple[Replica, Replica], client: redis.Redis) -> None:
    one, other = replicas
    before = published(client)
    writer = one.write()
    for number in range(30):
        writer.say(f"{number} ")
        await asyncio.sleep(0)
    await eventually(lambda: published(client) > before, what="the first text")
    follower = other.read()
    await follower.has(writer)
    writer.say("and more")
    await follower.has(writer)


async def test_a_returning_reader_finds_what_it_missed(replicas: tuple[Replica, Replica], client: redis.Redis) -> None:
    one, other = replicas
    writer = one.write()
    first = other.read()
    writer.say("before ")
    await first.has(writer)
    first.leave()
    await eventually(lambda: heard_channels(client) == [], what="the subscription to end")
    writer.say("meanwhile ")
    again = other.read()
    await again.has(writer)


async def test_a_reader_that_comes_again_soon_finds_the_channel_as_it_was(replicas: tuple[Replica, Replica]) -> None:
    one, other = replicas
    writer = one.write()
    first = other.read()
    writer.say("text")
    await first.has(writer)
    first.leave()
    again = other.read()
    assert again.channel is first.channel
    assert again.text == text_of(writer.progress)


async def test_rows_reach_readers_and_listeners_of_both_replicas_once(replicas: tuple[Replica, Replica]) -> None:
    one, other = replicas
    here, there = one.read(), other.read()
    heard: list[LogRow] = []
    other.bus.listen(heard.extend)
    await there.is_heard()
    rows = [row(1, "run.started", run="run", resets=True), row(2), row(1, thread="elsewhere")]
    one.bus.publish(rows)
    assert here.channel.rows_after(0) == rows[:2]
    await eventually(lambda: there.channel.rows_after(0) == rows[:2], what="the rows")
    one.bus.publish([row(3)])
    await eventually(lambda: len(heard) == 3, what="the third row")
    assert heard == [*rows[:2], row(3)]
    assert here.channel.rows_after(0) == heard


async def test_a_message_that_is_recorded_ends_everywhere(replicas: tuple[Replica, Replica]) -> None:
    one, other = replicas
    follower = other.read()
    await follower.is_heard()
    writer = one.write()
    writer.say("text")
    await follower.has(writer)
    one.bus.publish([row(2, "message.completed", run="run", resets=True)])
    assert writer.channel.progress is None
    await eventually(lambda: follower.text == "nothing", what="the end of the message")


async def test_nothing_is_stored_in_redis(replicas: tuple[Replica, Replica], client: redis.Redis) -> None:
    one, other = replicas
    writer, follower = one.write(), other.read()
    writer.say("text")
    one.bus.publish([row(2)])
    await follower.has(writer)
    assert client.keys("aia:*") == []


async def test_text_is_published_again_when_asked_for(replicas: tuple[Replica, Replica], client: redis.Redis) -> None:
    one, other = replicas
    before = published(client)
    writer, reader = one.write(), one.read()
    await reader.is_heard()
    for number in range(20):
        writer.say(f"{number} ")
        await asyncio.sleep(0.005)
    one.bus.request_sweep()
    await eventually(lambda: published(client) >= before + 2, what="the sweep")
    assert published(client) == before + 2
    follower = other.read()
    await follower.has(writer)
    writer.say("and more")
    await follower.has(writer)


async def test_a_reader_of_a_thread_gets_the_text_of_every_message_in_it(replicas: tuple[Replica, Replica]) -> None:
    one, other = replicas
    follower = other.read()
    await follower.is_heard()
    for seq, replica in enumerate((one, one, other, one), start=1):
        writer = replica.write(base_seq=seq)
        writer.say(f"message {seq}")
        await follower.has(writer)
        replica.bus.publish([row(seq + 1, "message.completed", run="run", resets=True)])
        writer.leave()
        await eventually(lambda: follower.text == "nothing", what="the end of the message")


async def test_a_replaced_process_does_not_overwrite_its_successor(replicas: tuple[Replica, Replica]) -> None:
    one, other = replicas
    dead, successor = one.write(base_seq=1), other.write(base_seq=2, fence=2)
    successor.say("true")
    async with Replica(one.url) as third:
        follower = third.read()
        await follower.has(successor)
        for _ in range(5):
            dead.say("false")
            successor.say(" still")
            await follower.has(successor)
    async with Replica(one.url) as late:
        await late.read().has(successor)


async def test_requests_to_cancel_and_to_sweep_reach_the_other_processes(replicas: tuple[Replica, Replica]) -> None:
    one, other = replicas
    cancelled: list[tuple[str, str]] = []
    swept: list[str] = []
    for name, replica in (("one", one), ("other", other)):
        replica.bus.listen_cancel(lambda run_id, name=name: cancelled.append((name, run_id)))  # type: ignore[misc]  # a bound name
        replica.bus.listen_sweep(lambda name=name: swept.append(name))  # type: ignore[misc]  # a bound name
    one.bus.request_cancel("run")
    assert cancelled == [("one", "run")]
    one.bus.request_sweep()
    await eventually(lambda: swept == ["other"], what="the sweep")
    assert cancelled == [("one", "run"), ("other", "run")]


async def test_processes_without_readers_hear_of_a_threads_end(replicas: tuple[Replica, Replica]) -> None:
    one, other = replicas
    unread: list[LogRow] = []
    other.bus.listen(unread.extend)
    one.bus.publish([row(7), row(8, "thread.deleted")])
    await eventually(lambda: unread != [], what="the end of the thread")
    assert unread == [row(8, "thread.deleted")]


async def test_two_databases_of_one_redis_do_not_hear_each_other(redis_server: RedisServer) -> None:
    async with AsyncExitStack() as stack:
        one, other, foreign = [
            await stack.enter_async_context(Replica(redis_server.url_of(database))) for database in (0, 0, 1)
        ]
        heard: list[str] = []
        foreign.bus.listen_cancel(lambda run_id: heard.append(f"foreign {run_id}"))
        other.bus.listen_cancel(lambda run_id: heard.append(f"other {run_id}"))
        one.bus.request_cancel("first")
        await eventually(lambda: heard != [], what="the cancellation")
        one.bus.request_cancel("second")
        await eventually(lambda: heard == ["other first", "other second"], what="the second one")


async def test_one_connection_follows_200_threads(replicas: tuple[Replica, Replica], client: redis.Redis) -> None:
    one, other = replicas
    followers = [other.read(f"thread-{number}") for number in range(200)]
    writers = [one.write(f"thread-{number}") for number in range(200)]
    for round_ in range(20):
        for number, writer in enumerate(writers):
            writer.say(f"{number}.{round_} ")
        await asyncio.sleep(0)
    for follower, writer in zip(followers, writers, strict=True):
        await follower.has(writer)
    listening = [found for found in client.client_list(_type="pubsub") if int(found["sub"]) > 1]
    assert [int(found["sub"]) for found in listening] == [201]
    for follower, writer in zip(followers, writers, strict=True):
        follower.leave()
        writer.leave()
    await eventually(lambda: heard_channels(client) == [], what="the subscriptions to end")


async def test_a_short_local_turn_sends_redis_nothing(replicas: tuple[Replica, Replica], client: redis.Redis) -> None:
    one, _ = replicas
    subscribed = int(client.info("commandstats").get("cmdstat_subscribe", {}).get("calls", 0))
    for _ in range(3):
        reader = one.read()
        writer = one.write()
        await asyncio.sleep(0.01)
        assert reader.channel.live
        writer.say("short")
        one.bus.publish([row(2, "message.completed", run="run", resets=True)])
        reader.leave()
        writer.leave()
    client.ping()
    assert int(client.info("commandstats")["cmdstat_subscribe"]["calls"]) == subscribed


async def test_a_reader_where_the_run_is_hears_of_others_rows_too(replicas: tuple[Replica, Replica]) -> None:
    one, other = replicas
    writer = one.write()
    reader = one.read()
    assert reader.channel is writer.channel
    await reader.is_heard()
    other.bus.publish([row(2)])
    await eventually(lambda: reader.channel.rows_after(1) == [row(2)], what="the row")


async def test_a_reader_of_a_run_that_leaves_the_process_hears_of_others(replicas: tuple[Replica, Replica]) -> None:
    one, other = replicas
    reader = one.read()
    one.write().leave()
    await reader.is_heard()
    writer = other.write(fence=2)
    writer.say("goes on elsewhere")
    await reader.has(writer)


async def test_a_process_ignores_its_own_messages(replicas: tuple[Replica, Replica]) -> None:
    one, other = replicas
    writer, reader, follower = one.write(), one.read(), other.read()
    await reader.is_heard()
    heard: list[LogRow] = []
    one.bus.listen(heard.extend)
    for _ in range(5):
        writer.say("once ")
        await follower.has(writer)
    one.bus.publish([row(2)])
    await eventually(lambda: follower.channel.rows_after(1) == [row(2)], what="the row")
    assert text_of(reader.channel.progress) == "<text>" + "once " * 5
    assert heard == [row(2)]


async def test_an_unknown_message_makes_readers_look(replicas: tuple[Replica, Replica], client: redis.Redis) -> None:
    one, other = replicas
    follower = other.read()
    await follower.is_heard()
    before = follower.channel.missed
    for message in (
        b"\xff",
        b"[]",
        b'{"rows":[{"of":"another version"}]}',
        b'{"text":1}',
        b'{"text":[1,2,3,4],"start":1}',
    ):
        client.publish("aia:0:thread:thread", message)
    client.publish("aia:0:control", b"{}")
    await eventually(lambda: follower.channel.missed >= before + 5, what="the log to be looked at")
    writer = one.write()
    writer.say("goes on")
    await follower.has(writer)


async def test_a_text_is_asked_for_again(replicas: tuple[Replica, Replica], client: redis.Redis) -> None:
    _, other = replicas
    with client.pubsub(ignore_subscribe_messages=True) as control:  # type: ignore[no-untyped-call]  # redis-py's gap
        control.subscribe("aia:0:control")
        asks = 0

        def count_asks() -> int:
            nonlocal asks
            while (message := control.get_message()) is not None:
                asks += b'"ask":["thread"]' in message["data"]
            return asks

        follower = other.read()
        await eventually(lambda: count_asks() == 1, what="the first request")
        client.publish("aia:0:control", b'{"look":true}')
        await eventually(lambda: count_asks() == 2, what="the second request")
        follower.leave()
        client.publish("aia:0:control", b'{"look":true}')
        await eventually(lambda: count_asks() == 3, what="the third request, for a reader that may come back")


async def test_closing_publishes_what_is_left_and_leaves_no_task(redis_server: RedisServer) -> None:
    async with Replica(redis_server.url) as other:
        heard: list[str] = []
        other.bus.listen_sweep(lambda: heard.append("sweep"))
        before = asyncio.all_tasks()
        one = Replica(redis_server.url)
        await one.bus.open()
        one.write().say("text")
        one.read("elsewhere")
        one.bus.request_sweep()
        await one.bus.close()
        assert asyncio.all_tasks() - before == set()
        await eventually(lambda: heard == ["sweep"], what="the sweep")
