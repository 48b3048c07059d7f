"""Events of Anthropic's wire as bytes, and what the parser reads of them, whole and in small pieces."""

from dataclasses import replace
from typing import Any

import orjson

from ai_agents.core.exceptions import ProviderError
from ai_agents.core.types import ModelEvent, ModelRequest, ModelResponse, PartDelta, PartEnd, ResponseEnd, ToolCallPart
from ai_agents.providers.anthropic_stream import AnthropicParser
from ai_agents.providers.assembly import Assembly
from ai_agents.providers.quirks import Endpoint, Quirks
from tests.wire.requests import ask, user

ENDPOINT = Endpoint("anthropic")
ORIGIN = {"provider": "anthropic", "model": "claude-sonnet-5"}
USAGE = {"input_tokens": 25, "output_tokens": 1}


def event(kind: str, **facts: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps({"type": kind, **facts}))


def start(index: Any = 0, kind: str = "text", **facts: Any) -> bytes:
    empty = {"text": {"text": ""}, "thinking": {"thinking": "", "signature": ""}, "tool_use": {"id": "toolu_1"}}
    block = {"type": kind, **empty.get(kind, {}), **facts}
    return event("content_block_start", index=index, content_block=block)


def tool(index: Any, name: str, own_id: str | None = None, **facts: Any) -> bytes:
    return start(index, "tool_use", **{"id": own_id or f"toolu_{name}", "name": name, "input": {}} | facts)


def delta(index: Any = 0, kind: str = "text", value: Any = "") -> bytes:
    names = {"text": "text", "thinking": "thinking", "input_json": "partial_json", "signature": "signature"}
    return event("content_block_delta", index=index, delta={"type": f"{kind}_delta", names[kind]: value})


def json_of(index: Any, *pieces: Any) -> bytes:
    return b"".join(delta(index, "input_json", piece) for piece in pieces)


def stop(index: Any = 0) -> bytes:
    return event("content_block_stop", index=index)


def begun(own_id: str = "msg_1", **facts: Any) -> bytes:
    message = {"id": own_id, "type": "message", "role": "assistant", "content": [], "model": "claude-sonnet-5"}
    return event("message_start", message=message | {"usage": USAGE} | facts)


def done(reason: Any = "end_turn", usage: Any = None) -> bytes:
    counts = {"output_tokens": 15} if usage is None else usage
    return event("message_delta", delta={"stop_reason": reason, "stop_sequence": None}, usage=counts)


STOPPED = event("message_stop")
PING = event("ping")
SAID = start() + delta(value="Good") + delta(value=" day") + stop()


def whole(*blocks: bytes, reason: str = "end_turn") -> bytes:
    return begun() + b"".join(blocks) + done(reason) + STOPPED


def events_of(
    data: bytes, size: int, endpoint: Endpoint, request: ModelRequest
) -> tuple[list[ModelEvent], ProviderError | None]:
    """The events of these bytes, `size` at a time, and the error that ends them."""
    parser = AnthropicParser(request, endpoint)
    for at in range(0, len(data), size):
        if (error := parser.feed(data[at : at + size])) is not None or parser.done:
            return parser.writer.events, error
    return parser.writer.events, parser.finish()


def without_ids(parts: list[Any]) -> list[Any]:
    return [replace(part, tool_call_id="") if isinstance(part, ToolCallPart) else part for part in parts]


def read(data: bytes, *, model: str = "claude-sonnet-5", **quirks: Any) -> ModelResponse:
    """The answer in these bytes, the same whole and in pieces of 7. Raises the error that ends it."""
    request = ask("anthropic", user(), model=model)
    found: list[Assembly] = []
    for size in (len(data), 7):
        events, error = events_of(data, size, Endpoint("anthropic", Quirks(**quirks)), request)
        if error is not None:
            assert not any(isinstance(event, ResponseEnd) for event in events)
            raise error
        assert "".join(event.text for event in events if isinstance(event, PartDelta) and event.kind == "text") == (
            "".join(event.part.text for event in events if isinstance(event, PartEnd) and event.part.type == "text")
        )
        found.append(Assembly())
        for each in events:
            found[-1].feed(each)
    first, second = found
    assert without_ids(list(first.parts)) == without_ids(list(second.parts))
    return first.response()
