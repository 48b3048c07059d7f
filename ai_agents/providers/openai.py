"""OpenAI's Chat Completions, and every server that speaks them: https://developers.openai.com/api/reference/resources/chat,
read 2026-11-22. The other API of OpenAI is in `openai_responses`.

The SDK does authentication, addresses and connections; its stream is decoded here from the raw bytes, which costs a
fifth of its own objects. Other servers differ in details; what is known of that is tolerated.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from ai_agents.core.exceptions import ProviderRejected
from ai_agents.core.types import JsonObject, ModelMessage, ModelRequest, ModelSettings, ReasoningPart
from ai_agents.providers import openai_responses
from ai_agents.providers.base import Capabilities
from ai_agents.providers.errors import error_from_status, not_configured, retry_after_s
from ai_agents.providers.files import chat_part, openai_files, parts_with_files
from ai_agents.providers.lines import encode_body
from ai_agents.providers.models import OpenAIFacts, openai_facts
from ai_agents.providers.openai_stream import NAME, REASONING_CONTENT, OpenAIReader
from ai_agents.providers.rendering import (
    EMPTY_TEXT,
    ToolNames,
    result_text,
    tool_calls_of,
    tool_results_of,
    visible_texts,
)
from ai_agents.providers.schemas import SCHEMA_NAME, is_strict, schema_instruction
from ai_agents.providers.sending import Sender
from ai_agents.providers.streaming import HTTPProvider, Reader, Response

_MAX_STOP_SEQUENCES = 4


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
        self._without_schemas: set[str] = set()

    def capabilities(self, model: str) -> Capabilities:
        """What this model accepts."""
        reasoning = openai_facts(model).reasoning
        return Capabilities(sampling=not reasoning, reasoning=reasoning is not False, files=openai_files(model))

    def _build(self) -> Any:
        import aiohttp

        # The SDK looks at each request whether httpx is loaded, and fails while another provider is loading it.
        import httpx  # noqa: F401  # loaded now, it is whole by then
        import httpx2
        import openai

        self.transport_errors = (httpx2.HTTPError, aiohttp.ClientError, OSError)
        api_key = self._api_key
        if api_key is None and self._base_url is not None:
            # A server of one's own is not to see a key that was meant for OpenAI.
            api_key = "none"
        http = openai.DefaultAioHttpClient()
        try:
            client = openai.AsyncOpenAI(
                api_key=api_key,
                base_url=self._base_url,
                max_retries=0,  # ours, which are the same for every provider: see `retry`
                http_client=http,
            )
            return Sender(openai, client, http, security={"bearer_auth": True})
        except openai.OpenAIError as error:
            raise not_configured(NAME, "openai has no API key: pass api_key or set OPENAI_API_KEY.") from error

    async def _open(self, request: ModelRequest) -> Response:
        if request.settings.api == "responses":
            return await self._post("/responses", openai_responses.to_wire(request), request)
        native = openai_facts(request.model).schema and request.model not in self._without_schemas
        try:
            return await self._post("/chat/completions", _to_wire(request, native_schema=native), request)
        except ProviderRejected:
            # Not every compatible server keeps to a schema; those that do not are asked to in words.
            if request.output_schema is None or not native or openai_facts(request.model).reasoning is not None:
                raise
            response = await self._post("/chat/completions", _to_wire(request, native_schema=False), request)
            self._without_schemas.add(request.model)
            return response

    async def _post(self, path: str, payload: JsonObject, request: ModelRequest) -> Response:
        import openai

        sender: Sender = self._client
        try:
            return await sender.post(
                path,
                encode_body(payload),
                headers={"accept-encoding": "identity"},
                timeout_s=self._timeout_s(request),
            )
        except openai.APIStatusError as error:
            raise error_from_status(
                NAME,
                error.status_code,
                word=error.code or error.type,
                retry_after_s=retry_after_s(error.response.headers),
                text=error.message,
            ) from error
        except openai.APIConnectionError as error:
            raise self._failure(error, request) from error
        except openai.OpenAIError as error:
            raise not_configured(NAME, "openai's credentials cannot be used.") from error

    def _reader(self, request: ModelRequest) -> Reader:
        if request.settings.api == "responses":
            return openai_responses.ResponsesReader(request)
        return OpenAIReader(request)

    async def _close_client(self, client: Any) -> None:
        await client.close()


def _to_wire(request: ModelRequest, *, native_schema: bool = True) -> JsonObject:
    """What is stable from turn to turn comes first and the same, byte for byte; the messages only grow."""
    facts = openai_facts(request.model)
    names = ToolNames(request.tools)
    payload: JsonObject = {"model": request.model, "stream": True, "stream_options": {"include_usage": True}}
    payload |= _settings_to_wire(request.settings, facts)
    if request.tools and facts.tools_effort is not None:
        payload["reasoning_effort"] = facts.tools_effort
    schema, system = request.output_schema, request.system
    if schema is not None and native_schema and facts.schema:
        form = {"name": SCHEMA_NAME, "strict": is_strict(schema), "schema": schema}
        payload["response_format"] = {"type": "json_schema", "json_schema": form}
    elif schema is not None:
        system = schema_instruction(system, schema)
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
    return payload | {"messages": _messages_to_wire(request, names, system=system)}


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


def _messages_to_wire(request: ModelRequest, names: ToolNames, *, system: str | None) -> list[JsonObject]:
    messages: list[JsonObject] = []
    if system and system.strip():
        messages.append({"role": "system", "content": system})
    for message in request.messages:
        messages += _message_to_wire(message, names, model=request.model)
    return messages


def _message_to_wire(message: ModelMessage, names: ToolNames, *, model: str) -> list[JsonObject]:
    if message.role == "tool":
        return [
            {"role": "tool", "tool_call_id": part.tool_call_id, "content": result_text(part)}
            for part in tool_results_of(message)
        ]
    texts = visible_texts(message.parts)
    if message.role == "user":
        with_files = parts_with_files(message, chat_part, text_type="text")
        return [{"role": "user", "content": with_files or _join(texts) or EMPTY_TEXT}]
    rendered: JsonObject = {"role": "assistant"}
    if texts:
        rendered["content"] = _join(texts)
    calls = tool_calls_of(message)
    if calls:
        # Some servers want the content to be there, if only as null.
        rendered.setdefault("content", None)
        rendered |= _reasoning_content_to_wire(message, model)
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


def _reasoning_content_to_wire(message: ModelMessage, model: str) -> JsonObject:
    """What the model thought before it called tools: servers that tell it in this field refuse a history without it."""
    facts = openai_facts(model)
    if facts.reasoning is not None:
        return {}  # OpenAI itself neither tells it nor takes it
    origins = [part.origin or {} for part in message.parts if isinstance(part, ReasoningPart)]
    thought = [origin[REASONING_CONTENT] for origin in origins if _is_own(origin, model)]
    if thought or facts.keeps_reasoning:
        return {REASONING_CONTENT: "".join(thought)}
    return {}


def _is_own(origin: Mapping[str, Any], model: str) -> bool:
    return origin.get("provider") == NAME and origin.get("model") == model and REASONING_CONTENT in origin


def _join(texts: list[str]) -> str:
    return "\n\n".join(texts)
