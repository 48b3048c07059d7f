"""The providers that agents may name."""

from ai_agents.core.types import JsonObject
from app.container import Container


def list_providers(container: Container) -> JsonObject:
    """All providers, by name, and whether each can be used here."""
    default, _ = container.providers.default
    data = [
        {
            "name": status.name,
            "configured": status.configured,
            "default_model": status.default_model,
            "default": status.name == default,
        }
        for status in container.providers.configured()
    ]
    return {"data": data, "next": None}
