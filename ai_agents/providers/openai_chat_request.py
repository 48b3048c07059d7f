"""Builds requests of OpenAI's Chat Completions: https://developers.openai.com/api/reference/resources/chat,
read 2026-11-22. Compatible servers differ in details; what is known of that is tolerated.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from ai_agents.core.types import FilePart, JsonObject, ModelMessage, ModelRequest, ModelSettings, ReasoningPart
from ai_agents.providers.files import data_url, document_name, is_image, is_pdf, parts_with_files
from ai_agents.providers.openai_models import NAME, OpenAIFacts, openai_facts
from ai_agents.providers.rendering import (
    EMPTY_TEXT,
    ToolNames,
    result_text,
    tool_calls_of,
    tool_results_of,
    visible_texts,
)
from ai_agents.providers.schemas import SCHEMA_NAME, is_strict, schema_instruction

# The field in which DeepSeek and others send reasoning: https://api-docs.deepseek.com/guides/thinking_mode
REASONING_CONTENT = "reasoning_content"
_MAX_STOP_SEQUENCES = 4


def to_wire(request: ModelRequest, *, schema_enforced: bool = True) -> JsonObject:
    """The request. What is stable from turn to turn comes first, byte for byte the same; the messages only grow.

    `schema_enforced`: the server is assumed to enforce output schemas, where its model is able to.
    """
    facts = openai_facts(request.model)
    names = ToolNames(request.tools)
    payload: JsonObject = {"model": request.model, "stream": True, "stream_options": {"include_usage": True}}
    payload |= _settings_to_wire(request.settings, facts)
    if request.tools and facts.tools_effort is not None:
        payload["reasoning_effort"] = facts.tools_effort
    system = request.system
    if request.output_schema is not None:
        if schema_enforced and facts.schema:
            payload["response_format"] = _schema_to_wire(request.output_schema)
        else:
            system = schema_instruction(system, request.output_schema)
    if request.tools:
        payload["tools"] = _tools_to_wire(request, names)
    return payload | {"messages": _messages_to_wire(request, names, system=system)}


def _settings_to_wire(settings: ModelSettings, facts: OpenAIFacts) -> JsonObject:
    asked: JsonObject = {"max_completion_tokens" if facts.reasoning else "max_tokens": settings.max_tokens}
    if not facts.reasoning:
        asked |= {"temperature": settings.temperature, "top_p": settings.top_p}
        asked["stop"] = list(settings.stop[:_MAX_STOP_SEQUENCES]) or None
    if facts.reasoning is not False:
        asked["reasoning_effort"] = _reasoning_to_wire(settings, facts)
    return {name: value for name, value in asked.items() if value is not None}


def _reasoning_to_wire(settings: ModelSettings, facts: OpenAIFacts) -> str | None:
    if settings.reasoning != "none":
        return settings.reasoning
    return facts.least if facts.reasoning else None


def _schema_to_wire(schema: JsonObject) -> JsonObject:
    return {
        "type": "json_schema",
        "json_schema": {"name": SCHEMA_NAME, "strict": is_strict(schema), "schema": schema},
    }


def _tools_to_wire(request: ModelRequest, names: ToolNames) -> list[JsonObject]:
    return [
        {
            "type": "function",
            "function": {
                "name": names.to_wire(tool.name),
                "description": tool.description,
                "parameters": tool.parameters,
            },
        }
        for tool in request.tools
    ]


def _messages_to_wire(request: ModelRequest, names: ToolNames, *, system: str | None) -> list[JsonObject]:
    messages: list[JsonObject] = []
    if system and system.strip():
        messages.append({"role": "system", "content": system})
    for message in request.messages:
        messages += _message_to_wire(message, names, model=request.model)
    return messages


def _message_to_wire(message: ModelMessage, names: ToolNames, *, model: str) -> list[JsonObject]:
    """The messages that stand for one message; none where it has nothing to send."""
    if message.role == "tool":
        return [
            {"role": "tool", "tool_call_id": part.tool_call_id, "content": result_text(part)}
            for part in tool_results_of(message)
        ]
    text = "\n\n".join(visible_texts(message.parts))
    if message.role == "user":
        with_files = parts_with_files(message, _file_to_wire, text_type="text")
        return [{"role": "user", "content": with_files or text or EMPTY_TEXT}]
    rendered: JsonObject = {"role": "assistant"}
    if text:
        rendered["content"] = text
    calls = tool_calls_of(message)
    if calls:
        # Some servers require the field, even if it is null.
        rendered.setdefault("content", None)
        rendered |= _reasoning_parts_to_wire(message, model)
        rendered["tool_calls"] = [
            {
                "id": call.tool_call_id,
                "type": "function",
                "function": {
                    "name": names.to_wire(call.name),
                    "arguments": orjson.dumps(call.arguments).decode(),
                },
            }
            for call in calls
        ]
    return [rendered] if text or calls else []


def _reasoning_parts_to_wire(message: ModelMessage, model: str) -> JsonObject:
    """The model's own reasoning before its tool calls: servers that send this field refuse a history without it."""
    facts = openai_facts(model)
    if facts.reasoning is not None:
        return {}  # OpenAI's own models neither send nor take the field
    origins = [part.origin or {} for part in message.parts if isinstance(part, ReasoningPart)]
    reasoning = [origin[REASONING_CONTENT] for origin in origins if _is_own(origin, model)]
    if reasoning or facts.keeps_reasoning:
        return {REASONING_CONTENT: "".join(reasoning)}
    return {}


def _is_own(origin: Mapping[str, Any], model: str) -> bool:
    return origin.get("provider") == NAME and origin.get("model") == model and REASONING_CONTENT in origin


def _file_to_wire(part: FilePart) -> JsonObject | None:
    """A part of a user's message; None for a file that goes by its name or as text."""
    if is_image(part):
        return {"type": "image_url", "image_url": {"url": data_url(part)}}
    if is_pdf(part):
        return {"type": "file", "file": {"filename": document_name(part), "file_data": data_url(part)}}
    return None
