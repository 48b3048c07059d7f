"""The span of a model call, and what was said in it as the conventions write it.

The form of messages: https://github.com/open-telemetry/semantic-conventions-genai/tree/main/docs/gen-ai, the JSON
schemas of input and output messages; read 2026-11-30.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ai_agents.core import json, tracing
from ai_agents.core.types import (
    FilePart,
    JsonObject,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    Part,
    ReasoningPart,
    StopReason,
    TextPart,
    ToolCallPart,
    Usage,
)
from ai_agents.providers.errors import mask_keys

if TYPE_CHECKING:
    from opentelemetry.trace import Span

# What the conventions call providers that are called otherwise here.
_NAMES = {"gemini": "gcp.gemini", "mistral": "mistral_ai", "xai": "x_ai", "azure": "azure.ai.openai"}
# A server says what its model is called.
_MOST_OF_NAME = 200
# What the conventions call the ends of answers.
_FINISHED: dict[StopReason, str] = {
    "end": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_call",
    "max_tokens": "length",
    "refusal": "content_filter",
}


def provider_name(provider: str) -> str:
    """A provider's name by the conventions, where they have one."""
    return _NAMES.get(provider, provider)


def start_chat(provider: str, request: ModelRequest) -> "Span | None":
    """Start the span of a model call, which `end_chat` ends; None where there are no spans."""
    if not tracing.is_on():
        return None
    settings = request.settings
    attributes: dict[str, Any] = {
        tracing.OPERATION: tracing.CHAT,
        tracing.PROVIDER: provider_name(provider),
        tracing.REQUEST_MODEL: request.model,
        tracing.REQUEST_STREAM: True,
        tracing.MAX_TOKENS: settings.max_tokens,
        tracing.TEMPERATURE: settings.temperature,
        tracing.TOP_P: settings.top_p,
        tracing.OUTPUT_TYPE: None if request.output_schema is None else "json",
    }
    if tracing.has_content():
        attributes[tracing.INPUT] = _messages(request.messages)
        if request.system:
            attributes[tracing.SYSTEM] = _text([{"type": "text", "content": request.system}])
    return tracing.start(f"{tracing.CHAT} {request.model}", attributes, kind="client")


def note_response(span: "Span | None", response: ModelResponse) -> None:
    """Note a whole answer, as guardrails allow it."""
    if span is None:
        return
    finished = _FINISHED.get(response.stop_reason, response.stop_reason)
    attributes: dict[str, Any] = {
        tracing.RESPONSE_MODEL: response.model[:_MOST_OF_NAME] or None,
        tracing.FINISH_REASONS: [finished],
        **usage_attributes(response.usage),
    }
    if tracing.has_content():
        said = {**_message(ModelMessage("assistant", response.parts)), "finish_reason": finished}
        attributes[tracing.OUTPUT] = _text([said])
    tracing.add(span, attributes)


def usage_attributes(usage: Usage) -> JsonObject:
    """Tokens as attributes of a span. Those that are counted here, since the provider did not, are among them."""
    return {
        tracing.INPUT_TOKENS: usage.input_tokens,
        tracing.OUTPUT_TOKENS: usage.output_tokens,
        tracing.CACHE_READ_TOKENS: usage.cached_input_tokens,
        tracing.CACHE_WRITE_TOKENS: usage.cache_write_tokens,
        tracing.REASONING_TOKENS: usage.reasoning_tokens,
    }


def content(value: Any) -> str | None:
    """Arguments or a result of a tool, as far as spans have what was said: masked, and cut where it is long."""
    return _text(value) if tracing.has_content() else None


def _messages(messages: Iterable[ModelMessage]) -> str:
    return _text([_message(message) for message in messages])


def _message(message: ModelMessage) -> JsonObject:
    return {"role": message.role, "parts": [_part(part) for part in message.parts]}


def _part(part: Part) -> JsonObject:
    if isinstance(part, TextPart):
        return {"type": "text", "content": part.text}
    if isinstance(part, ReasoningPart):
        return {"type": "reasoning", "content": part.text}
    if isinstance(part, ToolCallPart):
        return {"type": "tool_call", "id": part.tool_call_id, "name": part.name, "arguments": part.arguments}
    if isinstance(part, FilePart):
        # Neither its bytes nor its text: they may be megabytes.
        return {"type": "file", "file_id": part.file_id, "mime_type": part.media_type}
    return {"type": "tool_call_response", "id": part.tool_call_id, "result": part.result}


def _text(value: Any) -> str:
    try:
        text = json.dumps(value)
    except TypeError:
        return "(not JSON)"
    # A key may lie across the place where it is cut.
    return mask_keys(text[: 2 * tracing.MOST_CONTENT])[: tracing.MOST_CONTENT]
