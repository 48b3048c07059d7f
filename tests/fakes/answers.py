"""What a fake provider is to answer, said once for all wire formats."""

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

# A piece of a response: bytes are sent as they are, a number is waited for in seconds, an event is waited for.
Piece = bytes | float | asyncio.Event
End = Literal["clean", "reset", "hang"]


@dataclass(frozen=True)
class Text:
    """Text in pieces; the model says them one after the other. A number or an event among them is waited for."""

    pieces: Sequence[str | float | asyncio.Event]


@dataclass(frozen=True)
class Reasoning:
    """Thinking in pieces, with the signature that Anthropic adds."""

    pieces: Sequence[str]
    signature: str = "c2lnbmF0dXJl"


@dataclass(frozen=True)
class Call:
    """A tool call. `arguments` may be raw JSON, which is then sent as it is where the wire format has text for it."""

    name: str
    arguments: Mapping[str, Any] | str = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """One response. `stop` is the provider's own word; None is what fits the parts. `end`: how the connection ends."""

    parts: Sequence[Text | Reasoning | Call] = ()
    stop: str | None = None
    input_tokens: int = 11
    output_tokens: int = 7
    end: End = "clean"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Raw:
    """A response as bytes. `end`: `clean` as HTTP wants it, `reset` in the midst, `hang` until the client leaves.

    `status` 0 sends no response at all, not even a head.
    """

    pieces: Sequence[Piece]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    end: End = "clean"


def say(*pieces: str | float | asyncio.Event, **facts: Any) -> Answer:
    """An answer of text alone."""
    return Answer([Text(pieces)], **facts)


def call(name: str, arguments: Mapping[str, Any] | str = "{}", **facts: Any) -> Answer:
    """An answer of one tool call."""
    return Answer([Call(name, arguments)], **facts)


def split(data: bytes, *places: int) -> list[bytes]:
    """The bytes cut at these places; without places between all of them."""
    bounds = [0, *(places or range(1, len(data))), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(bounds)]


def raw(call: Call) -> str:
    """The arguments of a call as JSON."""
    return call.arguments if isinstance(call.arguments, str) else orjson.dumps(dict(call.arguments)).decode()


def halves(text: str) -> list[str]:
    """A text in two pieces."""
    middle = len(text) // 2
    return [text[:middle], text[middle:]]
