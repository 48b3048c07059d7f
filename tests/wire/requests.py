"""Requests of the wire tests, and a way to watch a stream that fails."""

import asyncio
from typing import Any

import pytest

from ai_agents.core.exceptions import ProviderError
from ai_agents.core.types import (
    ModelEvent,
    ModelMessage,
    ModelRequest,
    ModelSettings,
    PartDelta,
    TextPart,
    ToolDefinition,
)
from ai_agents.providers.anthropic_messages import AnthropicMessages
from ai_agents.providers.base import Provider
from ai_agents.providers.gemini_generate import GeminiGenerate
from ai_agents.providers.ollama_chat import OllamaChat
from ai_agents.providers.openai_chat import OpenAIChat
from ai_agents.providers.openai_responses import OpenAIResponses
from ai_agents.providers.quirks import Endpoint, Quirks
from ai_agents.providers.response_parser import ResponseParser
from ai_agents.providers.wire_format import WireFormat
from tests.fakes.rules import Server, check

# The wire formats. OpenAI has two of them.
WIRES = ("anthropic", "openai", "responses", "ollama", "gemini")
MODELS = {
    "anthropic": "claude-sonnet-5",
    "openai": "gpt-4o",
    "responses": "gpt-5.6-terra",
    "ollama": "llama3.1",
    "gemini": "gemini-3-flash-preview",
}
FORMATS: dict[str, WireFormat] = {
    "anthropic": AnthropicMessages(),
    "openai": OpenAIChat(),
    "responses": OpenAIResponses(),
    "ollama": OllamaChat(),
    "gemini": GeminiGenerate(),
}
CALCULATOR = ToolDefinition(
    "calculator",
    "Works out an expression.",
    {"type": "object", "properties": {"expression": {"type": "string"}}, "required": ["expression"]},
)


def provider_of(wire: str) -> str:
    """The provider of a wire format."""
    return "openai" if wire == "responses" else wire


def sent(wire: str, request: ModelRequest, **quirks: Any) -> dict[str, Any]:
    """The body of this request on a wire format, to a server with these quirks."""
    return FORMATS[wire].to_wire(request, Endpoint(provider_of(wire), Quirks(**quirks)))


def check_sent(wire: str, request: ModelRequest, *, server: Server | None = None) -> dict[str, Any]:
    """The body of this request. Raises `BrokenRule` where the provider or this server would refuse it."""
    payload = sent(wire, request)
    check(wire, payload, FORMATS[wire].headers_to_wire(payload), server=server, model=request.model)
    return payload


def parser_of(wire: str, request: ModelRequest) -> ResponseParser:
    """The parser of the response to this request."""
    return FORMATS[wire].parser(request, Endpoint(provider_of(wire)))


def user(text: str = "Hello!") -> ModelMessage:
    """A user's message."""
    return ModelMessage("user", (TextPart(text),))


def assistant(text: str) -> ModelMessage:
    """An assistant's message."""
    return ModelMessage("assistant", (TextPart(text),))


def ask(wire: str, *messages: ModelMessage, **facts: Any) -> ModelRequest:
    """A request to the usual model of this wire format; `settings` is a dict of its fields."""
    settings = {"api": "responses"} if wire == "responses" else {}
    return ModelRequest(
        model=facts.pop("model", MODELS[wire]),
        messages=messages or (user(),),
        settings=ModelSettings(**settings | facts.pop("settings", {})),
        **facts,
    )


async def events_until_error(
    provider: Provider, request: ModelRequest, *, at_delta: asyncio.Event | None = None
) -> tuple[list[ModelEvent], ProviderError]:
    """The events of a stream before it fails, and its error. `at_delta` is set at the first delta."""
    events: list[ModelEvent] = []
    try:
        async for event in provider.stream(request):
            events.append(event)
            if at_delta is not None and isinstance(event, PartDelta):
                at_delta.set()
    except ProviderError as error:
        return events, error
    pytest.fail(f"the stream did not fail: {events}")
