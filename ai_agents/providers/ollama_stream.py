"""Parses the streams of Ollama's chat API: https://docs.ollama.com/api/streaming, read 2026-11-22."""

from ai_agents.core.json import clean_text
from ai_agents.core.types import JsonObject, ModelRequest, ResponseEnd, StopReason, Usage
from ai_agents.providers.assembly import raw_arguments
from ai_agents.providers.errors import error_from_wire
from ai_agents.providers.lines import LineDecoder
from ai_agents.providers.ollama_models import NAME
from ai_agents.providers.ollama_request import reasoning_origin
from ai_agents.providers.rendering import ToolNames
from ai_agents.providers.response_parser import ResponseParser

_STOP_REASONS: dict[str, StopReason] = {"stop": "end", "length": "max_tokens"}


class OllamaParser(ResponseParser):
    """Parses the lines of one response: pieces of a message, the last one with `done`."""

    def __init__(self, request: ModelRequest) -> None:
        super().__init__(NAME, LineDecoder())
        self._asked_model = request.model
        self._max_tokens = request.settings.max_tokens
        self._names = ToolNames(request.tools)
        self._called = False

    def read(self, event: JsonObject) -> None:
        """Write the events for one line."""
        if event.get("error"):
            raise error_from_wire(NAME, event["error"])
        message = event.get("message") or {}
        if message.get("thinking"):
            if self.writer.kind != "reasoning":
                self.writer.open("reasoning", origin=reasoning_origin(self._asked_model))
            self.writer.write("reasoning", message["thinking"])
        if message.get("content"):
            self.writer.write("text", message["content"])
        for call in message.get("tool_calls") or ():
            function = call["function"]
            self._called = True
            self.writer.tool_call(
                self._names.from_wire(clean_text(function["name"])), raw_arguments(function.get("arguments"))
            )
        if event.get("done"):
            self._end(event)

    def _end(self, event: JsonObject) -> None:
        usage = _usage_from_wire(event)
        stop_reason = _STOP_REASONS.get(event.get("done_reason") or "stop", "other")
        if stop_reason == "end" and self._called:
            stop_reason = "tool_use"
        elif stop_reason == "max_tokens" and (
            self._max_tokens is None or (usage.output_tokens or 0) < self._max_tokens
        ):
            stop_reason = "context_exceeded"  # it stopped before the limit that was asked for, so the context is full
        self.writer.close()
        self.writer.events.append(ResponseEnd(stop_reason, usage, clean_text(event.get("model") or self._asked_model)))
        self.done = True


def _usage_from_wire(event: JsonObject) -> Usage:
    """The framework's counts. Ollama sends no `prompt_eval_count` where it had the whole prompt in its cache."""
    return Usage(input_tokens=event.get("prompt_eval_count"), output_tokens=event.get("eval_count"))
