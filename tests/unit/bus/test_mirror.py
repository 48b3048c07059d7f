"""Text that one process writes and others follow, with Redis replaced by what may become of a message on its way."""

from collections.abc import Callable, Sequence
from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from ai_agents.bus import wire
from ai_agents.bus.mirror import MirroredChannel
from ai_agents.bus.progress import TextInProgress, TextKind
from tests.unit.bus.threads import message_begun, row, text_of

NAMES = wire.Names(0)
KEY, CHANNEL = NAMES.mirror("thread"), NAMES.channel("thread")


class Keeper:
    """Notes what a channel asks of its bus."""

    def __init__(self) -> None:
        self.fed = 0
        self.arranged = 0
        self.loads = 0

    def feed(self, channel: MirroredChannel) -> None:
        self.fed += 1

    def arrange(self, channel: MirroredChannel) -> None:
        self.arranged += 1

    def load(self, channel: MirroredChannel) -> None:
        self.loads += 1


def channel_of(name: str) -> tuple[MirroredChannel, Keeper]:
    keeper = Keeper()
    return MirroredChannel("thread", keeper, wire.Speaker(name), connected=True), keeper


def news_of(message: bytes) -> wire.News:
    return wire.read_text(wire.read(message))


def told(channel: MirroredChannel) -> wire.News:
    """What the writer of the channel would publish now."""
    channel.to_tell = False
    assert channel.written is not None
    operation = channel.written.next_operation(KEY, CHANNEL)
    return news_of(operation[-1] or operation[-2])


async def writing(progress: TextInProgress | None = None) -> MirroredChannel:
    channel, _ = channel_of("writer")
    channel.own()
    channel.begin(progress or message_begun())
    return channel


def write(channel: MirroredChannel, text: str, kind: TextKind = "text") -> None:
    assert channel.progress is not None
    channel.progress.append(kind, text)
    channel.touch()


async def test_a_follower_has_what_was_written_as_it_is_told() -> None:
    writer, (follower, keeper) = await writing(), channel_of("follower")
    follower.take_text(told(writer))
    assert text_of(follower.progress) == ""
    write(writer, "Hel")
    write(writer, "lo", "reasoning")
    follower.take_text(told(writer))
    write(writer, "!")
    follower.take_text(told(writer))
    assert text_of(follower.progress) == "<text>Hel<reasoning>lo<text>!"
    assert keeper.loads == 0


async def test_a_piece_beyond_what_is_known_waits_for_the_mirror() -> None:
    writer, (follower, keeper) = await writing(), channel_of("follower")
    whole = [told(writer)]
    for text in ("one ", "two ", "three "):
        write(writer, text)
        whole.append(told(writer))
    follower.take_text(whole[3])
    assert keeper.loads == 1
    assert follower.progress is None
    follower.take_mirror(whole[:3])
    assert text_of(follower.progress) == "<text>one two three "


async def test_a_later_message_replaces_an_earlier_one_and_not_the_other_way_round() -> None:
    follower, _ = channel_of("follower")
    first, second = await writing(message_begun(1)), await writing(message_begun(5))
    for writer, text in ((first, "old"), (second, "new")):
        write(writer, text)
        follower.take_text(told(writer))
    write(first, " and older")
    follower.take_text(told(first))
    assert text_of(follower.progress) == "<text>new"


async def test_the_text_of_an_older_owner_is_ignored() -> None:
    follower, _ = channel_of("follower")
    dead, successor = await writing(message_begun(1, fence=1)), await writing(message_begun(1, fence=2))
    write(successor, "true")
    follower.take_text(told(successor))
    write(dead, "false")
    follower.take_text(told(dead))
    assert text_of(follower.progress) == "<text>true"


async def test_text_that_comes_after_the_row_that_ended_it_is_ignored() -> None:
    follower, keeper = channel_of("follower")
    writer = await writing(message_begun(1))
    write(writer, "late")
    follower.add_rows([row(2, "message.completed", run="run", resets=True)])
    follower.take_text(told(writer))
    assert follower.progress is None
    assert keeper.loads == 0


async def test_what_is_written_here_is_told_once_until_it_is_taken() -> None:
    channel, keeper = channel_of("writer")
    channel.begin(message_begun())
    for _ in range(50):
        write(channel, "x")
    assert keeper.fed == 1
    told(channel)
    write(channel, "x")
    assert keeper.fed == 2


async def test_a_message_that_was_told_and_is_over_leaves_its_mirror_to_be_dropped() -> None:
    writer = await writing()
    write(writer, "text")
    told(writer)
    written = writer.written
    writer.add_rows([row(2, "message.completed", run="run", resets=True)])
    assert written is not None
    assert (writer.written, writer.over) == (None, written.tag)


async def test_a_process_that_runs_something_is_live_without_redis() -> None:
    channel, _ = channel_of("writer")
    seen = [channel.live]
    changes = (partial(channel.set_connected, False), channel.own, channel.own, channel.disown, channel.disown)
    for change in changes:
        change()
        seen.append(channel.live)
    assert seen == [True, False, True, True, True, False]


async def test_only_the_first_reader_and_the_last_change_anything() -> None:
    channel, keeper = channel_of("reader")
    wakers = [[number].clear for number in range(3)]
    for waker in wakers:
        channel.attach(waker)
    assert keeper.arranged == 1
    for waker in wakers:
        channel.detach(waker)
    assert keeper.arranged == 2


class Mirror:
    """What the script makes of operations, in memory."""

    def __init__(self) -> None:
        self.tag = b""
        self.messages: list[bytes] = []

    def do(self, operation: Sequence[bytes]) -> tuple[bytes, bool]:
        """The message to be published, and whether the mirror was missing."""
        if operation[0] == b"begin":
            _, _, _, self.tag, whole, piece = operation
            self.messages = [whole]
            return piece or whole, False
        _, _, _, tag, piece = operation
        if tag != self.tag:
            return piece, True
        self.messages.append(piece)
        return piece, False

    def flush(self) -> None:
        self.tag, self.messages = b"", []


class Line:
    """A writer, a follower, and what lies between them."""

    def __init__(self, writer: MirroredChannel) -> None:
        assert writer.written is not None
        self.channel = writer
        self.writer = writer.written
        self.follower, _ = channel_of("follower")
        self.mirror = Mirror()
        self.points: list[tuple[str, str]] = []
        self.earlier: list[bytes] = []

    def write(self, kind: TextKind, text: str) -> None:
        write(self.channel, text, kind)
        self.points += [(kind, point) for point in text]

    def tell(self, times: int) -> None:
        operation = self.writer.next_operation(KEY, CHANNEL)
        if operation:
            message, missing = self.mirror.do(operation)
            self.earlier.append(message)
            for _ in range(times):
                self.follower.take_text(news_of(message))
            if missing:
                self.writer.forget_told()

    def load(self) -> None:
        self.follower.take_mirror([news_of(message) for message in self.mirror.messages])

    def flush(self) -> None:
        self.mirror.flush()

    def reconnect(self) -> None:
        self.writer.forget_told()

    def hear_earlier_again(self) -> None:
        for message in self.earlier:
            self.follower.take_text(news_of(message))

    def known(self) -> list[tuple[str, str]]:
        progress = self.follower.progress
        return [(piece.kind, point) for piece in progress.since(1) for point in piece.text] if progress else []


KINDS: st.SearchStrategy[TextKind] = st.sampled_from(("text", "reasoning"))
STEPS = st.one_of(
    st.builds(lambda kind, text: lambda line: line.write(kind, text), KINDS, st.text(min_size=1, max_size=4)),
    st.builds(lambda times: lambda line: line.tell(times), st.integers(0, 2)),
    st.sampled_from((Line.load, Line.flush, Line.reconnect, Line.hear_earlier_again)),
)


@given(steps=st.lists(STEPS, max_size=40))
async def test_whatever_is_lost_doubled_or_flushed_on_the_way_the_follower_ends_with_the_text(
    steps: list[Callable[[Line], None]],
) -> None:
    line = Line(await writing())
    for step in steps:
        step(line)
        known = line.known()
        assert known == line.points[: len(known)]  # never wrong in between, only behind

    line.flush()
    line.reconnect()
    line.tell(1)
    assert line.known() == line.points


async def test_a_long_mirror_is_written_anew_as_one() -> None:
    writer, mirror = await writing(), Mirror()
    assert writer.written is not None
    longest = 0
    for _ in range(1000):
        write(writer, "x")
        mirror.do(writer.written.next_operation(KEY, CHANNEL))
        longest = max(longest, len(mirror.messages))
    assert longest < 300
    follower, _ = channel_of("follower")
    follower.take_mirror([news_of(message) for message in mirror.messages])
    assert text_of(follower.progress) == "<text>" + "x" * 1000
