"""Text that one process writes and others follow, with Redis replaced by what can happen to a message on its way."""

from collections.abc import Callable
from functools import partial

from hypothesis import example, given
from hypothesis import strategies as st

from ai_agents.bus.base import TextInProgress, TextKind
from ai_agents.bus.redis import RedisBus
from ai_agents.bus.shared_channel import MessageWriter, SharedChannel, TextUpdate, read_message
from ai_agents.core import json
from tests.support.examples import examples
from tests.unit.bus.threads import message_begun, row, text_of

WRITER = MessageWriter("writer")


class Observer:
    """Notes what a channel calls."""

    def __init__(self) -> None:
        self.texts = 0
        self.asks = 0
        self.subscriptions = 0

    def publish_text(self, channel: SharedChannel) -> None:
        self.texts += 1

    def ask_for_text(self, channel: SharedChannel) -> None:
        self.asks += 1

    def update_subscription(self, channel: SharedChannel) -> None:
        self.subscriptions += 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=10,
)
ROW = {
    "thread_id": "thread",
    "seq": 1,
    "type": "run.started",
    "run_id": None,
    "data": "{}",
    "resets": False,
    "created_at": "",
}
MESSAGES = [
    {"rows": [ROW]}, {"rows": [{**ROW, "type": "thread.deleted"}]}, {"cancel": "run"}, {"sweep": True},
    {"ask": ["thread"]}, {"look": True}, {"revoked": ["user:ada"]},
    {"text": [1, 1, "run", "message"], "start": 1, "segments": [["text", "hello"]]},
]  # fmt: skip


@st.composite
def malformed(draw: st.DrawFn) -> object:
    """Messages in which one value is another one."""
    message = json.loads(json.dumps(draw(st.sampled_from(MESSAGES))))
    at = message
    while True:
        key = draw(st.sampled_from(sorted(at) if isinstance(at, dict) else range(len(at))))
        if not isinstance(at[key], dict | list) or not at[key] or draw(st.booleans()):
            at[key] = draw(JSON)
            return message
        at = at[key]


@examples(500)
@example({"text": [1, 1, "run", "message"], "start": 1, "segments": [["another", "hello"]]}, False)
@given(malformed() | JSON, st.booleans())
async def test_no_message_makes_listening_end(message: object, in_control: bool) -> None:
    bus = RedisBus("redis://127.0.0.1:1")
    channel = bus.hold("thread")
    channel.attach(lambda: None)
    bus.on_message(b"aia:0:control" if in_control else b"aia:0:thread:thread", json.dumps(message).encode())
    await bus.close()


def make_channel() -> tuple[SharedChannel, Observer]:
    observer = Observer()
    return SharedChannel("thread", observer, connected=True), observer


def next_update(channel: SharedChannel) -> TextUpdate | None:
    """What the writer of the channel would publish now."""
    unpublished = channel.take_unpublished()
    return None if unpublished is None else read_message(WRITER.write_text(*unpublished))["text"]


def published(channel: SharedChannel) -> TextUpdate:
    """What the writer of the channel publishes now."""
    update = next_update(channel)
    assert update is not None
    return update


async def writing(progress: TextInProgress | None = None) -> SharedChannel:
    channel, _ = make_channel()
    channel.own()
    channel.begin(progress or message_begun())
    return channel


def write(channel: SharedChannel, text: str, kind: TextKind = "text") -> None:
    assert channel.progress is not None
    channel.progress.append(kind, text)
    channel.touch()


async def test_a_follower_has_what_was_written_as_it_is_published() -> None:
    writer, (follower, observer) = await writing(), make_channel()
    follower.take_text(published(writer))
    assert text_of(follower.progress) == ""
    write(writer, "Hel")
    write(writer, "lo", "reasoning")
    follower.take_text(published(writer))
    write(writer, "!")
    follower.take_text(published(writer))
    assert text_of(follower.progress) == "<text>Hel<reasoning>lo<text>!"
    assert observer.asks == 0


async def test_where_a_part_is_missing_the_whole_text_is_asked_for() -> None:
    writer, (follower, observer) = await writing(), make_channel()
    updates = []
    for text in ("one ", "two ", "three "):
        write(writer, text)
        updates.append(published(writer))
    follower.take_text(updates[-1])
    assert observer.asks == 1
    assert follower.progress is None
    writer.publish_again()
    follower.take_text(published(writer))
    assert text_of(follower.progress) == "<text>one two three "


async def test_a_later_message_replaces_an_earlier_one_and_not_the_other_way_round() -> None:
    follower, _ = make_channel()
    first, second = await writing(message_begun(1)), await writing(message_begun(5))
    for writer, text in ((first, "old"), (second, "new")):
        write(writer, text)
        follower.take_text(published(writer))
    write(first, " and older")
    follower.take_text(published(first))
    assert text_of(follower.progress) == "<text>new"


async def test_the_text_of_an_older_owner_is_ignored() -> None:
    follower, _ = make_channel()
    dead, successor = await writing(message_begun(1, fence=1)), await writing(message_begun(1, fence=2))
    write(successor, "true")
    follower.take_text(published(successor))
    write(dead, "false")
    follower.take_text(published(dead))
    assert text_of(follower.progress) == "<text>true"


async def test_text_that_comes_after_the_row_that_ended_it_is_ignored() -> None:
    follower, observer = make_channel()
    writer = await writing(message_begun(1))
    write(writer, "late")
    follower.add_rows([row(2, "message.completed", run="run", resets=True)])
    follower.take_text(published(writer))
    assert follower.progress is None
    assert observer.asks == 0


async def test_a_channel_is_queued_once_until_its_text_is_taken() -> None:
    channel, observer = make_channel()
    channel.begin(message_begun())
    for _ in range(50):
        write(channel, "x")
    assert observer.texts == 1
    published(channel)
    write(channel, "x")
    assert observer.texts == 2


async def test_text_that_only_this_process_hears_is_not_published_until_another_asks_for_it() -> None:
    channel, observer = make_channel()
    progress = message_begun()
    channel.begin(progress)
    published(channel)
    channel.is_subscribed = True
    channel.note_listeners(progress, 1)
    write(channel, "unheard ")
    assert observer.texts == 1
    channel.publish_again()
    write(channel, "heard")
    assert observer.texts == 2
    assert published(channel).segments == [("text", "unheard heard")]
    channel.note_listeners(progress, 1)
    write(channel, ", to the end")
    assert observer.texts == 3


async def test_a_message_whose_listeners_are_not_known_yet_is_published() -> None:
    channel, observer = make_channel()
    earlier = message_begun(1)
    channel.begin(earlier)
    published(channel)
    channel.begin(message_begun(2))
    channel.note_listeners(earlier, 0)
    published(channel)
    write(channel, "text")
    assert observer.texts == 3


async def test_a_message_that_is_over_is_not_published() -> None:
    writer = await writing()
    write(writer, "text")
    writer.add_rows([row(2, "message.completed", run="run", resets=True)])
    assert next_update(writer) is None


async def test_a_process_that_runs_something_is_live_without_redis() -> None:
    channel, _ = make_channel()
    seen = [channel.live]
    changes = (partial(channel.set_connected, False), channel.own, channel.own, channel.disown, channel.disown)
    for change in changes:
        change()
        seen.append(channel.live)
    assert seen == [True, False, True, True, True, False]


async def test_only_the_first_reader_and_the_last_change_anything() -> None:
    channel, observer = make_channel()
    wakers = [[number].clear for number in range(3)]
    for waker in wakers:
        channel.attach(waker)
    assert observer.subscriptions == 1
    for waker in wakers:
        channel.detach(waker)
    assert observer.subscriptions == 2


class Line:
    """A writer, a follower, and what lies between them."""

    def __init__(self, writer: SharedChannel) -> None:
        self.writer = writer
        self.follower, self.observer = make_channel()
        self.points: list[tuple[str, str]] = []
        self.earlier: list[TextUpdate] = []

    def write(self, kind: TextKind, text: str) -> None:
        write(self.writer, text, kind)
        self.points += [(kind, point) for point in text]

    def publish(self, times: int) -> None:
        update = next_update(self.writer)
        if update is not None:
            self.earlier.append(update)
            for _ in range(times):
                self.follower.take_text(update)

    def answer(self) -> None:
        self.writer.publish_again()

    def hear_earlier_again(self) -> None:
        for update in self.earlier:
            self.follower.take_text(update)

    def known(self) -> list[tuple[str, str]]:
        progress = self.follower.progress
        return [(each.kind, point) for each in progress.since(1) for point in each.text] if progress else []


KINDS: st.SearchStrategy[TextKind] = st.sampled_from(("text", "reasoning"))
STEPS = st.one_of(
    st.builds(lambda kind, text: lambda line: line.write(kind, text), KINDS, st.text(min_size=1, max_size=4)),
    st.builds(lambda times: lambda line: line.publish(times), st.integers(0, 2)),
    st.sampled_from((Line.answer, Line.hear_earlier_again)),
)


@given(steps=st.lists(STEPS, max_size=40))
async def test_followers_end_with_the_text_after_losses_and_doubles(steps: list[Callable[[Line], None]]) -> None:
    line = Line(await writing())
    for step in steps:
        step(line)
        known = line.known()
        assert known == line.points[: len(known)]  # never wrong in between, only behind

    line.write("text", "end")
    line.publish(1)
    if line.known() != line.points:
        assert line.observer.asks > 0
        line.answer()
        line.publish(1)
    assert line.known() == line.points
