"""What a memory strategy is: something that chooses which messages of a thread the model is shown.

A strategy reads through a `HistoryReader`, inside the caller's short transaction, and only the rows that it needs:
its cost depends on its window, never on the length of the thread. The new message is in the history already, so every
count includes it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from ai_agents.core.types import ModelMessage, StoredSummary

Estimate = Callable[[ModelMessage], int]


class HistoryReader(Protocol):
    """One thread's messages, read by place. Every sequence is ascending by `seq`, which every message has."""

    def latest(self, limit: int, *, before_seq: int | None = None) -> Sequence[ModelMessage]:
        """The last `limit` messages, of those before `before_seq` where it is given."""
        ...

    def first(self, limit: int) -> Sequence[ModelMessage]:
        """The first `limit` messages."""
        ...

    def after(self, seq: int, *, limit: int | None = None) -> Sequence[ModelMessage]:
        """The messages after `seq`, at most `limit` of them."""
        ...

    def turn_start(self, seq: int) -> int:
        """The `seq` of the last user's message at or before `seq`; without one, a `seq` not after the given one."""
        ...

    def run_messages(self, run_id: str) -> Sequence[ModelMessage]:
        """The messages of one run."""
        ...

    def summary(self) -> StoredSummary | None:
        """The summary that covers most of the thread."""
        ...


@dataclass(frozen=True, slots=True)
class Window:
    """What a strategy chose. `messages` ascend and begin with a user's; they are empty only where nobody has spoken.

    `summary` stands for what lies at or before `covers_through_seq`. Where messages between two of the window were
    left out, `gap_before_seq` is the `seq` of the first one after them. `unread_before_seq` is set where older
    messages belong to the window and were not read, since no model could take them as well.
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
        """The window as the thread stands now: whole turns, the newest message among them."""

    def fitted(self, *, max_tokens: int, estimate: Estimate) -> "MemoryStrategy":
        """The same strategy for a model that takes `max_tokens`, as `estimate` counts them.

        Lets a strategy stop reading where nothing more could be sent, or count as the model's provider does.
        """
        return self

    @property
    def most_messages(self) -> int | None:
        """At most how many messages a window has; None where it depends on the thread."""
        return None
