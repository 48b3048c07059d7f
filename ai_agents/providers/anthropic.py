"""Claude over Anthropic's Messages API: https://platform.claude.com/docs/en/api/messages, read 2026-11-22.

The SDK does authentication, addresses and connections; its stream is decoded here from the raw bytes, which costs a
fifth of its own objects.
"""

from collections.abc import Mapping
from typing import Any

from ai_agents.core.types import (
    FilePart,
    JsonObject,
    ModelMessage,
    ModelRequest,
    ModelSettings,
    ReasoningPart,
    ToolCallPart,
)
from ai_agents.providers.anthropic_stream import NAME, SERVER_CALLS, AnthropicReader
from ai_agents.providers.base import Capabilities
from ai_agents.providers.errors import error_from_status, not_configured, retry_after_s
from ai_agents.providers.files import anthropic_block, anthropic_files
from ai_agents.providers.lines import encode_body
from ai_agents.providers.models import AnthropicFacts, anthropic_facts
from ai_agents.providers.rendering import (
    EMPTY_TEXT,
    ToolNames,
    result_text,
    tool_calls_of,
    tool_results_of,
    visible_texts,
)
from ai_agents.providers.schemas import narrowed, schema_instruction
from ai_agents.providers.sending import Sender
from ai_agents.providers.streaming import HTTPProvider, Reader, Response

# The API version that the SDK sends has no `temperature` and `top_p` any more; the one before still takes them for
# the models that ever did: https://platform.claude.com/docs/en/api/migration-2026-10-21
SAMPLING_API_VERSION = "2023-06-01"
# Marks the end of what is worth keeping in the provider's cache. That of the request itself stands for its last block.
CACHE = {"type": "ephemeral"}
_MIN_BUDGET = 1024
_BUDGETS = {"low": 2048, "medium": 8192, "high": 16384}


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
        return Capabilities(sampling=facts.sampling, reasoning=facts.thinking != "none", files=anthropic_files(model))

    def _build(self) -> Any:
        import aiohttp
        import anthropic
        import httpx2

        self.transport_errors = (httpx2.HTTPError, aiohttp.ClientError, OSError)
        no_key = not_configured(NAME, "anthropic has no API key: pass api_key or set ANTHROPIC_API_KEY.")
        http = anthropic.DefaultAioHttpClient()
        try:
            client = anthropic.AsyncAnthropic(
                api_key=self._api_key,
                base_url=self._base_url,
                max_retries=0,  # ours, which wait no longer than is any use: see `retry`
                open_telemetry=False,
                http_client=http,
            )
        except anthropic.AnthropicError as error:
            raise no_key from error
        if client.api_key is None and client.auth_token is None and client.credentials is None:
            raise no_key
        return Sender(anthropic, client, http)

    async def _open(self, request: ModelRequest) -> Response:
        import anthropic

        sender: Sender = self._client
        payload = _to_wire(request)
        try:
            return await sender.post(
                "/v1/messages",
                encode_body(payload),
                headers=_headers_to_wire(payload),
                timeout_s=self._timeout_s(request),
            )
        except anthropic.APIStatusError as error:
            raise error_from_status(
                NAME,
                error.status_code,
                word=error.type,
                retry_after_s=retry_after_s(error.response.headers),
                text=error.message,
            ) from error
        except anthropic.APIConnectionError as error:
            raise self._failure(error, request) from error
        except anthropic.AnthropicError as error:
            raise not_configured(NAME, "anthropic's credentials cannot be used.") from error

    def _reader(self, request: ModelRequest) -> Reader:
        return AnthropicReader(request)

    async def _close_client(self, client: Any) -> None:
        await client.close()


def _to_wire(request: ModelRequest) -> JsonObject:
    """What is stable from turn to turn comes first and the same, byte for byte; the messages only grow."""
    facts = anthropic_facts(request.model)
    settings = request.settings
    names = ToolNames(request.tools)
    messages = _messages_to_wire(request, names)
    payload: JsonObject = {
        "model": request.model,
        "max_tokens": settings.max_tokens or facts.max_tokens,
        "stream": True,
    }
    if facts.caching:
        payload["cache_control"] = CACHE
    stop = [text for text in settings.stop if text.strip()]
    if stop:
        payload["stop_sequences"] = stop
    payload |= _reasoning_to_wire(request, facts, messages)
    if facts.sampling and payload.get("thinking", {}).get("type") not in {"enabled", "adaptive"}:
        payload |= _sampling_to_wire(settings)
    form = _schema_to_wire(request, facts)
    if form is not None:
        payload["output_config"] = payload.get("output_config", {}) | form
    payload |= _tools_to_wire(request, names, facts)
    payload |= _system_to_wire(request, facts, native_schema=form is not None)
    return payload | {"messages": messages}


def _system_to_wire(request: ModelRequest, facts: AnthropicFacts, *, native_schema: bool) -> JsonObject:
    system = request.system
    if request.output_schema is not None and not native_schema:
        system = schema_instruction(system, request.output_schema)
    if not system or not system.strip():
        return {}
    return {"system": [{"type": "text", "text": system} | ({"cache_control": CACHE} if facts.caching else {})]}


def _schema_to_wire(request: ModelRequest, facts: AnthropicFacts) -> JsonObject | None:
    """The output schema where the model keeps to it by itself; None where it has to be asked."""
    schema = narrowed(request.output_schema) if request.output_schema is not None and facts.schema else None
    return None if schema is None else {"format": {"type": "json_schema", "schema": schema}}


def _tools_to_wire(request: ModelRequest, names: ToolNames, facts: AnthropicFacts) -> JsonObject:
    """The tools; where none is offered any more, those that the history names: it may not name what is not there."""
    if request.tools:
        tools: list[JsonObject] = [
            {"name": names.to_wire(tool.name), "description": tool.description, "input_schema": tool.parameters}
            for tool in request.tools
        ]
        if facts.caching:
            tools[-1]["cache_control"] = CACHE
        return {"tools": tools}
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
    for message in request.messages:
        blocks = _message_to_wire(message, names, model=request.model)
        role = "assistant" if message.role == "assistant" else "user"
        if not blocks and role == "user" and message.role != "tool":
            blocks = [{"type": "text", "text": EMPTY_TEXT}]
        if not blocks:
            continue
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": role, "content": blocks})
    if not turns or (turns[-1]["role"] == "assistant" and not _is_paused(turns[-1])):
        # Newer models do not continue an answer, unless they paused in it.
        turns.append({"role": "user", "content": [{"type": "text", "text": "Continue."}]})
    return turns


def _is_paused(turn: JsonObject) -> bool:
    kind = turn["content"][-1]["type"]
    return kind in SERVER_CALLS or (kind != "tool_result" and kind.endswith("_tool_result"))


def _message_to_wire(message: ModelMessage, names: ToolNames, *, model: str) -> list[JsonObject]:
    """The blocks of one message."""
    if message.role == "tool":
        return [
            {"type": "tool_result", "tool_use_id": part.tool_call_id, "content": result_text(part)}
            | ({"is_error": True} if part.is_error else {})
            for part in tool_results_of(message)
        ]
    blocks: list[JsonObject] = []
    for part in message.parts:
        match part:
            case ReasoningPart(origin=origin) if message.role == "assistant":
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
            case FilePart() if (file := anthropic_block(part)) is not None:
                blocks.append(file)
            case _:
                blocks += [{"type": "text", "text": text} for text in visible_texts([part])]
    return blocks if any(block["type"] not in {"thinking", "redacted_thinking"} for block in blocks) else []


def _thinking_to_wire(text: str, origin: Mapping[str, Any], model: str) -> list[JsonObject]:
    """A thinking block, if this very model made it: a signature is bound to its model.

    Those of earlier turns go back too: the cache holds them, and the API leaves out what its model does not read again.
    """
    if origin.get("provider") != NAME or origin.get("model") != model:
        return []
    if "block" in origin:
        return [origin["block"]]
    if "redacted" in origin:
        return [{"type": "redacted_thinking", "data": origin["redacted"]}]
    if "signature" in origin:
        return [{"type": "thinking", "thinking": text, "signature": origin["signature"]}]
    return []
