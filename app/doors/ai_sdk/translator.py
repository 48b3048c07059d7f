"""A run as chunks of the AI SDK's UI message stream: our events in, their frames out. Pure.

    start, (start-step, (reasoning-* | text-* | tool-*)*, finish-step)*,
    finish | abort | error, [DONE]

All that a run says is one message there, whose id is the run's; each request to the model is a step of it. A stream
that is read again has the whole run from its start. Tools of the agent run here, so the page must not: they are
`dynamic` and `providerExecuted`. A chunk of a kind that a client does not know ends its stream, so that those of
version 7 are for clients that ask for them.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import orjson

from ai_agents.core.types import JsonObject
from ai_agents.streams.cursor import Frame

_REASONS = {
    "max_tokens": "length",
    "context_exceeded": "length",
    "refusal": "content-filter",
    "cut": "other",
    "tool_use": "tool-calls",
}
_DONE = b"data: [DONE]\n\n"
_VOID = "The answer broke off and was begun anew. Load the page again to see it."
_CUT = "The stream ended before the answer did, which goes on. Load the page again to see it."
_DELETED = "The conversation was deleted."
HEADERS = {"x-vercel-ai-ui-message-stream": "v1"}


class ChatChunks:
    """The chunks of a run: a `Translator`.

    `resets`: the client knows `reset-step` (version 7). `asked` are calls on which a person has decided just before:
    the client knows them already. The first `past_waits` times that the run waits are over.
    """

    def __init__(self, run_id: str, *, resets: bool, asked: Collection[str] = (), past_waits: int = 0) -> None:
        self.ended = False
        self._run_id = run_id
        self._resets = resets
        self._past_waits = past_waits
        # Calls that wait, or have waited, for a person, as far as they were not started.
        self._asked = set(asked)
        self._shown = set(asked)
        self._in_step = False
        # The message in progress: its id, whether it has a text, how many reasonings, and whether one of them is open.
        self._message_id = ""
        self._has_text = False
        self._thoughts = 0
        self._thinks = False

    def begin(self) -> bytes:
        """The start of the message."""
        return _chunk("start", messageId=self._run_id)

    def take(self, frame: Frame) -> bytes:
        """The chunks for an event of the run."""
        handle = _HANDLERS.get(frame.type)
        return b"" if handle is None or self.ended else handle(self, orjson.loads(frame.data))

    def end(self) -> bytes:
        """Where the run has not ended, an error that says so."""
        return b"" if self.ended else self._stop(_chunk("error", errorText=_CUT))

    # Text.

    def _on_text(self, data: Mapping[str, Any]) -> bytes:
        found = self._turn_to(data["message_id"]) + self._end_thought()
        if not self._has_text:
            self._has_text = True
            found += _chunk("text-start", id=self._message_id)
        return found + _chunk("text-delta", id=self._message_id, delta=data["text"])

    def _on_reasoning(self, data: Mapping[str, Any]) -> bytes:
        found = self._turn_to(data["message_id"])
        if not self._thinks:
            self._thinks = True
            self._thoughts += 1
            found += _chunk("reasoning-start", id=self._thought_id)
        return found + _chunk("reasoning-delta", id=self._thought_id, delta=data["text"])

    @property
    def _thought_id(self) -> str:
        return f"{self._message_id}-{self._thoughts}"

    def _end_thought(self) -> bytes:
        if not self._thinks:
            return b""
        self._thinks = False
        return _chunk("reasoning-end", id=self._thought_id)

    def _turn_to(self, message_id: str) -> bytes:
        """Begin a step, where it is another message."""
        if message_id == self._message_id:
            return b""
        found = self._close() + self._end_step()
        self._message_id, self._in_step = message_id, True
        return found + _chunk("start-step")

    def _close(self) -> bytes:
        """End what is open of the message in progress."""
        found = self._end_thought()
        if self._has_text:
            found += _chunk("text-end", id=self._message_id)
        self._message_id, self._has_text, self._thoughts = "", False, 0
        return found

    def _end_step(self) -> bytes:
        if not self._in_step:
            return b""
        self._in_step = False
        return _chunk("finish-step")

    # Whole messages, calls and results.

    def _on_message(self, data: Mapping[str, Any]) -> bytes:
        message = data["message"]
        if message["role"] != "assistant":
            return b""
        found = self._turn_to(message["id"])
        # What has not come in pieces, as in the stream of a run that is over.
        if not self._has_text and not self._thoughts:
            for part in message["parts"]:
                if part["type"] in ("text", "reasoning"):
                    take = self._on_text if part["type"] == "text" else self._on_reasoning
                    found += take({"message_id": message["id"], "text": part["text"]})
        return found + self._close()

    def _on_tool_started(self, data: Mapping[str, Any]) -> bytes:
        self._asked.discard(data["tool_call_id"])
        return self._show_call(data, here=True)

    def _show_call(self, call: Mapping[str, Any], *, here: bool) -> bytes:
        """The call and its input, once. `here`: it is made by this service."""
        if call["tool_call_id"] in self._shown:
            return b""
        self._shown.add(call["tool_call_id"])
        names: JsonObject = {"toolCallId": call["tool_call_id"], "toolName": call["name"], "dynamic": True}
        if here:
            names["providerExecuted"] = True
        return _chunk("tool-input-start", **names) + _chunk("tool-input-available", **names, input=call["arguments"])

    def _on_result(self, data: Mapping[str, Any]) -> bytes:
        name = data["tool_call_id"]
        if name not in self._shown:
            # The client has it: it has given it.
            return b""
        if name in self._asked:
            self._asked.discard(name)
            return _chunk("tool-output-denied", toolCallId=name)
        more: JsonObject = {"toolCallId": name, "dynamic": True, "providerExecuted": True}
        if data["is_error"]:
            result = data["result"]
            text = result if isinstance(result, str) else orjson.dumps(result).decode()
            return _chunk("tool-output-error", **more, errorText=text)
        return _chunk("tool-output-available", **more, output=data["result"])

    def _on_retrying(self, data: Mapping[str, Any]) -> bytes:
        """The text in progress is void."""
        if self._message_id not in data["discard"]:
            return b""
        if not self._resets:
            return self._stop(_chunk("error", errorText=_VOID))
        self._message_id, self._has_text, self._thoughts, self._thinks = "", False, 0, False
        # The step goes on, empty.
        return _chunk("reset-step") + self._end_step()

    # The end.

    def _on_waiting(self, data: Mapping[str, Any]) -> bytes:
        found = self._close()
        for call in data.get("client_calls") or ():
            found += self._show_call(call, here=False)
        approvals = data.get("approvals") or ()
        for call in approvals:
            found += self._show_call(call, here=True)
            found += _chunk("tool-approval-request", approvalId=call["tool_call_id"], toolCallId=call["tool_call_id"])
        self._asked.update(call["tool_call_id"] for call in approvals)
        if self._past_waits:
            self._past_waits -= 1
            return found
        return found + self._stop(_chunk("finish", finishReason="tool-calls"))

    def _on_completed(self, data: Mapping[str, Any]) -> bytes:
        run = data["run"]
        reason = _REASONS.get(str(run.get("stop_reason")), "stop")
        metadata = {"threadId": data["thread_id"], "runId": run["id"], "usage": run.get("usage")}
        return self._stop(_chunk("finish", finishReason=reason, messageMetadata=metadata))

    def _on_cancelled(self, _data: Mapping[str, Any]) -> bytes:
        return self._stop(_chunk("abort"))

    def _on_failed(self, data: Mapping[str, Any]) -> bytes:
        return self._stop(_chunk("error", errorText=data["problem"]["detail"]))

    def _on_deleted(self, _data: Mapping[str, Any]) -> bytes:
        return self._stop(_chunk("error", errorText=_DELETED))

    def _stop(self, last: bytes) -> bytes:
        self.ended = True
        return self._close() + self._end_step() + last + _DONE


_HANDLERS: Mapping[str, Callable[[ChatChunks, Mapping[str, Any]], bytes]] = {
    "message.delta": ChatChunks._on_text,
    "reasoning.delta": ChatChunks._on_reasoning,
    "message.completed": ChatChunks._on_message,
    "tool.started": ChatChunks._on_tool_started,
    "tool.completed": ChatChunks._on_result,
    "run.retrying": ChatChunks._on_retrying,
    "run.waiting": ChatChunks._on_waiting,
    "run.completed": ChatChunks._on_completed,
    "run.cancelled": ChatChunks._on_cancelled,
    "run.failed": ChatChunks._on_failed,
    "thread.deleted": ChatChunks._on_deleted,
}


def _chunk(kind: str, **members: Any) -> bytes:
    return b"data: " + orjson.dumps({"type": kind, **members}) + b"\n\n"
