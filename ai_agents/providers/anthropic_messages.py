"""Anthropic's Messages API: requests, and the parser of its streams.

Sources, read 2026-11-22: https://platform.claude.com/docs/en/api/messages and …/build-with-claude/streaming.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ai_agents.core.types import (
    FilePart,
    JsonObject,
    ModelMessage,
    ModelRequest,
    ModelSettings,
    ReasoningPart,
    StopReason,
    ToolCallPart,
    Usage,
)
from ai_agents.providers.anthropic_models import AnthropicFacts, anthropic_facts
from ai_agents.providers.assembly import parse_arguments, raw_arguments
from ai_agents.providers.errors import error_from_wire, truncated
from ai_agents.providers.files import document_name, encoded, sent_as
from ai_agents.providers.lines import clean_json
from ai_agents.providers.quirks import Endpoint
from ai_agents.providers.rendering import (
    EMPTY_TEXT,
    ToolNames,
    own_origin,
    result_text,
    tool_calls_of,
    tool_results_of,
    visible_texts,
)
from ai_agents.providers.response_parser import ResponseParser
from ai_agents.providers.schemas import narrowed, schema_instruction
from ai_agents.providers.wire_format import WireFormat

# Calls of tools that the provider runs itself. Their results are blocks of the same response.
SERVER_CALLS = frozenset({"server_tool_use", "mcp_tool_use"})
# The API version that the SDK sends no longer has `temperature` and `top_p`. The version before it takes them for the
# models that ever did: https://platform.claude.com/docs/en/api/migration-2026-10-21
SAMPLING_API_VERSION = "2023-06-01"
# Marks the end of a prefix that the provider's cache keeps. In the request itself it stands for the last block.
CACHE = {"type": "ephemeral"}
_MIN_BUDGET = 1024
_BUDGETS = {"low": 2048, "medium": 8192, "high": 16384}
# How often a paused answer is continued: https://platform.claude.com/docs/en/agents-and-tools/tool-use/server-tools
MAX_PAUSES = 8
_STOP_REASONS: dict[str, StopReason] = {
    "end_turn": "end",
    "tool_use": "tool_use",
    "max_tokens": "max_tokens",
    "stop_sequence": "stop_sequence",
    "refusal": "refusal",
    "pause_turn": "pause",
    "model_context_window_exceeded": "context_exceeded",
}


class AnthropicMessages(WireFormat):
    """The Messages API."""

    def path(self, request: ModelRequest) -> str:
        return "/v1/messages"

    def to_wire(self, request: ModelRequest, endpoint: Endpoint) -> JsonObject:
        return to_wire(request, endpoint)

    def headers_to_wire(self, payload: JsonObject) -> Mapping[str, str]:
        """The API version: the newest one has no `temperature` and `top_p`."""
        return {"anthropic-version": SAMPLING_API_VERSION} if payload.keys() & {"temperature", "top_p"} else {}

    def parser(
        self, request: ModelRequest, endpoint: Endpoint, before: ResponseParser | None = None
    ) -> "AnthropicParser":
        return AnthropicParser(request, endpoint, before=before if isinstance(before, AnthropicParser) else None)


def to_wire(request: ModelRequest, endpoint: Endpoint) -> JsonObject:
    """The request. What is stable from turn to turn comes first, byte for byte the same; the messages only grow."""
    facts = anthropic_facts(request.model)
    settings = request.settings
    names = ToolNames(request.tools)
    messages = _messages_to_wire(request, names, endpoint)
    max_tokens = settings.max_tokens or facts.max_tokens
    payload: JsonObject = {"model": request.model, "max_tokens": max_tokens, "stream": True}
    if facts.caching:
        payload["cache_control"] = CACHE
    if stop := [text for text in settings.stop if text.strip()]:
        payload["stop_sequences"] = stop
    payload |= _reasoning_to_wire(request, facts, messages)
    if facts.sampling and payload.get("thinking", {}).get("type") not in {"enabled", "adaptive"}:
        payload |= _settings_to_wire(settings)
    system = request.system
    if request.output_schema is not None:
        schema = narrowed(request.output_schema) if facts.schema else None
        if schema is None:
            system = schema_instruction(system, request.output_schema)
        else:
            form = {"format": {"type": "json_schema", "schema": schema}}
            payload["output_config"] = payload.get("output_config", {}) | form
    payload |= _tools_to_wire(request, names, facts)
    if system and system.strip():
        mark = {"cache_control": CACHE} if facts.caching else {}
        payload["system"] = [{"type": "text", "text": system} | mark]
    return payload | {"messages": messages}


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
    answers_tools = messages[-1]["content"][0]["type"] == "tool_result"
    if answers_tools and messages[-2]["content"][0]["type"] not in {"thinking", "redacted_thinking"}:
        return {}  # the API refuses thinking in a turn that did not begin with it
    if request.settings.max_tokens is None:
        return {"max_tokens": facts.max_tokens + budget, "thinking": {"type": "enabled", "budget_tokens": budget}}
    budget = min(budget, request.settings.max_tokens // 2)
    return {"thinking": {"type": "enabled", "budget_tokens": budget}} if budget >= _MIN_BUDGET else {}


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


def _messages_to_wire(request: ModelRequest, names: ToolNames, endpoint: Endpoint) -> list[JsonObject]:
    """Messages with alternating roles, the first and the last a user's, none empty; tool results first in theirs."""
    messages: list[JsonObject] = []
    for message in request.messages:
        blocks = _message_to_wire(message, names, provider=endpoint.provider, model=request.model)
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


def _message_to_wire(message: ModelMessage, names: ToolNames, *, provider: str, model: str) -> list[JsonObject]:
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
            case ReasoningPart() if message.role == "assistant":
                blocks += _reasoning_part_to_wire(part, provider, model)
            case ToolCallPart() if message.role == "assistant":
                call = {"type": "tool_use", "id": part.tool_call_id, "name": names.to_wire(part.name)}
                blocks.append(call | {"input": part.arguments})
            case FilePart() if (file := _file_to_wire(part)) is not None:
                blocks.append(file)
            case _:
                blocks += [{"type": "text", "text": text} for text in visible_texts([part])]
    return blocks if any(block["type"] not in {"thinking", "redacted_thinking"} for block in blocks) else []


def _reasoning_part_to_wire(part: ReasoningPart, provider: str, model: str) -> list[JsonObject]:
    """The block of a reasoning part, if this model made it: a signature is valid for its own model only.

    Blocks of earlier turns are sent too: the cache holds them, and the API drops those that its model does not read.
    """
    match own_origin(part, provider, model):
        case {"block": block}:
            return [block]
        case {"redacted": data}:
            return [{"type": "redacted_thinking", "data": data}]
        case {"signature": signature}:
            return [{"type": "thinking", "thinking": part.text, "signature": signature}]
    return []


def _file_to_wire(part: FilePart) -> JsonObject | None:
    kind = sent_as(part)
    source = {"type": "base64", "media_type": part.media_type, "data": encoded(part)}
    title = {"title": document_name(part)} if kind == "document" else {}
    return None if kind is None else {"type": kind, "source": source, **title}


class AnthropicParser(ResponseParser):
    """Parses the events of one response.

    Events and blocks of unknown kinds are left out, as the API's versioning asks of its clients. The blocks of the
    provider's own tools are kept for the provider alone. Where an answer paused, the responses that continue it add to
    the same events: `before` is the parser of the response that paused.
    """

    def __init__(self, request: ModelRequest, endpoint: Endpoint, *, before: "AnthropicParser | None" = None) -> None:
        super().__init__(request, endpoint)
        self._pauses = 0
        self._usage_before = Usage()
        if before is not None:
            self.writer = before.writer
            self._pauses = before._pauses + 1
            self._usage_before = before._total_usage()
        self._paused = False
        self._block: JsonObject = {}
        self._signature: list[str] = []
        self._arguments: list[str] = []
        self._call: tuple[str, str] | None = None
        self._stop: Any = None
        self._usage: JsonObject = {}
        self._output_is_final = False

    def read_whole(self, body: JsonObject) -> None:
        self.read({"type": "message_start", "message": body})
        for block in body["content"]:
            self._start_block(block)
            self._end_block()
        self.read({"type": "message_delta", "delta": body})
        self._end()

    def read(self, event: JsonObject) -> None:
        kind = event.get("type")
        if kind == "content_block_delta":
            self._read_delta(event["delta"])
        elif kind == "content_block_start":
            self._start_block(event["content_block"])
        elif kind == "content_block_stop":
            self._end_block()
        elif kind == "message_start":
            message = event["message"]
            self.model = str(message.get("model") or self.model)
            self._take_usage(message.get("usage"))
        elif kind == "message_delta":
            self._stop = event["delta"].get("stop_reason") or self._stop
            self._take_usage(event.get("usage"))
            self._output_is_final = True
        elif kind == "message_stop":
            self._end()
        elif kind == "error" or "error" in event:
            raise error_from_wire(self.provider, event.get("error"))

    def usage(self) -> Usage | None:
        # Of the input all, of the output only those before a pause.
        if not self._usage:
            return None
        if self._output_is_final:
            return self._total_usage()
        return self._usage_before + replace(_usage_from_wire(self._usage), output_tokens=None)

    def continuation(self) -> ModelRequest | None:
        if not self._paused:
            return None
        answer = ModelMessage("assistant", tuple(self.writer.parts))
        # The request of a continued response ends with an earlier part of this answer.
        messages = self.request.messages[:-1] if self._pauses else self.request.messages
        return replace(self.request, messages=(*messages, answer))

    def _read_delta(self, delta: JsonObject) -> None:
        kind = delta.get("type")
        if kind == "text_delta":
            self.writer.write("text", delta["text"])
        elif kind == "input_json_delta":
            self._arguments.append(delta["partial_json"])
        elif kind == "thinking_delta":
            self.writer.write("reasoning", delta["thinking"])
        elif kind == "signature_delta":
            self._signature.append(delta["signature"])

    def _start_block(self, block: JsonObject) -> None:
        self._end_block()
        self._end_call()
        self._block = block
        kind = block.get("type")
        if kind == "text":
            self.writer.write("text", block.get("text") or "")
        elif kind == "thinking":
            self.writer.write("reasoning", block.get("thinking") or "")
            self._signature = [block["signature"]] if block.get("signature") else []

    def _end_block(self) -> None:
        block, self._block = self._block, {}
        kind = block.get("type")
        if kind == "thinking":
            signature = "".join(self._signature)
            if signature and self.writer.kind != "reasoning":
                self.writer.open("reasoning")  # the thinking was not sent, only its signature
            self.writer.close(origin=self.origin(signature=signature) if signature else None)
        elif kind == "redacted_thinking":
            self.writer.open("reasoning", origin=self.origin(redacted=block["data"]))
        elif kind == "tool_use":
            raw = "".join(self._arguments) or (raw_arguments(block["input"]) if block.get("input") else "")
            # Written at a later event: only the stop reason tells whether the call is complete.
            self._call = (block["name"], raw)
        elif kind in SERVER_CALLS:
            arguments = parse_arguments("".join(self._arguments))[0] or block.get("input") or {}
            self.writer.open("reasoning", origin=self.origin(block=clean_json(block | {"input": arguments})))
        elif isinstance(kind, str) and kind.endswith("_tool_result"):
            self.writer.open("reasoning", origin=self.origin(block=clean_json(block)))
        if kind:
            self.writer.close()
        self._signature, self._arguments = [], []

    def _end_call(self, *, cut: bool = False) -> None:
        if self._call is not None:
            (name, raw), self._call = self._call, None
            self.write_call(name, raw, cut=cut)

    def _end(self) -> None:
        if self._stop is None:
            raise truncated(self.provider, "ended its answer without a reason")
        stop_reason = self.stop_reason_of(self._stop, _STOP_REASONS)
        self._end_block()
        self._end_call(cut=stop_reason in {"max_tokens", "context_exceeded"})
        self._paused = stop_reason == "pause" and bool(self.writer.parts) and self._pauses < MAX_PAUSES
        if self._paused:
            self.done = True
        else:
            self.end(stop_reason, self._total_usage())

    def _total_usage(self) -> Usage:
        return self._usage_before + _usage_from_wire(self._usage)

    def _take_usage(self, usage: JsonObject | None) -> None:
        self._usage |= {name: value for name, value in (usage or {}).items() if value is not None}


def _usage_from_wire(usage: JsonObject) -> Usage:
    """The framework's counts. Anthropic counts input that was read from its cache, or written to it, apart."""
    fresh = usage.get("input_tokens")
    cached = usage.get("cache_read_input_tokens")
    return Usage(
        input_tokens=None if fresh is None else fresh + (cached or 0) + (usage.get("cache_creation_input_tokens") or 0),
        output_tokens=usage.get("output_tokens"),
        cached_input_tokens=cached,
        reasoning_tokens=(usage.get("output_tokens_details") or {}).get("thinking_tokens"),
        cache_write_tokens=usage.get("cache_creation_input_tokens"),
    )
