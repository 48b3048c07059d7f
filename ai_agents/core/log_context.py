"""What the work of this task belongs to, for the lines that are logged on the way."""

from collections.abc import Mapping
from contextvars import ContextVar

_NOTHING: Mapping[str, str] = {}
_facts: ContextVar[Mapping[str, str]] = ContextVar("ai_agents_log_context", default=_NOTHING)


def log_with(**facts: str) -> None:
    """Add these facts to the lines that this task logs with `log_context`, in place of those of earlier work."""
    _facts.set(facts)


def log_context() -> Mapping[str, str]:
    """The facts of this task."""
    return _facts.get()
