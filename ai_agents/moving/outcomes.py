"""What became of each thing that is imported."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

Result = Literal["imported", "exists", "skipped", "failed"]


class Unusable(Exception):
    """The file cannot be imported at all. The message says why, with the line."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one thing: `id` is that of the file, `new_id` ours where it is another one."""

    kind: str
    id: str
    result: Result
    new_id: str | None = None
    reason: str = ""
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        named = f"{self.kind} {self.id}" if self.id else self.kind
        mapped = f" -> {self.new_id}" if self.new_id is not None else ""
        told = "; ".join(each for each in (self.reason, *self.notes) if each)
        return f"{named}{mapped}: {self.result}{f' ({told})' if told else ''}"


@dataclass(slots=True)
class Outcomes:
    """All of them, counted; `tell` gets each."""

    tell: Callable[[Outcome], None]
    counts: dict[Result, int] = field(default_factory=dict)

    def add(self, outcome: Outcome) -> None:
        """Count and tell one."""
        self.counts[outcome.result] = self.counts.get(outcome.result, 0) + 1
        self.tell(outcome)
