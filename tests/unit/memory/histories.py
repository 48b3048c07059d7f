"""Threads for tests: a history in memory that counts its reads, and a generator of all kinds of threads."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import strategies as st

from ai_agents.core.types import MessageRole, ModelMessage, Part, StoredSummary, TextPart, ToolCallPart, ToolResultPart


@dataclass
class ListHistory:
    """A thread as a list. `rows_read` are the messages that were returned or counted, `queries` the calls."""

    messages: Sequence[ModelMessage]
    stored_summary: StoredSummary | None = None
    rows_read: int = 0
    queries: int = field(default=0)

    def latest(self, limit: int, *, before_seq: int | None = None) -> list[ModelMessage]:
        """The last `limit` messages before this `seq`."""
        assert limit > 0
        return self._give([m for m in self.messages if before_seq is None or seq_of(m) < before_seq][-limit:])

    def first(self, limit: int) -> list[ModelMessage]:
        """The first `limit` messages."""
        assert limit > 0
        return self._give(list(self.messages[:limit]))

    def after(self, seq: int, *, limit: int | None = None) -> list[ModelMessage]:
        """The messages after this `seq`."""
        return self._give([m for m in self.messages if seq_of(m) > seq][:limit])

    def turn_start(self, seq: int) -> int:
        """The `seq` of the last user's message up to this `seq`, else of the first message."""
        self.queries += 1
        first = seq_of(self.messages[0])
        return max((seq_of(m) for m in self.messages if m.role == "user" and seq_of(m) <= seq), default=first)

    def count(self, *, after_seq: int, through_seq: int) -> int:
        """How many messages lie between. Each of them is a step of the database's."""
        self.queries += 1
        found = sum(1 for m in self.messages if after_seq < seq_of(m) <= through_seq)
        self.rows_read += found
        return found

    def summary(self) -> StoredSummary | None:
        """The newest summary."""
        self.queries += 1
        return self.stored_summary

    def _give(self, messages: list[ModelMessage]) -> list[ModelMessage]:
        self.queries += 1
        self.rows_read += len(messages)
        return messages


def seq_of(message: ModelMessage) -> int:
    """The `seq` of a recorded message."""
    assert message.seq is not None
    return message.seq


def user(seq: int, text: str = "Question?") -> ModelMessage:
    """A user's message."""
    return ModelMessage("user", (TextPart(text),), seq)


def assistant(seq: int, text: str = "Answer.") -> ModelMessage:
    """An assistant's message without calls."""
    return ModelMessage("assistant", (TextPart(text),), seq)


def calls(seq: int, *ids: str, text: str = "") -> ModelMessage:
    """An assistant's message that calls tools."""
    parts: tuple[Part, ...] = tuple(ToolCallPart(id_, "calculator", {"expression": "1+1"}) for id_ in ids)
    return ModelMessage("assistant", ((TextPart(text),) if text else ()) + parts, seq)


def result(seq: int, id_: str, value: str = "2") -> ModelMessage:
    """A tool's message."""
    return ModelMessage("tool", (ToolResultPart(id_, "calculator", value),), seq)


def exchanges(count: int) -> list[ModelMessage]:
    """A thread of this many questions with answers, and one more question. Numbered from 1 without gaps."""
    pairs = [message for turn in range(count) for message in (user(2 * turn + 1), assistant(2 * turn + 2))]
    return [*pairs, user(2 * count + 1)]


@st.composite
def _turn_roles(draw: st.DrawFn) -> list[tuple[MessageRole, list[str]]]:
    """One turn: its roles, each with the ids of the calls that it makes or answers."""
    turn: list[tuple[MessageRole, list[str]]] = [("user", [])]
    for number in range(draw(st.integers(0, 3))):
        ids = [f"call_{number}_{position}" for position in range(draw(st.integers(1, 3)))]
        turn.append(("assistant", ids))
        answered = draw(st.sampled_from([ids, ids, ids, ids[:-1], []]))
        turn.extend(("tool", [id_]) for id_ in answered)
    if draw(st.booleans()):  # else the turn failed, or is under way
        turn.append(("assistant", []))
    return turn


_GREETING: tuple[MessageRole, list[str]] = ("assistant", [])
_BEGINNINGS: list[list[tuple[MessageRole, list[str]]]] = [
    [],
    [],
    [],
    [_GREETING],
    [_GREETING, _GREETING],
    [("assistant", ["before"]), ("tool", ["before"]), _GREETING],
]


@st.composite
def threads(draw: st.DrawFn, *, max_turns: int = 8) -> list[ModelMessage]:
    """Threads with tool rounds, failed turns and orphaned calls; some begin with a greeting. Their `seq` has gaps.

    A greeting is one message or two, or has a tool round.
    """
    roles: list[tuple[MessageRole, list[str]]] = []
    for number in range(draw(st.integers(1, max_turns))):
        roles += [(role, [f"t{number}_{id_}" for id_ in ids]) for role, ids in draw(_turn_roles())]
    roles = [*draw(st.sampled_from(_BEGINNINGS)), *roles]
    steps = draw(st.lists(st.integers(1, 3), min_size=len(roles), max_size=len(roles)))
    messages, seq = [], 0
    for (role, ids), step in zip(roles, steps, strict=True):
        seq += step
        messages.append(_message(draw, role, ids, seq))
    return messages


def _message(draw: st.DrawFn, role: MessageRole, ids: list[str], seq: int) -> ModelMessage:
    text = draw(st.sampled_from(["Short.", "Somewhat longer than short, but not by much.", "word " * 60]))
    match role:
        case "user":
            return user(seq, text)
        case "tool":
            return result(seq, ids[0], text)
        case _:
            return calls(seq, *ids) if ids else assistant(seq, text)
