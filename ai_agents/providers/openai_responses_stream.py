"""Parses the streams of OpenAI's Responses.

Source: https://developers.openai.com/api/reference/resources/responses/streaming-events, read 2026-11-22.
"""

from ai_agents.core.json import clean_text
from ai_agents.core.types import JsonObject, ModelRequest, ResponseEnd, StopReason, Usage
from ai_agents.providers.errors import error_from_wire
from ai_agents.providers.lines import SSEDecoder, clean_json
from ai_agents.providers.openai_models import NAME
from ai_agents.providers.rendering import ToolNames
from ai_agents.providers.response_parser import ResponseParser

# Why a response is incomplete.
_STOP_REASONS: dict[str, StopReason] = {
    "max_output_tokens": "max_tokens",
    "max_tokens": "max_tokens",
    "content_filter": "refusal",
}


class OpenAIResponsesParser(ResponseParser):
    """Parses the events of one response. Events and items of unknown kinds are left out."""

    def __init__(self, request: ModelRequest) -> None:
        super().__init__(NAME, SSEDecoder())
        self._asked_model = request.model
        self._model = request.model
        self._names = ToolNames(request.tools)
        self._called = False
        self._refused = False
        self._summaries = 0

    def read(self, event: JsonObject) -> None:
        """Write the events for one event of the API."""
        kind = event.get("type")
        if kind == "response.output_text.delta":
            self.writer.write("text", event["delta"])
        elif kind in {"response.reasoning_summary_text.delta", "response.reasoning_text.delta"}:
            self.writer.write("reasoning", event["delta"])
        elif kind == "response.reasoning_summary_part.added":
            if self._summaries and self.writer.kind == "reasoning":
                self.writer.write("reasoning", "\n\n")
            self._summaries += 1
        elif kind == "response.refusal.delta":
            self._refused = True
            self.writer.write("text", event["delta"])
        elif kind == "response.output_item.done":
            self._end_item(event["item"])
        elif kind in {"response.created", "response.in_progress"}:
            self._model = str(event["response"].get("model") or self._asked_model)
        elif kind in {"response.completed", "response.incomplete"}:
            self._end(event["response"])
        elif kind == "response.failed":
            raise error_from_wire(NAME, event["response"].get("error"))
        elif kind == "error" or "error" in event:
            raise error_from_wire(NAME, event.get("error") or event)

    def _end_item(self, item: JsonObject) -> None:
        kind = item.get("type")
        if kind == "reasoning":
            self._end_reasoning(item)
        elif kind == "message":
            self.writer.close()
        elif kind == "function_call":
            self._called = True
            cut = item.get("status") == "incomplete"
            self.writer.tool_call(self._names.from_wire(clean_text(item["name"])), item.get("arguments") or "", cut=cut)

    def _end_reasoning(self, item: JsonObject) -> None:
        self._summaries = 0
        kept = {name: item[name] for name in ("id", "summary", "encrypted_content") if item.get(name) is not None}
        if "encrypted_content" not in kept:
            self.writer.close()
            return
        if self.writer.kind != "reasoning":
            self.writer.open("reasoning")
        kept = clean_json({"type": "reasoning", "summary": []} | kept)
        self.writer.close(origin={"provider": NAME, "model": self._asked_model, "item": kept})

    def _end(self, response: JsonObject) -> None:
        reason = (response.get("incomplete_details") or {}).get("reason")
        stop_reason: StopReason = "end" if reason is None else _STOP_REASONS.get(reason, "other")
        if self._refused:
            stop_reason = "refusal"
        elif self._called and stop_reason == "end":
            stop_reason = "tool_use"
        self.writer.close()
        model = clean_text(str(response.get("model") or self._model))
        self.writer.events.append(ResponseEnd(stop_reason, _usage_from_wire(response.get("usage") or {}), model))
        self.done = True


def _usage_from_wire(usage: JsonObject) -> Usage:
    """The framework's counts; None where the server does not report them."""
    input_details = usage.get("input_tokens_details") or {}
    return Usage(
        input_tokens=usage.get("input_tokens"),
        output_tokens=usage.get("output_tokens"),
        cached_input_tokens=input_details.get("cached_tokens"),
        reasoning_tokens=(usage.get("output_tokens_details") or {}).get("reasoning_tokens"),
        cache_write_tokens=input_details.get("cache_write_tokens"),
    )
