"""Requests that the wire tests send."""

from typing import Any

from ai_agents.core.types import ModelMessage, ModelRequest, ModelSettings, TextPart, ToolDefinition

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
