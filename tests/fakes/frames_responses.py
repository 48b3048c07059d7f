"""Answers in the wire format of OpenAI's Responses.

Source, read 2026-11-22: https://developers.openai.com/api/reference/resources/responses/streaming-events.
"""

from collections.abc import Iterator
from typing import Any

import orjson

from tests.fakes.answers import Answer, Call, Piece, Reasoning, Text, halves, raw


def frames(answer: Answer, model: str) -> Iterator[Piece]:
    """The frames of an answer. `stop` is the reason why the response is incomplete."""
    response = {"id": "resp_fake", "object": "response", "created_at": 1763769600, "model": model, "store": False}
    yield _event("response.created", response=response | {"status": "in_progress", "output": [], "usage": None})
    yield _event("response.in_progress", response=response | {"status": "in_progress", "output": [], "usage": None})
    for index, part in enumerate(answer.parts):
        yield from _item(index, part, whole=answer.stop is None or index < len(answer.parts) - 1)
    usage = {
        "input_tokens": answer.input_tokens,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": answer.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": answer.input_tokens + answer.output_tokens,
    }
    end = response | {"status": "completed", "incomplete_details": None, "error": None, "usage": usage, "output": []}
    if answer.stop is None:
        yield _event("response.completed", response=end)
    else:
        end |= {"status": "incomplete", "incomplete_details": {"reason": answer.stop}}
        yield _event("response.incomplete", response=end)


def _event(name: str, **facts: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), orjson.dumps({"type": name, **facts}))


def _item(index: int, part: Text | Reasoning | Call, *, whole: bool) -> Iterator[Piece]:
    at: dict[str, Any] = {"output_index": index, "item_id": f"item_{index}"}
    status = "completed" if whole else "incomplete"
    item: dict[str, Any]
    match part:
        case Text():
            item = {"id": f"item_{index}", "type": "message", "role": "assistant", "content": []}
            yield _event("response.output_item.added", output_index=index, item=item | {"status": "in_progress"})
            block = {"type": "output_text", "text": "", "annotations": []}
            yield _event("response.content_part.added", **at, content_index=0, part=block)
            for said in part.pieces:
                yield _event("response.output_text.delta", **at, delta=said) if isinstance(said, str) else said
            text = "".join(said for said in part.pieces if isinstance(said, str))
            yield _event("response.output_text.done", **at, content_index=0, text=text, logprobs=[])
            item |= {"content": [block | {"text": text}]}
        case Reasoning():
            summary = {"type": "summary_text", "text": "".join(part.pieces)}
            item = {"id": f"rs_{index}", "type": "reasoning", "summary": [], "encrypted_content": "unfinished"}
            yield _event("response.output_item.added", output_index=index, item=item)
            yield _event("response.reasoning_summary_part.added", **at, summary_index=0, part=summary | {"text": ""})
            for piece in part.pieces:
                yield _event("response.reasoning_summary_text.delta", **at, summary_index=0, delta=piece)
            yield _event("response.reasoning_summary_text.done", **at, summary_index=0, text=summary["text"])
            item |= {"summary": [summary], "encrypted_content": part.signature}
        case _:
            # Every call has the same id, so a client that relied on ids would fail.
            item = {"id": f"fc_{index}", "type": "function_call", "call_id": "call_same", "name": part.name}
            yield _event("response.output_item.added", output_index=index, item=item | {"arguments": ""})
            for piece in halves(raw(part)):
                yield _event("response.function_call_arguments.delta", **at, delta=piece)
            yield _event("response.function_call_arguments.done", **at, arguments=raw(part))
            item |= {"arguments": raw(part)}
    yield _event("response.output_item.done", output_index=index, item=item | {"status": status})
