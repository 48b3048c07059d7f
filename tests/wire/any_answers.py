"""Answers of every provider, as bytes and in pieces."""

from dataclasses import replace

from ai_agents.core.types import ModelResponse, ToolCallPart
from tests.fakes.answers import Answer, Call, Piece, Reasoning, Text, say
from tests.fakes.frames import frames
from tests.wire.requests import MODELS

UNICODE = ["Grüße, ", "世界 ", "😀👩‍👩‍👧", "\u2028", '\t"\\/\n', "e\u0301"]
EVERYTHING = Answer(
    [
        Reasoning(["Let me", " see."]),
        Text(UNICODE),
        Call("calculator", {"expression": "6*7"}),
        Call("calculator", {"expression": "„7“ + 1", "deep": {"list": [1, 2.5, None, True]}}),
    ]
)


def bytes_of(name: str, answer: Answer) -> bytes:
    return b"".join(piece for piece in frames(name, answer, MODELS[name]) if isinstance(piece, bytes))


def without_ids(response: ModelResponse) -> ModelResponse:
    parts = (replace(p, tool_call_id="") if isinstance(p, ToolCallPart) else p for p in response.parts)
    return replace(response, parts=tuple(parts))


def first_word(name: str) -> list[Piece]:
    """The frames of an answer up to its first word."""
    pieces = frames(name, say("one ", "two"), MODELS[name])
    return pieces[: next(n for n, piece in enumerate(pieces) if isinstance(piece, bytes) and b"one " in piece) + 1]
