"""The built-in memory strategies."""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar

from ai_agents.core.tokens import estimate_message
from ai_agents.core.types import ModelMessage, ToolCallPart
from ai_agents.memory.base import Estimate, HistoryReader, MemoryStrategy, Window
from ai_agents.memory.turns import (
    first_kept,
    latest_turns,
    most_of_latest,
    shrink_to_turn_end,
    starts_of_turns,
    turns_within,
)

# More than any model takes, so messages that are not read could not be sent. It limits the work in a long thread that
# has no summary yet.
_MOST_TOKENS = 2_000_000


@dataclass(frozen=True, slots=True)
class LastN(MemoryStrategy):
    """The whole turns among the last `n` messages; the newest turn is whole even if it is longer.

    With a `step` the edge moves by that many messages at a time, so that providers can use what they computed for the
    request before; the window then has up to two steps more.
    """

    name: ClassVar[str] = "last_n"
    n: int = 20
    step: int = 1

    def window(self, history: HistoryReader) -> Window:
        return Window(latest_turns(history, self.n, step=self.step))

    @property
    def most_messages(self) -> int:
        return most_of_latest(self.n, self.step)


@dataclass(frozen=True, slots=True)
class FirstLast(MemoryStrategy):
    """At most the first `first` and the last `last` messages, in whole turns.

    Where the ends meet, it is the whole thread. Of a first turn that is longer than `first`, only the first message is
    kept. `step` is for the last messages what it is for `last_n`.
    """

    name: ClassVar[str] = "first_last"
    first: int = 2
    last: int = 10
    step: int = 1

    def window(self, history: HistoryReader) -> Window:
        tail = latest_turns(history, self.last, step=self.step)
        if not tail or not self.first:
            return Window(tail)
        # One more than is kept: it tells whether the turn before it has ended.
        ahead = history.first(self.first + 1)
        tail_seq = tail[0].seq or 0
        head = [message for message in ahead if (message.seq or 0) < tail_seq]
        if len(head) <= self.first:
            return Window((*head, *tail))
        opening = shrink_to_turn_end(head[:-1], head[-1]) or _without_calls(head[0])
        return Window(opening + tail, gap_before_seq=tail_seq if opening else None)

    @property
    def most_messages(self) -> int:
        return self.first + most_of_latest(self.last, self.step)


@dataclass(frozen=True, slots=True)
class TokenWindow(MemoryStrategy):
    """The newest whole turns that fit into `max_tokens`; the newest turn is whole even if it is longer.

    In a thread that is longer, the window has between three quarters of `max_tokens` and all of it, so that its edge
    does not move with each turn. `is_whole` is set where a model takes fewer tokens: then the window has all turns that
    fit, since the edge is chosen with the rest of the request.
    """

    name: ClassVar[str] = "token_window"
    max_tokens: int = 100_000
    estimate: Estimate = estimate_message
    is_whole: bool = False

    def window(self, history: HistoryReader) -> Window:
        messages, stopped = turns_within(history, max_tokens=self.max_tokens, estimate=self.estimate)
        if not stopped or self.is_whole:
            return Window(messages)
        starts = starts_of_turns(messages)
        costs = [sum(map(self.estimate, messages[start:end])) for start, end in pairwise([*starts, len(messages)])]
        seqs = [messages[start].seq or 0 for start in starts]
        return Window(messages[starts[first_kept(seqs, costs, self.max_tokens)] :] if starts else ())

    def fitted(self, *, max_tokens: int, estimate: Estimate) -> MemoryStrategy:
        limit = min(self.max_tokens, max_tokens)
        return replace(self, max_tokens=limit, estimate=estimate, is_whole=self.max_tokens > max_tokens)


@dataclass(frozen=True, slots=True)
class Summarize(MemoryStrategy):
    """The newest summary and all messages that it does not cover, so every message is in one of the two.

    A background job writes the next summary when more than twice `recent` messages are not covered, and leaves out the
    newest `recent`. The window itself does not depend on `recent`.
    """

    name: ClassVar[str] = "summarize"
    recent: int = 10
    max_tokens: int = _MOST_TOKENS
    estimate: Estimate = estimate_message

    @property
    def longest(self) -> int:
        """How many messages may follow a summary before the next one is due."""
        return 2 * self.recent

    def window(self, history: HistoryReader) -> Window:
        summary = history.summary()
        covered = summary.covers_through_seq if summary else 0
        after_seq = _turn_boundary(history, covered) if covered else 0
        messages, stopped = turns_within(
            history, max_tokens=self.max_tokens, estimate=self.estimate, after_seq=after_seq
        )
        return Window(
            messages,
            summary=summary.text if summary else None,
            covers_through_seq=covered if summary else None,
            unread_before_seq=messages[0].seq if stopped and messages else None,
        )

    def fitted(self, *, max_tokens: int, estimate: Estimate) -> MemoryStrategy:
        return replace(self, max_tokens=min(self.max_tokens, max_tokens), estimate=estimate)


def _without_calls(message: ModelMessage) -> tuple[ModelMessage, ...]:
    """The message, unless results belong to it."""
    return () if any(isinstance(part, ToolCallPart) for part in message.parts) else (message,)


def _turn_boundary(history: HistoryReader, covered: int) -> int:
    """The last `seq`, at or before `covered`, after which a turn begins."""
    following = history.after(covered, limit=1)
    if not following or following[0].role == "user" or following[0].seq is None:
        return covered
    return min(covered, history.turn_start(following[0].seq) - 1)
