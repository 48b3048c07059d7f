"""The protocol of a memory strategy: it chooses which messages of a thread the model is sent.

A strategy reads through a `HistoryReader`, inside the caller's short transaction, and only the rows that it needs: its
cost depends on its window, never on the length of the thread. The history includes the new message already, so every
count does too.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from ai_agents.core.types import ModelMessage, StoredSummary

Estimate = Callable[[ModelMessage], int]


class HistoryReader(Protocol):
    """Reads the messages of one thread. Every message has a `seq`, and every sequence ascends by it."""

    def latest(self, limit: int, *, before_seq: int | None = None) -> Sequence[ModelMessage]:
        """The last `limit` messages of the thread, or of those before `before_seq`."""

    def first(self, limit: int) -> Sequence[ModelMessage]:
        """The first `limit` messages."""

    def after(self, seq: int, *, limit: int | None = None) -> Sequence[ModelMessage]:
        """The messages after `seq`, at most `limit` of them."""

    def turn_start(self, seq: int) -> int:
        """The `seq` of the last user's message at or before `seq`; without one, that of the thread's first message."""

    def count(self, *, after_seq: int, through_seq: int) -> int:
        """How many messages lie after `after_seq`, up to and including `through_seq`."""

    def summary(self) -> StoredSummary | None:
        """The summary that covers most of the thread."""


@dataclass(frozen=True, slots=True)
class Window:
    """The messages that a strategy chose. They ascend and begin where a turn begins; a new thread has none.

    `summary` replaces the messages up to `covers_through_seq`. Where messages between two of the window were left out,
    `gap_before_seq` is the `seq` of the first message after them. `unread_before_seq` is set where older messages
    belong to the window but were not read, since no model could take them too.
    """

    messages: tuple[ModelMessage, ...]
    summary: str | None = None
    covers_through_seq: int | None = None
    gap_before_seq: int | None = None
    unread_before_seq: int | None = None


class MemoryStrategy(ABC):
    """Chooses the window of a thread. A strategy has no state: one object serves all threads at once."""

    name: ClassVar[str]

    @abstractmethod
    def window(self, history: HistoryReader) -> Window:
        """The window of the thread as it is now: whole turns, with the newest message."""

    def fitted(self, *, max_tokens: int, estimate: Estimate) -> "MemoryStrategy":
        """This strategy for a model that takes `max_tokens`, counted by `estimate` as the model's provider counts."""
        return self

    @property
    def most_messages(self) -> int | None:
        """At most how many messages a window has; None where it depends on the thread."""
        return None
