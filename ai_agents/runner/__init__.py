"""Running an agent in a thread, from a message's admission to the last event of its run."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ai_agents.runner.runner import AgentRunner
    from ai_agents.streams.sse import stream_as_sse

__all__ = ["AgentRunner", "stream_as_sse"]

_HOMES = {"AgentRunner": "ai_agents.runner.runner", "stream_as_sse": "ai_agents.streams.sse"}


def __getattr__(name: str) -> Any:
    """Import the public names when they are first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
