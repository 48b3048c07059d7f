"""Builds requests of Anthropic's Messages API: https://platform.claude.com/docs/en/api/messages, read 2026-11-22."""

from collections.abc import Mapping
from typing import Any

from ai_agents.core.types import (
    FilePart,
    JsonObject,
    ModelMessage,
    ModelRequest,
    ModelSettings,
    ReasoningPart,
    ToolCallPart,
)
from ai_agents.providers.anthropic_models import NAME, AnthropicFacts, anthropic_facts
from ai_agents.providers.files import document_name, encoded, is_image, is_pdf
from ai_agents.providers.rendering import (
    EMPTY_TEXT,
    ToolNames,
    result_text,
    tool_calls_of,
    tool_results_of,
    visible_texts,
)
from ai_agents.providers.schemas import narrowed, schema_instruction

# Calls of tools that the provider runs itself. Their results are blocks of the same response.
SERVER_CALLS = frozenset({"server_tool_use", "mcp_tool_use"})
# The API version that the SDK sends no longer has `temperature` and `top_p`. The version before it takes them for the
# models that ever did: https://platform.claude.com/docs/en/api/migration-2026-10-21
SAMPLING_API_VERSION = "2023-06-01"
# Marks the end of a prefix that the provider's cache keeps. In the request itself it stands for the last block.
CACHE = {"type": "ephemeral"}
_MIN_BUDGET = 1024
_BUDGETS = {"low": 2048, "medium": 8192, "high": 16384}


def to_wire(request: ModelRequest) -> JsonObject:
    """The request. What is stable from turn to turn comes first, byte for byte the same; the messages only grow."""
    facts = anthropic_facts(request.model)
    settings = request.settings
    names = ToolNames(request.tools)
    messages = _messages_to_wire(request, names)
    payload: JsonObject = {
        "model": request.model,
        "max_tokens": settings.max_tokens or facts.max_tokens,
        "stream": True,
    }
    if facts.caching:
        payload["cache_control"] = CACHE
    stop = [text for text in settings.stop if text.strip()]
    if stop:
        payload["stop_sequences"] = stop
    payload |= _reasoning_to_wire(request, facts, messages)
    if facts.sampling and payload.get("thinking", {}).get("type") not in {"enabled", "adaptive"}:
        payload |= _settings_to_wire(settings)
    schema_format = _schema_to_wire(request, facts)
    if schema_format is not None:
        payload["output_config"] = payload.get("output_config", {}) | schema_format
    payload |= _tools_to_wire(request, names, facts)
    payload |= _system_to_wire(request, facts, schema_enforced=schema_format is not None)
    return payload | {"messages": messages}


def headers_to_wire(payload: JsonObject) -> dict[str, str]:
    """The headers that this request needs beside those of every request."""
    return {"anthropic-version": SAMPLING_API_VERSION} if payload.keys() & {"temperature", "top_p"} else {}


def _settings_to_wire(settings: ModelSettings) -> JsonObject:
    """`temperature` or `top_p`: several models refuse both together. Their scale ends at 1."""
    if settings.temperature is not None:
        return {"temperature": min(1.0, settings.temperature)}
    return {} if settings.top_p is None else {"top_p": settings.top_p}


def _reasoning_to_wire(request: ModelRequest, facts: AnthropicFacts, messages: list[JsonObject]) -> JsonObject:
    effort = request.settings.reasoning
    if effort is None or facts.thinking == "none":
        return {}
    if effort == "none":
        if facts.off == "low_effort":
            return {"output_config": {"effort": "low"}}
        return {} if facts.off == "omit" else {"thinking": {"type": facts.off}}
    if facts.thinking == "adaptive":
        return {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": effort}}
    return _budget_to_wire(request, facts, _BUDGETS[effort], messages)


def _budget_to_wire(
    request: ModelRequest, facts: AnthropicFacts, budget: int, messages: list[JsonObject]
) -> JsonObject:
    if _answers_tools_without_thinking(messages):
        return {}  # the API refuses thinking in a turn that did not begin with it
    if request.settings.max_tokens is None:
        return {
            "max_tokens": facts.max_tokens + budget,
            "thinking": {"type": "enabled", "budget_tokens": budget},
        }
    budget = min(budget, request.settings.max_tokens // 2)
    return {"thinking": {"type": "enabled", "budget_tokens": budget}} if budget >= _MIN_BUDGET else {}


def _answers_tools_without_thinking(messages: list[JsonObject]) -> bool:
    if messages[-1]["content"][0]["type"] != "tool_result":
        return False
    return messages[-2]["content"][0]["type"] not in {"thinking", "redacted_thinking"}


def _schema_to_wire(request: ModelRequest, facts: AnthropicFacts) -> JsonObject | None:
    """The output schema where the API enforces it; None where the model has to be asked in words."""
    schema = narrowed(request.output_schema) if request.output_schema is not None and facts.schema else None
    return None if schema is None else {"format": {"type": "json_schema", "schema": schema}}


def _tools_to_wire(request: ModelRequest, names: ToolNames, facts: AnthropicFacts) -> JsonObject:
    """The tools. Where none is offered, those that the history names: the API refuses a call of an unknown tool."""
    if request.tools:
        tools: list[JsonObject] = [
            {"name": names.to_wire(tool.name), "description": tool.description, "input_schema": tool.parameters}
            for tool in request.tools
        ]
        if facts.caching:
            tools[-1]["cache_control"] = CACHE
        return {"tools": tools}
    used = {names.to_wire(call.name): None for message in request.messages for call in tool_calls_of(message)}
    if not used:
        return {}
    gone = [
        {"name": name, "description": "Not available any more.", "input_schema": {"type": "object"}} for name in used
    ]
    return {"tools": gone, "tool_choice": {"type": "none"}}


def _system_to_wire(request: ModelRequest, facts: AnthropicFacts, *, schema_enforced: bool) -> JsonObject:
    system = request.system
    if request.output_schema is not None and not schema_enforced:
        system = schema_instruction(system, request.output_schema)
    if not system or not system.strip():
        return {}
    return {"system": [{"type": "text", "text": system} | ({"cache_control": CACHE} if facts.caching else {})]}


def _messages_to_wire(request: ModelRequest, names: ToolNames) -> list[JsonObject]:
    """Messages with alternating roles, the first and the last a user's, none empty; tool results first in theirs."""
    messages: list[JsonObject] = []
    for message in request.messages:
        blocks = _message_to_wire(message, names, model=request.model)
        role = "assistant" if message.role == "assistant" else "user"
        if not blocks and message.role == "user":
            blocks = [{"type": "text", "text": EMPTY_TEXT}]
        if not blocks:
            continue
        if messages and messages[-1]["role"] == role:
            messages[-1]["content"] += blocks
        else:
            messages.append({"role": role, "content": blocks})
    if not messages or (messages[-1]["role"] == "assistant" and not _is_paused(messages[-1])):
        # Newer models go on with an answer only where they paused in it.
        messages.append({"role": "user", "content": [{"type": "text", "text": "Continue."}]})
    return messages


def _is_paused(message: JsonObject) -> bool:
    kind = message["content"][-1]["type"]
    return kind in SERVER_CALLS or (kind != "tool_result" and kind.endswith("_tool_result"))


def _message_to_wire(message: ModelMessage, names: ToolNames, *, model: str) -> list[JsonObject]:
    """The blocks of one message; none where nothing but thinking would be left."""
    if message.role == "tool":
        return [
            {"type": "tool_result", "tool_use_id": part.tool_call_id, "content": result_text(part)}
            | ({"is_error": True} if part.is_error else {})
            for part in tool_results_of(message)
        ]
    blocks: list[JsonObject] = []
    for part in message.parts:
        match part:
            case ReasoningPart(origin=origin) if message.role == "assistant":
                blocks += _reasoning_part_to_wire(part.text, origin or {}, model)
            case ToolCallPart() if message.role == "assistant":
                blocks.append(
                    {
                        "type": "tool_use",
                        "id": part.tool_call_id,
                        "name": names.to_wire(part.name),
                        "input": part.arguments,
                    }
                )
            case FilePart() if (file := _file_to_wire(part)) is not None:
                blocks.append(file)
            case _:
                blocks += [{"type": "text", "text": text} for text in visible_texts([part])]
    return blocks if any(block["type"] not in {"thinking", "redacted_thinking"} for block in blocks) else []


def _reasoning_part_to_wire(text: str, origin: Mapping[str, Any], model: str) -> list[JsonObject]:
    """The block of a reasoning part, if this model made it: a signature is valid for its own model only.

    Blocks of earlier turns are sent too: the cache holds them, and the API drops those that its model does not read.
    """
    if origin.get("provider") != NAME or origin.get("model") != model:
        return []
    if "block" in origin:
        return [origin["block"]]
    if "redacted" in origin:
        return [{"type": "redacted_thinking", "data": origin["redacted"]}]
    if "signature" in origin:
        return [{"type": "thinking", "thinking": text, "signature": origin["signature"]}]
    return []


def _file_to_wire(part: FilePart) -> JsonObject | None:
    """An image or document block; None for a file that goes by its name or as text."""
    if is_image(part):
        return {"type": "image", "source": _source_to_wire(part)}
    if is_pdf(part):
        return {"type": "document", "source": _source_to_wire(part), "title": document_name(part)}
    return None


def _source_to_wire(part: FilePart) -> JsonObject:
    return {"type": "base64", "media_type": part.media_type, "data": encoded(part)}
