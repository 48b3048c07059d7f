"""Running an agent in a thread: access, history, model, tools, records, streams."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ai_agents.runner.connection import Connection, connect
    from ai_agents.runner.runner import AgentRunner
    from ai_agents.runner.sse import stream_as_sse

__all__ = ["AgentRunner", "Connection", "connect", "stream_as_sse"]

_HOMES = {
    "AgentRunner": "ai_agents.runner.runner",
    "Connection": "ai_agents.runner.connection",
    "connect": "ai_agents.runner.connection",
    "stream_as_sse": "ai_agents.runner.sse",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
