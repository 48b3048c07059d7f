"""OpenAI's Chat Completions, and every server that speaks them: https://developers.openai.com/api/reference/resources/chat,
read 2026-11-22.

The SDK does authentication, addresses and connections; its stream is decoded here from the raw bytes, which costs a
fifth of its own objects. Other servers differ in details; what is known of that is tolerated.
"""

from dataclasses import dataclass, field
from typing import Any

import orjson

from ai_agents.core.json import clean_text
from ai_agents.core.types import (
    JsonObject,
    ModelMessage,
    ModelRequest,
    ModelSettings,
    ResponseEnd,
    StopReason,
    Usage,
)
from ai_agents.providers.assembly import parse_arguments, raw_arguments
from ai_agents.providers.base import Capabilities
from ai_agents.providers.errors import (
    error_from_status,
    error_from_wire,
    not_configured,
    retry_after_s,
)
from ai_agents.providers.lines import SSEDecoder, encode_body
from ai_agents.providers.models import OpenAIFacts, openai_facts
from ai_agents.providers.rendering import (
    EMPTY_TEXT,
    ToolNames,
    result_text,
    tool_calls_of,
    tool_results_of,
    visible_texts,
)
from ai_agents.providers.streaming import CONNECT_TIMEOUT_S, HTTPProvider, Reader, Response

NAME = "openai"
_MAX_STOP_SEQUENCES = 4
_STOP_REASONS: dict[str, StopReason] = {
    "stop": "end",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "length": "max_tokens",
    "content_filter": "refusal",
}


class OpenAIProvider(HTTPProvider):
    """OpenAI, or with `base_url` (which ends in `/v1`) any server that is compatible; such a one may need no key.

    Without `api_key` the SDK looks where it always does (`OPENAI_API_KEY` and so on).
    """

    name = NAME

    def __init__(
        self,
        *,
        api_key: str | None = None,
        model: str | None = None,
        base_url: str | None = None,
        max_retries: int = 2,
    ) -> None:
        super().__init__(model=model, max_retries=max_retries)
        self._api_key = api_key
        self._base_url = base_url

    def capabilities(self, model: str) -> Capabilities:
        """What this model accepts."""
        reasoning = openai_facts(model).reasoning
        return Capabilities(sampling=not reasoning, reasoning=reasoning is not False)

    def _build(self) -> Any:
        import aiohttp
        import httpx2
        import openai

        self.transport_errors = (httpx2.HTTPError, aiohttp.ClientError, OSError)
        api_key = self._api_key
        if api_key is None and self._base_url is not None:
            # A server of one's own is not to see a key that was meant for OpenAI.
            api_key = "none"
        try:
            return openai.AsyncOpenAI(
                api_key=api_key,
                base_url=self._base_url,
                max_retries=0,  # ours, which are the same for every provider: see `retry`
                http_client=openai.DefaultAioHttpClient(),
            )
        except openai.OpenAIError as error:
            raise not_configured(NAME, "openai has no API key: pass api_key or set OPENAI_API_KEY.") from error

    async def _open(self, request: ModelRequest) -> Response:
        import httpx2
        import openai

        timeout_s = self._timeout_s(request)
        try:
            response: Response = await self._client.post(
                "/chat/completions",
                cast_to=httpx2.Response,
                content=encode_body(_to_wire(request)),
                options={
                    "headers": {"accept-encoding": "identity"},
                    "timeout": httpx2.Timeout(timeout_s, connect=min(CONNECT_TIMEOUT_S, timeout_s)),
                    "security": {"bearer_auth": True},
                },
                stream=True,
            )
        except openai.APIStatusError as error:
            raise error_from_status(
                NAME,
                error.status_code,
                word=error.code or error.type,
                retry_after_s=retry_after_s(error.response.headers),
            ) from error
        except openai.APIConnectionError as error:
            raise self._failure(error, request) from error
        except openai.OpenAIError as error:
            raise not_configured(NAME, "openai's credentials cannot be used.") from error
        return response

    def _reader(self, request: ModelRequest) -> Reader:
        return OpenAIReader(request)

    async def _close_client(self, client: Any) -> None:
        await client.close()


def _to_wire(request: ModelRequest) -> JsonObject:
    facts = openai_facts(request.model)
    names = ToolNames(request.tools)
    payload: JsonObject = {
        "model": request.model,
        "messages": _messages_to_wire(request, names),
        "stream": True,
        "stream_options": {"include_usage": True},
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
    payload |= _settings_to_wire(request.settings, facts)
    if request.tools and facts.tools_effort is not None:
        payload["reasoning_effort"] = facts.tools_effort
    return payload


def _settings_to_wire(settings: ModelSettings, facts: OpenAIFacts) -> JsonObject:
    asked: JsonObject = {"max_completion_tokens" if facts.reasoning else "max_tokens": settings.max_tokens}
    if not facts.reasoning:
        asked |= {"temperature": settings.temperature, "top_p": settings.top_p}
        asked["stop"] = list(settings.stop[:_MAX_STOP_SEQUENCES]) or None
    if facts.reasoning is not False:
        asked["reasoning_effort"] = _reasoning_to_wire(settings, facts)
    return {name: value for name, value in asked.items() if value is not None}


def _reasoning_to_wire(settings: ModelSettings, facts: OpenAIFacts) -> str | None:
    if settings.reasoning != "none":
        return settings.reasoning
    return facts.least if facts.reasoning else None


def _messages_to_wire(request: ModelRequest, names: ToolNames) -> list[JsonObject]:
    messages: list[JsonObject] = []
    if request.system and request.system.strip():
        messages.append({"role": "system", "content": request.system})
    for message in request.messages:
        messages += _message_to_wire(message, names)
    return messages


def _message_to_wire(message: ModelMessage, names: ToolNames) -> list[JsonObject]:
    if message.role == "tool":
        return [
            {"role": "tool", "tool_call_id": part.tool_call_id, "content": result_text(part)}
            for part in tool_results_of(message)
        ]
    texts = visible_texts(message.parts)
    if message.role == "user":
        return [{"role": "user", "content": _join(texts) or EMPTY_TEXT}]
    rendered: JsonObject = {"role": "assistant"}
    if texts:
        rendered["content"] = _join(texts)
    calls = tool_calls_of(message)
    if calls:
        # Some servers want the content to be there, if only as null.
        rendered.setdefault("content", None)
        rendered["tool_calls"] = [
            {
                "id": call.tool_call_id,
                "type": "function",
                "function": {
                    "name": names.to_wire(call.name),
                    "arguments": orjson.dumps(call.arguments).decode(),
                },
            }
            for call in calls
        ]
    return [rendered] if texts or calls else []


def _join(texts: list[str]) -> str:
    return "\n\n".join(texts)


@dataclass(slots=True)
class _Call:
    """A tool call as its pieces come."""

    id: str = ""
    name: str = ""
    pieces: list[str] = field(default_factory=list)


class OpenAIReader(Reader):
    """Reads the chunks of https://developers.openai.com/api/reference/resources/chat/subresources/completions/streaming-events.

    Tool calls are told when all of them are there: their pieces may come in any order. The end is `[DONE]`, or the end
    of the bytes after a finish reason, as several servers leave `[DONE]` out.
    """

    def __init__(self, request: ModelRequest) -> None:
        super().__init__(NAME, SSEDecoder())
        self._model = request.model
        self._names = ToolNames(request.tools)
        self._calls: list[_Call] = []
        self._call_at: dict[int, _Call] = {}
        self._finish: str | None = None
        self._refused = False
        self._usage: JsonObject = {}

    def read(self, event: JsonObject) -> None:
        """Write what one chunk means."""
        for choice in event.get("choices") or ():
            if choice.get("index"):
                continue
            delta = choice.get("delta")
            if delta:
                self._read_delta(delta)
            if choice.get("finish_reason"):
                self._finish = choice["finish_reason"]
        if event.get("usage"):
            self._usage = event["usage"]
        if event.get("error") or event.get("object") == "error":
            raise error_from_wire(NAME, event.get("error") or event)
        if event.get("model"):
            self._model = event["model"]

    def read_other(self, data: bytes) -> bool:
        """`[DONE]` ends the stream."""
        if data.strip() != b"[DONE]":
            return False
        self._end()
        return True

    def end_of_bytes(self) -> None:
        """The stream may end without `[DONE]` once it has said why."""
        if not self.done and self._finish is not None:
            self._end()

    def _read_delta(self, delta: JsonObject) -> None:
        reasoning = delta.get("reasoning_content") or delta.get("reasoning")
        if isinstance(reasoning, str):
            self.writer.write("reasoning", reasoning)
        content = delta.get("content")
        if content:
            self.writer.write("text", content if isinstance(content, str) else _text_from_wire(content))
        if delta.get("refusal"):
            self._refused = True
            self.writer.write("text", delta["refusal"])
        for piece in delta.get("tool_calls") or ():
            self._read_call(piece)

    def _read_call(self, piece: JsonObject) -> None:
        function = piece.get("function") or {}
        arguments = raw_arguments(function.get("arguments"))
        call = self._call_of(piece, function.get("name") or "", arguments)
        call.id = call.id or piece.get("id") or ""
        call.name = call.name or function.get("name") or ""
        if arguments:
            call.pieces.append(arguments)

    def _call_of(self, piece: JsonObject, name: str, arguments: str) -> _Call:
        """The call that a piece belongs to. Servers leave out the index or the id, or give every call the same."""
        index = piece.get("index")
        call = self._call_at.get(index) if isinstance(index, int) else self._calls[-1] if self._calls else None
        if call is None or _begins_another(call, piece.get("id") or "", name, arguments):
            call = _Call()
            self._calls.append(call)
            if isinstance(index, int):
                self._call_at[index] = call
        return call

    def _end(self) -> None:
        stop_reason = _STOP_REASONS.get(self._finish or "", "other")
        if self._refused:
            stop_reason = "refusal"
        elif self._calls and stop_reason in {"end", "other"}:
            stop_reason = "tool_use"
        for call in self._calls:
            cut = stop_reason == "max_tokens" and call is self._calls[-1]
            self.writer.tool_call(self._names.from_wire(clean_text(call.name)), "".join(call.pieces), cut=cut)
        self.writer.close()
        self.writer.events.append(ResponseEnd(stop_reason, _usage_from_wire(self._usage), clean_text(self._model)))
        self.done = True


def _begins_another(call: _Call, call_id: str, name: str, arguments: str) -> bool:
    if call_id and call.id:
        return call_id != call.id
    if not name or not call.name:
        return False
    # No id to tell them apart: a name that comes again after whole arguments is the next call's.
    raw = "".join(call.pieces)
    return name != call.name or (bool(raw or not arguments) and parse_arguments(raw)[1] is None)


def _text_from_wire(content: Any) -> str:
    """The text of content that comes as a list of parts."""
    return "".join(part.get("text") or "" for part in content if part.get("type") == "text")


def _usage_from_wire(usage: JsonObject) -> Usage:
    """The counts in our words; None where the server does not say."""
    return Usage(
        input_tokens=usage.get("prompt_tokens"),
        output_tokens=usage.get("completion_tokens"),
        cached_input_tokens=(usage.get("prompt_tokens_details") or {}).get("cached_tokens"),
        reasoning_tokens=(usage.get("completion_tokens_details") or {}).get("reasoning_tokens"),
    )
