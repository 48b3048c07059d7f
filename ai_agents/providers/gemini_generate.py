"""Gemini's `generateContent`: requests, and the parser of its streams.

Sources, read 2026-11-30: https://ai.google.dev/api/generate-content, https://ai.google.dev/gemini-api/docs/function-calling,
…/thought-signatures and …/structured-output.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from ai_agents.core.exceptions import ProviderRejected
from ai_agents.core.json import dumps
from ai_agents.core.notices import Notice
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
    ToolResultPart,
    Usage,
)
from ai_agents.providers.assembly import raw_arguments
from ai_agents.providers.errors import error_from_wire, mask, truncated
from ai_agents.providers.files import encoded, sent_as
from ai_agents.providers.gemini_models import GeminiFacts, gemini_facts, thinking_config
from ai_agents.providers.quirks import Endpoint, Quirks
from ai_agents.providers.reading import as_count, as_object, as_objects, as_text, merge_counts
from ai_agents.providers.rendering import (
    EMPTY_TEXT,
    UNANSWERED,
    ToolNames,
    functions_to_wire,
    own_origin,
    result_text,
    tool_results_of,
    visible_texts,
    without_none,
)
from ai_agents.providers.response_parser import ResponseParser
from ai_agents.providers.schemas import schema_instruction
from ai_agents.providers.tool_schemas import with_tool_forms
from ai_agents.providers.wire_format import WireFormat

_MAX_STOP_SEQUENCES = 5
# Takes the place of a signature in a history that another model wrote: …/thought-signatures, on migrating histories.
_NO_SIGNATURE = "skip_thought_signature_validator"
_STOP_REASONS: dict[str, StopReason] = {
    "stop": "end",
    "max_tokens": "max_tokens",
    **dict.fromkeys(
        ("safety", "recitation", "blocklist", "prohibited_content", "spii", "image_safety", "language"), "refusal"
    ),
}
# The part of JSON Schema that the API reads: …/structured-output, "JSON schema support".
_SCHEMAS_BY_NAME = frozenset({"properties", "$defs"})
_LISTS_OF_SCHEMAS = frozenset({"anyOf", "oneOf", "prefixItems"})
_SCHEMAS = frozenset({"items", "additionalProperties"})
_KEYWORDS = frozenset(
    {"$id", "$ref", "$anchor", "type", "format", "title", "description", "enum", "required", "propertyOrdering"}
    | {"minItems", "maxItems", "minimum", "maximum"}
)
# The model failed; another try may succeed.
_FAILURES = frozenset(
    {"malformed_function_call", "unexpected_tool_call", "too_many_tool_calls", "malformed_response"}
    | {"missing_thought_signature"}
)


class GeminiGenerate(WireFormat):
    """`generateContent`, streamed."""

    family = "gemini"

    def path(self, request: ModelRequest) -> str:
        name = request.model if "/" in request.model else f"models/{request.model}"
        return f"/{quote(name)}:streamGenerateContent?alt=sse"

    def to_wire(self, request: ModelRequest, endpoint: Endpoint) -> JsonObject:
        return to_wire(request, endpoint)

    def parser(self, request: ModelRequest, endpoint: Endpoint, before: ResponseParser | None = None) -> "GeminiParser":
        return GeminiParser(request, endpoint)

    def left_out(self, request: ModelRequest, endpoint: Endpoint) -> Sequence[Notice]:
        found: list[Notice] = []
        effort = request.settings.reasoning
        if effort not in {None, "none"} and _thinking_to_wire(request, endpoint.quirks) is None:
            reason = f"{request.model} is not known to think; the quirk reasoning of the provider says otherwise."
            found.append({"code": "setting_left_out", "setting": "reasoning", "reason": reason})
        if len(request.settings.stop) > _MAX_STOP_SEQUENCES:
            reason = f"The API takes {_MAX_STOP_SEQUENCES} stop sequences; the others are left out."
            found.append({"code": "setting_left_out", "setting": "stop", "reason": reason})
        if not _takes_tools(gemini_facts(request.model), endpoint):
            reason = f"{request.model} is not known to call tools; the quirk tools of the provider says otherwise."
            found += [{"code": "tool_left_out", "tool": tool.name, "reason": reason} for tool in request.tools]
        return found


def to_wire(request: ModelRequest, endpoint: Endpoint) -> JsonObject:
    """The request. What is stable from turn to turn comes first, byte for byte the same; the messages only grow."""
    facts, names = gemini_facts(request.model), ToolNames(request.tools)
    request = with_tool_forms(request, "gemini")
    payload: JsonObject = {}
    system = request.system
    config = _settings_to_wire(request.settings)
    if (thinking := _thinking_to_wire(request, endpoint.quirks)) is not None:
        config["thinkingConfig"] = thinking
    if request.output_schema is not None:
        enforced = facts.schema and endpoint.quirks.schema != "instructed"
        # Beside tools the API refuses a form for the answer.
        if enforced and not request.tools:
            form = _schema_to_wire(request.output_schema)
            config |= {"responseMimeType": "application/json", "responseJsonSchema": form}
        else:
            system = schema_instruction(system, request.output_schema)
    contents = _messages_to_wire(request, names, endpoint)
    if system and system.strip():
        if facts.instructed:
            payload["systemInstruction"] = {"parts": [{"text": system}]}
        else:
            contents[0]["parts"].insert(0, {"text": system})
    if request.tools and _takes_tools(facts, endpoint):
        payload["tools"] = [{"functionDeclarations": _functions_to_wire(request, names)}]
    if config:
        payload["generationConfig"] = config
    return payload | {"contents": contents}


def _takes_tools(facts: GeminiFacts, endpoint: Endpoint) -> bool:
    return facts.instructed if endpoint.quirks.tools is None else endpoint.quirks.tools


def _settings_to_wire(settings: ModelSettings) -> JsonObject:
    asked: JsonObject = {
        "maxOutputTokens": settings.max_tokens,
        "temperature": settings.temperature,
        "topP": settings.top_p,
        "stopSequences": list(settings.stop[:_MAX_STOP_SEQUENCES]) or None,
    }
    return without_none(asked)


def _thinking_to_wire(request: ModelRequest, quirks: Quirks) -> Mapping[str, object] | None:
    effort = request.settings.reasoning
    if effort is None or quirks.reasoning is False:
        return None
    found = thinking_config(request.model, effort)
    return {"includeThoughts": effort != "none"} if found is None and quirks.reasoning else found


def _functions_to_wire(request: ModelRequest, names: ToolNames) -> list[JsonObject]:
    return [
        {
            "name": each["name"],
            "description": each["description"],
            "parametersJsonSchema": {"type": "object", **_schema_to_wire(each["parameters"])},
        }
        for each in functions_to_wire(request, names)
    ]


def _schema_to_wire(schema: Any) -> Any:
    """The schema with the keywords that the API reads. The description tells the others."""
    if not isinstance(schema, dict):
        return schema
    found: JsonObject = {}
    for word, value in schema.items():
        if word in _SCHEMAS_BY_NAME and isinstance(value, dict):
            found[word] = {name: _schema_to_wire(inner) for name, inner in value.items()}
        elif word in _LISTS_OF_SCHEMAS and isinstance(value, list):
            found[word] = [_schema_to_wire(inner) for inner in value]
        elif word in _SCHEMAS:
            found[word] = _schema_to_wire(value)
        elif word in _KEYWORDS:
            found[word] = value
    rest = {word: value for word, value in schema.items() if word not in found and not word.startswith("$")}
    if rest:
        found["description"] = "\n".join(filter(None, (as_text(schema.get("description")), dumps(rest))))
    return found


def _messages_to_wire(request: ModelRequest, names: ToolNames, endpoint: Endpoint) -> list[JsonObject]:
    """Contents with alternating roles, the first and the last a user's; the results of calls right after the calls."""
    contents: list[JsonObject] = []
    for message in request.messages:
        parts = _message_to_wire(message, names, endpoint=endpoint, model=request.model)
        role = "model" if message.role == "assistant" else "user"
        if not parts:
            continue
        if message.role == "user" and contents and "functionResponse" in contents[-1]["parts"][-1]:
            # As many responses as calls: nothing else may stand among them.
            contents.append({"role": "model", "parts": [{"text": UNANSWERED}]})
        if contents and contents[-1]["role"] == role:
            contents[-1]["parts"] += parts
        else:
            contents.append({"role": role, "parts": parts})
    if not contents or contents[-1]["role"] == "model":
        contents.append({"role": "user", "parts": [{"text": "Continue."}]})
    return contents


def _message_to_wire(message: ModelMessage, names: ToolNames, *, endpoint: Endpoint, model: str) -> list[JsonObject]:
    """The parts of one message; none where it has nothing to send."""
    if message.role == "tool":
        return [_result_to_wire(part, names) for part in tool_results_of(message)]
    if message.role == "user":
        return _user_to_wire(message)
    parts: list[JsonObject] = []
    is_first_call = True
    for part in message.parts:
        match part:
            case ReasoningPart():
                _add_signature(parts, own_origin(part, endpoint.provider, model), part.text)
            case TextPart() if part.text.strip():
                parts.append({"text": part.text})
            case ToolCallPart():
                call: JsonObject = {"functionCall": {"name": names.to_wire(part.name), "args": part.arguments}}
                signature = own_origin(part, endpoint.provider, model).get("signature")
                if signature is None and is_first_call and gemini_facts(model).signed:
                    signature = _NO_SIGNATURE
                parts.append(call | ({"thoughtSignature": signature} if signature else {}))
                is_first_call = False
    return parts if any("thought" not in part for part in parts) else []


def _user_to_wire(message: ModelMessage) -> list[JsonObject]:
    parts: list[JsonObject] = []
    for part in message.parts:
        if isinstance(part, FilePart) and sent_as(part) is not None:
            parts.append({"inlineData": {"mimeType": part.media_type, "data": encoded(part)}})
        else:
            parts += [{"text": text} for text in visible_texts([part])]
    return parts or [{"text": EMPTY_TEXT}]


def _add_signature(parts: list[JsonObject], origin: Mapping[str, Any], text: str) -> None:
    """Add what belongs to a reasoning part: a signed thought, or the signature of the text before it."""
    if "text_signature" in origin:
        if not parts or "text" not in parts[-1] or "thought" in parts[-1]:
            parts.append({"text": ""})
        parts[-1]["thoughtSignature"] = origin["text_signature"]
    elif "signature" in origin:
        parts.append({"text": text, "thought": True, "thoughtSignature": origin["signature"]})


def _result_to_wire(part: ToolResultPart, names: ToolNames) -> JsonObject:
    response = {"error" if part.is_error else "result": result_text(part)}
    return {"functionResponse": {"name": names.to_wire(part.name), "response": response}}


class GeminiParser(ResponseParser):
    """Parses the chunks of one response. The end is the end of the bytes after a finish reason."""

    exact_integers = True

    def __init__(self, request: ModelRequest, endpoint: Endpoint) -> None:
        super().__init__(request, endpoint)
        self._finish: Any = None
        self._called = False
        self._usage: JsonObject = {}

    def read_whole(self, body: JsonObject) -> None:
        self.read(body)
        self.end_of_bytes()

    def read(self, event: JsonObject) -> None:
        if event.get("error"):
            raise error_from_wire(self.provider, event["error"])
        self.model = as_text(event.get("modelVersion")) or self.model
        merge_counts(self._usage, event.get("usageMetadata"))
        if (reason := as_object(event.get("promptFeedback")).get("blockReason")) is not None:
            raise self._refused(reason)
        for candidate in as_objects(event.get("candidates")):
            if candidate.get("index"):
                continue
            for part in as_objects(as_object(candidate.get("content")).get("parts")):
                self._read_part(part)
            if candidate.get("finishReason") is not None:
                self._finish = candidate["finishReason"]

    def end_of_bytes(self) -> None:
        if self.done or self._finish is None:
            return
        word = self._finish.lower() if isinstance(self._finish, str) else ""
        if word in _FAILURES and word not in self.endpoint.quirks.finish_reasons:
            raise truncated(self.provider, f"ended its answer with the reason {word!r}")
        stop_reason = self.stop_reason_of(self._finish, _STOP_REASONS)
        self.end("tool_use" if self._called and stop_reason == "end" else stop_reason, _usage_from_wire(self._usage))

    def usage(self) -> Usage | None:
        return _usage_from_wire(self._usage) if self._usage else None

    def _read_part(self, part: JsonObject) -> None:
        signature = as_text(part.get("thoughtSignature"))
        call = part.get("functionCall")
        if isinstance(call, dict):
            self._called = True
            origin = self.origin(signature=signature) if signature else None
            self.write_call(as_text(call.get("name")), raw_arguments(call.get("args")), origin=origin)
        elif part.get("thought"):
            self.writer.write("reasoning", as_text(part.get("text")))
            if signature:
                if self.writer.kind != "reasoning":
                    self.writer.open("reasoning")
                self.writer.close(origin=self.origin(signature=signature))
        else:
            self.writer.write("text", as_text(part.get("text")))
            if signature:
                # A text part has no origin: what belongs to it is kept in a reasoning part after it.
                self.writer.open("reasoning", origin=self.origin(text_signature=signature))
                self.writer.close()

    def _refused(self, reason: Any) -> ProviderRejected:
        error = ProviderRejected(f"{self.provider} refused the request.", provider=self.provider)
        error.upstream = {"status": None, "message": mask(f"blockReason: {as_text(reason)}")}
        error.about_content = True
        return error


def _usage_from_wire(usage: JsonObject) -> Usage:
    """The framework's counts. Gemini counts thoughts apart from the answer, and results of its own tools apart."""
    prompt, tools = as_count(usage.get("promptTokenCount")), as_count(usage.get("toolUsePromptTokenCount"))
    answer, thoughts = as_count(usage.get("candidatesTokenCount")), as_count(usage.get("thoughtsTokenCount"))
    return Usage(
        input_tokens=None if prompt is None else prompt + (tools or 0),
        output_tokens=None if answer is None and thoughts is None else (answer or 0) + (thoughts or 0),
        cached_input_tokens=as_count(usage.get("cachedContentTokenCount")),
        reasoning_tokens=thoughts,
    )
