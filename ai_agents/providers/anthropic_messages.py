"""Anthropic's Messages API: requests, and the parser of its streams.

Sources, read 2026-11-22: https://platform.claude.com/docs/en/api/messages and …/build-with-claude/streaming.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from ai_agents.core.exceptions import ProviderError
from ai_agents.core.notices import Notice
from ai_agents.core.types import (
    FilePart,
    JsonObject,
    ModelMessage,
    ModelRequest,
    ModelSettings,
    ReasoningPart,
    ToolCallPart,
)
from ai_agents.providers.anthropic_models import AnthropicFacts, anthropic_facts, anthropic_files
from ai_agents.providers.anthropic_stream import SERVER_CALLS, AnthropicParser
from ai_agents.providers.files import document_name, encoded, sent_as
from ai_agents.providers.left_out import images_left_out, left_out_for, setting_left_out, tool_left_out
from ai_agents.providers.quirks import Endpoint, Quirks
from ai_agents.providers.rendering import (
    EMPTY_TEXT,
    UNANSWERED,
    CallIds,
    ToolNames,
    own_origin,
    result_text,
    tool_calls_of,
    tool_results_of,
    visible_texts,
    without_none,
)
from ai_agents.providers.response_parser import ResponseParser
from ai_agents.providers.schemas import narrowed, schema_instruction
from ai_agents.providers.tool_schemas import with_tool_forms
from ai_agents.providers.wire_format import Remedy, WireFormat, drop

# The API version that the SDK sends no longer has `temperature` and `top_p`. The version before it takes them for the
# models that ever did: https://platform.claude.com/docs/en/api/migration-2026-10-21
SAMPLING_API_VERSION = "2023-06-01"
THINKING = frozenset({"thinking", "redacted_thinking"})
# Marks the end of a prefix that the provider's cache keeps. In the request itself it stands for the last block.
CACHE = {"type": "ephemeral"}
_MIN_BUDGET = 1024
_BUDGETS = {"low": 2048, "medium": 8192, "high": 16384}
# A cache entry is found within 20 blocks before a mark, and a turn with many calls adds more:
# https://platform.claude.com/docs/en/build-with-claude/prompt-caching, read 2026-11-30. Some less, since the API may
# count other blocks than ours.
_LOOKBACK = 15


_IN_MESSAGES = re.compile(r"messages?\b|content\b|block|signature")
_WANTS_THINKING = re.compile(r"must be passed back|must start with|is missing|[Ee]xpected .?thinking")


def _thinking_remedy(said: str, payload: JsonObject) -> Quirks | None:
    """What to do where a server refuses its model's own thinking, or misses it.

    Sources, read 2026-11-30: https://github.com/NousResearch/hermes-agent/issues/22313 (DeepSeek),
    https://github.com/borawong/AiMaMi/issues/10 (Kimi), https://github.com/router-for-me/CLIProxyAPI/issues/714.
    """
    if not _IN_MESSAGES.search(said) or not re.search("thinking|signature", said):
        return None
    if _WANTS_THINKING.search(said):
        return Quirks(keeps_reasoning=True) if _calls_without_thinking(payload["messages"]) else None
    sent = any(block["type"] in THINKING for message in payload["messages"] for block in message["content"])
    return Quirks(keeps_reasoning=False) if sent else None


def _ask_in_words(payload: JsonObject) -> Quirks | None:
    return Quirks(schema="instructed") if "format" in payload.get("output_config", {}) else None


class AnthropicMessages(WireFormat):
    """The Messages API."""

    family = "anthropic"
    # Gateways and clouds that know neither marks nor formats: https://github.com/earendil-works/pi/issues/7938,
    # https://github.com/MiniMax-AI/MiniMax-M2.7/issues/17, read 2026-11-30.
    remedies: ClassVar[Mapping[str, Remedy]] = {
        "cache_control": drop("cache_control", Quirks(cache_control=False)),
        "output_config": _ask_in_words,
        "output_format": _ask_in_words,
    }

    def path(self, request: ModelRequest) -> str:
        return "/v1/messages"

    def to_wire(self, request: ModelRequest, endpoint: Endpoint) -> JsonObject:
        return to_wire(request, endpoint)

    def headers_to_wire(self, payload: JsonObject) -> Mapping[str, str]:
        """The API version: the newest one has no `temperature` and `top_p`."""
        return {"anthropic-version": SAMPLING_API_VERSION} if payload.keys() & {"temperature", "top_p"} else {}

    def parser(
        self, request: ModelRequest, endpoint: Endpoint, before: ResponseParser | None = None
    ) -> AnthropicParser:
        return AnthropicParser(request, endpoint, before=before if isinstance(before, AnthropicParser) else None)

    def remedy(self, error: ProviderError, payload: JsonObject) -> Quirks | None:
        said = error.upstream["message"] if error.upstream else ""
        return _thinking_remedy(said, payload) or super().remedy(error, payload)

    def left_out(self, request: ModelRequest, endpoint: Endpoint) -> Sequence[Notice]:
        facts = anthropic_facts(request.model, endpoint.quirks)
        found = [*_settings_left_out(request, facts)]
        if endpoint.quirks.tools is False:
            found += [tool_left_out(tool.name, request.model) for tool in request.tools]
        return [*found, *images_left_out(request, anthropic_files(request.model, endpoint.quirks))]


def to_wire(request: ModelRequest, endpoint: Endpoint) -> JsonObject:
    """The request. What is stable from turn to turn comes first, byte for byte the same; the messages only grow."""
    facts = anthropic_facts(request.model, endpoint.quirks)
    settings = request.settings
    names = ToolNames(request.tools)
    request = with_tool_forms(request, "anthropic")
    messages = _messages_to_wire(request, names, endpoint, templated=not facts.signs)
    max_tokens = settings.max_tokens or facts.max_tokens
    payload: JsonObject = {"model": request.model, "max_tokens": max_tokens, "stream": True}
    if facts.caching:
        payload["cache_control"] = CACHE
        _mark_last_request(messages)
    stop = [text for text in settings.stop if text.strip()]
    if stop and facts.stop:
        payload["stop_sequences"] = stop
    payload |= _reasoning_to_wire(request, facts, messages)
    payload |= _settings_to_wire(
        settings, facts, thinks=payload.get("thinking", {}).get("type") in {"enabled", "adaptive"}
    )
    system = request.system
    if request.output_schema is not None:
        schema = narrowed(request.output_schema) if facts.schema else None
        if schema is None:
            system = schema_instruction(system, request.output_schema)
        else:
            form = {"format": {"type": "json_schema", "schema": schema}}
            payload["output_config"] = payload.get("output_config", {}) | form
    if endpoint.quirks.tools is not False:
        payload |= _tools_to_wire(request, names, facts)
    if system and system.strip():
        mark = {"cache_control": CACHE} if facts.caching else {}
        payload["system"] = [{"type": "text", "text": system} | mark]
    return payload | {"messages": messages}


def _settings_to_wire(settings: ModelSettings, facts: AnthropicFacts, *, thinks: bool) -> JsonObject:
    """The sampling. Claude takes `temperature` or `top_p`, on a scale that ends at 1, and neither while it thinks."""
    if not facts.sampling or (facts.signs and thinks):
        return {}
    asked = {"temperature": settings.temperature, "top_p": settings.top_p}
    if facts.signs and settings.temperature is not None:
        asked = {"temperature": min(1.0, settings.temperature)}
    return without_none(asked)


def _reasoning_to_wire(request: ModelRequest, facts: AnthropicFacts, messages: list[JsonObject]) -> JsonObject:
    effort = request.settings.reasoning
    if facts.needs_thinking and _calls_without_thinking(messages):
        return {"thinking": {"type": "disabled"}}
    if effort is None or facts.thinking == "none":
        return {}
    if effort == "none":
        if facts.off == "low_effort":
            return {"output_config": {"effort": "low"}}
        return {} if facts.off == "omit" else {"thinking": {"type": facts.off}}
    if facts.thinking == "adaptive":
        return {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": effort}}
    return _budget_to_wire(request.settings, facts, messages)


def _budget_to_wire(settings: ModelSettings, facts: AnthropicFacts, messages: list[JsonObject]) -> JsonObject:
    answers_tools = messages[-1]["content"][0]["type"] == "tool_result"
    if answers_tools and messages[-2]["content"][0]["type"] not in THINKING:
        return {}  # the API refuses thinking in a turn that did not begin with it
    budget = _budget_of(settings)
    if budget is None:
        return {}
    thinking = {"thinking": {"type": "enabled", "budget_tokens": budget}}
    return thinking if settings.max_tokens else {"max_tokens": facts.max_tokens + budget} | thinking


def _budget_of(settings: ModelSettings) -> int | None:
    """The tokens for the thinking that is asked for; None where the limit leaves too little room for it."""
    budget = _BUDGETS.get(settings.reasoning or "none", 0)
    if settings.max_tokens is not None:
        budget = min(budget, settings.max_tokens // 2)
    return budget if budget >= _MIN_BUDGET else None


def _settings_left_out(request: ModelRequest, facts: AnthropicFacts) -> Iterator[Notice]:
    settings, model = request.settings, request.model
    asked = settings.reasoning not in {None, "none"}
    fits = facts.thinking == "adaptive" or _budget_of(settings) is not None
    if asked and facts.thinking == "none":
        yield setting_left_out("reasoning", model, "reasoning")
    elif asked and not fits:
        yield left_out_for("reasoning", f"max_tokens leaves less than the {_MIN_BUDGET} tokens that thinking takes.")
    thinks = asked and facts.thinking != "none" and fits and facts.signs
    for name, value in (("temperature", settings.temperature), ("top_p", settings.top_p)):
        if value is None:
            continue
        if not facts.sampling:
            yield setting_left_out(name, model, "sampling")
        elif thinks:
            yield left_out_for(name, f"{model} does not take it while it thinks.")
        elif name == "top_p" and settings.temperature is not None and facts.signs:
            yield left_out_for(name, f"{model} does not take it beside temperature.")
    if settings.stop and not facts.stop:
        yield setting_left_out("stop", model, "stop")
    elif not all(text.strip() for text in settings.stop):
        yield left_out_for("stop", "The API does not take a stop sequence of nothing but white space.")


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
    used = dict.fromkeys(names.to_wire(call.name) for message in request.messages for call in tool_calls_of(message))
    gone = {"description": "Not available any more.", "input_schema": {"type": "object"}}
    return {"tools": [{"name": name} | gone for name in used], "tool_choice": {"type": "none"}} if used else {}


def _mark_last_request(messages: list[JsonObject]) -> None:
    """Mark the end of the last request, where this one has added more than a cache entry is searched through."""
    end = len(messages) - (3 if messages[-1]["role"] == "user" else 2)
    if end >= 0 and sum(len(message["content"]) for message in messages[end + 1 :]) > _LOOKBACK:
        content = messages[end]["content"]
        content[-1] = content[-1] | {"cache_control": CACHE}


def _calls_without_thinking(messages: list[JsonObject]) -> bool:
    kinds = [{block["type"] for block in message["content"]} for message in messages]
    return any("tool_use" in each and not each & THINKING for each in kinds)


def _messages_to_wire(
    request: ModelRequest, names: ToolNames, endpoint: Endpoint, *, templated: bool
) -> list[JsonObject]:
    """Messages with alternating roles, the first and the last a user's, none empty; tool results first in theirs.

    `templated`: the server writes the conversation with its model's chat template, in which results are messages of
    their own; many templates refuse a user's message right after them.
    """
    thinks, ids = endpoint.quirks.keeps_reasoning is not False, CallIds()
    messages: list[JsonObject] = []
    for message in request.messages:
        blocks = _message_to_wire(message, names, ids, provider=endpoint.provider, model=request.model, thinks=thinks)
        role = "assistant" if message.role == "assistant" else "user"
        if not blocks and message.role == "user":
            blocks = [{"type": "text", "text": EMPTY_TEXT}]
        if not blocks:
            continue
        follows_result = message.role == "user" and messages and messages[-1]["content"][-1]["type"] == "tool_result"
        if templated and follows_result:
            messages.append({"role": "assistant", "content": [{"type": "text", "text": UNANSWERED}]})
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


def _message_to_wire(
    message: ModelMessage, names: ToolNames, ids: CallIds, *, provider: str, model: str, thinks: bool
) -> list[JsonObject]:
    """The blocks of one message, without thinking unless `thinks`; none where nothing but thinking would be left."""
    if message.role == "tool":
        return [
            {"type": "tool_result", "tool_use_id": ids.to_wire(part.tool_call_id), "content": result_text(part)}
            | ({"is_error": True} if part.is_error else {})
            for part in tool_results_of(message)
        ]
    blocks: list[JsonObject] = []
    for part in message.parts:
        match part:
            case ReasoningPart() if message.role == "assistant":
                found = _reasoning_part_to_wire(part, provider, model)
                blocks += [block for block in found if thinks or block["type"] not in THINKING]
            case ToolCallPart() if message.role == "assistant":
                call = {"type": "tool_use", "id": ids.to_wire(part.tool_call_id), "name": names.to_wire(part.name)}
                blocks.append(call | {"input": part.arguments})
            case FilePart() if (file := _file_to_wire(part)) is not None:
                blocks.append(file)
            case _:
                blocks += [{"type": "text", "text": text} for text in visible_texts([part])]
    return blocks if any(block["type"] not in THINKING for block in blocks) else []


def _reasoning_part_to_wire(part: ReasoningPart, provider: str, model: str) -> list[JsonObject]:
    """The block of a reasoning part, if this model made it: a signature is valid for its own model only.

    Blocks of earlier turns are sent too: the cache holds them, and the API drops those that its model does not read.
    Thinking without a signature goes back to models that do not sign.
    """
    match own_origin(part, provider, model):
        case {"block": block}:
            return [block]
        case {"redacted": data}:
            return [{"type": "redacted_thinking", "data": data}]
        case {"signature": signature}:
            return [{"type": "thinking", "thinking": part.text, "signature": signature}]
        case {"unsigned": True}:
            return [{"type": "thinking", "thinking": part.text}]
    return []


def _file_to_wire(part: FilePart) -> JsonObject | None:
    kind = sent_as(part)
    source = {"type": "base64", "media_type": part.media_type, "data": encoded(part)}
    title = {"title": document_name(part)} if kind == "document" else {}
    return None if kind is None else {"type": kind, "source": source, **title}
