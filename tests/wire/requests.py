"""Requests that the wire tests send, and how their streams are watched."""

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
from ai_agents.providers.base import Provider

PROVIDERS = ("anthropic", "openai", "ollama")
MODELS = {"anthropic": "claude-sonnet-5", "openai": "gpt-4o", "ollama": "llama3.1"}
CALCULATOR = ToolDefinition(
    "calculator",
    "Works out an expression.",
    {"type": "object", "properties": {"expression": {"type": "string"}}, "required": ["expression"]},
)


def user(text: str = "Hello!") -> ModelMessage:
    """A user's message."""
    return ModelMessage("user", (TextPart(text),))


def assistant(text: str) -> ModelMessage:
    """An assistant's message."""
    return ModelMessage("assistant", (TextPart(text),))


def ask(provider: str, *messages: ModelMessage, **facts: Any) -> ModelRequest:
    """A request to this provider's usual model; `settings` may be given as their fields."""
    settings = facts.pop("settings", {})
    return ModelRequest(
        model=facts.pop("model", MODELS[provider]),
        messages=messages or (user(),),
        settings=ModelSettings(**settings) if isinstance(settings, dict) else settings,
        **facts,
    )


async def events_until_error(
    provider: Provider, request: ModelRequest, *, at_delta: asyncio.Event | None = None
) -> tuple[list[ModelEvent], ProviderError]:
    """What a stream tells before it fails, and how it fails; `at_delta` is set at its first delta."""
    events: list[ModelEvent] = []
    try:
        async for event in provider.stream(request):
            events.append(event)
            if at_delta is not None and isinstance(event, PartDelta):
                at_delta.set()
    except ProviderError as error:
        return events, error
    pytest.fail(f"the stream did not fail: {events}")
