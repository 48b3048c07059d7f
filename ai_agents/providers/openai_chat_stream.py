"""Parses the streams of OpenAI's Chat Completions and of compatible servers.

Source: https://developers.openai.com/api/reference/resources/chat/subresources/completions/streaming-events,
read 2026-11-22.
"""

from dataclasses import dataclass, field
from typing import Any

from ai_agents.core.json import clean_text
from ai_agents.core.types import JsonObject, ModelRequest, ResponseEnd, StopReason, Usage
from ai_agents.providers.assembly import parse_arguments, raw_arguments
from ai_agents.providers.errors import error_from_wire
from ai_agents.providers.lines import SSEDecoder
from ai_agents.providers.openai_chat_request import REASONING_CONTENT
from ai_agents.providers.openai_models import NAME
from ai_agents.providers.rendering import ToolNames
from ai_agents.providers.response_parser import ResponseParser

_STOP_REASONS: dict[str, StopReason] = {
    "stop": "end",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "length": "max_tokens",
    "content_filter": "refusal",
}


@dataclass(slots=True)
class _PartialToolCall:
    """A tool call whose pieces are still coming."""

    id: str = ""
    name: str = ""
    pieces: list[str] = field(default_factory=list)


class OpenAIChatParser(ResponseParser):
    """Parses the chunks of one response.

    Tool calls are written at the end, since their pieces may come in any order. The end is `[DONE]`, or the end of the
    bytes after a finish reason: several servers leave `[DONE]` out.
    """

    def __init__(self, request: ModelRequest) -> None:
        super().__init__(NAME, SSEDecoder())
        self._asked_model = request.model
        self._model = request.model
        self._names = ToolNames(request.tools)
        self._calls: list[_PartialToolCall] = []
        self._call_at: dict[int, _PartialToolCall] = {}
        self._finish: str | None = None
        self._refused = False
        self._usage: JsonObject = {}
        self._reasoning: list[str] = []

    def read(self, event: JsonObject) -> None:
        """Write the events for one chunk."""
        for choice in event.get("choices") or ():
            if choice.get("index"):
                continue
            delta = choice.get("delta")
            if delta:
                self._read_delta(delta)
            if choice.get("finish_reason"):
                self._finish = choice["finish_reason"]
        if event.get("usage"):
            self._usage = event["usage"]
        if event.get("error") or event.get("object") == "error":
            raise error_from_wire(NAME, event.get("error") or event)
        if event.get("model"):
            self._model = event["model"]

    def read_marker(self, data: bytes) -> bool:
        """`[DONE]` ends the response."""
        if data.strip() != b"[DONE]":
            return False
        self._end()
        return True

    def end_of_bytes(self) -> None:
        """The response is complete without `[DONE]` where a finish reason was sent."""
        if not self.done and self._finish is not None:
            self._end()

    def usage(self) -> Usage | None:
        """The tokens reported so far; most servers report them at the end only."""
        return _usage_from_wire(self._usage) if self._usage else None

    def _read_delta(self, delta: JsonObject) -> None:
        reasoning = delta.get(REASONING_CONTENT)
        if isinstance(reasoning, str) and reasoning:
            self._reasoning.append(reasoning)
        else:
            reasoning = delta.get("reasoning")
        if isinstance(reasoning, str):
            self.writer.write("reasoning", reasoning)
        content = delta.get("content")
        if content:
            self._write_text(content if isinstance(content, str) else _text_from_wire(content))
        if delta.get("refusal"):
            self._refused = True
            self._write_text(delta["refusal"])
        for piece in delta.get("tool_calls") or ():
            self._read_call(piece)

    def _write_text(self, text: str) -> None:
        if self._reasoning and text:
            self._end_reasoning()
        self.writer.write("text", text)

    def _end_reasoning(self) -> None:
        """End the reasoning part. Its text goes back to the server with the tool calls that follow it."""
        reasoning, self._reasoning = clean_text("".join(self._reasoning)), []
        if reasoning and self.writer.kind == "reasoning":
            self.writer.close(origin={"provider": NAME, "model": self._asked_model, REASONING_CONTENT: reasoning})

    def _read_call(self, piece: JsonObject) -> None:
        function = piece.get("function") or {}
        arguments = raw_arguments(function.get("arguments"))
        call = self._call_of(piece, function.get("name") or "", arguments)
        call.id = call.id or piece.get("id") or ""
        call.name = call.name or function.get("name") or ""
        if arguments:
            call.pieces.append(arguments)

    def _call_of(self, piece: JsonObject, name: str, arguments: str) -> _PartialToolCall:
        """The call that a piece belongs to. Some servers send no index or no id, or the same one for each call."""
        index = piece.get("index")
        call = self._call_at.get(index) if isinstance(index, int) else self._calls[-1] if self._calls else None
        if call is None or _begins_another(call, piece.get("id") or "", name, arguments):
            call = _PartialToolCall()
            self._calls.append(call)
            if isinstance(index, int):
                self._call_at[index] = call
        return call

    def _end(self) -> None:
        stop_reason = _STOP_REASONS.get(self._finish or "", "other")
        if self._refused:
            stop_reason = "refusal"
        elif self._calls and stop_reason in {"end", "other"}:
            stop_reason = "tool_use"
        self._end_reasoning()
        for call in self._calls:
            cut = stop_reason == "max_tokens" and call is self._calls[-1]
            self.writer.tool_call(self._names.from_wire(clean_text(call.name)), "".join(call.pieces), cut=cut)
        self.writer.close()
        self.writer.events.append(ResponseEnd(stop_reason, _usage_from_wire(self._usage), clean_text(self._model)))
        self.done = True


def _begins_another(call: _PartialToolCall, call_id: str, name: str, arguments: str) -> bool:
    if call_id and call.id:
        return call_id != call.id
    if not name or not call.name:
        return False
    # Without ids, a name after complete arguments begins the next call.
    raw = "".join(call.pieces)
    return name != call.name or (bool(raw or not arguments) and parse_arguments(raw)[1] is None)


def _text_from_wire(content: Any) -> str:
    """The text of content that comes as a list of parts."""
    return "".join(part.get("text") or "" for part in content if part.get("type") == "text")


def _usage_from_wire(usage: JsonObject) -> Usage:
    """The framework's counts; None where the server does not report them."""
    return Usage(
        input_tokens=usage.get("prompt_tokens"),
        output_tokens=usage.get("completion_tokens"),
        # DeepSeek has another name for them.
        cached_input_tokens=(usage.get("prompt_tokens_details") or {}).get(
            "cached_tokens", usage.get("prompt_cache_hit_tokens")
        ),
        reasoning_tokens=(usage.get("completion_tokens_details") or {}).get("reasoning_tokens"),
    )
