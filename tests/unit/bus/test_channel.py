"""The channel of a thread, and the bus of a single process."""

import asyncio
from dataclasses import replace

from ai_agents.bus.base import Bus, Channel
from ai_agents.core.types import LogRow
from tests.unit.bus.threads import message_begun, row


def seqs(rows: list[LogRow] | None) -> list[int] | None:
    return None if rows is None else [each.seq for each in rows]


async def test_kept_rows_are_given_after_any_of_them() -> None:
    channel = Channel("thread")
    channel.add_rows([row(4), row(5), row(6)])
    assert seqs(channel.rows_after(3)) == [4, 5, 6]
    assert seqs(channel.rows_after(5)) == [6]
    assert seqs(channel.rows_after(6)) == []


async def test_a_reader_further_behind_than_the_kept_rows_reads_the_log() -> None:
    channel = Channel("thread")
    channel.add_rows([row(4)])
    assert channel.rows_after(2) is None


async def test_readers_before_a_gap_read_the_log() -> None:
    channel = Channel("thread")
    channel.add_rows([row(1), row(2), row(4)])
    assert channel.rows_after(2) is None
    assert seqs(channel.rows_after(3)) == [4]


async def test_rows_that_come_late_or_twice_are_given_once() -> None:
    channel = Channel("thread")
    for each in (row(1), row(3), row(2), row(3), row(4)):
        channel.add_rows([each])
    assert seqs(channel.rows_after(2)) == [3, 4]


async def test_a_row_that_comes_again_rewritten_is_given_as_it_is_now() -> None:
    channel = Channel("thread")
    channel.add_rows([row(2), row(3), row(4)])
    channel.add_rows([replace(row(3), data="{}")])
    channel.add_rows([replace(row(1), data="{}"), row(5)])
    assert [each.data for each in channel.rows_after(1) or ()] == [row(2).data, "{}", row(4).data, row(5).data]


async def test_a_row_that_ends_the_message_ends_its_text_even_if_it_comes_late() -> None:
    channel = Channel("thread")
    channel.add_rows([row(1, "run.started", run="run", resets=True)])
    channel.begin(message_begun(1))
    channel.add_rows([row(3)])
    assert channel.progress is not None
    channel.add_rows([row(2, "message.completed", run="run", resets=True)])
    assert channel.progress is None


async def test_other_rows_leave_the_text_of_a_message() -> None:
    channel = Channel("thread")
    channel.begin(message_begun(1))
    channel.add_rows([row(2, "tool.completed", run="run"), row(3, "run.cancelled", run="other", resets=True)])
    assert channel.progress is not None


async def test_readers_are_woken_once_for_what_comes_in_one_turn_of_the_loop() -> None:
    channel = Channel("thread")
    woken = []
    channel.attach(lambda: woken.append(1))
    channel.begin(message_begun())
    for _ in range(100):
        channel.touch()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(woken) == 1


async def test_a_reader_that_left_is_not_woken() -> None:
    channel = Channel("thread")
    woken: list[int] = []

    def wake() -> None:
        woken.append(1)

    channel.attach(wake)
    channel.touch()
    channel.detach(wake)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert woken == []


async def test_holders_of_a_thread_share_its_channel_until_the_last_releases_it() -> None:
    bus = Bus()
    one, other = bus.hold("thread"), bus.hold("thread")
    assert one is other
    bus.release(one)
    bus.publish([row(1), row(1, thread="elsewhere")])
    assert seqs(other.rows_after(0)) == [1]
    bus.release(other)
    assert bus.hold("thread") is not one


async def test_listeners_in_the_process_hear_of_rows_and_cancellations() -> None:
    bus = Bus()
    rows: list[LogRow] = []
    cancelled: list[str] = []
    bus.listen(rows.extend)
    bus.listen_cancel(cancelled.append)
    bus.publish([row(1)])
    bus.request_cancel("run")
    assert seqs(rows) == [1]
    assert cancelled == ["run"]
