"""Ollama's chat API: which files its models accept, requests, and the parser of its streams.

Sources, read 2026-11-22: https://docs.ollama.com/api/chat, …/api/streaming and …/capabilities/vision.
"""

import re

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
from ai_agents.providers.assembly import raw_arguments
from ai_agents.providers.errors import error_from_wire
from ai_agents.providers.files import NO_FILES, FileRules, encoded, sent_as
from ai_agents.providers.lines import LineDecoder, encode_body
from ai_agents.providers.quirks import Endpoint
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
from ai_agents.providers.wire_format import WireFormat

NAME = "ollama"
# The models that Ollama's library lists as able to see (https://ollama.com/search?c=vision). The server knows it only
# of models that it has, and only when asked.
_WITH_IMAGES = re.compile(
    r"llava|moondream|minicpm-v|vision|qwen[0-9.]*-?vl|gemma3(?!n|:(270m|1b))|gemma[4-9]|llama4|mistral-small3\.[1-9]"
    r"|ministral-3|mistral-large-3|pixtral|internvl|-ocr|glm-[0-9.]+v|qwen3\.5|kimi-k2\.5",
    re.IGNORECASE,
)
_IMAGES = FileRules(frozenset({"image/png", "image/jpeg", "image/webp"}))
# Ollama's default context is small, and Ollama cuts what does not fit without an error; so each request names a size.
# The size grows by doubling, since Ollama loads the model again for each new size. It ends where common hardware does.
_MIN_CONTEXT = 8192
_MAX_CONTEXT = 32768
_BYTES_PER_TOKEN = 3
_ANSWER_TOKENS = 2048
# Hardly any model that sees makes more than 2,000 tokens of a picture.
_BYTES_PER_PICTURE = 2_000 * _BYTES_PER_TOKEN
_STOP_REASONS: dict[str, StopReason] = {"stop": "end", "length": "max_tokens"}


def ollama_files(model: str) -> FileRules:
    """The files that this model accepts, as far as its name tells."""
    return _IMAGES if _WITH_IMAGES.search(model) else NO_FILES


class OllamaChat(WireFormat):
    """The chat API. `num_ctx` is the size of the context in tokens; None chooses one by the length of the request."""

    family = "ollama"

    def __init__(self, num_ctx: int | None = None) -> None:
        self._num_ctx = num_ctx

    def path(self, request: ModelRequest) -> str:
        return "/api/chat"

    def to_wire(self, request: ModelRequest, endpoint: Endpoint) -> JsonObject:
        return to_wire(request, endpoint, num_ctx=self._num_ctx)

    def parser(self, request: ModelRequest, endpoint: Endpoint, before: ResponseParser | None = None) -> "OllamaParser":
        return OllamaParser(request, endpoint)


def to_wire(request: ModelRequest, endpoint: Endpoint, *, num_ctx: int | None = None) -> JsonObject:
    """The request. What is stable from turn to turn comes first; the messages only grow."""
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
        messages += _message_to_wire(message, names, provider=endpoint.provider, model=model)
    messages = alternating(messages)
    # A request that is too long is to fail, rather than to lose its beginning in silence.
    payload: JsonObject = {"model": request.model, "stream": True, "truncate": False, "shift": False}
    if request.tools:
        payload["tools"] = [{"type": "function", "function": each} for each in functions_to_wire(request, names)]
    elif request.output_schema is not None:
        # The format binds every answer. Beside it no tool could be called.
        payload["format"] = request.output_schema
    if (effort := request.settings.reasoning) is not None:
        # gpt-oss takes an effort; other models can be switched on and off.
        payload["think"] = effort != "none" and (effort if "gpt-oss" in request.model else True)
    size = num_ctx or _context_size(payload, messages, request.settings)
    payload["options"] = _settings_to_wire(request.settings, size)
    return payload | {"messages": messages}


def _settings_to_wire(settings: ModelSettings, num_ctx: int) -> JsonObject:
    asked: JsonObject = {
        "num_ctx": num_ctx,
        "num_predict": settings.max_tokens,
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "stop": list(settings.stop) or None,
    }
    return without_none(asked)


def _context_size(payload: JsonObject, messages: list[JsonObject], settings: ModelSettings) -> int:
    """The size in tokens that holds the request, estimated from its bytes, and the answer."""
    texts = [{name: value for name, value in message.items() if name != "images"} for message in messages]
    pictures = sum(len(message.get("images", ())) for message in messages)
    size_bytes = len(encode_body(payload | {"messages": texts})) + pictures * _BYTES_PER_PICTURE
    needed = size_bytes // _BYTES_PER_TOKEN + (settings.max_tokens or _ANSWER_TOKENS)
    size = _MIN_CONTEXT
    while size < needed and size < _MAX_CONTEXT:
        size *= 2
    return size


def _message_to_wire(message: ModelMessage, names: ToolNames, *, provider: str, model: str | None) -> list[JsonObject]:
    """The messages that stand for one message. `model` is given in the current turn: its own thinking goes back."""
    if message.role == "tool":
        return [
            {"role": "tool", "tool_name": names.to_wire(part.name), "content": result_text(part)}
            for part in tool_results_of(message)
        ]
    text = "\n\n".join(visible_texts(message.parts))
    if message.role == "user":
        images = [encoded(part) for part in message.parts if isinstance(part, FilePart) and sent_as(part) == "image"]
        return [{"role": "user", "content": text or EMPTY_TEXT} | ({"images": images} if images else {})]
    rendered: JsonObject = {"role": "assistant", "content": text}
    thoughts = [part for part in message.parts if isinstance(part, ReasoningPart)]
    thinking = "".join(part.text for part in thoughts if own_origin(part, provider, model))
    if thinking:
        rendered["thinking"] = thinking
    calls = tool_calls_of(message)
    if calls:
        rendered["tool_calls"] = [
            {"function": {"name": names.to_wire(call.name), "arguments": call.arguments}} for call in calls
        ]
    return [rendered] if text or calls else []


class OllamaParser(ResponseParser):
    """Parses the lines of one response: pieces of a message, the last one with `done`."""

    decoder = LineDecoder
    exact_integers = True
    _called = False

    def read_whole(self, body: JsonObject) -> None:
        self.read(body)

    def read(self, event: JsonObject) -> None:
        if event.get("error"):
            raise error_from_wire(self.provider, event["error"])
        message = event.get("message") or {}
        if message.get("thinking"):
            if self.writer.kind != "reasoning":
                self.writer.open("reasoning", origin=self.origin())
            self.writer.write("reasoning", message["thinking"])
        if message.get("content"):
            self.writer.write("text", message["content"])
        for call in message.get("tool_calls") or ():
            function = call["function"]
            self._called = True
            self.write_call(function["name"], raw_arguments(function.get("arguments")))
        if event.get("done"):
            self._end(event)

    def _end(self, event: JsonObject) -> None:
        usage = _usage_from_wire(event)
        stop_reason = self.stop_reason_of(event.get("done_reason") or "stop", _STOP_REASONS)
        limit = self.request.settings.max_tokens
        if stop_reason == "end" and self._called:
            stop_reason = "tool_use"
        elif stop_reason == "max_tokens" and (limit is None or (usage.output_tokens or 0) < limit):
            stop_reason = "context_exceeded"  # it stopped before the limit that was asked for, so the context is full
        self.model = event.get("model") or self.model
        self.end(stop_reason, usage)


def _usage_from_wire(event: JsonObject) -> Usage:
    """The framework's counts. Ollama sends no `prompt_eval_count` where it had the whole prompt in its cache."""
    return Usage(input_tokens=event.get("prompt_eval_count"), output_tokens=event.get("eval_count"))
