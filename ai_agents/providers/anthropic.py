"""Claude over Anthropic's Messages API: https://platform.claude.com/docs/en/api/messages, read 2026-11-22.

The SDK does authentication, addresses and connections; its stream is decoded here from the raw bytes, which costs a
fifth of its own objects.
"""

from collections.abc import Mapping
from typing import Any

from ai_agents.core.json import clean_text
from ai_agents.core.types import (
    JsonObject,
    ModelMessage,
    ModelRequest,
    ModelSettings,
    ReasoningPart,
    ResponseEnd,
    StopReason,
    ToolCallPart,
    Usage,
)
from ai_agents.providers.assembly import raw_arguments
from ai_agents.providers.base import Capabilities
from ai_agents.providers.errors import (
    error_from_status,
    error_from_wire,
    not_configured,
    retry_after_s,
)
from ai_agents.providers.lines import SSEDecoder, encode_body
from ai_agents.providers.models import AnthropicFacts, anthropic_facts
from ai_agents.providers.rendering import (
    EMPTY_TEXT,
    ToolNames,
    result_text,
    tool_calls_of,
    tool_results_of,
    turn_start,
    visible_texts,
)
from ai_agents.providers.streaming import CONNECT_TIMEOUT_S, HTTPProvider, Reader, Response

NAME = "anthropic"
# The API version that the SDK sends has no `temperature` and `top_p` any more; the one before still takes them for
# the models that ever did: https://platform.claude.com/docs/en/api/migration-2026-10-21
SAMPLING_API_VERSION = "2023-06-01"
_MIN_BUDGET = 1024
_BUDGETS = {"low": 2048, "medium": 8192, "high": 16384}
_STOP_REASONS: dict[str, StopReason] = {
    "end_turn": "end",
    "tool_use": "tool_use",
    "max_tokens": "max_tokens",
    "stop_sequence": "stop_sequence",
    "refusal": "refusal",
    "pause_turn": "pause",
    "model_context_window_exceeded": "context_exceeded",
}


class AnthropicProvider(HTTPProvider):
    """Claude. Without `api_key` the SDK looks where it always does (`ANTHROPIC_API_KEY` and so on)."""

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
        facts = anthropic_facts(model)
        return Capabilities(sampling=facts.sampling, reasoning=facts.thinking != "none")

    def _build(self) -> Any:
        import aiohttp
        import anthropic
        import httpx2

        self.transport_errors = (httpx2.HTTPError, aiohttp.ClientError, OSError)
        no_key = not_configured(NAME, "anthropic has no API key: pass api_key or set ANTHROPIC_API_KEY.")
        try:
            client = anthropic.AsyncAnthropic(
                api_key=self._api_key,
                base_url=self._base_url,
                max_retries=0,  # ours, which wait no longer than is any use: see `retry`
                open_telemetry=False,
                http_client=anthropic.DefaultAioHttpClient(),
            )
        except anthropic.AnthropicError as error:
            raise no_key from error
        if client.api_key is None and client.auth_token is None and client.credentials is None:
            raise no_key
        return client

    async def _open(self, request: ModelRequest) -> Response:
        import anthropic
        import httpx2

        timeout_s = self._timeout_s(request)
        payload = _to_wire(request)
        try:
            response: Response = await self._client.post(
                "/v1/messages",
                cast_to=httpx2.Response,
                content=encode_body(payload),
                options={
                    "headers": _headers_to_wire(payload),
                    "timeout": httpx2.Timeout(timeout_s, connect=min(CONNECT_TIMEOUT_S, timeout_s)),
                },
                stream=True,
            )
        except anthropic.APIStatusError as error:
            raise error_from_status(
                NAME, error.status_code, word=error.type, retry_after_s=retry_after_s(error.response.headers)
            ) from error
        except anthropic.APIConnectionError as error:
            raise self._failure(error, request) from error
        except anthropic.AnthropicError as error:
            raise not_configured(NAME, "anthropic's credentials cannot be used.") from error
        return response

    def _reader(self, request: ModelRequest) -> Reader:
        return AnthropicReader(request)

    async def _close_client(self, client: Any) -> None:
        await client.close()


def _to_wire(request: ModelRequest) -> JsonObject:
    facts = anthropic_facts(request.model)
    settings = request.settings
    names = ToolNames(request.tools)
    messages = _messages_to_wire(request, names)
    payload: JsonObject = {
        "model": request.model,
        "max_tokens": settings.max_tokens or facts.max_tokens,
        "messages": messages,
        "stream": True,
    }
    if request.system and request.system.strip():
        payload["system"] = request.system
    payload |= _tools_to_wire(request, names)
    stop = [text for text in settings.stop if text.strip()]
    if stop:
        payload["stop_sequences"] = stop
    payload |= _reasoning_to_wire(request, facts, messages)
    if facts.sampling and payload.get("thinking", {}).get("type") not in {"enabled", "adaptive"}:
        payload |= _sampling_to_wire(settings)
    return payload


def _tools_to_wire(request: ModelRequest, names: ToolNames) -> JsonObject:
    """The tools; where none is offered any more, those that the history names: it may not name what is not there."""
    if request.tools:
        return {
            "tools": [
                {"name": names.to_wire(tool.name), "description": tool.description, "input_schema": tool.parameters}
                for tool in request.tools
            ]
        }
    used = {names.to_wire(call.name): None for message in request.messages for call in tool_calls_of(message)}
    if not used:
        return {}
    gone = [
        {"name": name, "description": "Not available any more.", "input_schema": {"type": "object"}} for name in used
    ]
    return {"tools": gone, "tool_choice": {"type": "none"}}


def _headers_to_wire(payload: JsonObject) -> dict[str, str]:
    headers = {"accept-encoding": "identity"}
    return (
        headers | {"anthropic-version": SAMPLING_API_VERSION} if payload.keys() & {"temperature", "top_p"} else headers
    )


def _sampling_to_wire(settings: ModelSettings) -> JsonObject:
    """One of the two: several models refuse both. Their scale ends at 1."""
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
    if _answers_tools_without_thinking(messages):
        return {}  # such a turn cannot go on with thinking: the API wants it to have begun with it
    if request.settings.max_tokens is None:
        return {
            "max_tokens": facts.max_tokens + budget,
            "thinking": {"type": "enabled", "budget_tokens": budget},
        }
    budget = min(budget, request.settings.max_tokens // 2)
    return {"thinking": {"type": "enabled", "budget_tokens": budget}} if budget >= _MIN_BUDGET else {}


def _answers_tools_without_thinking(messages: list[JsonObject]) -> bool:
    if messages[-1]["content"][0]["type"] != "tool_result":
        return False
    return messages[-2]["content"][0]["type"] not in {"thinking", "redacted_thinking"}


def _messages_to_wire(request: ModelRequest, names: ToolNames) -> list[JsonObject]:
    """Turns that alternate, the first and the last one a user's, none empty; tool results first in theirs."""
    turns: list[JsonObject] = []
    under_way = turn_start(request.messages)
    for index, message in enumerate(request.messages):
        blocks = _message_to_wire(message, names, model=request.model if index >= under_way else None)
        role = "assistant" if message.role == "assistant" else "user"
        if not blocks and role == "user" and message.role != "tool":
            blocks = [{"type": "text", "text": EMPTY_TEXT}]
        if not blocks:
            continue
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": role, "content": blocks})
    if not turns or turns[-1]["role"] == "assistant":  # newer models do not continue an answer
        turns.append({"role": "user", "content": [{"type": "text", "text": "Continue."}]})
    return turns


def _message_to_wire(message: ModelMessage, names: ToolNames, *, model: str | None) -> list[JsonObject]:
    """The blocks of one message. `model` is given where its own thinking goes back: in the turn under way."""
    if message.role == "tool":
        return [
            {"type": "tool_result", "tool_use_id": part.tool_call_id, "content": result_text(part)}
            | ({"is_error": True} if part.is_error else {})
            for part in tool_results_of(message)
        ]
    blocks: list[JsonObject] = []
    for part in message.parts:
        match part:
            case ReasoningPart(origin=origin) if model is not None and message.role == "assistant":
                blocks += _thinking_to_wire(part.text, origin or {}, model)
            case ToolCallPart() if message.role == "assistant":
                blocks.append(
                    {
                        "type": "tool_use",
                        "id": part.tool_call_id,
                        "name": names.to_wire(part.name),
                        "input": part.arguments,
                    }
                )
            case _:
                blocks += [{"type": "text", "text": text} for text in visible_texts([part])]
    return blocks


def _thinking_to_wire(text: str, origin: Mapping[str, Any], model: str) -> list[JsonObject]:
    """A thinking block, if this very model made it: a signature is bound to its model."""
    if origin.get("provider") != NAME or origin.get("model") != model:
        return []
    if "redacted" in origin:
        return [{"type": "redacted_thinking", "data": origin["redacted"]}]
    if "signature" in origin:
        return [{"type": "thinking", "thinking": text, "signature": origin["signature"]}]
    return []


class AnthropicReader(Reader):
    """Reads the events of https://platform.claude.com/docs/en/build-with-claude/streaming, read 2026-11-22.

    Events and blocks of unknown kinds are left out, as the API's versioning asks of its clients.
    """

    def __init__(self, request: ModelRequest) -> None:
        super().__init__(NAME, SSEDecoder())
        self._asked_model = request.model
        self._model = request.model
        self._names = ToolNames(request.tools)
        self._block: JsonObject = {}
        self._signature: list[str] = []
        self._arguments: list[str] = []
        self._call: tuple[str, str] | None = None
        self._stop = "other"
        self._usage: JsonObject = {}

    def read(self, event: JsonObject) -> None:
        """Write what one event means."""
        kind = event.get("type")
        if kind == "content_block_delta":
            self._read_delta(event["delta"])
        elif kind == "content_block_start":
            self._start_block(event["content_block"])
        elif kind == "content_block_stop":
            self._end_block()
        elif kind == "message_start":
            message = event["message"]
            self._model = str(message.get("model") or self._asked_model)
            self._take_usage(message.get("usage"))
        elif kind == "message_delta":
            self._stop = event["delta"].get("stop_reason") or self._stop
            self._take_usage(event.get("usage"))
        elif kind == "message_stop":
            self._end()
        elif kind == "error" or "error" in event:
            raise error_from_wire(NAME, event.get("error"))

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
            self._end_thinking("".join(self._signature))
        elif kind == "redacted_thinking":
            self.writer.open("reasoning", origin=self._origin(redacted=block["data"]))
        elif kind == "tool_use":
            raw = "".join(self._arguments) or (raw_arguments(block["input"]) if block.get("input") else "")
            # Told at the next event: whether the call is whole is known from the stop reason only.
            self._call = (self._names.from_wire(clean_text(block["name"])), raw)
        if kind:
            self.writer.close()
        self._signature, self._arguments = [], []

    def _end_thinking(self, signature: str) -> None:
        if signature and self.writer.kind != "reasoning":
            self.writer.open("reasoning")  # thinking that is not shown still has its signature
        self.writer.close(origin=self._origin(signature=signature) if signature else None)

    def _end_call(self, *, cut: bool = False) -> None:
        if self._call is not None:
            (name, raw), self._call = self._call, None
            self.writer.tool_call(name, raw, cut=cut)

    def _end(self) -> None:
        stop_reason = _STOP_REASONS.get(self._stop, "other")
        self._end_block()
        self._end_call(cut=stop_reason in {"max_tokens", "context_exceeded"})
        self.writer.events.append(ResponseEnd(stop_reason, _usage_from_wire(self._usage), self._model))
        self.done = True

    def _take_usage(self, usage: JsonObject | None) -> None:
        self._usage |= {name: value for name, value in (usage or {}).items() if value is not None}

    def _origin(self, **facts: str) -> JsonObject:
        return {"provider": NAME, "model": self._asked_model, **facts}


def _usage_from_wire(usage: JsonObject) -> Usage:
    """The counts in our words. Anthropic counts cached input apart: `input_tokens` is here all that was read.

    That is input_tokens + cache_read_input_tokens + cache_creation_input_tokens of theirs.
    """
    fresh = usage.get("input_tokens")
    cached = usage.get("cache_read_input_tokens")
    return Usage(
        input_tokens=None if fresh is None else fresh + (cached or 0) + (usage.get("cache_creation_input_tokens") or 0),
        output_tokens=usage.get("output_tokens"),
        cached_input_tokens=cached,
        reasoning_tokens=(usage.get("output_tokens_details") or {}).get("thinking_tokens"),
    )
