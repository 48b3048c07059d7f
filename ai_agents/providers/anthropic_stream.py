"""Parses the streams of Anthropic's Messages API.

Source: https://platform.claude.com/docs/en/build-with-claude/streaming, read 2026-11-22.
"""

from dataclasses import replace
from typing import Any

from ai_agents.core.json import clean_text
from ai_agents.core.types import JsonObject, ModelMessage, ModelRequest, ResponseEnd, StopReason, Usage
from ai_agents.providers.anthropic_models import NAME
from ai_agents.providers.anthropic_request import SERVER_CALLS
from ai_agents.providers.assembly import parse_arguments, raw_arguments
from ai_agents.providers.errors import error_from_wire
from ai_agents.providers.lines import SSEDecoder, clean_json
from ai_agents.providers.rendering import ToolNames
from ai_agents.providers.response_parser import ResponseParser

# How often a paused answer is continued: https://platform.claude.com/docs/en/agents-and-tools/tool-use/server-tools
MAX_PAUSES = 8
_STOP_REASONS: dict[str, StopReason] = {
    "end_turn": "end",
    "tool_use": "tool_use",
    "max_tokens": "max_tokens",
    "stop_sequence": "stop_sequence",
    "refusal": "refusal",
    "pause_turn": "pause",
    "model_context_window_exceeded": "context_exceeded",
}


class AnthropicParser(ResponseParser):
    """Parses the events of one response.

    Events and blocks of unknown kinds are left out, as the API's versioning asks of its clients. The blocks of the
    provider's own tools are kept for the provider alone. Where an answer paused, the responses that continue it add to
    the same events: `before` is the parser of the response that paused.
    """

    def __init__(self, request: ModelRequest, *, before: "AnthropicParser | None" = None) -> None:
        super().__init__(NAME, SSEDecoder())
        self._request = request
        self._pauses = 0
        self._usage_before = Usage()
        if before is not None:
            self.writer = before.writer
            self._pauses = before._pauses + 1
            self._usage_before = before._total_usage()
        self._paused = False
        self._asked_model = request.model
        self._model = request.model
        self._names = ToolNames(request.tools)
        self._block: JsonObject = {}
        self._signature: list[str] = []
        self._arguments: list[str] = []
        self._call: tuple[str, str] | None = None
        self._stop = "other"
        self._usage: JsonObject = {}
        self._output_is_final = False

    def read(self, event: JsonObject) -> None:
        """Write the events for one event of the API."""
        kind = event.get("type")
        if kind == "content_block_delta":
            self._read_delta(event["delta"])
        elif kind == "content_block_start":
            self._start_block(event["content_block"])
        elif kind == "content_block_stop":
            self._end_block()
        elif kind == "message_start":
            message = event["message"]
            self._model = str(message.get("model") or self._asked_model)
            self._take_usage(message.get("usage"))
        elif kind == "message_delta":
            self._stop = event["delta"].get("stop_reason") or self._stop
            self._take_usage(event.get("usage"))
            self._output_is_final = True
        elif kind == "message_stop":
            self._end()
        elif kind == "error" or "error" in event:
            raise error_from_wire(NAME, event.get("error"))

    def usage(self) -> Usage | None:
        """The tokens reported so far: of the input all, of the output only those before a pause."""
        if not self._usage:
            return None
        if self._output_is_final:
            return self._total_usage()
        return self._usage_before + replace(_usage_from_wire(self._usage), output_tokens=None)

    def continuation(self) -> ModelRequest | None:
        """The request, with the answer up to its pause as the last message."""
        if not self._paused:
            return None
        answer = ModelMessage("assistant", tuple(self.writer.parts))
        # The request of a continued response ends with an earlier part of this answer.
        messages = self._request.messages[:-1] if self._pauses else self._request.messages
        return replace(self._request, messages=(*messages, answer))

    def _read_delta(self, delta: JsonObject) -> None:
        kind = delta.get("type")
        if kind == "text_delta":
            self.writer.write("text", delta["text"])
        elif kind == "input_json_delta":
            self._arguments.append(delta["partial_json"])
        elif kind == "thinking_delta":
            self.writer.write("reasoning", delta["thinking"])
        elif kind == "signature_delta":
            self._signature.append(delta["signature"])

    def _start_block(self, block: JsonObject) -> None:
        self._end_block()
        self._end_call()
        self._block = block
        kind = block.get("type")
        if kind == "text":
            self.writer.write("text", block.get("text") or "")
        elif kind == "thinking":
            self.writer.write("reasoning", block.get("thinking") or "")
            self._signature = [block["signature"]] if block.get("signature") else []

    def _end_block(self) -> None:
        block, self._block = self._block, {}
        kind = block.get("type")
        if kind == "thinking":
            self._end_thinking("".join(self._signature))
        elif kind == "redacted_thinking":
            self.writer.open("reasoning", origin=self._origin(redacted=block["data"]))
        elif kind == "tool_use":
            raw = "".join(self._arguments) or (raw_arguments(block["input"]) if block.get("input") else "")
            # Written at a later event: only the stop reason tells whether the call is complete.
            self._call = (self._names.from_wire(clean_text(block["name"])), raw)
        elif kind in SERVER_CALLS:
            arguments = parse_arguments("".join(self._arguments))[0] or block.get("input") or {}
            self.writer.open("reasoning", origin=self._origin(block=clean_json(block | {"input": arguments})))
        elif isinstance(kind, str) and kind.endswith("_tool_result"):
            self.writer.open("reasoning", origin=self._origin(block=clean_json(block)))
        if kind:
            self.writer.close()
        self._signature, self._arguments = [], []

    def _end_thinking(self, signature: str) -> None:
        if signature and self.writer.kind != "reasoning":
            self.writer.open("reasoning")  # the thinking was not sent, only its signature
        self.writer.close(origin=self._origin(signature=signature) if signature else None)

    def _end_call(self, *, cut: bool = False) -> None:
        if self._call is not None:
            (name, raw), self._call = self._call, None
            self.writer.tool_call(name, raw, cut=cut)

    def _end(self) -> None:
        stop_reason = _STOP_REASONS.get(self._stop, "other")
        self._end_block()
        self._end_call(cut=stop_reason in {"max_tokens", "context_exceeded"})
        self.done = True
        self._paused = stop_reason == "pause" and bool(self.writer.parts) and self._pauses < MAX_PAUSES
        if not self._paused:
            self.writer.events.append(ResponseEnd(stop_reason, self._total_usage(), self._model))

    def _total_usage(self) -> Usage:
        return self._usage_before + _usage_from_wire(self._usage)

    def _take_usage(self, usage: JsonObject | None) -> None:
        self._usage |= {name: value for name, value in (usage or {}).items() if value is not None}

    def _origin(self, **facts: Any) -> JsonObject:
        return {"provider": NAME, "model": self._asked_model, **facts}


def _usage_from_wire(usage: JsonObject) -> Usage:
    """The framework's counts. Its `input_tokens` are the whole input.

    Anthropic counts apart: input_tokens + cache_read_input_tokens + cache_creation_input_tokens.
    """
    fresh = usage.get("input_tokens")
    cached = usage.get("cache_read_input_tokens")
    return Usage(
        input_tokens=None if fresh is None else fresh + (cached or 0) + (usage.get("cache_creation_input_tokens") or 0),
        output_tokens=usage.get("output_tokens"),
        cached_input_tokens=cached,
        reasoning_tokens=(usage.get("output_tokens_details") or {}).get("thinking_tokens"),
        cache_write_tokens=usage.get("cache_creation_input_tokens"),
    )
