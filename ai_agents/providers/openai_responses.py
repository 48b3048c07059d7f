"""OpenAI's Responses: https://developers.openai.com/api/reference/resources/responses, read 2026-11-22.

Used without anything kept at OpenAI's (`store: false`): the whole conversation is sent each time, and what a model
thought goes back to it encrypted: https://developers.openai.com/api/docs/guides/reasoning, "Encrypted reasoning items".
"""

from collections.abc import Mapping
from typing import Any

import orjson

from ai_agents.core.json import clean_text
from ai_agents.core.types import (
    JsonObject,
    ModelMessage,
    ModelRequest,
    ModelSettings,
    ReasoningPart,
    ResponseEnd,
    StopReason,
    TextPart,
    ToolCallPart,
    Usage,
)
from ai_agents.providers.errors import error_from_wire
from ai_agents.providers.files import parts_with_files, responses_part
from ai_agents.providers.lines import SSEDecoder, clean_json
from ai_agents.providers.models import OpenAIFacts, openai_facts
from ai_agents.providers.openai_stream import NAME
from ai_agents.providers.rendering import EMPTY_TEXT, ToolNames, result_text, tool_results_of, visible_texts
from ai_agents.providers.schemas import SCHEMA_NAME, is_strict, schema_instruction
from ai_agents.providers.streaming import Reader

# Fewer are refused.
_MIN_OUTPUT_TOKENS = 16
# Why a response is incomplete. What is not named here gets a name of its own where it becomes known.
_STOP_REASONS: dict[str, StopReason] = {
    "max_output_tokens": "max_tokens",
    "max_tokens": "max_tokens",
    "content_filter": "refusal",
}


def to_wire(request: ModelRequest) -> JsonObject:
    """The request. What is stable from turn to turn comes first and the same, byte for byte; the input only grows."""
    facts = openai_facts(request.model)
    names = ToolNames(request.tools)
    payload: JsonObject = {"model": request.model, "stream": True, "store": False}
    if facts.reasoning:
        payload["include"] = ["reasoning.encrypted_content"]
    payload |= _settings_to_wire(request.settings, facts)
    schema, system = request.output_schema, request.system
    if schema is not None and facts.schema:
        form = {"type": "json_schema", "name": SCHEMA_NAME, "strict": is_strict(schema), "schema": schema}
        payload["text"] = {"format": form}
    elif schema is not None:
        system = schema_instruction(system, schema)
    if request.tools:
        payload["tools"] = [
            {
                "type": "function",
                "name": names.to_wire(tool.name),
                "description": tool.description,
                "parameters": tool.parameters,
                # The default is true here, which many a tool's schema does not fit.
                "strict": False,
            }
            for tool in request.tools
        ]
    if system and system.strip():
        payload["instructions"] = system
    return payload | {"input": _messages_to_wire(request, names)}


def _settings_to_wire(settings: ModelSettings, facts: OpenAIFacts) -> JsonObject:
    asked: JsonObject = {
        "max_output_tokens": settings.max_tokens and max(_MIN_OUTPUT_TOKENS, settings.max_tokens),
        "reasoning": _reasoning_to_wire(settings, facts),
    }
    if not facts.reasoning:
        asked |= {"temperature": settings.temperature, "top_p": settings.top_p}
    return {name: value for name, value in asked.items() if value is not None}


def _reasoning_to_wire(settings: ModelSettings, facts: OpenAIFacts) -> JsonObject | None:
    if settings.reasoning is None or facts.reasoning is False:
        return None
    if settings.reasoning == "none":
        return {"effort": facts.least} if facts.reasoning else None
    return {"effort": settings.reasoning, "summary": "auto"}


def _messages_to_wire(request: ModelRequest, names: ToolNames) -> list[JsonObject]:
    return [item for message in request.messages for item in _message_to_wire(message, names, model=request.model)]


def _message_to_wire(message: ModelMessage, names: ToolNames, *, model: str) -> list[JsonObject]:
    """The items of one message. Reasoning goes back before what it led to, and never alone: it would be refused."""
    if message.role == "tool":
        return [
            {"type": "function_call_output", "call_id": part.tool_call_id, "output": result_text(part)}
            for part in tool_results_of(message)
        ]
    if message.role == "user":
        with_files = parts_with_files(message, responses_part, text_type="input_text")
        text = "\n\n".join(visible_texts(message.parts))
        return [{"role": "user", "content": with_files or [{"type": "input_text", "text": text or EMPTY_TEXT}]}]
    items: list[JsonObject] = []
    thought: list[JsonObject] = []
    for part in message.parts:
        match part:
            case ReasoningPart(origin=origin):
                thought += _reasoning_item(origin or {}, model)
            case TextPart() if part.text.strip():
                items += [*thought, {"role": "assistant", "content": part.text}]
                thought = []
            case ToolCallPart():
                arguments = orjson.dumps(part.arguments).decode()
                call = {"type": "function_call", "call_id": part.tool_call_id, "name": names.to_wire(part.name)}
                items += [*thought, call | {"arguments": arguments}]
                thought = []
    return items


def _reasoning_item(origin: Mapping[str, Any], model: str) -> list[JsonObject]:
    """A reasoning item, if this very model made it."""
    is_own = origin.get("provider") == NAME and origin.get("model") == model and "item" in origin
    return [origin["item"]] if is_own else []


class ResponsesReader(Reader):
    """Reads the events of https://developers.openai.com/api/reference/resources/responses/streaming-events.

    Events and items of unknown kinds are left out.
    """

    def __init__(self, request: ModelRequest) -> None:
        super().__init__(NAME, SSEDecoder())
        self._asked_model = request.model
        self._model = request.model
        self._names = ToolNames(request.tools)
        self._called = False
        self._refused = False
        self._summaries = 0

    def read(self, event: JsonObject) -> None:
        """Write what one event means."""
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
    """The counts in our words; None where the server does not say."""
    of_input = usage.get("input_tokens_details") or {}
    return Usage(
        input_tokens=usage.get("input_tokens"),
        output_tokens=usage.get("output_tokens"),
        cached_input_tokens=of_input.get("cached_tokens"),
        reasoning_tokens=(usage.get("output_tokens_details") or {}).get("reasoning_tokens"),
        cache_write_tokens=of_input.get("cache_write_tokens"),
    )
