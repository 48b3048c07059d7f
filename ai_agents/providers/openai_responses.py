"""OpenAI's Responses: requests, and the parser of its streams.

Source: https://developers.openai.com/api/reference/resources/responses, read 2026-11-22.
OpenAI keeps nothing (`store: false`): each request has the whole conversation, and reasoning goes back to its model
encrypted: https://developers.openai.com/api/docs/guides/reasoning, "Encrypted reasoning items".
"""

from ai_agents.core.json import dumps
from ai_agents.core.types import (
    FilePart,
    JsonObject,
    ModelMessage,
    ModelRequest,
    ModelSettings,
    ReasoningPart,
    StopReason,
    TextPart,
    ToolCallPart,
    Usage,
)
from ai_agents.providers.errors import error_from_wire
from ai_agents.providers.files import data_url, document_name, parts_with_files, sent_as
from ai_agents.providers.lines import clean_json
from ai_agents.providers.openai_models import OpenAIFacts, openai_facts
from ai_agents.providers.quirks import Endpoint
from ai_agents.providers.rendering import (
    EMPTY_TEXT,
    ToolNames,
    functions_to_wire,
    own_origin,
    result_text,
    tool_results_of,
    visible_texts,
    without_none,
)
from ai_agents.providers.response_parser import ResponseParser
from ai_agents.providers.schemas import SCHEMA_NAME, is_strict, schema_instruction
from ai_agents.providers.tool_schemas import with_tool_forms
from ai_agents.providers.wire_format import WireFormat

# The API refuses a smaller limit.
_MIN_OUTPUT_TOKENS = 16
# Why a response is incomplete.
_STOP_REASONS: dict[str, StopReason] = {
    "max_output_tokens": "max_tokens",
    "max_tokens": "max_tokens",
    "content_filter": "refusal",
}


class OpenAIResponses(WireFormat):
    """Responses."""

    def path(self, request: ModelRequest) -> str:
        return "/responses"

    def to_wire(self, request: ModelRequest, endpoint: Endpoint) -> JsonObject:
        return to_wire(request, endpoint)

    def parser(
        self, request: ModelRequest, endpoint: Endpoint, before: ResponseParser | None = None
    ) -> "OpenAIResponsesParser":
        return OpenAIResponsesParser(request, endpoint)


def to_wire(request: ModelRequest, endpoint: Endpoint) -> JsonObject:
    """The request. What is stable from turn to turn comes first, byte for byte the same; the input only grows."""
    facts = openai_facts(request.model)
    names = ToolNames(request.tools)
    request = with_tool_forms(request, "openai")
    payload: JsonObject = {"model": request.model, "stream": True, "store": False}
    if facts.reasoning:
        payload["include"] = ["reasoning.encrypted_content"]
    payload |= _settings_to_wire(request.settings, facts)
    system = request.system
    if request.output_schema is not None:
        if facts.schema:
            named = {"name": SCHEMA_NAME, "strict": is_strict(request.output_schema), "schema": request.output_schema}
            payload["text"] = {"format": {"type": "json_schema"} | named}
        else:
            system = schema_instruction(system, request.output_schema)
    if request.tools:
        # `strict` is true by default, which refuses the schemas of many tools.
        functions = functions_to_wire(request, names)
        payload["tools"] = [{"type": "function"} | each | {"strict": False} for each in functions]
    if system and system.strip():
        payload["instructions"] = system
    items: list[JsonObject] = []
    for message in request.messages:
        items += _message_to_wire(message, names, provider=endpoint.provider, model=request.model)
    return payload | {"input": items}


def _settings_to_wire(settings: ModelSettings, facts: OpenAIFacts) -> JsonObject:
    asked: JsonObject = {
        "max_output_tokens": settings.max_tokens and max(_MIN_OUTPUT_TOKENS, settings.max_tokens),
        "reasoning": _reasoning_to_wire(settings, facts),
    }
    if not facts.reasoning:
        asked |= {"temperature": settings.temperature, "top_p": settings.top_p}
    return without_none(asked)


def _reasoning_to_wire(settings: ModelSettings, facts: OpenAIFacts) -> JsonObject | None:
    if settings.reasoning is None or facts.reasoning is False:
        return None
    if settings.reasoning == "none":
        return {"effort": facts.least} if facts.reasoning else None
    return {"effort": settings.reasoning, "summary": "auto"}


def _message_to_wire(message: ModelMessage, names: ToolNames, *, provider: str, model: str) -> list[JsonObject]:
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
            case ReasoningPart() if "item" in (origin := own_origin(part, provider, model)):
                reasoning.append(origin["item"])
            case TextPart() if part.text.strip():
                items += [*reasoning, {"role": "assistant", "content": part.text}]
                reasoning = []
            case ToolCallPart():
                call = {"type": "function_call", "call_id": part.tool_call_id, "name": names.to_wire(part.name)}
                items += [*reasoning, call | {"arguments": dumps(part.arguments)}]
                reasoning = []
    return items


def _file_to_wire(part: FilePart) -> JsonObject | None:
    match sent_as(part):
        case "image":
            return {"type": "input_image", "image_url": data_url(part)}
        case "document":
            return {"type": "input_file", "filename": document_name(part), "file_data": data_url(part)}
    return None


class OpenAIResponsesParser(ResponseParser):
    """Parses the events of one response. Events and items of unknown kinds are left out."""

    def __init__(self, request: ModelRequest, endpoint: Endpoint) -> None:
        super().__init__(request, endpoint)
        self._called = False
        self._refused = False
        self._summaries = 0

    def read_whole(self, body: JsonObject) -> None:
        for item in body["output"]:
            for content in item.get("content") or ():
                self.writer.write("text", content.get("text") or "")
            self._end_item(item)
        self._end(body)

    def read(self, event: JsonObject) -> None:
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
            self.model = str(event["response"].get("model") or self.model)
        elif kind in {"response.completed", "response.incomplete"}:
            self._end(event["response"])
        elif kind == "response.failed":
            raise error_from_wire(self.provider, event["response"].get("error"))
        elif kind == "error" or "error" in event:
            raise error_from_wire(self.provider, event.get("error") or event)

    def _end_item(self, item: JsonObject) -> None:
        kind = item.get("type")
        if kind == "reasoning":
            self._end_reasoning(item)
        elif kind == "message":
            self.writer.close()
        elif kind == "function_call":
            self._called = True
            self.write_call(item["name"], item.get("arguments") or "", cut=item.get("status") == "incomplete")

    def _end_reasoning(self, item: JsonObject) -> None:
        self._summaries = 0
        kept = {name: item[name] for name in ("id", "summary", "encrypted_content") if item.get(name) is not None}
        if "encrypted_content" not in kept:
            self.writer.close()
            return
        if self.writer.kind != "reasoning":
            self.writer.open("reasoning")
        kept = clean_json({"type": "reasoning", "summary": []} | kept)
        self.writer.close(origin=self.origin(item=kept))

    def _end(self, response: JsonObject) -> None:
        reason = (response.get("incomplete_details") or {}).get("reason")
        stop_reason: StopReason = "end" if reason is None else self.stop_reason_of(reason, _STOP_REASONS)
        if self._refused:
            stop_reason = "refusal"
        elif self._called and stop_reason == "end":
            stop_reason = "tool_use"
        self.model = str(response.get("model") or self.model)
        self.end(stop_reason, _usage_from_wire(response.get("usage") or {}))


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
