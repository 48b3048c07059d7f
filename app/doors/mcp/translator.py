"""Agents as tools, runs as progress and results, waiting calls as questions to a person. Nothing here asks or sends.

Source: https://modelcontextprotocol.io/specification, revisions 2025-11-25 and 2026-07-28 (read 2026-11-30).
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from uuid import UUID

from ai_agents.core import json
from ai_agents.core.ids import is_id
from ai_agents.core.rows import AgentSummary
from ai_agents.core.types import JsonObject, ToolCallPart

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9]+")
_LONGEST_SLUG = 24
# An id as 22 characters of base64.
_ID_LENGTH = 22
# Of a call's arguments, what a person is shown.
_MAX_ARGUMENTS = 2000
_ASKED = "approve"
INPUT_SCHEMA: JsonObject = {
    "type": "object",
    "properties": {
        "message": {"type": "string", "minLength": 1, "description": "What to say to the agent."},
        "thread_id": {
            "type": "string",
            "description": "The `thread_id` of an earlier result, to go on with that conversation. Without it a new "
            "one begins, of which the agent knows nothing but this message.",
        },
    },
    "required": ["message"],
    "additionalProperties": False,
}
# Of an error, too: some clients check whatever is structured.
OUTPUT_SCHEMA: JsonObject = {
    "type": "object",
    "properties": {
        "thread_id": {"type": "string"},
        "run_id": {"type": "string"},
        "text": {"type": "string", "description": "The agent's answer, or what went wrong."},
        "code": {"type": "string", "description": "Of an error: a stable word."},
    },
    "required": ["text"],
}
_QUESTION: JsonObject = {
    "type": "object",
    "properties": {
        _ASKED: {"type": "boolean", "title": "Approve", "description": "Whether the agent may make this call."}
    },
    "required": [_ASKED],
}


def tool_name(name: str, agent_id: str) -> str:
    """The name of an agent's tool: something readable, then the id, so that it is unique and stays the agent's."""
    slug = _NOT_IN_NAMES.sub("_", name).strip("_")[:_LONGEST_SLUG].strip("_") or "agent"
    return f"{slug}-{urlsafe_b64encode(UUID(agent_id).bytes).decode().rstrip('=')}"


def agent_of(tool: str) -> str | None:
    """The id of the agent that a tool is; None for what is no such name. What stands before the id may be outdated."""
    encoded = tool[-_ID_LENGTH:]
    if len(tool) <= _ID_LENGTH or tool[-_ID_LENGTH - 1] != "-" or not encoded.isascii():
        return None
    try:
        raw = urlsafe_b64decode(encoded + "==")
    except ValueError:
        return None
    found = str(UUID(bytes=raw)) if len(raw) == 16 else ""
    return found if is_id(found) and tool.endswith(tool_name("", found)[-_ID_LENGTH:]) else None


def to_tool(agent: AgentSummary) -> JsonObject:
    """An agent as `tools/list` tells of it."""
    told = agent["description"] or "An agent. It answers, and may use tools of its own."
    return {
        "name": tool_name(agent["name"], agent["id"]),
        "title": agent["name"],
        "description": f"{agent['name']}: {told}",
        "inputSchema": INPUT_SCHEMA,
        "outputSchema": OUTPUT_SCHEMA,
        "annotations": {"title": agent["name"], "openWorldHint": True},
    }


def result_of(text: str, **more: str | None) -> JsonObject:
    """The result of a call: the agent's text, with the thread and the run."""
    return _result(text, more, is_error=False)


def error_of(code: str, detail: str, **more: str | None) -> JsonObject:
    """The result of a call that failed, for the model that called, with the problem's code."""
    return _result(f"{code}: {detail}", {**more, "code": code}, is_error=True)


def _result(text: str, more: dict[str, str | None], *, is_error: bool) -> JsonObject:
    told = {name: value for name, value in more.items() if value is not None}
    return {
        "resultType": "complete",
        "content": [{"type": "text", "text": text}],
        "structuredContent": {**told, "text": text},
        "isError": is_error,
    }


@dataclass(frozen=True, slots=True)
class WaitingCall:
    """A call that waits for a person, by which it is found again wherever the answer arrives."""

    thread_id: str
    run_id: str
    tool_call_id: str

    def to_text(self) -> str:
        """The id of the question. To send it back still takes the right to decide."""
        return f"approval {self.thread_id} {self.run_id} {self.tool_call_id}"

    @classmethod
    def from_text(cls, text: object) -> "WaitingCall | None":
        """The call of a question's id; None for any other id."""
        parts = text.split(" ") if isinstance(text, str) else []
        if len(parts) != 4 or parts[0] != "approval" or not is_id(parts[1]) or not is_id(parts[2]):
            return None
        return cls(*parts[1:])


def question_of(agent: str, call: ToolCallPart) -> JsonObject:
    """The parameters of the elicitation that asks a person about a call: one boolean."""
    arguments = json.dumps(call.arguments)
    shown = arguments if len(arguments) <= _MAX_ARGUMENTS else f"{arguments[:_MAX_ARGUMENTS]}…"
    message = f"The agent {agent} wants to call {call.name} with {shown}. May it?"
    return {"mode": "form", "message": message, "requestedSchema": _QUESTION}


def is_approved(answer: object) -> bool:
    """What a person answered. Only a clear yes is one: whatever else comes back refuses the call."""
    content = answer.get("content") if isinstance(answer, dict) and answer.get("action") == "accept" else None
    return isinstance(content, dict) and content.get(_ASKED) is True


@dataclass(slots=True)
class RunFold:
    """What a run's events add up to. `shown` counts what was told as progress: it rises with each telling.

    `shows`: the client wants to be told.
    """

    text: str = ""
    shows: bool = True
    shown: int = 0
    ending: JsonObject | None = None
    waits: bool = False
    _told: list[str] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        """Whether the run has ended, or waits."""
        return self.ending is not None or self.waits

    def take(self, kind: str, data: str) -> None:
        """Take an event, with its data as JSON."""
        match kind:
            case "message.delta" if self.shows:
                self._told.append(json.loads(data)["text"])
            case "message.completed":
                message = json.loads(data)["message"]
                if message["role"] == "assistant":
                    self.text = message["content"]
            case "tool.started":
                self._told.append(f"[calls {json.loads(data)['name']}]")
            case "run.retrying":
                self._told.append("[tries again]")
            case "run.waiting":
                self.waits = True
            case "run.completed" | "run.failed" | "run.cancelled":
                self.ending = {"type": kind, **json.loads(data)}

    def take_told(self) -> str:
        """What is new since the last time, for a person to see; empty for nothing."""
        told, self._told = "".join(self._told), []
        self.shown += len(told)
        return told


def result_of_run(fold: RunFold, thread_id: str, run_id: str) -> JsonObject:
    """The result of a run that has ended."""
    ending, ids = fold.ending or {}, {"thread_id": thread_id, "run_id": run_id}
    if ending.get("type") == "run.completed":
        return result_of(fold.text, **ids)
    if ending.get("type") == "run.cancelled":
        return error_of("run_cancelled", "The run was cancelled.", **ids)
    problem = ending.get("problem") or {}
    return error_of(problem.get("code", "internal"), problem.get("detail", "The run failed."), **ids)
