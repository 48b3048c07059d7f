"""The newest messages that fit into a number of tokens."""

from dataclasses import dataclass, replace
from typing import ClassVar

from ai_agents.core.tokens import estimate_message
from ai_agents.memory.backward import turns_within
from ai_agents.memory.base import Estimate, HistoryReader, MemoryStrategy, Window


@dataclass(frozen=True, slots=True)
class TokenWindow(MemoryStrategy):
    """The newest whole turns that fit into `max_tokens`; the newest turn is whole even if it is longer."""

    name: ClassVar[str] = "token_window"
    max_tokens: int = 100_000
    estimate: Estimate = estimate_message

    def window(self, history: HistoryReader) -> Window:
        """The newest turns that fit."""
        return Window(turns_within(history, max_tokens=self.max_tokens, estimate=self.estimate).messages)

    def fitted(self, *, max_tokens: int, estimate: Estimate) -> "TokenWindow":
        """Counts as the model's provider does, and reads no more than the model takes."""
        return replace(self, max_tokens=min(self.max_tokens, max_tokens), estimate=estimate)
