"""The newest messages."""

from dataclasses import dataclass
from typing import ClassVar

from ai_agents.memory.base import HistoryReader, MemoryStrategy, Window
from ai_agents.memory.turns import latest_turns


@dataclass(frozen=True, slots=True)
class LastN(MemoryStrategy):
    """At most the last `n` messages, from where a turn begins; the newest turn is whole even if it is longer."""

    name: ClassVar[str] = "last_n"
    n: int = 20

    def window(self, history: HistoryReader) -> Window:
        """The last whole turns within `n` messages."""
        return Window(latest_turns(history, self.n))

    @property
    def most_messages(self) -> int:
        """`n`."""
        return self.n
