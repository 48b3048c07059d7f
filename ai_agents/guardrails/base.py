"""What a guardrail is: it finds in a text what may not go in or come out."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ai_agents.guardrails.matching import Rule
from ai_agents.guardrails.patterns import parse

Stage = Literal["input", "output"]
Action = Literal["block", "redact"]
# A stretch of a text: its first code point, and the one after its last.
Span = tuple[int, int]


class Guardrail(ABC):
    """Judges whole texts. One object serves all runs concurrently.

    A stream is held until the message is complete and judged. Where patterns are enough, derive from
    `PatternGuardrail`.
    """

    @abstractmethod
    async def check(self, text: str) -> bool | Sequence[Span]:
        """True if the text is allowed, False if not, or the stretches that are not allowed and are to be redacted.

        An error counts as False.
        """


class PatternGuardrail:
    """Finds patterns, on a stream too: it holds back only what could be the beginning of a match.

    Each pattern is a text, whose case does not matter, or a regular expression between slashes. Its syntax is Python's,
    without what cannot run in linear time, and every repetition needs an upper limit.
    """

    def __init__(self, patterns: Sequence[str] = ()) -> None:
        self.patterns = tuple(patterns)

    def rules(self) -> Sequence[Rule]:
        """The rules to search for. Raises `InvalidRequest` for a pattern that cannot run."""
        return [Rule(parse(pattern)) for pattern in self.patterns]


class LengthGuardrail:
    """Limits the length of a text, in characters."""

    def __init__(self, characters: int) -> None:
        self.characters = characters


AnyGuardrail = Guardrail | PatternGuardrail | LengthGuardrail


@dataclass(frozen=True, slots=True)
class Finding:
    """A guardrail of this type has found something, at this stage, and did this."""

    guardrail: str
    stage: Stage
    action: Action


@dataclass(frozen=True, slots=True)
class ConfiguredGuardrail:
    """A guardrail as an agent configures it. `rules` are empty for one that is no `PatternGuardrail`."""

    type: str
    stages: tuple[Stage, ...]
    action: Action
    guardrail: AnyGuardrail
    rules: tuple[Rule, ...] = ()
