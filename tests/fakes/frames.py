"""Answers in the wire format of each provider, as frames of bytes.

Sources, read 2026-11-22: https://platform.claude.com/docs/en/build-with-claude/streaming and /docs/en/api/errors,
https://developers.openai.com/api/reference/resources/chat/subresources/completions/streaming-events and
/api/docs/guides/error-codes, https://docs.ollama.com/api/chat and https://docs.ollama.com/api/streaming.
"""

import asyncio
from collections.abc import Iterator
from typing import Any

import orjson

from tests.fakes import frames_gemini, frames_responses
from tests.fakes.answers import Answer, Call, Piece, Reasoning, Text, halves, raw

PROVIDERS = ("anthropic", "openai", "responses", "ollama", "gemini")
CONTENT_TYPES = {
    "anthropic": "text/event-stream; charset=utf-8",
    "openai": "text/event-stream; charset=utf-8",
    "responses": "text/event-stream; charset=utf-8",
    "ollama": "application/x-ndjson",
    "gemini": "text/event-stream",
}


def frames(provider: str, answer: Answer, model: str) -> list[Piece]:
    """The frames of an answer, and the waits between them."""
    encode = {
        "anthropic": _anthropic,
        "openai": _openai,
        "responses": frames_responses.frames,
        "ollama": _ollama,
        "gemini": frames_gemini.frames,
    }
    return list(encode[provider](answer, model))


def error_body(provider: str, status: int, word: str, message: str) -> bytes:
    """The body of an error response."""
    if provider == "anthropic":
        return orjson.dumps({"type": "error", "error": {"type": word, "message": message}, "request_id": "req_fake"})
    if provider in {"openai", "responses"}:
        return orjson.dumps({"error": {"message": message, "type": word, "param": None, "code": None}})
    if provider == "gemini":
        return frames_gemini.error_body(status, word, message)
    return orjson.dumps({"error": message})


def _event(name: str, data: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), orjson.dumps({"type": name, **data}))


def _anthropic(answer: Answer, model: str) -> Iterator[Piece]:
    usage = {
        "input_tokens": answer.input_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 1,
    }
    message = {"id": "msg_fake", "type": "message", "role": "assistant", "content": [], "model": model}
    yield _event("message_start", {"message": message | {"stop_reason": None, "stop_sequence": None, "usage": usage}})
    yield _event("ping", {})
    for index, part in enumerate(answer.parts):
        yield from _anthropic_block(index, part)
    stop = answer.stop or ("tool_use" if _calls(answer) else "end_turn")
    yield _event(
        "message_delta",
        {"delta": {"stop_reason": stop, "stop_sequence": None}, "usage": {"output_tokens": answer.output_tokens}},
    )
    yield _event("message_stop", {})


def _anthropic_block(index: int, part: Text | Reasoning | Call) -> Iterator[Piece]:
    def delta(**facts: str) -> bytes:
        return _event("content_block_delta", {"index": index, "delta": facts})

    block: dict[str, Any]
    deltas: list[Piece]
    match part:
        case Text():
            block = {"type": "text", "text": ""}
            deltas = [delta(type="text_delta", text=p) if isinstance(p, str) else p for p in part.pieces]
        case Reasoning():
            block = {"type": "thinking", "thinking": "", "signature": ""}
            deltas = [delta(type="thinking_delta", thinking=piece) for piece in part.pieces]
            deltas.append(delta(type="signature_delta", signature=part.signature))
        case Call():
            # Every call has the same id, so a client that relied on ids would fail.
            block = {"type": "tool_use", "id": "toolu_same", "name": part.name, "input": {}}
            deltas = [delta(type="input_json_delta", partial_json=piece) for piece in ("", *halves(raw(part)))]
    yield _event("content_block_start", {"index": index, "content_block": block})
    yield from deltas
    yield _event("content_block_stop", {"index": index})


def _openai(answer: Answer, model: str) -> Iterator[Piece]:
    common = {"id": "chatcmpl-fake", "object": "chat.completion.chunk", "created": 1763769600, "model": model}

    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return b"data: %b\n\n" % orjson.dumps(common | {"choices": [choice], "usage": None})

    yield chunk({"role": "assistant", "content": "", "refusal": None})
    number = 0
    for part in answer.parts:
        if isinstance(part, Call):
            function = {"name": part.name, "arguments": ""}
            call = {"index": number, "id": "call_same", "type": "function", "function": function}
            yield chunk({"tool_calls": [call]})
            for piece in halves(raw(part)):
                yield chunk({"tool_calls": [{"index": number, "function": {"arguments": piece}}]})
            number += 1
        else:
            name = "content" if isinstance(part, Text) else "reasoning_content"
            for said in part.pieces:
                yield chunk({name: said}) if isinstance(said, str) else said
    yield chunk({}, answer.stop or ("tool_calls" if number else "stop"))
    usage = {
        "prompt_tokens": answer.input_tokens,
        "completion_tokens": answer.output_tokens,
        "total_tokens": answer.input_tokens + answer.output_tokens,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }
    yield b"data: %b\n\n" % orjson.dumps(common | {"choices": [], "usage": usage})
    yield b"data: [DONE]\n\n"


def _ollama(answer: Answer, model: str) -> Iterator[Piece]:
    common = {"model": model, "created_at": "2026-11-22T00:00:00.000000Z"}

    def line(message: dict[str, Any], **facts: Any) -> bytes:
        whole = common | {"message": {"role": "assistant", "content": ""} | message, "done": False} | facts
        return orjson.dumps(whole) + b"\n"

    for part in answer.parts:
        if isinstance(part, Call):
            arguments = orjson.loads(part.arguments) if isinstance(part.arguments, str) else dict(part.arguments)
            yield line({"tool_calls": [{"function": {"name": part.name, "arguments": arguments}}]})
        else:
            name = "content" if isinstance(part, Text) else "thinking"
            for said in part.pieces:
                yield line({name: said}) if isinstance(said, str) else said
    yield line(
        {},
        done=True,
        done_reason=answer.stop or "stop",
        total_duration=5_000_000,
        load_duration=1_000_000,
        prompt_eval_count=answer.input_tokens,
        prompt_eval_duration=1_000_000,
        eval_count=answer.output_tokens,
        eval_duration=3_000_000,
    )


def _calls(answer: Answer) -> bool:
    return any(isinstance(part, Call) for part in answer.parts)


def is_wait(piece: Piece) -> bool:
    """Whether a piece is a wait."""
    return isinstance(piece, float | int | asyncio.Event)
