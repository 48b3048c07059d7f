"""The answers of a fake provider, in one form for all wire formats."""

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

# A piece of a response: bytes to send, a number of seconds to wait, or an event to wait for.
Piece = bytes | float | asyncio.Event
End = Literal["clean", "reset", "hang"]


@dataclass(frozen=True)
class Text:
    """Text in pieces, which are sent in order. A number or an event among them is waited for."""

    pieces: Sequence[str | float | asyncio.Event]


@dataclass(frozen=True)
class Reasoning:
    """Thinking in pieces, with the signature that Anthropic adds."""

    pieces: Sequence[str]
    signature: str = "c2lnbmF0dXJl"


@dataclass(frozen=True)
class Call:
    """A tool call. `arguments` may be raw JSON, which is sent unchanged where the wire format has arguments as text."""

    name: str
    arguments: Mapping[str, Any] | str = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """One response. `stop` is the provider's own word; None: the word that fits the parts. `end` as in `Raw`."""

    parts: Sequence[Text | Reasoning | Call] = ()
    stop: str | None = None
    input_tokens: int = 11
    output_tokens: int = 7
    end: End = "clean"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Raw:
    """A response as bytes. `end`: `clean` as in HTTP, `reset` in the middle, `hang` until the client leaves.

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
    """The bytes split at these places; without places, into single bytes."""
    bounds = [0, *(places or range(1, len(data))), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(bounds)]


def raw(call: Call) -> str:
    """The arguments of a call as JSON."""
    return call.arguments if isinstance(call.arguments, str) else orjson.dumps(dict(call.arguments)).decode()


def halves(text: str) -> list[str]:
    """A text in two pieces."""
    middle = len(text) // 2
    return [text[:middle], text[middle:]]
