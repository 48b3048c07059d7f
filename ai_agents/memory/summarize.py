"""A summary of what lies far back, and every message since."""

from dataclasses import dataclass, replace
from typing import ClassVar

from ai_agents.core.tokens import estimate_message
from ai_agents.memory.backward import turns_within
from ai_agents.memory.base import Estimate, HistoryReader, MemoryStrategy, Window

# More than any model takes, so that what is not read could not have been sent either. It bounds the work in a thread
# that has grown long without a summary.
_MOST_TOKENS = 2_000_000


@dataclass(frozen=True, slots=True)
class Summarize(MemoryStrategy):
    """The newest summary and all messages after the last one that it covers, so that none is in neither.

    Whoever writes summaries does so when more than twice `recent` messages lie after the last one, and leaves the
    newest `recent` as they are; the window itself does not depend on it.
    """

    name: ClassVar[str] = "summarize"
    recent: int = 10
    max_tokens: int = _MOST_TOKENS
    estimate: Estimate = estimate_message

    @property
    def longest(self) -> int:
        """How many messages may lie after a summary before the next one is due."""
        return 2 * self.recent

    def window(self, history: HistoryReader) -> Window:
        """The summary and what came after it, from the beginning of the turn in which the summary ends."""
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
        """Reads no more than the model takes."""
        return replace(self, max_tokens=min(self.max_tokens, max_tokens), estimate=estimate)


def _turn_boundary(history: HistoryReader, covered: int) -> int:
    """The last `seq` at or before `covered` after which a turn begins."""
    following = history.after(covered, limit=1)
    if not following or following[0].role == "user" or following[0].seq is None:
        return covered
    return min(covered, history.turn_start(following[0].seq) - 1)
