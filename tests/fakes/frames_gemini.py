"""Answers as Gemini's API streams them.

Source, read 2026-11-30: https://ai.google.dev/api/generate-content, `GenerateContentResponse`.
"""

from collections.abc import Iterator
from typing import Any

import orjson

from tests.fakes.answers import Answer, Call, Piece, Reasoning, Text


def frames(answer: Answer, model: str) -> Iterator[Piece]:
    """The chunks of an answer. Its first call is signed, as that of a model that thinks."""
    is_signed = False
    for part in answer.parts:
        if isinstance(part, Call):
            arguments = orjson.loads(part.arguments or "{}") if isinstance(part.arguments, str) else part.arguments
            sent: dict[str, Any] = {"functionCall": {"name": part.name, "args": dict(arguments)}}
            yield _chunk(model, sent if is_signed else sent | {"thoughtSignature": "c2lnbmVk"})
            is_signed = True
        else:
            thought = {"thought": True} if isinstance(part, Reasoning) else {}
            for piece in part.pieces:
                yield _chunk(model, {"text": piece} | thought) if isinstance(piece, str) else piece
    assert all(isinstance(part, Text | Reasoning | Call) for part in answer.parts)
    usage = {
        "promptTokenCount": answer.input_tokens,
        "candidatesTokenCount": answer.output_tokens,
        "totalTokenCount": answer.input_tokens + answer.output_tokens,
    }
    yield _chunk(model, {"text": ""}, finish=answer.stop or "STOP", usage=usage)


def error_body(status: int, word: str, message: str) -> bytes:
    """The body of an error response. The API wraps the errors of streams in a list."""
    return orjson.dumps([{"error": {"code": status, "message": message, "status": word.upper()}}])


def _chunk(
    model: str, part: dict[str, Any], *, finish: str | None = None, usage: dict[str, Any] | None = None
) -> bytes:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": [part]}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    event = {"candidates": [candidate], "modelVersion": model, "responseId": "resp_fake"}
    return b"data: %b\r\n\r\n" % orjson.dumps(event | ({"usageMetadata": usage} if usage else {}))
