"""A summary of the older messages, and every message after it."""

from dataclasses import dataclass, replace
from typing import ClassVar

from ai_agents.core.tokens import estimate_message
from ai_agents.memory.backward import turns_within
from ai_agents.memory.base import Estimate, HistoryReader, MemoryStrategy, Window

# More than any model takes, so messages that are not read could not be sent. It limits the work in a long thread that
# has no summary yet.
_MOST_TOKENS = 2_000_000


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
        """The summary, and the messages from the beginning of the turn in which the summary ends."""
        summary = history.summary()
        covered = summary.covers_through_seq if summary else 0
        after_seq = _turn_boundary(history, covered) if covered else 0
        walk = turns_within(history, max_tokens=self.max_tokens, estimate=self.estimate, after_seq=after_seq)
        return Window(
            walk.messages,
            summary=summary.text if summary else None,
            covers_through_seq=covered if summary else None,
            unread_before_seq=walk.messages[0].seq if walk.stopped and walk.messages else None,
        )

    def fitted(self, *, max_tokens: int, estimate: Estimate) -> "Summarize":
        """Counts as the model's provider does, and reads no more than the model takes."""
        return replace(self, max_tokens=min(self.max_tokens, max_tokens), estimate=estimate)


def _turn_boundary(history: HistoryReader, covered: int) -> int:
    """The last `seq`, at or before `covered`, after which a turn begins."""
    following = history.after(covered, limit=1)
    if not following or following[0].role == "user" or following[0].seq is None:
        return covered
    return min(covered, history.turn_start(following[0].seq) - 1)
