"""OpenAI's Chat Completions, as OpenAI and compatible servers speak it: requests, and the parser of its streams.

Compatible servers differ in details; what is known of that is tolerated.
Source: https://developers.openai.com/api/reference/resources/chat, read 2026-11-22.
"""

from dataclasses import dataclass, field
from typing import Any

from ai_agents.core.exceptions import ProviderError, ProviderRejected
from ai_agents.core.json import clean_text, dumps
from ai_agents.core.types import (
    FilePart,
    JsonObject,
    ModelMessage,
    ModelRequest,
    ModelSettings,
    ReasoningPart,
    StopReason,
    Usage,
)
from ai_agents.providers.assembly import parse_arguments, raw_arguments
from ai_agents.providers.errors import error_from_wire, truncated
from ai_agents.providers.files import data_url, document_name, parts_with_files, sent_as
from ai_agents.providers.openai_models import OpenAIFacts, openai_facts
from ai_agents.providers.quirks import Endpoint, Quirks
from ai_agents.providers.rendering import (
    EMPTY_TEXT,
    ToolNames,
    alternating,
    functions_to_wire,
    own_origin,
    result_text,
    tool_calls_of,
    tool_results_of,
    visible_texts,
    without_none,
)
from ai_agents.providers.response_parser import ResponseParser
from ai_agents.providers.schemas import SCHEMA_NAME, is_strict, schema_instruction
from ai_agents.providers.wire_format import WireFormat

# The field in which DeepSeek and others send reasoning: https://api-docs.deepseek.com/guides/thinking_mode
REASONING_CONTENT = "reasoning_content"
_MAX_STOP_SEQUENCES = 4
_STOP_REASONS: dict[str, StopReason] = {
    "stop": "end",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "length": "max_tokens",
    "content_filter": "refusal",
}


class OpenAIChat(WireFormat):
    """Chat Completions."""

    def path(self, request: ModelRequest) -> str:
        return "/chat/completions"

    def to_wire(self, request: ModelRequest, endpoint: Endpoint) -> JsonObject:
        return to_wire(request, endpoint)

    def parser(
        self, request: ModelRequest, endpoint: Endpoint, before: ResponseParser | None = None
    ) -> "OpenAIChatParser":
        return OpenAIChatParser(request, endpoint)

    def remedy(self, error: ProviderError, payload: JsonObject) -> Quirks | None:
        named = super().remedy(error, payload)
        if named is not None or not isinstance(error, ProviderRejected):
            return named
        if "response_format" in payload and openai_facts(payload["model"]).reasoning is None:
            # Not every compatible server enforces schemas; the model of one that does not is asked in words.
            return Quirks(schema="instructed")
        return named


def to_wire(request: ModelRequest, endpoint: Endpoint) -> JsonObject:
    """The request. What is stable from turn to turn comes first, byte for byte the same; the messages only grow."""
    facts = openai_facts(request.model)
    names = ToolNames(request.tools)
    payload: JsonObject = {"model": request.model, "stream": True, "stream_options": {"include_usage": True}}
    payload |= _settings_to_wire(request.settings, facts)
    if request.tools and facts.tools_effort is not None:
        payload["reasoning_effort"] = facts.tools_effort
    system = request.system
    if request.output_schema is not None:
        if facts.schema and endpoint.quirks.schema != "instructed":
            named = {"name": SCHEMA_NAME, "strict": is_strict(request.output_schema), "schema": request.output_schema}
            payload["response_format"] = {"type": "json_schema", "json_schema": named}
        else:
            system = schema_instruction(system, request.output_schema)
    if request.tools:
        payload["tools"] = [{"type": "function", "function": each} for each in functions_to_wire(request, names)]
    messages = [{"role": "system", "content": system}] if system and system.strip() else []
    for message in request.messages:
        messages += _message_to_wire(message, names, provider=endpoint.provider, model=request.model)
    return payload | {"messages": alternating(messages)}


def _settings_to_wire(settings: ModelSettings, facts: OpenAIFacts) -> JsonObject:
    asked: JsonObject = {"max_completion_tokens" if facts.reasoning else "max_tokens": settings.max_tokens}
    if not facts.reasoning:
        asked |= {"temperature": settings.temperature, "top_p": settings.top_p}
        asked["stop"] = list(settings.stop[:_MAX_STOP_SEQUENCES]) or None
    if facts.reasoning is not False:
        least = facts.least if facts.reasoning else None
        asked["reasoning_effort"] = least if settings.reasoning == "none" else settings.reasoning
    return without_none(asked)


def _message_to_wire(message: ModelMessage, names: ToolNames, *, provider: str, model: str) -> list[JsonObject]:
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
    # Some servers require `content`, even if it is null.
    rendered: JsonObject = {"role": "assistant", "content": text or None}
    calls = tool_calls_of(message)
    if calls:
        rendered |= _reasoning_parts_to_wire(message, provider, model)
        rendered["tool_calls"] = [
            {
                "id": call.tool_call_id,
                "type": "function",
                "function": {"name": names.to_wire(call.name), "arguments": dumps(call.arguments)},
            }
            for call in calls
        ]
    return [rendered] if text or calls else []


def _reasoning_parts_to_wire(message: ModelMessage, provider: str, model: str) -> JsonObject:
    """The model's own reasoning before its tool calls: servers that send this field refuse a history without it."""
    facts = openai_facts(model)
    if facts.reasoning is not None:
        return {}  # OpenAI's own models neither send nor take the field
    origins = [own_origin(part, provider, model) for part in message.parts if isinstance(part, ReasoningPart)]
    reasoning = [origin[REASONING_CONTENT] for origin in origins if REASONING_CONTENT in origin]
    if reasoning or facts.keeps_reasoning:
        return {REASONING_CONTENT: "".join(reasoning)}
    return {}


def _file_to_wire(part: FilePart) -> JsonObject | None:
    match sent_as(part):
        case "image":
            return {"type": "image_url", "image_url": {"url": data_url(part)}}
        case "document":
            return {"type": "file", "file": {"filename": document_name(part), "file_data": data_url(part)}}
    return None


@dataclass(slots=True)
class _PartialToolCall:
    """A tool call whose pieces are still coming."""

    id: str = ""
    name: str = ""
    pieces: list[str] = field(default_factory=list)


class OpenAIChatParser(ResponseParser):
    """Parses the chunks of one response.

    Tool calls are written at the end, since their pieces may come in any order. The end is `[DONE]`, or the end of the
    bytes after a finish reason: several servers leave `[DONE]` out.
    """

    def __init__(self, request: ModelRequest, endpoint: Endpoint) -> None:
        super().__init__(request, endpoint)
        self._calls: list[_PartialToolCall] = []
        self._call_at: dict[int, _PartialToolCall] = {}
        self._finish: Any = None
        self._refused = False
        self._usage: JsonObject = {}
        self._reasoning: list[str] = []

    def read_whole(self, body: JsonObject) -> None:
        self.read(body)
        self.end_of_bytes()

    def read(self, event: JsonObject) -> None:
        for choice in event.get("choices") or ():
            if choice.get("index"):
                continue
            delta = choice.get("delta") or choice.get("message")
            if delta:
                self._read_delta(delta)
            if choice.get("finish_reason"):
                self._finish = choice["finish_reason"]
        if event.get("usage"):
            self._usage = event["usage"]
        if event.get("error") or event.get("object") == "error":
            raise error_from_wire(self.provider, event.get("error") or event)
        if event.get("model"):
            self.model = event["model"]

    def read_marker(self, data: bytes) -> bool:
        if data.strip() != b"[DONE]":
            return False
        self._end()
        return True

    def end_of_bytes(self) -> None:
        if not self.done and self._finish is not None:
            self._end()

    def usage(self) -> Usage | None:
        return _usage_from_wire(self._usage) if self._usage else None

    def _read_delta(self, delta: JsonObject) -> None:
        reasoning = delta.get(REASONING_CONTENT)
        if isinstance(reasoning, str) and reasoning:
            self._reasoning.append(reasoning)
        else:
            reasoning = delta.get("reasoning")
        if isinstance(reasoning, str):
            self.writer.write("reasoning", reasoning)
        content = delta.get("content")
        if content:
            if not isinstance(content, str):  # some servers send a list of parts
                content = "".join(part.get("text") or "" for part in content if part.get("type") == "text")
            self._write_text(content)
        if delta.get("refusal"):
            self._refused = True
            self._write_text(delta["refusal"])
        for piece in delta.get("tool_calls") or ():
            self._read_call(piece)

    def _write_text(self, text: str) -> None:
        if self._reasoning and text:
            self._end_reasoning()
        self.writer.write("text", text)

    def _end_reasoning(self) -> None:
        """End the reasoning part. Its text goes back to the server with the tool calls that follow it."""
        reasoning, self._reasoning = clean_text("".join(self._reasoning)), []
        if reasoning and self.writer.kind == "reasoning":
            self.writer.close(origin=self.origin(**{REASONING_CONTENT: reasoning}))

    def _read_call(self, piece: JsonObject) -> None:
        function = piece.get("function") or {}
        arguments = raw_arguments(function.get("arguments"))
        call = self._call_of(piece, function.get("name") or "", arguments)
        call.id = call.id or piece.get("id") or ""
        call.name = call.name or function.get("name") or ""
        if arguments:
            call.pieces.append(arguments)

    def _call_of(self, piece: JsonObject, name: str, arguments: str) -> _PartialToolCall:
        """The call that a piece belongs to. Some servers send no index or no id, or the same one for each call."""
        index = piece.get("index")
        call = self._call_at.get(index) if isinstance(index, int) else self._calls[-1] if self._calls else None
        if call is None or _begins_another(call, piece.get("id") or "", name, arguments):
            call = _PartialToolCall()
            self._calls.append(call)
            if isinstance(index, int):
                self._call_at[index] = call
        return call

    def _end(self) -> None:
        if self._finish is None:
            raise truncated(self.provider, "ended its answer without a reason")
        stop_reason = self.stop_reason_of(self._finish, _STOP_REASONS)
        if self._refused:
            stop_reason = "refusal"
        elif self._calls and stop_reason == "end":
            stop_reason = "tool_use"
        self._end_reasoning()
        for call in self._calls:
            cut = stop_reason == "max_tokens" and call is self._calls[-1]
            self.write_call(call.name, "".join(call.pieces), cut=cut)
        self.end(stop_reason, _usage_from_wire(self._usage))


def _begins_another(call: _PartialToolCall, call_id: str, name: str, arguments: str) -> bool:
    if call_id and call.id:
        return call_id != call.id
    if not name or not call.name:
        return False
    # Without ids, a name after complete arguments begins the next call.
    raw = "".join(call.pieces)
    return name != call.name or (bool(raw or not arguments) and parse_arguments(raw)[1] is None)


def _usage_from_wire(usage: JsonObject) -> Usage:
    """The framework's counts; None where the server does not report them."""
    details = usage.get("prompt_tokens_details") or {}
    return Usage(
        input_tokens=usage.get("prompt_tokens"),
        output_tokens=usage.get("completion_tokens"),
        # DeepSeek has another name for them.
        cached_input_tokens=details.get("cached_tokens", usage.get("prompt_cache_hit_tokens")),
        reasoning_tokens=(usage.get("completion_tokens_details") or {}).get("reasoning_tokens"),
    )
