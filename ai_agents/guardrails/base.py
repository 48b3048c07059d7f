"""What a guardrail is: something that says where a text is not as it may be."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ai_agents.guardrails.matching import Rule
from ai_agents.guardrails.patterns import parse

Stage = Literal["input", "output", "both"]
Action = Literal["block", "redact"]
# Where a text is not as it may be: from one code point to before another.
Span = tuple[int, int]


class Guardrail(ABC):
    """Judges whole texts. One object serves all runs at once.

    On a stream nothing of a message leaves before the whole has been judged: where patterns say enough, derive from
    `PatternGuardrail`.
    """

    @abstractmethod
    async def check(self, text: str) -> bool | Sequence[Span]:
        """True where the text is as it may be, else False, or where it is not: the places that a redaction takes out.

        An error counts as False.
        """


class PatternGuardrail:
    """Finds patterns, on a stream too: it holds back no more than what could be the beginning of a match.

    `patterns` are texts, upper and lower case being one, or regular expressions between slashes: Python's, without
    what cannot be run in linear time, and with an end to every repetition.
    """

    def __init__(self, patterns: Sequence[str] = ()) -> None:
        self.patterns = tuple(patterns)

    def rules(self) -> Sequence[Rule]:
        """What it looks for. Raises `InvalidRequest` for a pattern that cannot be run."""
        return [Rule(parse(pattern)) for pattern in self.patterns]


class LengthGuardrail:
    """Knows how long a text may be, in characters."""

    def __init__(self, characters: int) -> None:
        self.characters = characters


AnyGuardrail = Guardrail | PatternGuardrail | LengthGuardrail


@dataclass(frozen=True, slots=True)
class Finding:
    """That a guardrail found something, by its type; on the way `input` or `output`, and what it did."""

    guardrail: str
    stage: Literal["input", "output"]
    action: Action


@dataclass(frozen=True, slots=True)
class ConfiguredGuardrail:
    """A guardrail of an agent: which, where, what it does, and what it looks for where that is patterns."""

    type: str
    stage: Stage
    action: Action
    guardrail: AnyGuardrail
    rules: tuple[Rule, ...] = ()
