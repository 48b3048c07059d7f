"""A cursor sends each row once and in order, and text exactly, when rows and text reach the reader in any order."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_agents.bus.base import TextInProgress, TextKind
from ai_agents.core import json
from ai_agents.core.events import EventType, event_data
from ai_agents.core.exceptions import InvalidEventId
from ai_agents.core.types import JsonObject, LogRow
from ai_agents.streams.cursor import Cursor, Frame, parse_event_id

RUN, OTHER_RUN = "run", "other-run"


class Thread:
    """A thread whose run writes messages: its log, and each state that the text in progress has been in."""

    def __init__(self) -> None:
        self.rows: list[LogRow] = []
        self.texts: list[TextInProgress | None] = [None]
        self._messages = 0
        self._writings: list[tuple[TextKind, str]] = []
        self._base = self.append("run.started", resets=True)
        self._state()

    def append(
        self, event: EventType, *, run: str | None = RUN, resets: bool = False, facts: JsonObject | None = None
    ) -> int:
        seq = len(self.rows) + 1
        data = json.dumps(event_data(event, "thread", run, facts or {}))
        self.rows.append(LogRow("thread", seq, event, run, data, resets, "2026-01-01T00:00:00Z"))
        return seq

    def write(self, kind: TextKind, text: str) -> None:
        self._writings.append((kind, text))
        self._state()

    def complete(self) -> None:
        progress = self._state()
        parts = [{"type": piece.kind, "text": piece.text} for piece in progress.since(1)]
        message = {"id": progress.message_id, "role": "assistant", "parts": parts}
        self._next("message.completed", {"message": message})

    def retry(self) -> None:
        self._next("run.retrying", {"discard": [self._state().message_id]})

    def fail(self) -> None:
        self.append("run.failed", resets=True, facts={"discard": [self._state().message_id]})

    def retitle(self) -> None:
        self.append("thread.updated", run=None)

    def begin_other_run(self) -> None:
        self.append("run.queued", run=OTHER_RUN)

    def _next(self, event: EventType, facts: JsonObject) -> None:
        self._base = self.append(event, resets=True, facts=facts)
        self._messages += 1
        self._writings = []
        self.texts.append(None)
        self._state()

    def _state(self) -> TextInProgress:
        """The text as it is now; earlier states are kept for readers that are behind."""
        progress = TextInProgress(run_id=RUN, fence=1, message_id=f"message-{self._messages}", base_seq=self._base)
        for kind, text in self._writings:
            progress.append(kind, text)
        self.texts.append(progress)
        return progress


KINDS: st.SearchStrategy[TextKind] = st.sampled_from(("text", "reasoning"))
HAPPENINGS = st.one_of(
    st.builds(lambda kind, text: lambda thread: thread.write(kind, text), KINDS, st.text(min_size=1, max_size=4)),
    st.builds(lambda kind, text: lambda thread: thread.write(kind, text), KINDS, st.text(min_size=1, max_size=4)),
    st.sampled_from((Thread.complete, Thread.retry, Thread.retitle, Thread.begin_other_run)),
)


@st.composite
def threads(draw: st.DrawFn) -> Thread:
    thread = Thread()
    happenings: list[Callable[[Thread], None]] = draw(st.lists(HAPPENINGS, max_size=20))
    for happen in happenings:
        happen(thread)
    thread.fail()
    return thread


class Reader:
    """A client with a connection that is cut now and then, resumed from the last id that arrived."""

    def __init__(self, thread: Thread, run_id: str | None) -> None:
        self.thread = thread
        self.run_id = run_id
        self.frames: list[Frame] = []
        self._cursor = self._at(0, 0)

    def take_rows(self, count: int) -> None:
        seq = self._cursor.seq
        self.frames += self._cursor.take_rows(self.thread.rows[seq : seq + count])

    def take_text(self, state: int) -> None:
        self.frames += self._cursor.take_text(self.thread.texts[state])

    def cut(self, lost: int) -> None:
        """The connection breaks; the last frames have not arrived."""
        del self.frames[len(self.frames) - lost :]
        self._cursor = self._at(*parse_event_id(self.frames[-1].id)) if self.frames else self._at(0, 0)

    def finish(self) -> None:
        self.take_rows(len(self.thread.rows))

    def _at(self, seq: int, position: int) -> Cursor:
        resets = [row.seq for row in self.thread.rows[:seq] if row.resets]
        return Cursor("thread", self.run_id, seq=seq, position=position, sent_seq=seq, reset_seq=max(resets, default=0))


@given(thread=threads(), run_id=st.sampled_from((None, RUN)), data=st.data())
def test_any_order_gives_each_row_and_the_text_once(thread: Thread, run_id: str | None, data: st.DataObject) -> None:
    reader = Reader(thread, run_id)
    for _ in range(data.draw(st.integers(0, 25))):
        match data.draw(st.sampled_from(("rows", "text", "text", "cut"))):
            case "rows":
                reader.take_rows(data.draw(st.integers(1, 3)))
            case "text":
                reader.take_text(data.draw(st.integers(0, len(thread.texts) - 1)))
            case _:
                reader.cut(data.draw(st.integers(0, len(reader.frames))))
    reader.finish()

    rows = [row for row in thread.rows if run_id in (None, row.run_id)]
    lasting = [frame for frame in reader.frames if frame.type not in PREVIEWS]
    assert [frame.data for frame in lasting] == [row.data for row in rows]
    assert_texts_are_exact(reader.frames)
    order = [parse_event_id(frame.id) for frame in reader.frames]
    assert all(before[0] < after[0] or before < after for before, after in pairwise(order))


PREVIEWS = ("message.started", "message.delta", "reasoning.delta")


def assert_texts_are_exact(frames: Sequence[Frame]) -> None:
    """Deltas follow one another without gap or overlap, and a reader that has a part of a message has all of it."""
    said: dict[str, dict[str, str]] = {}
    for frame in frames:
        data = json.loads(frame.data)
        if frame.type == "message.started":
            assert data["message_id"] not in said
            said[data["message_id"]] = {"text": "", "reasoning": ""}
        elif frame.type in PREVIEWS:
            kind = "text" if frame.type == "message.delta" else "reasoning"
            texts = said[data["message_id"]]
            assert data["offset"] == len(texts[kind])
            texts[kind] += data["text"]
        elif frame.type == "message.completed":
            parts = data["message"]["parts"]
            whole = {k: "".join(p["text"] for p in parts if p["type"] == k) for k in ("text", "reasoning")}
            assert said.pop(data["message"]["id"], whole) == whole
        elif frame.type in ("run.retrying", "run.failed"):
            for message_id in data["discard"]:
                said.pop(message_id, None)
    assert said == {}


def cursor_at(seq: int = 1, position: int = 0, *, run_id: str | None = None) -> Cursor:
    return Cursor("thread", run_id, seq=seq, position=position, sent_seq=seq, reset_seq=1)


def text(content: str, *, base_seq: int = 1, run_id: str = RUN) -> TextInProgress:
    progress = TextInProgress(run_id=run_id, fence=1, message_id="message", base_seq=base_seq)
    progress.append("text", content)
    return progress


def test_a_message_starts_once_and_its_deltas_say_where_they_begin() -> None:
    cursor = cursor_at()
    progress = text("añ🙂")
    frames = cursor.take_text(progress)
    progress.append("text", "b")
    frames += cursor.take_text(progress)
    assert [(frame.type, frame.id, json.loads(frame.data).get("offset")) for frame in frames] == [
        ("message.started", "1-1", None),
        ("message.delta", "1-4", 0),
        ("message.delta", "1-5", 3),
    ]


def test_a_reader_that_was_sent_more_than_the_text_has_waits() -> None:
    assert cursor_at(position=10).take_text(text("short")) == []


def test_text_waits_for_the_rows_before_it() -> None:
    assert cursor_at(seq=1).take_text(text("ahead", base_seq=2)) == []


def test_the_text_of_another_run_is_not_sent_in_a_runs_stream() -> None:
    assert cursor_at(run_id=RUN).take_text(text("foreign", run_id=OTHER_RUN)) == []


def test_a_runs_stream_ends_with_its_terminal_row_and_sends_nothing_after() -> None:
    thread = Thread()
    thread.append("run.failed", resets=True)
    thread.append("thread.updated", run=None)
    cursor = cursor_at(seq=0, run_id=RUN)
    frames = cursor.take_rows(thread.rows)
    assert [frame.type for frame in frames] == ["run.started", "run.failed"]
    assert cursor.ended
    assert cursor.take_text(text("late", base_seq=3)) == []


def test_a_runs_stream_ends_with_its_thread() -> None:
    thread = Thread()
    thread.append("thread.deleted", run=None)
    cursor = cursor_at(seq=0, run_id=RUN)
    cursor.take_rows(thread.rows)
    assert cursor.ended


@pytest.mark.parametrize(
    "event_id", ["", "1", "1-", "-1", "1-2-3", "01-1", "1-01", " 1-1", "1-1\n", "1234567890123456-1"]
)
def test_an_id_of_another_form_is_refused(event_id: str) -> None:
    with pytest.raises(InvalidEventId):
        parse_event_id(event_id)


def test_an_id_gives_back_its_numbers() -> None:
    assert parse_event_id("17-532") == (17, 532)
