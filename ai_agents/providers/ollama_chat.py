"""Ollama's chat API: requests. The parser of its streams is in `ollama_parser.py`.

Source: https://docs.ollama.com/api/chat, read 2026-11-22.
"""

from collections.abc import Iterator, Sequence
from typing import ClassVar

from ai_agents.core.notices import Notice
from ai_agents.core.types import (
    FilePart,
    JsonObject,
    ModelMessage,
    ModelRequest,
    ModelSettings,
    ReasoningPart,
)
from ai_agents.providers.files import encoded, sent_as
from ai_agents.providers.left_out import images_left_out, setting_left_out, tool_left_out
from ai_agents.providers.lines import encode_body
from ai_agents.providers.ollama_models import (
    MAX_LOCAL_CONTEXT,
    OllamaEndpoint,
    OllamaFacts,
    most_context,
    ollama_files,
    think_value,
)
from ai_agents.providers.ollama_parser import OllamaParser
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
    turn_start,
    visible_texts,
    without_none,
)
from ai_agents.providers.response_parser import ResponseParser
from ai_agents.providers.schemas import schema_instruction
from ai_agents.providers.tool_schemas import with_tool_forms
from ai_agents.providers.wire_format import Remedy, WireFormat, drop

NAME = "ollama"
# Ollama's default context is small, and Ollama cuts what does not fit without an error; so each request names a size.
# The size grows by doubling, since Ollama loads the model again for each new size.
_MIN_CONTEXT = 8192
_BYTES_PER_TOKEN = 3
_ANSWER_TOKENS = 2048
# Hardly any model that sees makes more than 2,000 tokens of a picture.
_BYTES_PER_PICTURE = 2_000 * _BYTES_PER_TOKEN


def _without_images(payload: JsonObject) -> Quirks | None:
    return Quirks(images=False) if any("images" in message for message in payload["messages"]) else None


class OllamaChat(WireFormat):
    """The chat API. `num_ctx` is the size of the context in tokens; None chooses one by the length of the request."""

    family = "ollama"
    # How Ollama says what a model cannot do, for servers that do not tell it when they are asked.
    remedies: ClassVar[dict[str, Remedy]] = {
        "does not support tools": drop("tools", Quirks(tools=False)),
        "does not support thinking": drop("think", Quirks(reasoning=False)),
        "think value": drop("think", Quirks(reasoning=False)),
        "missing data required for image input": _without_images,
        # Old servers take `json` alone as format, and only true or false for `think`.
        "ChatRequest.format": drop("format", Quirks(schema="instructed")),
        "invalid format": drop("format", Quirks(schema="instructed")),
        "ChatRequest.think": drop("think", Quirks(reasoning=False)),
    }

    def __init__(self, num_ctx: int | None = None) -> None:
        self._num_ctx = num_ctx

    def path(self, request: ModelRequest) -> str:
        return "/api/chat"

    def to_wire(self, request: ModelRequest, endpoint: Endpoint) -> JsonObject:
        return to_wire(request, endpoint, num_ctx=self._num_ctx)

    def parser(self, request: ModelRequest, endpoint: Endpoint, before: ResponseParser | None = None) -> OllamaParser:
        return OllamaParser(request, endpoint)

    def left_out(self, request: ModelRequest, endpoint: Endpoint) -> Sequence[Notice]:
        return list(_left_out(request, endpoint))


def to_wire(request: ModelRequest, endpoint: Endpoint, *, num_ctx: int | None = None) -> JsonObject:
    """The request. What is stable from turn to turn comes first; the messages only grow."""
    quirks = endpoint.quirks
    names = ToolNames(request.tools)
    request = with_tool_forms(request, "ollama")
    messages: list[JsonObject] = []
    system = request.system
    if request.output_schema is not None:
        # Needed beside `format` too: the model does not see the format.
        system = schema_instruction(system, request.output_schema)
    if system and system.strip():
        messages.append({"role": "system", "content": system})
    current_turn = turn_start(request.messages)
    for index, message in enumerate(request.messages):
        model = request.model if index >= current_turn else None
        messages += _message_to_wire(message, names, endpoint=endpoint, model=model)
    messages = alternating(messages)
    # A request that is too long is to fail, rather than to lose its beginning in silence.
    payload: JsonObject = {"model": request.model, "stream": True, "truncate": False, "shift": False}
    if request.tools and quirks.tools is not False:
        payload["tools"] = [{"type": "function", "function": each} for each in functions_to_wire(request, names)]
    elif request.output_schema is not None and quirks.schema != "instructed":
        # The format binds every answer. Beside it no tool could be called.
        payload["format"] = request.output_schema
    if (think := _think(request, endpoint)) is not None:
        payload["think"] = think
    size = num_ctx or _context_size(payload, messages, request.settings, most_context(endpoint) or MAX_LOCAL_CONTEXT)
    payload["options"] = _settings_to_wire(request.settings, size, quirks)
    return payload | {"messages": messages}


def _settings_to_wire(settings: ModelSettings, num_ctx: int, quirks: Quirks) -> JsonObject:
    asked: JsonObject = {"num_ctx": num_ctx, "num_predict": settings.max_tokens}
    if quirks.sampling is not False:
        asked |= {"temperature": settings.temperature, "top_p": settings.top_p}
    if quirks.stop is not False:
        asked["stop"] = list(settings.stop) or None
    return without_none(asked)


def _think(request: ModelRequest, endpoint: Endpoint) -> bool | str | None:
    effort = request.settings.reasoning
    if effort is None or endpoint.quirks.reasoning is False:
        return None
    facts = endpoint.facts if isinstance(endpoint, OllamaEndpoint) else OllamaFacts()
    return think_value(request.model, effort, facts)


def _left_out(request: ModelRequest, endpoint: Endpoint) -> Iterator[Notice]:
    quirks, settings = endpoint.quirks, request.settings
    if quirks.sampling is False:
        given = [name for name in ("temperature", "top_p") if getattr(settings, name) is not None]
        yield from (setting_left_out(name, request.model, "sampling") for name in given)
    if settings.stop and quirks.stop is False:
        yield setting_left_out("stop", request.model, "stop")
    if settings.reasoning not in {None, "none"} and _think(request, endpoint) is None:
        yield setting_left_out("reasoning", request.model, "reasoning")
    if quirks.tools is False:
        yield from (tool_left_out(tool.name, request.model) for tool in request.tools)
    yield from images_left_out(request, ollama_files(request.model, quirks))


def _context_size(payload: JsonObject, messages: list[JsonObject], settings: ModelSettings, most: int) -> int:
    """The size in tokens that holds the request, estimated from its bytes, and the answer; `most` at most."""
    texts = [{name: value for name, value in message.items() if name != "images"} for message in messages]
    pictures = sum(len(message.get("images", ())) for message in messages)
    size_bytes = len(encode_body(payload | {"messages": texts})) + pictures * _BYTES_PER_PICTURE
    needed = size_bytes // _BYTES_PER_TOKEN + (settings.max_tokens or _ANSWER_TOKENS)
    size = _MIN_CONTEXT
    while size < min(needed, most):
        size *= 2
    return min(size, most)


def _message_to_wire(
    message: ModelMessage, names: ToolNames, *, endpoint: Endpoint, model: str | None
) -> list[JsonObject]:
    """The messages that stand for one message. `model` is given in the current turn: its own thinking goes back."""
    if message.role == "tool":
        return [
            {"role": "tool", "tool_name": names.to_wire(part.name), "content": result_text(part)}
            for part in tool_results_of(message)
        ]
    text = "\n\n".join(visible_texts(message.parts))
    if message.role == "user":
        files = [part for part in message.parts if isinstance(part, FilePart) and endpoint.quirks.images is not False]
        images = [encoded(part) for part in files if sent_as(part) == "image"]
        return [{"role": "user", "content": text or EMPTY_TEXT} | ({"images": images} if images else {})]
    rendered: JsonObject = {"role": "assistant", "content": text}
    thoughts = [part for part in message.parts if isinstance(part, ReasoningPart)]
    thinking = "".join(part.text for part in thoughts if own_origin(part, endpoint.provider, model))
    if thinking:
        rendered["thinking"] = thinking
    calls = tool_calls_of(message)
    if calls:
        rendered["tool_calls"] = [
            {"function": {"name": names.to_wire(call.name), "arguments": call.arguments}} for call in calls
        ]
    return [rendered] if text or calls else []
