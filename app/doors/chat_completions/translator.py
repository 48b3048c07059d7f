"""A run as a chat completion, whole or in chunks. Pure: our events in, OpenAI's answers out.

Tools of the agent run here and are not shown. Text of several messages of one run is one text, as there is one message.
Nothing in the protocol takes text back: where an attempt whose text has left is void, the stream ends with an error.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from ai_agents.core.events import TERMINAL_EVENTS
from ai_agents.core.ids import seconds_of_id
from ai_agents.core.problems import problem_with
from ai_agents.core.types import JsonObject
from ai_agents.streams.cursor import Frame

_REASONS = {
    "max_tokens": "length",
    "context_exceeded": "length",
    "cut": "length",
    "cancelled": "length",
    "refusal": "content_filter",
}
_DONE = b"data: [DONE]\n\n"
# Between the texts of two messages.
_GAP = "\n\n"
_UNKNOWN = "The stream ended before the answer did. The run goes on."


@dataclass(slots=True)
class Progress:
    """What a run has said so far, and how it stands: what both forms of the answer are made of.

    `goes_on`: the run has had answers before this one, so that what it has used is not of this one alone.
    """

    goes_on: bool = False
    text: str = ""
    reasoning: str = ""
    # Of the message in progress, or the last one: its id, and how much of its text was taken.
    message_id: str = ""
    taken: int = 0
    calls: Sequence[JsonObject] = ()
    problem: JsonObject | None = None
    run: JsonObject | None = None
    has_text: bool = False
    is_void: bool = False
    used: JsonObject = field(default_factory=dict)
    _reasoned: set[str] = field(default_factory=set)

    @property
    def is_settled(self) -> bool:
        """Whether the answer is complete, as far as is known: the run has ended, or waits."""
        return self.is_void or self.run is not None or bool(self.calls) or self.problem is not None

    def take(self, kind: str, data: Mapping[str, Any]) -> tuple[str, str]:
        """Take an event; the text and the reasoning that it adds to the answer."""
        if kind != "run.waiting":
            self._go_on(kind, data)
        match kind:
            case "message.delta":
                return self._add_text(data["message_id"], data["text"]), ""
            case "reasoning.delta":
                self._reasoned.add(data["message_id"])
                self.reasoning += data["text"]
                return "", data["text"]
            case "message.completed" if data["message"]["role"] == "assistant":
                return self._complete(data["message"])
            case "run.waiting":
                self._wait(data)
            case "run.retrying":
                self.is_void = self.taken > 0 and self.message_id in data["discard"]
            case kind if kind in TERMINAL_EVENTS:
                self._end(data["run"], data.get("problem"))
        return "", ""

    def _add_text(self, message_id: str, text: str) -> str:
        if message_id != self.message_id:
            self.message_id, self.taken = message_id, 0
        begins = not self.taken
        self.taken += len(text)
        if begins and self.has_text:
            text = _GAP + text
        self.has_text = True
        self.text += text
        return text

    def _complete(self, message: Mapping[str, Any]) -> tuple[str, str]:
        """What of a whole message has not been taken in pieces: all of it, where there were none."""
        for name, value in (message.get("usage") or {}).items():
            if isinstance(value, int) and not isinstance(value, bool):
                self.used[name] = self.used.get(name, 0) + value
        reasoning = ""
        if message["id"] not in self._reasoned:
            reasoning = "".join(part["text"] for part in message["parts"] if part["type"] == "reasoning")
            self.reasoning += reasoning
        taken = self.taken if message["id"] == self.message_id else 0
        rest = message["content"][taken:]
        return self._add_text(message["id"], rest) if rest else "", reasoning

    def _wait(self, data: Mapping[str, Any]) -> None:
        self.wait_for(data.get("client_calls") or (), thread_id=data["thread_id"], run_id=data["run_id"])

    def wait_for(self, calls: Sequence[JsonObject], *, thread_id: str, run_id: str) -> None:
        """The run waits: for the client, which makes these calls, or, where there are none, for a person."""
        self.calls = calls
        if not calls:
            problem = problem_with("approval_required", "A tool call waits for the approval of a person.")
            self.problem = {**problem, "thread_id": thread_id, "run_id": run_id}

    def _go_on(self, kind: str, data: Mapping[str, Any]) -> None:
        """Something happens after a wait, if there was one."""
        self.problem = None
        if kind == "tool.completed" and self.calls:
            self.calls = [call for call in self.calls if call["tool_call_id"] != data["tool_call_id"]]
        elif self.calls and not kind.startswith("thread."):
            self.calls = ()

    def _end(self, run: JsonObject, problem: JsonObject | None) -> None:
        self.run, self.calls, self.problem = run, (), problem
        if run["status"] == "cancelled" and not self.has_text:
            self.problem = dict(problem_with("run_cancelled", "The run was cancelled before it said anything."))


def finish_reason(progress: Progress) -> str:
    """Why the answer ended."""
    if progress.calls:
        return "tool_calls"
    run = progress.run or {}
    if run.get("status") == "cancelled":
        return "length"
    return _REASONS.get(str(run.get("stop_reason")), "stop")


def usage_of(progress: Progress) -> JsonObject:
    """What the answer has used; 0 for what is not known."""
    used = progress.used if progress.run is None or progress.goes_on else progress.run.get("usage") or {}
    prompt, completion = used.get("input_tokens") or 0, used.get("output_tokens") or 0
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": used.get("cached_input_tokens") or 0},
        "completion_tokens_details": {"reasoning_tokens": used.get("reasoning_tokens") or 0},
    }


def tool_calls_of(progress: Progress) -> list[JsonObject]:
    """The calls that the client is asked to make."""
    return [
        {
            "id": call["tool_call_id"],
            "type": "function",
            "function": {"name": call["name"], "arguments": orjson.dumps(call["arguments"]).decode()},
        }
        for call in progress.calls
    ]


def whole_answer(progress: Progress, run_id: str, *, model: str) -> JsonObject:
    """The completion of a run that has ended or waits for the client."""
    calls = tool_calls_of(progress)
    message: JsonObject = {
        "role": "assistant",
        "content": progress.text if progress.has_text or not calls else None,
        "refusal": None,
    }
    if progress.reasoning:
        message["reasoning_content"] = progress.reasoning
    if calls:
        message["tool_calls"] = calls
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason(progress)}
    return {
        "id": completion_id(run_id),
        "object": "chat.completion",
        "created": seconds_of_id(run_id),
        "model": model,
        "choices": [choice],
        "usage": usage_of(progress),
    }


def completion_id(run_id: str) -> str:
    """The id of a run's completion."""
    return f"chatcmpl-{run_id}"


class ChatStream:
    """A run as chunks: a `Translator`. `error_object` makes a client's error of a problem."""

    def __init__(
        self,
        run_id: str,
        progress: Progress,
        *,
        model: str,
        include_usage: bool,
        error_object: Callable[[JsonObject], JsonObject],
    ) -> None:
        self.ended = False
        self._progress = progress
        self._include_usage = include_usage
        self._error_object = error_object
        head = {
            "id": completion_id(run_id),
            "object": "chat.completion.chunk",
            "created": seconds_of_id(run_id),
            "model": model,
        }
        self._head = b"data: " + orjson.dumps(head)[:-1]
        tail = b',"usage":null}\n\n' if include_usage else b"}\n\n"
        self._before = self._head + b',"choices":[{"index":0,"delta":'
        self._after = b',"logprobs":null,"finish_reason":null}]' + tail
        self._tail = tail

    def begin(self) -> bytes:
        """The chunk with the role."""
        return self._chunk({"role": "assistant", "content": ""})

    def take(self, frame: Frame) -> bytes:
        """The chunks for an event."""
        if self.ended:
            return b""
        text, reasoning = self._progress.take(frame.type, orjson.loads(frame.data))
        found = b""
        if reasoning:
            found = self._chunk({"reasoning_content": reasoning})
        if text:
            found += self._chunk({"content": text})
        if self._progress.is_void:
            problem = problem_with("provider_truncated", "The answer broke off after a part of it was sent.")
            return found + self._fail(dict(problem))
        return found

    def settle(self) -> bytes:
        """What follows from the events that came together: a wait may be over again in the same breath."""
        progress = self._progress
        if self.ended or not progress.is_settled:
            return b""
        if progress.problem is not None:
            return self._fail(progress.problem)
        self.ended = True
        found = b""
        for index, call in enumerate(tool_calls_of(progress)):
            function = {**call["function"], "arguments": ""}
            found += self._chunk({"tool_calls": [{"index": index, **call, "function": function}]})
            arguments = {"arguments": call["function"]["arguments"]}
            found += self._chunk({"tool_calls": [{"index": index, "function": arguments}]})
        reason = orjson.dumps(finish_reason(progress))
        found += self._before + b'{},"logprobs":null,"finish_reason":' + reason + b"}]" + self._tail
        if self._include_usage:
            usage = orjson.dumps(usage_of(progress))
            found += self._head + b',"choices":[],"usage":' + usage + b"}\n\n"
        return found + _DONE

    def end(self) -> bytes:
        """Where the answer is not complete, an error that says so: clients take silence for its end."""
        if self.ended:
            return b""
        return self._fail({**problem_with("run_interrupted", _UNKNOWN)})

    def _fail(self, problem: JsonObject) -> bytes:
        self.ended = True
        return b"data: " + orjson.dumps(self._error_object(problem)) + b"\n\n"

    def _chunk(self, delta: JsonObject) -> bytes:
        return self._before + orjson.dumps(delta) + self._after
