"""The parser of the streams of Ollama's chat API.

Sources: https://docs.ollama.com/api/chat and …/api/streaming, read 2026-11-22; on `done_reason`
https://github.com/ollama/ollama/blob/main/docs/api.md, read 2026-11-30.
"""

from typing import Any

from ai_agents.core.exceptions import ProviderRejected
from ai_agents.core.types import JsonObject, StopReason, Usage
from ai_agents.providers.assembly import raw_arguments
from ai_agents.providers.errors import error_from_wire, truncated
from ai_agents.providers.ollama_lines import ObjectDecoder
from ai_agents.providers.reading import as_count, as_object, as_objects, as_text
from ai_agents.providers.response_parser import ResponseParser

# Ollama says `stop` after calls too; servers that stand in for it say `tool_calls`.
_STOP_REASONS: dict[str, StopReason] = {"stop": "end", "length": "max_tokens", "tool_calls": "tool_use"}
# The server only loaded the model into its memory, or took it out.
_NO_ANSWER = frozenset({"load", "unload"})
_THINKING = ("thinking", "reasoning", "reasoning_content")


class OllamaParser(ResponseParser):
    """Parses the lines of one response: pieces of a message, the last one with `done`."""

    decoder = ObjectDecoder
    exact_integers = True
    _called = False
    _usage: Usage | None = None

    def usage(self) -> Usage | None:
        return self._usage

    def read_whole(self, body: JsonObject) -> None:
        self.read(body)

    def read(self, event: JsonObject) -> None:
        if event.get("error"):
            raise error_from_wire(self.provider, event["error"])
        if as_text(event.get("object")).startswith("chat.completion"):
            sentence = f"{self.provider} answers as OpenAI's chat completions do, so its type is openai."
            raise ProviderRejected(sentence, provider=self.provider)
        message = as_object(event.get("message"))
        thinking = next((text for name in _THINKING if (text := as_text(message.get(name)))), "")
        if thinking:
            if self.writer.kind != "reasoning":
                self.writer.open("reasoning", origin=self.origin())
            self.writer.write("reasoning", thinking)
        if text := as_text(message.get("content")):
            self.writer.write("text", text)
        self._read_calls(message.get("tool_calls"))
        if event.get("done") is True:
            self._end(event)

    def _read_calls(self, calls: Any) -> None:
        for call in [calls] if isinstance(calls, dict) else as_objects(calls):
            function = as_object(call.get("function"))
            name = as_text(function.get("name"))
            if not name:
                raise truncated(self.provider, "called a tool by no name")
            self._called = True
            self.write_call(name, raw_arguments(function.get("arguments")))

    def _end(self, event: JsonObject) -> None:
        self._usage = _usage_from_wire(event)
        self.model = as_text(event.get("model")) or self.model
        reason = event.get("done_reason")
        if isinstance(reason, str) and reason.lower() in _NO_ANSWER:
            raise truncated(self.provider, f"did not answer ({reason.lower()})")
        # Servers before 0.1.38 tell no reason.
        stop_reason = "end" if reason is None or reason == "" else self.stop_reason_of(reason, _STOP_REASONS)
        limit, used = self.request.settings.max_tokens, self._usage.output_tokens
        if stop_reason == "end" and self._called:
            stop_reason = "tool_use"
        elif stop_reason == "max_tokens" and (limit is None or (used is not None and used < limit)):
            stop_reason = "context_exceeded"  # it stopped before the limit that was asked for, so the context is full
        self.end(stop_reason, self._usage)


def _usage_from_wire(event: JsonObject) -> Usage:
    """The framework's counts. Ollama sends no `prompt_eval_count` where it had the whole prompt in its cache."""
    return Usage(input_tokens=as_count(event.get("prompt_eval_count")), output_tokens=as_count(event.get("eval_count")))
