"""Events of Responses, as compatible servers send them, and what is read of them."""

import json
from typing import Any

from ai_agents.core.exceptions import ProviderError
from ai_agents.core.types import ModelResponse
from ai_agents.providers.quirks import Quirks
from tests.wire.reading import read, read_response
from tests.wire.requests import CALCULATOR, ask

NAME = "responses"
USAGE = {"input_tokens": 9, "output_tokens": 5, "total_tokens": 14}
SAID = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Good day.", "annotations": []}],
}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "calculator", "status": "completed"}
SUM = CALL | {"arguments": '{"expression":"6*7"}'}
OTHER = CALL | {"id": "fc_2", "call_id": "call_2", "arguments": '{"expression":"7*8"}'}
THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}]}


def event(kind: str, **facts: Any) -> bytes:
    return f"data: {json.dumps({'type': f'response.{kind}'} | facts)}\n\n".encode()


def delta(text: str, **facts: Any) -> bytes:
    return event("output_text.delta", **{"output_index": 0, "item_id": "msg_1", "content_index": 0} | facts, delta=text)


def arguments(text: str, **facts: Any) -> bytes:
    return event("function_call_arguments.delta", **facts, delta=text)


def added(item: dict[str, Any], index: int | None = 0, **facts: Any) -> bytes:
    begun = item | {"status": "in_progress"} | ({"arguments": ""} if "arguments" in item else {}) | facts
    return event("output_item.added", item=begun, **{} if index is None else {"output_index": index})


def done(item: dict[str, Any], index: int | None = 0) -> bytes:
    return event("output_item.done", item=item, **{} if index is None else {"output_index": index})


def end(*output: dict[str, Any], **facts: Any) -> bytes:
    return event("completed", response={"status": "completed", "output": list(output), "usage": USAGE} | facts)


TEXT_DONE = event("output_text.done", output_index=0, item_id="msg_1", text="Good day.")
ARGUMENTS_DONE = event("function_call_arguments.done", output_index=0, item_id="fc_1", arguments=SUM["arguments"])


def answer(*frames: bytes, quirks: Quirks | None = None, limit: int | None = None) -> ModelResponse:
    request = ask(NAME, tools=(CALCULATOR,), settings={"max_tokens": limit})
    return read_response(NAME, request, b"".join(frames), quirks)


def failure(*frames: bytes) -> ProviderError:
    found = read(NAME, ask(NAME, tools=(CALCULATOR,)), b"".join(frames))
    assert isinstance(found, ProviderError)
    return found


def calls_of(response: ModelResponse) -> list[Any]:
    return [call.arguments for call in response.tool_calls]
