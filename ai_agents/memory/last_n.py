"""The newest messages of a thread."""

from dataclasses import dataclass
from typing import ClassVar

from ai_agents.memory.base import HistoryReader, MemoryStrategy, Window
from ai_agents.memory.turns import latest_turns


@dataclass(frozen=True, slots=True)
class LastN(MemoryStrategy):
    """The whole turns among the last `n` messages; the newest turn is whole even if it is longer."""

    name: ClassVar[str] = "last_n"
    n: int = 20

    def window(self, history: HistoryReader) -> Window:
        """The whole turns among the last `n` messages."""
        return Window(latest_turns(history, self.n))

    @property
    def most_messages(self) -> int:
        """`n`."""
        return self.n
