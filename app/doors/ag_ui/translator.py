"""A run as the events of AG-UI 1.0: our events in, their frames out. Pure.

    RUN_STARTED, MESSAGES_SNAPSHOT?,
    (REASONING_* | TEXT_MESSAGE_* | TOOL_CALL_* | MESSAGES_SNAPSHOT)*,
    RUN_FINISHED | RUN_ERROR

A run of theirs ends where ours ends, or waits: the next one of theirs has the answers. Nothing in the protocol takes
text back but a snapshot of all messages, so the stream knows what the client has. Optional members are left out where
there is nothing to say: clients refuse null.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from ai_agents.core.types import JsonObject
from ai_agents.streams.cursor import Frame
from app.doors.ag_ui.history import message_to_ag_ui, reasoning_id, result_message, snapshots, to_call

PROTOCOL_VERSION = "1.0"
_APPROVAL = "tool_approval"
# What an approval's answer looks like.
ANSWER: JsonObject = {
    "type": "object",
    "properties": {"approved": {"type": "boolean"}, "reason": {"type": "string"}},
    "required": ["approved"],
}
_USAGE = {
    "inputTokens": "input_tokens",
    "outputTokens": "output_tokens",
    "reasoningTokens": "reasoning_tokens",
    "cachedInputTokens": "cached_input_tokens",
}
_DELETED = ("not_found", "The conversation was deleted.")
_CUT = ("run_interrupted", "The stream ended before the run did, which goes on. Send the same run again to follow it.")


@dataclass(frozen=True, slots=True)
class RunNames:
    """By what the client knows its conversation and its run, and by what we do."""

    thread_id: str
    run_id: str
    parent_run_id: str | None = None
    own: Mapping[str, str] = field(default_factory=dict)


class RunEvents:
    """The events of one run of the client's: a `Translator`.

    `messages` are those that the client has when the stream begins. It is told of them where it has only those with
    the `known` ids (None: it has them all).
    """

    def __init__(self, names: RunNames, messages: Sequence[JsonObject], *, known: Sequence[str] | None = None) -> None:
        self.ended = False
        self._names = names
        self._messages = list(messages)
        self._known = known
        # The message in progress: its id, what was sent of it, and what of it is open.
        self._message_id = ""
        self._texts: list[str] = []
        self._thoughts: list[str] = []
        self._has_text = False
        self._reasons = False

    def begin(self) -> bytes:
        """The start of the run, and where the client lacks some of it the history."""
        names = self._names
        started: JsonObject = {**self._ids(), "protocolVersion": PROTOCOL_VERSION, "metadata": dict(names.own)}
        if names.parent_run_id is not None:
            started["parentRunId"] = names.parent_run_id
        shown = [] if self._known is None else snapshots(self._known, self._messages)
        return _frame("RUN_STARTED", started) + b"".join(map(_snapshot, shown))

    def take(self, frame: Frame) -> bytes:
        """The frames for an event of the run."""
        handle = _HANDLERS.get(frame.type)
        return b"" if handle is None or self.ended else handle(self, orjson.loads(frame.data))

    def end(self) -> bytes:
        """Where the run has not ended, an error that says so."""
        return b"" if self.ended else self._fail(*_CUT)

    def finish(self) -> bytes:
        """The end of a stream that follows no run: there is nothing more to tell."""
        return self._finish({"type": "success"})

    # Text.

    def _on_text(self, data: Mapping[str, Any]) -> bytes:
        found = self._turn_to(data["message_id"]) + self._end_reasoning()
        if not self._has_text:
            self._has_text = True
            found += _frame("TEXT_MESSAGE_START", {"messageId": self._message_id, "role": "assistant"})
        self._texts.append(data["text"])
        return found + _frame("TEXT_MESSAGE_CONTENT", {"messageId": self._message_id, "delta": data["text"]})

    def _on_reasoning(self, data: Mapping[str, Any]) -> bytes:
        found = self._turn_to(data["message_id"])
        if not self._reasons:
            self._reasons = True
            self._thoughts.append("")
            name = self._reasoning_id()
            found += _frame("REASONING_START", name) + _frame("REASONING_MESSAGE_START", {**name, "role": "reasoning"})
        self._thoughts[-1] += data["text"]
        return found + _frame("REASONING_MESSAGE_CONTENT", {**self._reasoning_id(), "delta": data["text"]})

    def _reasoning_id(self) -> JsonObject:
        return {"messageId": reasoning_id(self._message_id, len(self._thoughts) - 1)}

    def _turn_to(self, message_id: str) -> bytes:
        """Begin another message where it is another one."""
        if message_id == self._message_id:
            return b""
        found = self._close()
        self._message_id = message_id
        return found

    def _end_reasoning(self) -> bytes:
        if not self._reasons:
            return b""
        self._reasons = False
        name = self._reasoning_id()
        return _frame("REASONING_MESSAGE_END", name) + _frame("REASONING_END", name)

    def _close(self) -> bytes:
        """End what is open of the message in progress."""
        found = self._end_reasoning()
        if self._has_text:
            found += _frame("TEXT_MESSAGE_END", {"messageId": self._message_id})
        self._message_id, self._texts, self._thoughts, self._has_text = "", [], [], False
        return found

    # Whole messages, calls and results.

    def _on_message(self, data: Mapping[str, Any]) -> bytes:
        message = data["message"]
        if message["role"] == "user":
            return self._on_user_message(message)
        if message["role"] != "assistant":
            return b""
        found = self._turn_to(message["id"])
        # What has not come in pieces, as in the stream of a run that is over.
        if not self._texts and not self._thoughts:
            for part in message["parts"]:
                if part["type"] in ("text", "reasoning"):
                    take = self._on_text if part["type"] == "text" else self._on_reasoning
                    found += take({"message_id": message["id"], "text": part["text"]})
        found += self._close()
        for part in message["parts"]:
            if part["type"] == "tool_call":
                found += _call_frames(part, message["id"])
        self._messages.extend(message_to_ag_ui(message))
        return found

    def _on_user_message(self, message: JsonObject) -> bytes:
        """A message that was added while the run was under way."""
        found = self._close()
        (shown,) = message_to_ag_ui(message)
        self._messages.append(shown)
        name = {"messageId": message["id"]}
        found += _frame("TEXT_MESSAGE_START", {**name, "role": "user"})
        found += _frame("TEXT_MESSAGE_CONTENT", {**name, "delta": shown["content"]})
        return found + _frame("TEXT_MESSAGE_END", name)

    def _on_result(self, data: Mapping[str, Any]) -> bytes:
        message = result_message(dict(data))
        self._messages.append(message)
        told = {
            "messageId": message["id"],
            "toolCallId": message["toolCallId"],
            "content": message["content"],
            "role": "tool",
        }
        return _frame("TOOL_CALL_RESULT", told)

    def _on_retrying(self, data: Mapping[str, Any]) -> bytes:
        """The text in progress is void: the client is shown what stands."""
        if self._message_id not in data["discard"]:
            return b""
        was_seen = bool(self._texts or self._thoughts)
        return self._close() + (_snapshot(self._messages) if was_seen else b"")

    # The end.

    def _on_waiting(self, data: Mapping[str, Any]) -> bytes:
        interrupts = [_interrupt(call) for call in data.get("approvals") or ()]
        if interrupts:
            return self._finish({"type": "interrupt", "interrupts": interrupts})
        pending = [call["tool_call_id"] for call in data.get("client_calls") or ()]
        return self._finish({"type": "success", "pendingToolCallIds": pending})

    def _on_completed(self, data: Mapping[str, Any]) -> bytes:
        return self._finish({"type": "success"}, data["run"])

    def _on_cancelled(self, data: Mapping[str, Any]) -> bytes:
        return self._finish({"type": "cancelled"}, data["run"])

    def _finish(self, outcome: JsonObject, run: JsonObject | None = None) -> bytes:
        self.ended = True
        found = self._close()
        return found + _frame("RUN_FINISHED", {**self._ids(), "outcome": outcome, **_usage(run)})

    def _on_failed(self, data: Mapping[str, Any]) -> bytes:
        problem = data["problem"]
        return self._fail(problem["code"], problem["detail"], data["run"])

    def _on_deleted(self, _data: Mapping[str, Any]) -> bytes:
        return self._fail(*_DELETED)

    def _fail(self, code: str, message: str, run: JsonObject | None = None) -> bytes:
        self.ended = True
        return self._close() + _frame("RUN_ERROR", {"message": message, "code": code, **_usage(run)})

    def _ids(self) -> JsonObject:
        return {"threadId": self._names.thread_id, "runId": self._names.run_id}


_HANDLERS = {
    "message.delta": RunEvents._on_text,
    "reasoning.delta": RunEvents._on_reasoning,
    "message.completed": RunEvents._on_message,
    "tool.completed": RunEvents._on_result,
    "run.retrying": RunEvents._on_retrying,
    "run.waiting": RunEvents._on_waiting,
    "run.completed": RunEvents._on_completed,
    "run.cancelled": RunEvents._on_cancelled,
    "run.failed": RunEvents._on_failed,
    "thread.deleted": RunEvents._on_deleted,
}


def _snapshot(messages: list[JsonObject]) -> bytes:
    return _frame("MESSAGES_SNAPSHOT", {"messages": messages})


def _call_frames(part: JsonObject, message_id: str) -> bytes:
    call = to_call(part)
    name = {"toolCallId": call["id"]}
    started = {**name, "toolCallName": call["function"]["name"], "parentMessageId": message_id}
    return (
        _frame("TOOL_CALL_START", started)
        + _frame("TOOL_CALL_ARGS", {**name, "delta": call["function"]["arguments"]})
        + _frame("TOOL_CALL_END", name)
    )


def _interrupt(call: JsonObject) -> JsonObject:
    """A call that waits for a person. Its id is the call's."""
    found = {
        "id": call["tool_call_id"],
        "reason": _APPROVAL,
        "message": f"{call['name']} waits for approval.",
        "toolCallId": call["tool_call_id"],
        "responseSchema": ANSWER,
    }
    expires_at = call.get("expires_at")
    return found if expires_at is None else {**found, "expiresAt": expires_at}


def _usage(run: JsonObject | None) -> JsonObject:
    """What the run has used, as far as it is known."""
    usage = (run or {}).get("usage") or {}
    told = {name: usage[own] for name, own in _USAGE.items() if usage.get(own) is not None}
    return {"usage": [told]} if told else {}


def _frame(kind: str, data: JsonObject) -> bytes:
    return b"data: " + orjson.dumps({"type": kind, **data}) + b"\n\n"
