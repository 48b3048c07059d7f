"""What the Open Responses document, and OpenAI's types where it is silent, say of frames and responses."""

import functools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jsonschema_rs
from openai.types.responses import (
    ResponseMcpCallArgumentsDeltaEvent,
    ResponseMcpCallArgumentsDoneEvent,
    ResponseMcpCallCompletedEvent,
    ResponseMcpCallFailedEvent,
    ResponseMcpCallInProgressEvent,
)
from openai.types.responses.response_output_item import McpApprovalRequest, McpCall
from pydantic import BaseModel

_DEFS: dict[str, Any] = json.loads((Path(__file__).parent / "openresponses.json").read_text())["$defs"]
_EVENTS = {
    each["properties"]["type"]["enum"][0]: each for name, each in _DEFS.items() if name.endswith("StreamingEvent")
}
_MCP_EVENTS: dict[str, type[BaseModel]] = {
    "response.mcp_call.in_progress": ResponseMcpCallInProgressEvent,
    "response.mcp_call.completed": ResponseMcpCallCompletedEvent,
    "response.mcp_call.failed": ResponseMcpCallFailedEvent,
    "response.mcp_call_arguments.delta": ResponseMcpCallArgumentsDeltaEvent,
    "response.mcp_call_arguments.done": ResponseMcpCallArgumentsDoneEvent,
}
_MCP_ITEMS: dict[str, type[BaseModel]] = {"mcp_call": McpCall, "mcp_approval_request": McpApprovalRequest}
# An item that stands in the place of one that the document does not have.
_PLAIN_ITEM = {"type": "reasoning", "id": "rs_", "summary": []}


@functools.cache
def _validator(name: str) -> jsonschema_rs.Validator:
    schema = _DEFS["ResponseResource"] if name == "response" else _EVENTS[name]
    return jsonschema_rs.validator_for({**schema, "$defs": _DEFS})


def read_frames(chunks: Iterable[str]) -> list[dict[str, Any]]:
    """The data of these frames. Each of them is what the document says."""
    frames = []
    for block in "".join(chunks).split("\n\n"):
        if block and block != "data: [DONE]" and not block.startswith(":"):
            event, _, data = block.partition("\n")
            frame = json.loads(data.removeprefix("data: "))
            assert event == f"event: {frame['type']}", block
            check_frame(frame)
            frames.append(frame)
    return frames


def check_frame(frame: dict[str, Any]) -> None:
    """Assert that this is a frame of the document, or one about a call that is made by the server."""
    if (model := _MCP_EVENTS.get(frame["type"])) is not None:
        model.model_validate(frame, strict=True)
        return
    checked = dict(frame)
    if "item" in frame:
        checked["item"] = _checked_item(frame["item"])
    if "response" in frame:
        checked["response"] = _checked_response(frame["response"])
    _validator(frame["type"]).validate(checked)


def check_response(response: dict[str, Any]) -> None:
    """Assert that this is a response of the document."""
    _validator("response").validate(_checked_response(response))


def _checked_response(response: dict[str, Any]) -> dict[str, Any]:
    return response | {"output": [_checked_item(each) for each in response["output"]]}


def _checked_item(item: dict[str, Any]) -> dict[str, Any]:
    if (model := _MCP_ITEMS.get(item["type"])) is not None:
        model.model_validate(item, strict=True)
        return _PLAIN_ITEM
    return item
