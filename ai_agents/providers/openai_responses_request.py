"""Builds requests of OpenAI's Responses: https://developers.openai.com/api/reference/resources/responses,
read 2026-11-22.

OpenAI keeps nothing (`store: false`): each request has the whole conversation, and reasoning goes back to its model
encrypted: https://developers.openai.com/api/docs/guides/reasoning, "Encrypted reasoning items".
"""

from collections.abc import Mapping
from typing import Any

import orjson

from ai_agents.core.types import (
    FilePart,
    JsonObject,
    ModelMessage,
    ModelRequest,
    ModelSettings,
    ReasoningPart,
    TextPart,
    ToolCallPart,
)
from ai_agents.providers.files import data_url, document_name, is_image, is_pdf, parts_with_files
from ai_agents.providers.openai_models import NAME, OpenAIFacts, openai_facts
from ai_agents.providers.rendering import EMPTY_TEXT, ToolNames, result_text, tool_results_of, visible_texts
from ai_agents.providers.schemas import SCHEMA_NAME, is_strict, schema_instruction

# The API refuses a smaller limit.
_MIN_OUTPUT_TOKENS = 16


def to_wire(request: ModelRequest) -> JsonObject:
    """The request. What is stable from turn to turn comes first, byte for byte the same; the input only grows."""
    facts = openai_facts(request.model)
    names = ToolNames(request.tools)
    payload: JsonObject = {"model": request.model, "stream": True, "store": False}
    if facts.reasoning:
        payload["include"] = ["reasoning.encrypted_content"]
    payload |= _settings_to_wire(request.settings, facts)
    system = request.system
    if request.output_schema is not None:
        if facts.schema:
            payload["text"] = {"format": _schema_to_wire(request.output_schema)}
        else:
            system = schema_instruction(system, request.output_schema)
    if request.tools:
        payload["tools"] = _tools_to_wire(request, names)
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


def _schema_to_wire(schema: JsonObject) -> JsonObject:
    return {"type": "json_schema", "name": SCHEMA_NAME, "strict": is_strict(schema), "schema": schema}


def _tools_to_wire(request: ModelRequest, names: ToolNames) -> list[JsonObject]:
    return [
        {
            "type": "function",
            "name": names.to_wire(tool.name),
            "description": tool.description,
            "parameters": tool.parameters,
            # The default is true, which refuses the schemas of many tools.
            "strict": False,
        }
        for tool in request.tools
    ]


def _messages_to_wire(request: ModelRequest, names: ToolNames) -> list[JsonObject]:
    return [item for message in request.messages for item in _message_to_wire(message, names, model=request.model)]


def _message_to_wire(message: ModelMessage, names: ToolNames, *, model: str) -> list[JsonObject]:
    """The items of one message. A reasoning item goes before the item that it led to; the API refuses it alone."""
    if message.role == "tool":
        return [
            {"type": "function_call_output", "call_id": part.tool_call_id, "output": result_text(part)}
            for part in tool_results_of(message)
        ]
    if message.role == "user":
        with_files = parts_with_files(message, _file_to_wire, text_type="input_text")
        text = "\n\n".join(visible_texts(message.parts))
        return [{"role": "user", "content": with_files or [{"type": "input_text", "text": text or EMPTY_TEXT}]}]
    items: list[JsonObject] = []
    reasoning: list[JsonObject] = []
    for part in message.parts:
        match part:
            case ReasoningPart(origin=origin):
                reasoning += _reasoning_part_to_wire(origin or {}, model)
            case TextPart() if part.text.strip():
                items += [*reasoning, {"role": "assistant", "content": part.text}]
                reasoning = []
            case ToolCallPart():
                arguments = orjson.dumps(part.arguments).decode()
                call = {"type": "function_call", "call_id": part.tool_call_id, "name": names.to_wire(part.name)}
                items += [*reasoning, call | {"arguments": arguments}]
                reasoning = []
    return items


def _reasoning_part_to_wire(origin: Mapping[str, Any], model: str) -> list[JsonObject]:
    """The item of a reasoning part, if this model made it."""
    is_own = origin.get("provider") == NAME and origin.get("model") == model and "item" in origin
    return [origin["item"]] if is_own else []


def _file_to_wire(part: FilePart) -> JsonObject | None:
    """A part of a user's message; None for a file that goes by its name or as text."""
    if is_image(part):
        return {"type": "input_image", "image_url": data_url(part)}
    if is_pdf(part):
        return {"type": "input_file", "filename": document_name(part), "file_data": data_url(part)}
    return None
