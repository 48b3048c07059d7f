"""Ollama's own chat API over httpx: https://docs.ollama.com/api/chat, read 2026-11-22."""

from typing import Any

from ai_agents.core.json import clean_text
from ai_agents.core.types import (
    FilePart,
    JsonObject,
    ModelMessage,
    ModelRequest,
    ModelSettings,
    ReasoningPart,
    ResponseEnd,
    StopReason,
    Usage,
)
from ai_agents.providers.assembly import raw_arguments
from ai_agents.providers.base import Capabilities
from ai_agents.providers.errors import error_from_status, error_from_wire, retry_after_s
from ai_agents.providers.files import IMAGES, encoded, is_sent, ollama_files
from ai_agents.providers.lines import LineDecoder, encode_body
from ai_agents.providers.rendering import (
    EMPTY_TEXT,
    ToolNames,
    result_text,
    tool_calls_of,
    tool_results_of,
    turn_start,
    visible_texts,
)
from ai_agents.providers.schemas import schema_instruction
from ai_agents.providers.streaming import CONNECT_TIMEOUT_S, MAX_CONNECTIONS, HTTPProvider, Reader, Response

NAME = "ollama"
DEFAULT_BASE_URL = "http://localhost:11434"
DEFAULT_PORT = 11434
# Ollama's own default is small and it cuts what does not fit without a word, so that the size is always said. It grows
# by doubling, as each change makes Ollama load the model anew, and stops where common hardware does.
_MIN_CONTEXT = 8192
_MAX_CONTEXT = 32768
_BYTES_PER_TOKEN = 3
_ANSWER_TOKENS = 2048
# What a picture counts for: of the models that see, hardly one makes more than 2 000 tokens of it.
_BYTES_PER_PICTURE = 2_000 * _BYTES_PER_TOKEN
_STOP_REASONS: dict[str, StopReason] = {"stop": "end", "length": "max_tokens"}


class OllamaProvider(HTTPProvider):
    """Models on a machine of one's own. `base_url` may be what `OLLAMA_HOST` holds: an address, with or without a port.

    `num_ctx` is the size of the context in tokens; None chooses one by the length of the request.
    """

    name = NAME

    def __init__(
        self,
        *,
        model: str | None = None,
        base_url: str | None = None,
        api_key: str | None = None,
        num_ctx: int | None = None,
        max_retries: int = 2,
    ) -> None:
        super().__init__(model=model, max_retries=max_retries)
        self._base_url = _address(base_url)
        self._api_key = api_key
        self._num_ctx = num_ctx

    def capabilities(self, model: str) -> Capabilities:
        """What this model accepts, as far as its name tells."""
        return Capabilities(files=ollama_files(model))

    def _build(self) -> Any:
        import httpx

        self.transport_errors = (httpx.HTTPError, OSError)
        return httpx.AsyncClient(
            base_url=self._base_url,
            headers={"authorization": f"Bearer {self._api_key}"} if self._api_key else {},
            limits=httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=100),
        )

    async def _open(self, request: ModelRequest) -> Response:
        import httpx

        timeout_s = self._timeout_s(request)
        outgoing = self._client.build_request(
            "POST",
            "/api/chat",
            content=encode_body(_to_wire(request, num_ctx=self._num_ctx)),
            headers={"content-type": "application/json", "accept-encoding": "identity"},
            timeout=httpx.Timeout(timeout_s, connect=min(CONNECT_TIMEOUT_S, timeout_s)),
        )
        try:
            response: httpx.Response = await self._client.send(outgoing, stream=True)
        except httpx.HTTPError as error:
            raise self._failure(error, request) from error
        if response.is_success:
            return response
        try:
            text = await anext(response.aiter_text(), "")
        except httpx.HTTPError:
            text = ""  # the status alone says enough
        finally:
            await response.aclose()
        raise error_from_status(NAME, response.status_code, retry_after_s=retry_after_s(response.headers), text=text)

    def _reader(self, request: ModelRequest) -> Reader:
        return OllamaReader(request)

    async def _close_client(self, client: Any) -> None:
        await client.aclose()


def _address(host: str | None) -> str:
    """The base URL for what `OLLAMA_HOST` may hold; `0.0.0.0` is where a server listens, not where it is called."""
    if not host or not host.strip():
        return DEFAULT_BASE_URL
    url = host.strip().rstrip("/")
    if "://" not in url:
        name = url.rpartition("]")[2] if url.startswith("[") else url
        url = f"http://{url}" if ":" in name else f"http://{url}:{DEFAULT_PORT}"
    return url.replace("://0.0.0.0", "://127.0.0.1")


def _to_wire(request: ModelRequest, *, num_ctx: int | None = None) -> JsonObject:
    """What is stable from turn to turn comes first; the messages only grow."""
    names = ToolNames(request.tools)
    messages = _messages_to_wire(request, names)
    payload: JsonObject = {
        "model": request.model,
        "stream": True,
        # Rather an error than a conversation that silently lost its beginning.
        "truncate": False,
        "shift": False,
    }
    if request.tools:
        payload["tools"] = [
            {
                "type": "function",
                "function": {
                    "name": names.to_wire(tool.name),
                    "description": tool.description,
                    "parameters": tool.parameters,
                },
            }
            for tool in request.tools
        ]
    elif request.output_schema is not None:
        # It binds every answer, so that beside it no tool could be called.
        payload["format"] = request.output_schema
    reasoning = request.settings.reasoning
    if reasoning is not None:
        # Levels are gpt-oss's; other models know on and off.
        payload["think"] = reasoning if "gpt-oss" in request.model and reasoning != "none" else reasoning != "none"
    said = [{name: value for name, value in message.items() if name != "images"} for message in messages]
    pictures = sum(len(message.get("images", ())) for message in messages)
    size_bytes = len(encode_body(payload | {"messages": said})) + pictures * _BYTES_PER_PICTURE
    payload["options"] = _settings_to_wire(request.settings, num_ctx or _context_size(size_bytes, request.settings))
    return payload | {"messages": messages}


def _settings_to_wire(settings: ModelSettings, num_ctx: int) -> JsonObject:
    asked: JsonObject = {
        "num_ctx": num_ctx,
        "num_predict": settings.max_tokens,
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "stop": list(settings.stop) or None,
    }
    return {name: value for name, value in asked.items() if value is not None}


def _context_size(size_bytes: int, settings: ModelSettings) -> int:
    needed = size_bytes // _BYTES_PER_TOKEN + (settings.max_tokens or _ANSWER_TOKENS)
    size = _MIN_CONTEXT
    while size < needed and size < _MAX_CONTEXT:
        size *= 2
    return size


def _messages_to_wire(request: ModelRequest, names: ToolNames) -> list[JsonObject]:
    messages: list[JsonObject] = []
    system = request.system
    if request.output_schema is not None:
        # Said beside `format` too: the model does not see that by itself.
        system = schema_instruction(system, request.output_schema)
    if system and system.strip():
        messages.append({"role": "system", "content": system})
    under_way = turn_start(request.messages)
    for index, message in enumerate(request.messages):
        messages += _message_to_wire(message, names, model=request.model if index >= under_way else None)
    return messages


def _message_to_wire(message: ModelMessage, names: ToolNames, *, model: str | None) -> list[JsonObject]:
    """The forms of one message. `model` is given where its own thinking goes back: in the turn under way."""
    if message.role == "tool":
        return [
            {"role": "tool", "tool_name": names.to_wire(part.name), "content": result_text(part)}
            for part in tool_results_of(message)
        ]
    text = "\n\n".join(visible_texts(message.parts))
    if message.role == "user":
        images = [encoded(part) for part in message.parts if isinstance(part, FilePart) and is_sent(part, IMAGES)]
        return [{"role": "user", "content": text or EMPTY_TEXT} | ({"images": images} if images else {})]
    rendered: JsonObject = {"role": "assistant", "content": text}
    thinking = "".join(
        part.text for part in message.parts if isinstance(part, ReasoningPart) and part.origin == _origin(model)
    )
    if thinking:
        rendered["thinking"] = thinking
    calls = tool_calls_of(message)
    if calls:
        rendered["tool_calls"] = [
            {"function": {"name": names.to_wire(call.name), "arguments": call.arguments}} for call in calls
        ]
    return [rendered] if text or calls else []


def _origin(model: str | None) -> JsonObject:
    return {"provider": NAME, "model": model}


class OllamaReader(Reader):
    """Reads the lines of https://docs.ollama.com/api/streaming: pieces of a message, the last with `done`."""

    def __init__(self, request: ModelRequest) -> None:
        super().__init__(NAME, LineDecoder())
        self._asked_model = request.model
        self._max_tokens = request.settings.max_tokens
        self._names = ToolNames(request.tools)
        self._called = False

    def read(self, event: JsonObject) -> None:
        """Write what one line means."""
        if event.get("error"):
            raise error_from_wire(NAME, event["error"])
        message = event.get("message") or {}
        if message.get("thinking"):
            if self.writer.kind != "reasoning":
                self.writer.open("reasoning", origin=_origin(self._asked_model))
            self.writer.write("reasoning", message["thinking"])
        if message.get("content"):
            self.writer.write("text", message["content"])
        for call in message.get("tool_calls") or ():
            function = call["function"]
            self._called = True
            self.writer.tool_call(
                self._names.from_wire(clean_text(function["name"])), raw_arguments(function.get("arguments"))
            )
        if event.get("done"):
            self._end(event)

    def _end(self, event: JsonObject) -> None:
        usage = _usage_from_wire(event)
        stop_reason = _STOP_REASONS.get(event.get("done_reason") or "stop", "other")
        if stop_reason == "end" and self._called:
            stop_reason = "tool_use"
        elif stop_reason == "max_tokens" and (
            self._max_tokens is None or (usage.output_tokens or 0) < self._max_tokens
        ):
            stop_reason = "context_exceeded"  # it stopped before the number asked for: the context is full
        self.writer.close()
        self.writer.events.append(ResponseEnd(stop_reason, usage, clean_text(event.get("model") or self._asked_model)))
        self.done = True


def _usage_from_wire(event: JsonObject) -> Usage:
    """The counts in our words. Ollama leaves `prompt_eval_count` out where it had the whole prompt in its cache."""
    return Usage(input_tokens=event.get("prompt_eval_count"), output_tokens=event.get("eval_count"))
