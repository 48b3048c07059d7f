"""The first messages of a thread, where its task is often given, and the newest ones."""

from dataclasses import dataclass
from typing import ClassVar

from ai_agents.core.types import ModelMessage
from ai_agents.memory.base import HistoryReader, MemoryStrategy, Window
from ai_agents.memory.turns import latest_turns, shrink_to_turn_end, shrink_to_turn_start


@dataclass(frozen=True, slots=True)
class FirstLast(MemoryStrategy):
    """At most the first `first` and the last `last` messages, in whole turns.

    Of a first turn that is longer than `first`, only the user's message is kept.
    """

    name: ClassVar[str] = "first_last"
    first: int = 2
    last: int = 10

    def window(self, history: HistoryReader) -> Window:
        """Both ends of the thread; the whole thread where they meet."""
        tail = latest_turns(history, self.last)
        if not tail or not self.first:
            return Window(tail)
        # One more than is kept: it tells whether the turn before it has ended.
        ahead = history.first(self.first + 1)
        head = [message for message in ahead if _seq(message) < _seq(tail[0])]
        if len(head) <= self.first:
            return Window(shrink_to_turn_start(head) + tail)
        opening = shrink_to_turn_end(head[:-1], head[-1])
        opening = shrink_to_turn_start(opening) or shrink_to_turn_start(head[:-1])[:1]
        return Window(opening + tail, gap_before_seq=tail[0].seq if opening else None)

    @property
    def most_messages(self) -> int:
        """Both ends together."""
        return self.first + self.last


def _seq(message: ModelMessage) -> int:
    return message.seq or 0
