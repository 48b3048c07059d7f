"""The events of a thread. Their order within one run:

    run.queued?
    run.started
    (message.started (reasoning.delta | message.delta)* message.completed (tool.started* tool.completed*)?)*
    run.completed | run.failed | run.cancelled

`run.retrying` and `run.waiting` may come between; `thread.*` may come at any time. `thread.activity` is a hint to those
who follow all their threads, and in no thread's stream. `str(event)` is the text of a `message.delta` and empty for
other events, so that printing a stream prints the answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from ai_agents.core.rows import Message
from ai_agents.core.types import JsonObject

# Events that are rows of a thread's log.
LastingEventType = Literal[
    "run.queued",
    "run.started",
    "message.completed",
    "tool.started",
    "tool.completed",
    "run.waiting",
    "run.retrying",
    "guardrail.triggered",
    "context.compacted",
    "run.completed",
    "run.cancelled",
    "run.failed",
    "thread.updated",
    "thread.deleted",
]
EventType = Literal[LastingEventType, "message.started", "message.delta", "reasoning.delta"]
# What those are told who follow all their threads.
HintType = Literal["thread.activity", "thread.deleted"]
TERMINAL_EVENTS: frozenset[str] = frozenset({"run.completed", "run.cancelled", "run.failed"})


@dataclass(frozen=True, slots=True)
class Event:
    """One event. `id` is opaque and resumes a stream; it is empty for hints, which resume none.

    `data` is what an SSE client gets as JSON.
    """

    type: EventType | HintType
    id: str
    data: Mapping[str, Any]

    def __str__(self) -> str:
        return str(self.data["text"]) if self.type == "message.delta" else ""

    @property
    def thread_id(self) -> str:
        """The event's thread."""
        return str(self.data["thread_id"])

    @property
    def run_id(self) -> str | None:
        """The event's run; None for an event of the thread itself."""
        value = self.data.get("run_id")
        return None if value is None else str(value)

    @property
    def message(self) -> Message | None:
        """The message of a `message.completed`, or the user's message of a `run.started`."""
        found = self.data.get("message") or self.data.get("user_message")
        return cast("Message", dict(found)) if found else None


def event_data(
    event_type: EventType | HintType, thread_id: str, run_id: str | None, facts: Mapping[str, Any]
) -> JsonObject:
    """The JSON of an event: the common keys first, then its own."""
    common: JsonObject = {"type": event_type, "thread_id": thread_id}
    if run_id is not None:
        common["run_id"] = run_id
    return common | dict(facts)
