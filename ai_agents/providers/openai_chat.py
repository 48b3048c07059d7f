"""OpenAI's Chat Completions, as OpenAI and compatible servers speak it: requests. `openai_chat_parser` reads answers.

Source: https://developers.openai.com/api/reference/resources/chat, read 2026-11-22.
"""

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar

from ai_agents.core.exceptions import ContextExceeded, ProviderError, ProviderRejected
from ai_agents.core.json import dumps
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
from ai_agents.providers.errors import RefusedCall
from ai_agents.providers.files import data_url, document_name, parts_with_files, sent_as
from ai_agents.providers.left_out import images_left_out, left_out_for, setting_left_out
from ai_agents.providers.openai_chat_parser import (
    MESSAGE_FIELDS,
    REASONING_LISTS,
    REASONING_TEXTS,
    OpenAIChatParser,
    join_pieces,
)
from ai_agents.providers.openai_models import OpenAIFacts, openai_facts, openai_files, without_effort
from ai_agents.providers.quirks import Endpoint, Quirks
from ai_agents.providers.rendering import (
    EMPTY_TEXT,
    CallIds,
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
from ai_agents.providers.tool_schemas import with_tool_forms
from ai_agents.providers.wire_format import Remedy, WireFormat, drop, names_parameter
from ai_agents.providers.without_tools import refuses_roles

_MAX_STOP_SEQUENCES = 4
_REASONING_CONTENT = REASONING_TEXTS[0]
_LIMITS = ("max_tokens", "max_completion_tokens")
# A refusal of the value of a limit, and one of its name.
_REFUSES_VALUE = re.compile(
    r"too (large|small|high|low|big)|at (most|least)|m(ax|in)imum|(less|greater) than|exceed|positive"
)
_REFUSES_NAME = re.compile(
    r"unsupported|not support(ed)?|unrecogni[sz]ed|unknown|not permitted|not allowed|unexpected|extra|instead",
    re.IGNORECASE,
)
_WANTS_REASONING = re.compile(r"must be (passed|provided|set)|missing|required|needs? to be", re.IGNORECASE)


class OpenAIChat(WireFormat):
    """Chat Completions."""

    remedies: ClassVar[Mapping[str, Remedy]] = {
        "stream_options": drop("stream_options", Quirks(stream_options=False)),
        "max_tokens": drop("max_tokens", Quirks(max_tokens_field="max_completion_tokens")),
        "max_completion_tokens": drop("max_completion_tokens", Quirks(max_tokens_field="max_tokens")),
        "reasoning_effort": lambda payload: without_effort(payload.get("reasoning_effort")),
        "response_format": drop("response_format", Quirks(schema="instructed")),
        "json_schema": drop("response_format", Quirks(schema="instructed")),
    }

    def path(self, request: ModelRequest) -> str:
        return "/chat/completions"

    def to_wire(self, request: ModelRequest, endpoint: Endpoint) -> JsonObject:
        return to_wire(request, endpoint)

    def parser(
        self, request: ModelRequest, endpoint: Endpoint, before: ResponseParser | None = None
    ) -> OpenAIChatParser:
        return OpenAIChatParser(request, endpoint)

    def left_out(self, request: ModelRequest, endpoint: Endpoint) -> Sequence[Notice]:
        quirks = endpoint.quirks
        pictures = images_left_out(request, openai_files(request.model, quirks))
        return [*left_out(request, openai_facts(request.model, quirks)), *pictures]

    def read_refusal(self, error: ProviderError, request: ModelRequest, endpoint: Endpoint) -> ResponseParser | None:
        if not isinstance(error, RefusedCall):
            return None
        parser = self.parser(request, endpoint)
        parser.write_refused_call(error)
        return parser

    def remedy(self, error: ProviderError, payload: JsonObject) -> Quirks | None:
        said = error.upstream["message"] if error.upstream else ""
        if isinstance(error, ContextExceeded):
            return None
        if refuses_roles(said) and any(message["role"] == "tool" for message in payload["messages"]):
            return Quirks(tools=False)
        if not isinstance(error, ProviderRejected):
            return super().remedy(error, payload)
        if (found := _reasoning_remedy(error, said, payload)) is not None:
            return found
        refuses_value = _REFUSES_VALUE.search(said) and not _REFUSES_NAME.search(said)
        if refuses_value and any(names_parameter(error, name) for name in _LIMITS):
            return None
        named = super().remedy(error, payload)
        status = error.upstream["status"] if error.upstream else None
        if named is None and "response_format" in payload and status in {400, 422}:
            # Not every compatible server enforces schemas; the model of one that does not is asked in words.
            return None if openai_facts(payload["model"]).reasoning is not None else Quirks(schema="instructed")
        return named


def _reasoning_remedy(error: ProviderError, said: str, payload: JsonObject) -> Quirks | None:
    """What to do where a server refuses its model's own reasoning, or misses it."""
    sent = {name for message in payload["messages"] for name in (*REASONING_TEXTS, *REASONING_LISTS) if name in message}
    calls = [message for message in payload["messages"] if message.get("tool_calls")]
    if names_parameter(error, _REASONING_CONTENT) and _WANTS_REASONING.search(said):
        lacks = any(_REASONING_CONTENT not in message for message in calls)
        return Quirks(keeps_reasoning=True) if lacks else None
    # The word `reasoning` alone may stand in any sentence.
    path = [name for name in sent if names_parameter(error, name) and (name != "reasoning" or error.parameter)]
    return Quirks(keeps_reasoning=False) if path else None


def left_out(request: ModelRequest, facts: OpenAIFacts) -> list[Notice]:
    """What the agent asks for and the model does not take, as far as its name or a quirk tells."""
    settings = request.settings
    notices: list[Notice] = []
    if not facts.sampling:
        given = [name for name in ("temperature", "top_p") if getattr(settings, name) is not None]
        notices += [setting_left_out(name, request.model, "sampling") for name in given]
    if settings.stop and not facts.stop:
        notices.append(setting_left_out("stop", request.model, "stop"))
    elif len(settings.stop) > _MAX_STOP_SEQUENCES:
        reason = f"The API takes {_MAX_STOP_SEQUENCES} stop sequences; the others are left out."
        notices.append(left_out_for("stop", reason))
    if settings.reasoning not in {None, "none"}:
        if not facts.effort:
            notices.append(setting_left_out("reasoning", request.model, "reasoning"))
        elif request.tools and facts.tools and facts.tools_effort is not None:
            reason = f"With tools, chat completions take {request.model} only without reasoning; responses take both."
            notices.append(left_out_for("reasoning", reason))
    if not facts.tools:
        reason = f"{request.model} takes no tools, as the quirk tools of the provider says."
        notices += [{"code": "tool_left_out", "tool": tool.name, "reason": reason} for tool in request.tools]
    return notices


def to_wire(request: ModelRequest, endpoint: Endpoint) -> JsonObject:
    """The request. What is stable from turn to turn comes first, byte for byte the same; the messages only grow."""
    facts = openai_facts(request.model, endpoint.quirks)
    names = ToolNames(request.tools)
    request = with_tool_forms(request, "openai")
    payload: JsonObject = {"model": request.model, "stream": True}
    if endpoint.quirks.stream_options is not False:
        payload["stream_options"] = {"include_usage": True}
    payload |= _settings_to_wire(request.settings, facts)
    offers_tools = bool(request.tools) and facts.tools
    if offers_tools and facts.effort and facts.tools_effort is not None:
        payload["reasoning_effort"] = facts.tools_effort
    system = request.system
    if request.output_schema is not None:
        if facts.schema:
            named = {"name": SCHEMA_NAME, "strict": is_strict(request.output_schema), "schema": request.output_schema}
            payload["response_format"] = {"type": "json_schema", "json_schema": named}
        else:
            system = schema_instruction(system, request.output_schema)
    if offers_tools:
        payload["tools"] = [{"type": "function", "function": each} for each in functions_to_wire(request, names)]
    return payload | {"messages": _messages_to_wire(request, system, names, endpoint.provider, facts)}


def _settings_to_wire(settings: ModelSettings, facts: OpenAIFacts) -> JsonObject:
    asked: JsonObject = {facts.max_tokens_field: settings.max_tokens}
    if facts.sampling:
        asked |= {"temperature": settings.temperature, "top_p": settings.top_p}
    if facts.stop:
        asked["stop"] = list(settings.stop[:_MAX_STOP_SEQUENCES]) or None
    if facts.effort:
        least = facts.least if facts.reasoning else None
        asked["reasoning_effort"] = least if settings.reasoning == "none" else settings.reasoning
    return without_none(asked)


def _messages_to_wire(
    request: ModelRequest, system: str | None, names: ToolNames, provider: str, facts: OpenAIFacts
) -> list[JsonObject]:
    ids = CallIds()
    messages: list[JsonObject] = [{"role": "system", "content": system}] if system and system.strip() else []
    for message in request.messages:
        if message.role == "tool":
            messages += [
                {"role": "tool", "tool_call_id": ids.to_wire(part.tool_call_id), "content": result_text(part)}
                for part in tool_results_of(message)
            ]
        elif message.role == "user":
            with_files = parts_with_files(message, _file_to_wire, text_type="text")
            text = "\n\n".join(visible_texts(message.parts))
            messages.append({"role": "user", "content": with_files or text or EMPTY_TEXT})
        else:
            calls = [
                _call_to_wire(call, names, ids, provider=provider, model=request.model)
                for call in tool_calls_of(message)
            ]
            reasoning = _reasoning_to_wire(message, facts, provider, request.model, has_calls=bool(calls))
            messages += _assistant_to_wire(message, calls, reasoning)
    return alternating(messages)


def _assistant_to_wire(message: ModelMessage, calls: list[JsonObject], reasoning: JsonObject) -> list[JsonObject]:
    """The message of an assistant; none where it has nothing to send."""
    text = "\n\n".join(visible_texts(message.parts))
    if not text and not calls:
        return []
    # Some servers require `content`, even if it is null.
    rendered: JsonObject = {"role": "assistant", "content": text or None, **reasoning}
    return [rendered | {"tool_calls": calls}] if calls else [rendered]


def _call_to_wire(call: ToolCallPart, names: ToolNames, ids: CallIds, *, provider: str, model: str) -> JsonObject:
    """A call, with what its provider ties to it: a signature goes back to the provider that gave it.

    LiteLLM and its like stand before many models; what they tie to a call is for the model that made it.
    """
    own = own_origin(call, provider, model)
    given = own.get("fields", {})
    if not own and (call.origin or {}).get("provider") == provider:
        given = {
            name: value for name, value in (call.origin or {}).get("fields", {}).items() if name == "extra_content"
        }
    call_id = ids.keep(call.tool_call_id, own["id"]) if "id" in own else ids.to_wire(call.tool_call_id)
    function = {"name": names.to_wire(call.name), "arguments": dumps(call.arguments), **own.get("function_fields", {})}
    return {"id": call_id, "type": "function", "function": function, **given}


def _reasoning_to_wire(
    message: ModelMessage, facts: OpenAIFacts, provider: str, model: str, *, has_calls: bool
) -> JsonObject:
    """The model's own reasoning, under the names under which it came.

    As text it goes with the calls that it led to: servers that send it refuse such a history without it. What is
    encrypted or signed goes with every message.
    """
    origins = [own_origin(part, provider, model) for part in message.parts if isinstance(part, ReasoningPart)]
    found: JsonObject = {}
    if not origins and not has_calls:
        return found
    for name in MESSAGE_FIELDS:
        for origin in origins:
            found |= {name: found.get(name, {}) | origin[name]} if name in origin else {}
    if facts.keeps_reasoning is False:
        return found
    for name in REASONING_LISTS:
        blocks: list[JsonObject] = []
        for origin in origins:
            join_pieces(blocks, origin.get(name, ()))
        found |= {name: blocks} if blocks else {}
    if has_calls:
        for name in REASONING_TEXTS:
            text = "".join(origin[name] for origin in origins if name in origin)
            found |= {name: text} if text else {}
        if facts.keeps_reasoning and _REASONING_CONTENT not in found:
            found[_REASONING_CONTENT] = found.get(REASONING_TEXTS[1], "")
    return found


def _file_to_wire(part: FilePart) -> JsonObject | None:
    match sent_as(part):
        case "image":
            return {"type": "image_url", "image_url": {"url": data_url(part)}}
        case "document":
            return {"type": "file", "file": {"filename": document_name(part), "file_data": data_url(part)}}
    return None
