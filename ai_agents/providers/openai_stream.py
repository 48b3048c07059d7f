"""What a server of OpenAI's Chat Completions streams:
https://developers.openai.com/api/reference/resources/chat/subresources/completions/streaming-events, read 2026-11-22.
"""

from dataclasses import dataclass, field
from typing import Any

from ai_agents.core.json import clean_text
from ai_agents.core.types import JsonObject, ModelRequest, ResponseEnd, StopReason, Usage
from ai_agents.providers.assembly import parse_arguments, raw_arguments
from ai_agents.providers.errors import error_from_wire
from ai_agents.providers.lines import SSEDecoder
from ai_agents.providers.rendering import ToolNames
from ai_agents.providers.streaming import Reader

NAME = "openai"
# Where DeepSeek and others tell what the model thinks: https://api-docs.deepseek.com/guides/thinking_mode
REASONING_CONTENT = "reasoning_content"
_STOP_REASONS: dict[str, StopReason] = {
    "stop": "end",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "length": "max_tokens",
    "content_filter": "refusal",
}


@dataclass(slots=True)
class _Call:
    """A tool call as its pieces come."""

    id: str = ""
    name: str = ""
    pieces: list[str] = field(default_factory=list)


class OpenAIReader(Reader):
    """Reads the chunks of one answer.

    Tool calls are told when all of them are there: their pieces may come in any order. The end is `[DONE]`, or the end
    of the bytes after a finish reason, as several servers leave `[DONE]` out.
    """

    def __init__(self, request: ModelRequest) -> None:
        super().__init__(NAME, SSEDecoder())
        self._asked_model = request.model
        self._model = request.model
        self._names = ToolNames(request.tools)
        self._calls: list[_Call] = []
        self._call_at: dict[int, _Call] = {}
        self._finish: str | None = None
        self._refused = False
        self._usage: JsonObject = {}
        self._thought: list[str] = []

    def read(self, event: JsonObject) -> None:
        """Write what one chunk means."""
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

    def read_other(self, data: bytes) -> bool:
        """`[DONE]` ends the stream."""
        if data.strip() != b"[DONE]":
            return False
        self._end()
        return True

    def end_of_bytes(self) -> None:
        """The stream may end without `[DONE]` once it has said why."""
        if not self.done and self._finish is not None:
            self._end()

    def usage(self) -> Usage | None:
        """What the server has said so far; most say it at the end only."""
        return _usage_from_wire(self._usage) if self._usage else None

    def _read_delta(self, delta: JsonObject) -> None:
        reasoning = delta.get(REASONING_CONTENT)
        if isinstance(reasoning, str) and reasoning:
            self._thought.append(reasoning)
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
        if self._thought and text:
            self._end_thinking()
        self.writer.write("text", text)

    def _end_thinking(self) -> None:
        """End the reasoning with what goes back with it, should the model call tools next."""
        thought, self._thought = clean_text("".join(self._thought)), []
        if thought and self.writer.kind == "reasoning":
            self.writer.close(
                origin={"provider": NAME, "model": self._asked_model, REASONING_CONTENT: thought},
            )

    def _read_call(self, piece: JsonObject) -> None:
        function = piece.get("function") or {}
        arguments = raw_arguments(function.get("arguments"))
        call = self._call_of(piece, function.get("name") or "", arguments)
        call.id = call.id or piece.get("id") or ""
        call.name = call.name or function.get("name") or ""
        if arguments:
            call.pieces.append(arguments)

    def _call_of(self, piece: JsonObject, name: str, arguments: str) -> _Call:
        """The call that a piece belongs to. Servers leave out the index or the id, or give every call the same."""
        index = piece.get("index")
        call = self._call_at.get(index) if isinstance(index, int) else self._calls[-1] if self._calls else None
        if call is None or _begins_another(call, piece.get("id") or "", name, arguments):
            call = _Call()
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
        self._end_thinking()
        for call in self._calls:
            cut = stop_reason == "max_tokens" and call is self._calls[-1]
            self.writer.tool_call(self._names.from_wire(clean_text(call.name)), "".join(call.pieces), cut=cut)
        self.writer.close()
        self.writer.events.append(ResponseEnd(stop_reason, _usage_from_wire(self._usage), clean_text(self._model)))
        self.done = True


def _begins_another(call: _Call, call_id: str, name: str, arguments: str) -> bool:
    if call_id and call.id:
        return call_id != call.id
    if not name or not call.name:
        return False
    # No id to tell them apart: a name that comes again after whole arguments is the next call's.
    raw = "".join(call.pieces)
    return name != call.name or (bool(raw or not arguments) and parse_arguments(raw)[1] is None)


def _text_from_wire(content: Any) -> str:
    """The text of content that comes as a list of parts."""
    return "".join(part.get("text") or "" for part in content if part.get("type") == "text")


def _usage_from_wire(usage: JsonObject) -> Usage:
    """The counts in our words; None where the server does not say."""
    return Usage(
        input_tokens=usage.get("prompt_tokens"),
        output_tokens=usage.get("completion_tokens"),
        # DeepSeek counts them by another name.
        cached_input_tokens=(usage.get("prompt_tokens_details") or {}).get(
            "cached_tokens", usage.get("prompt_cache_hit_tokens")
        ),
        reasoning_tokens=(usage.get("completion_tokens_details") or {}).get("reasoning_tokens"),
    )
