"""OpenAI's Responses: requests. The parser of its streams is in `openai_responses_parser.py`.

OpenAI keeps nothing (`store: false`): each request has the whole conversation, and reasoning goes back to its model
encrypted: https://developers.openai.com/api/docs/guides/reasoning, "Encrypted reasoning items". Other servers render
the items with the chat template of their model.

Items have every field that some server requires: vLLM checks them against the SDK's types
(https://github.com/openai/codex/issues/12669), llama.cpp's server tells them apart by `type`
(https://github.com/ggml-org/llama.cpp, tools/server/server-chat.cpp).
Source: https://developers.openai.com/api/reference/resources/responses, read 2026-11-22; the others read 2026-11-30.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from ai_agents.core.exceptions import ProviderError, ProviderRejected
from ai_agents.core.json import dumps
from ai_agents.core.notices import Notice
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
from ai_agents.providers.files import data_url, document_name, parts_with_files, sent_as
from ai_agents.providers.left_out import images_left_out, left_out_for, setting_left_out, tool_left_out
from ai_agents.providers.openai_models import OpenAIFacts, openai_facts, openai_files, without_effort
from ai_agents.providers.openai_responses_parser import MIN_OUTPUT_TOKENS, OpenAIResponsesParser
from ai_agents.providers.quirks import Endpoint, Quirks
from ai_agents.providers.rendering import (
    ASSISTANT_BEGINS,
    EMPTY_TEXT,
    UNANSWERED,
    CallIds,
    ToolNames,
    functions_to_wire,
    own_origin,
    result_text,
    tool_results_of,
    turn_start,
    visible_texts,
    without_none,
)
from ai_agents.providers.response_parser import ResponseParser
from ai_agents.providers.schemas import SCHEMA_NAME, is_strict, schema_instruction
from ai_agents.providers.tool_schemas import with_tool_forms
from ai_agents.providers.wire_format import Remedy, WireFormat, drop

# How servers say that they do not know a field, or do not take it.
_REFUSAL = re.compile(
    r"unknown|unsupported|unrecogni[sz]ed|unexpected|not (?:supported|permitted|allowed)|extra", re.IGNORECASE
)


def _without_schema(payload: JsonObject) -> Quirks | None:
    return Quirks(schema="instructed") if "format" in payload.get("text", {}) else None


def _without_summary(payload: JsonObject) -> Quirks | None:
    return Quirks(reasoning_summary=False) if "summary" in payload.get("reasoning", {}) else None


def _without_effort(payload: JsonObject) -> Quirks | None:
    return without_effort(payload.get("reasoning", {}).get("effort"))


def _without_strict(payload: JsonObject) -> Quirks | None:
    return Quirks(strict=False) if any("strict" in tool for tool in payload.get("tools", ())) else None


_WITHOUT_ENCRYPTED = drop("include", Quirks(encrypted_reasoning=False))
# Words of every language stand for these parameters, so that a sentence has to quote them.
_QUOTED: dict[str, Remedy] = {
    "include": _WITHOUT_ENCRYPTED,
    "store": drop("store", Quirks(store=False)),
    "strict": _without_strict,
    "reasoning": _without_effort,
    "text": _without_schema,
    "text.format": _without_schema,
    "json_schema": _without_schema,
}


class OpenAIResponses(WireFormat):
    """Responses."""

    remedies: ClassVar[dict[str, Remedy]] = {
        "reasoning.encrypted_content": _WITHOUT_ENCRYPTED,
        "reasoning.summary": _without_summary,
        "reasoning.effort": _without_effort,
    }

    def path(self, request: ModelRequest) -> str:
        return "/responses"

    def to_wire(self, request: ModelRequest, endpoint: Endpoint) -> JsonObject:
        return to_wire(request, endpoint)

    def parser(
        self, request: ModelRequest, endpoint: Endpoint, before: ResponseParser | None = None
    ) -> OpenAIResponsesParser:
        return OpenAIResponsesParser(request, endpoint)

    def left_out(self, request: ModelRequest, endpoint: Endpoint) -> Sequence[Notice]:
        return list(_left_out(request, endpoint))

    def remedy(self, error: ProviderError, payload: JsonObject) -> Quirks | None:
        found = super().remedy(error, payload)
        if found is not None or not isinstance(error, ProviderRejected):
            return found
        parameter = error.parameter or ""
        if parameter.startswith("text.format.schema"):
            return None  # one schema is refused, which says nothing of others
        said = error.upstream["message"] if error.upstream else ""
        for name, remedy in (self.remedies | _QUOTED).items():
            is_named = parameter == name or (name == "strict" and parameter.endswith(".strict"))
            if is_named or (_REFUSAL.search(said) and re.search(rf"[\"'`]{re.escape(name)}[\"'`]", said)):
                return remedy(payload)
        return None


def to_wire(request: ModelRequest, endpoint: Endpoint) -> JsonObject:
    """The request. What is stable from turn to turn comes first, byte for byte the same; the input only grows."""
    quirks = endpoint.quirks
    facts = openai_facts(request.model, quirks)
    names = ToolNames(request.tools)
    request = with_tool_forms(request, "openai")
    payload: JsonObject = {"model": request.model, "stream": True}
    if quirks.store is not False:
        payload["store"] = False
    if quirks.encrypted_reasoning is not False and (facts.reasoning or quirks.encrypted_reasoning):
        payload["include"] = ["reasoning.encrypted_content"]
    payload |= _settings_to_wire(request.settings, facts, quirks)
    system = request.system
    if request.output_schema is not None:
        if facts.schema:
            named = {"name": SCHEMA_NAME, "strict": is_strict(request.output_schema), "schema": request.output_schema}
            payload["text"] = {"format": {"type": "json_schema"} | named}
        if not facts.schema or (quirks.schema is None and facts.reasoning is None):
            # Some servers take the format and ignore it, so that of theirs each model is asked in words too.
            system = schema_instruction(system, request.output_schema)
    if request.tools and facts.tools:
        # `strict` is true by default, which refuses the schemas of many tools.
        strict = {} if quirks.strict is False else {"strict": False}
        payload["tools"] = [{"type": "function"} | each | strict for each in functions_to_wire(request, names)]
    if system and system.strip():
        payload["instructions"] = system
    return payload | {"input": _input_to_wire(request, endpoint, names)}


def _settings_to_wire(settings: ModelSettings, facts: OpenAIFacts, quirks: Quirks) -> JsonObject:
    asked: JsonObject = {
        "max_output_tokens": settings.max_tokens and max(MIN_OUTPUT_TOKENS, settings.max_tokens),
        "reasoning": _reasoning_to_wire(settings, facts, quirks),
    }
    if facts.sampling:
        asked |= {"temperature": settings.temperature, "top_p": settings.top_p}
    return without_none(asked)


def _reasoning_to_wire(settings: ModelSettings, facts: OpenAIFacts, quirks: Quirks) -> JsonObject | None:
    if settings.reasoning is None or not facts.effort:
        return None
    if settings.reasoning == "none":
        return {"effort": facts.least} if facts.reasoning or quirks.reasoning else None
    return {"effort": settings.reasoning} | ({} if quirks.reasoning_summary is False else {"summary": "auto"})


def _left_out(request: ModelRequest, endpoint: Endpoint) -> Iterator[Notice]:
    facts, settings = openai_facts(request.model, endpoint.quirks), request.settings
    if not facts.sampling:
        for name in ("temperature", "top_p"):
            if getattr(settings, name) is not None:
                yield setting_left_out(name, request.model, "sampling")
    if settings.stop:
        yield left_out_for("stop", "The Responses API has no stop sequences; with api: chat there are.")
    if settings.reasoning not in {None, "none"} and not facts.effort:
        yield setting_left_out("reasoning", request.model, "reasoning")
    if not facts.tools:
        for tool in request.tools:
            yield tool_left_out(tool.name, request.model)
    yield from images_left_out(request, openai_files(request.model, endpoint.quirks))


def _input_to_wire(request: ModelRequest, endpoint: Endpoint, names: ToolNames) -> list[JsonObject]:
    """The items of the conversation. User and assistant take turns, as the templates of many models require."""
    current_turn, ids = turn_start(request.messages), CallIds()
    items: list[JsonObject] = []
    for index, message in enumerate(request.messages):
        if message.role == "assistant":
            reasoning = _own_reasoning(message, endpoint, request.model, is_current=index >= current_turn)
            calls = {
                place: _call_to_wire(part, own_origin(part, endpoint.provider, request.model), names, ids)
                for place, part in enumerate(message.parts)
                if isinstance(part, ToolCallPart)
            }
            found = _answer_to_wire(message, reasoning, calls)
        else:
            found = _message_to_wire(message, ids)
        for item in found:
            _append(items, item)
    return items


def _append(items: list[JsonObject], item: JsonObject) -> None:
    """Add an item; a message is joined with the one of its role before it."""
    before = items[-1] if items else {}
    role = item.get("role")
    if not items and role != "user":
        items.append(_user_to_wire([{"type": "input_text", "text": ASSISTANT_BEGINS}]))
    elif role == "user" and before.get("type") == "function_call_output":
        _append(items, _assistant_to_wire(UNANSWERED))
    elif role is not None and role == before.get("role"):
        items[-1] = _joined(before, item)
        return
    # The id only has the form of one: nothing is looked up.
    items.append({"id": f"msg_{len(items)}"} | item if role == "assistant" else item)


def _joined(first: JsonObject, second: JsonObject) -> JsonObject:
    if first["role"] == "user":
        return first | {"content": first["content"] + second["content"]}
    # One text: some servers read only the first one of an answer.
    texts = [part["text"] for part in first["content"] + second["content"]]
    return first | {"content": _assistant_to_wire("\n\n".join(texts))["content"]}


def _message_to_wire(message: ModelMessage, ids: CallIds) -> list[JsonObject]:
    """The items of a message of a user or of a tool."""
    if message.role == "tool":
        return [
            {"type": "function_call_output", "call_id": ids.to_wire(part.tool_call_id), "output": result_text(part)}
            for part in tool_results_of(message)
        ]
    with_files = parts_with_files(message, _file_to_wire, text_type="input_text")
    text = "\n\n".join(visible_texts(message.parts))
    return [_user_to_wire(with_files or [{"type": "input_text", "text": text or EMPTY_TEXT}])]


def _call_to_wire(call: ToolCallPart, own: Mapping[str, Any], names: ToolNames, ids: CallIds) -> JsonObject:
    """A call. What its provider ties to it (`own`) goes back with it."""
    call_id = ids.keep(call.tool_call_id, own["id"]) if "id" in own else ids.to_wire(call.tool_call_id)
    facts = {"type": "function_call", "call_id": call_id, "name": names.to_wire(call.name)}
    return {**facts, "arguments": dumps(call.arguments), **own.get("fields", {})}


def _answer_to_wire(
    message: ModelMessage, reasoning: Mapping[int, JsonObject], calls: Mapping[int, JsonObject]
) -> list[JsonObject]:
    """The items of an answer, whose reasoning and calls are given by their places among its parts.

    A reasoning item goes before the item that it led to; the API refuses it alone.
    """
    items: list[JsonObject] = []
    thoughts: list[JsonObject] = []
    for index, part in enumerate(message.parts):
        if index in reasoning:
            thoughts.append(reasoning[index])
            continue
        if isinstance(part, TextPart) and part.text.strip():
            item = _assistant_to_wire(part.text)
        elif index in calls:
            item = calls[index]
        else:
            continue
        items += [*thoughts, item]
        thoughts = []
    return items


def _own_reasoning(message: ModelMessage, endpoint: Endpoint, model: str, *, is_current: bool) -> dict[int, JsonObject]:
    """The reasoning that the model wants back, by its place among the parts.

    Encrypted reasoning always goes back, plain reasoning only in the turn that it is of: templates drop older one.
    """
    found: dict[int, JsonObject] = {}
    if endpoint.quirks.keeps_reasoning is False:
        return found
    for index, part in enumerate(message.parts):
        origin = own_origin(part, endpoint.provider, model) if isinstance(part, ReasoningPart) else {}
        if "item" in origin:
            found[index] = origin["item"]
        elif "raw" in origin and is_current and isinstance(part, ReasoningPart) and part.text.strip():
            content = [{"type": "reasoning_text", "text": part.text}]
            found[index] = {"type": "reasoning", "id": origin["raw"] or "rs_0", "summary": [], "content": content}
    return found


def _user_to_wire(content: list[JsonObject]) -> JsonObject:
    return {"type": "message", "role": "user", "content": content}


def _assistant_to_wire(text: str) -> JsonObject:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"type": "message", "role": "assistant", "status": "completed", "content": content}


def _file_to_wire(part: FilePart) -> JsonObject | None:
    match sent_as(part):
        case "image":
            return {"type": "input_image", "detail": "auto", "image_url": data_url(part)}
        case "document":
            return {"type": "input_file", "filename": document_name(part), "file_data": data_url(part)}
    return None
