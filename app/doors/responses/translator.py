"""A part of a run as the frames of a response: our events in, server-sent events out.

    response.created, response.queued?, response.in_progress,
    (response.output_item.added, …, response.output_item.done)*,
    response.completed | response.incomplete | response.failed, [DONE]

Frames and their numbers follow from the rows of the log alone: a text is always cut into the same deltas, of
`DELTA_LENGTH` code points, however it came. So a response is streamed, resumed and replayed with the same frames under
the same numbers, without gaps. The price: up to three code points wait for those that follow them.

Only void text has frames that no replay has. Its reader gets an `error` frame, and the stream ends. No stream can be
resumed after a number from `first_void` on: it may be a number of the void text or of what stands in its place.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from ai_agents.core import json
from ai_agents.core.types import JsonObject, TokenCounts
from app.doors.responses.ids import reasoning_item_id, text_item_id
from app.doors.responses.items import (
    TextKind,
    approval_item,
    call_output,
    function_item,
    mcp_item,
    reasoning_item,
    summary_part,
    text_item,
    text_part,
    texts_of,
)
from app.doors.responses.resource import ResponseHead, ResponseState, ResponseStatus, to_resource

# Fewer code points make more frames; with more, text waits longer.
DELTA_LENGTH = 4
DONE = "data: [DONE]\n\n"
_SUM = ("input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens")
_INCOMPLETE = {"max_tokens": "max_output_tokens", "context_exceeded": "max_output_tokens", "cut": "provider_truncated"}
_RESTARTED = "This answer broke off and was begun anew. Retrieve the response, or stream it again from its beginning."
_NO_NUMBER = "The response has no frame with the number after which it was asked for."
_DELETED = "The conversation of this response was deleted."


class ResponseFrames:
    """The frames of one response, from its first. `take` gives those that an event makes.

    Frames up to number `after` are counted and left out; with `silent` all are. `next_number` is the number of the next
    frame, `state` the response so far, and `ended` says that its last frame was made. `approved_calls` are calls that
    waited for a person before this response began. With `known`, the response has at least so many frames: an `after`
    beyond them may be a number of the text in progress, or one that does not exist. Then the stream ends.
    """

    def __init__(
        self,
        head: ResponseHead,
        *,
        after: int = -1,
        known: int | None = None,
        silent: bool = False,
        approved_calls: Collection[str] = (),
    ) -> None:
        self.state = ResponseState()
        self.next_number = 0
        self.ended = False
        self.first_void: int | None = None
        self.has_waited = False
        self._head = head
        self._after = after
        self._known = known
        self._silent = silent
        self._begun = False
        self._approved = frozenset(approved_calls)
        self._out: list[str] = []
        # The message in progress: its first number, how much of it came, how many texts and reasonings it has so far.
        self._message_id = ""
        self._message_number = 0
        self._fed = 0
        self._counts: dict[TextKind, int] = {"text": 0, "reasoning": 0}
        # The text or reasoning that is open: its item's id, its pieces, and the code points that no delta has yet.
        self._open: TextKind | None = None
        self._item_id = ""
        self._texts: list[str] = []
        self._rest = ""
        # The places in the output of calls that have begun.
        self._calls: dict[str, int] = {}
        self._used: dict[str, int | None] | None = None
        self._last_message_at: str | None = None

    def begin(self) -> list[str]:
        """The first frames of a part that begins after a run has waited; it has no event of its own."""
        self._begin("in_progress")
        return self._taken()

    def take(self, event_type: str, data: Mapping[str, Any]) -> list[str]:
        """The frames that follow from an event of the run; none after the last."""
        if not self.ended and (handle := _HANDLERS.get(event_type)) is not None:
            handle(self, data)
            if event_type not in _OF_TEXT:
                self._check_number()
        return self._taken()

    def _check_number(self) -> None:
        """Stop where what was in progress when the stream was asked for is over, and has no frame `after`."""
        if self._known is not None and self._known < self.next_number <= self._after and not self.ended:
            self._after = -1
            self._stop("invalid_request", _NO_NUMBER)

    # Its beginning and its end.

    def _on_queued(self, _data: Mapping[str, Any]) -> None:
        self._begin("queued")

    def _on_started(self, _data: Mapping[str, Any]) -> None:
        if not self._begun:
            self._begin("in_progress")
        else:
            self.state.status = "in_progress"
            self._emit_response("response.in_progress")

    def _begin(self, status: ResponseStatus) -> None:
        self._begun = True
        self.state.status = status
        self._emit_response("response.created")
        self._emit_response(f"response.{status}")

    def _on_waiting(self, data: Mapping[str, Any]) -> None:
        """The calls that wait for a person or for the client, and the end of this response."""
        for call in data.get("client_calls", ()):
            item = function_item(call, "in_progress", self._head.asked.get("namespaces", ()))
            index = self._add(item | {"arguments": ""})
            self._emit_arguments("response.function_call_arguments", item["id"], index, item["arguments"])
            self._done(index, item | {"status": "completed"})
        for call in data["approvals"]:
            item = approval_item(call)
            self._done(self._add(item), item)
        self.has_waited = True
        self.state.completed_at = self._last_message_at
        self._end("completed", self._usage_so_far())

    def _on_completed(self, data: Mapping[str, Any]) -> None:
        run = data["run"]
        reason = _INCOMPLETE.get(run["stop_reason"] or "")
        self.state.incomplete_reason = reason
        self._end_with("completed" if reason is None else "incomplete", run)

    def _on_cancelled(self, data: Mapping[str, Any]) -> None:
        self._drop_message()
        self._end_with("cancelled", data["run"])

    def _on_failed(self, data: Mapping[str, Any]) -> None:
        self._drop_message()
        problem = data["problem"]
        self.state.error = {"code": problem["code"], "message": problem["detail"]}
        self._end_with("failed", data["run"])

    def _end_with(self, status: ResponseStatus, run: Mapping[str, Any]) -> None:
        self.state.completed_at = run["finished_at"] if status == "completed" else None
        # Of a run that has never waited this is the whole usage: attempts that were void, too.
        is_whole = not self._head.id.count("_", len("resp_"))
        self._end(status, run["usage"] if is_whole else self._usage_so_far())

    def _end(self, status: ResponseStatus, usage: TokenCounts | None) -> None:
        self.state.status = status
        self.state.usage = usage
        # The protocol has no frame of its own for a response that was cancelled.
        self._emit_response(f"response.{'incomplete' if status == 'cancelled' else status}")
        self._finish()

    def _finish(self) -> None:
        self.ended = True
        if not self._silent:
            self._out.append(DONE)

    def _on_retrying(self, _data: Mapping[str, Any]) -> None:
        """What came of the message is void. Readers that saw it are told so; others never see it."""
        if self.first_void is None:
            self.first_void = self._message_number if self._fed else self.next_number
        if self._fed:
            self._stop("answer_restarted", _RESTARTED)

    def _on_deleted(self, _data: Mapping[str, Any]) -> None:
        self._stop("not_found", _DELETED)

    def _stop(self, code: str, message: str) -> None:
        error = {"type": "server_error", "code": code, "message": message, "param": None}
        self._emit("error", f'"error":{json.dumps(error)}')
        self._finish()

    # Messages.

    def _on_text(self, data: Mapping[str, Any]) -> None:
        self._feed(data["message_id"], "text", data["text"])

    def _on_reasoning(self, data: Mapping[str, Any]) -> None:
        self._feed(data["message_id"], "reasoning", data["text"])

    def _on_message(self, data: Mapping[str, Any]) -> None:
        """The rest of a message: all of it where no deltas of it came."""
        message = data["message"]
        if message["role"] != "assistant":
            return
        skip = self._fed
        for kind, text in texts_of(message["parts"]):
            if skip < len(text):
                self._feed(message["id"], kind, text[skip:])
            skip = max(0, skip - len(text))
        self._close("completed" if message["status"] == "completed" else "incomplete")
        self._fed = 0
        self._last_message_at = message["created_at"]
        self._add_usage(message["usage"])

    def _feed(self, message_id: str, kind: TextKind, text: str) -> None:
        if not self._fed:
            self._message_id, self._message_number = message_id, self.next_number
            self._counts = {"text": 0, "reasoning": 0}
        self._fed += len(text)
        if self._open != kind:
            self._close("completed")
            self._open_item(kind)
        self._texts.append(text)
        pending = self._rest + text
        whole = len(pending) - len(pending) % DELTA_LENGTH
        self._rest = pending[whole:]
        self._emit_deltas(pending[:whole])

    def _open_item(self, kind: TextKind) -> None:
        nth = self._counts[kind]
        self._counts[kind] = nth + 1
        self._open, self._texts, self._rest = kind, [], ""
        if kind == "text":
            self._item_id = text_item_id(self._message_id, nth)
            index = self._add(text_item(self._item_id, "in_progress", []))
            self._emit("response.content_part.added", f'{self._place(index)},"part":{json.dumps(text_part(""))}')
        else:
            self._item_id = reasoning_item_id(self._message_id, nth)
            index = self._add(reasoning_item(self._item_id, []))
            part = json.dumps(summary_part(""))
            self._emit("response.reasoning_summary_part.added", f'{self._place(index)},"part":{part}')

    def _emit_deltas(self, text: str) -> None:
        """One frame for each piece of the text; only the last may be shorter than the others."""
        count = -(-len(text) // DELTA_LENGTH)
        if self._silent or self.next_number + count <= self._after + 1:
            self.next_number += count
            return
        is_text = self._open == "text"
        name = "response.output_text.delta" if is_text else "response.reasoning_summary_text.delta"
        place = self._place(len(self.state.output) - 1) + (',"logprobs":[]' if is_text else "")
        before = f'event: {name}\ndata: {{"type":"{name}",{place},"sequence_number":'
        out, number, after, dumps = self._out, self.next_number, self._after, json.dumps
        for at in range(0, len(text), DELTA_LENGTH):
            if number > after:
                out.append(f'{before}{number},"delta":{dumps(text[at : at + DELTA_LENGTH])}}}\n\n')
            number += 1
        self.next_number = number

    def _close(self, status: ResponseStatus) -> None:
        """End the text or reasoning that is open."""
        if self._open is None:
            return
        self._emit_deltas(self._rest)
        index = len(self.state.output) - 1
        place, text = self._place(index), "".join(self._texts)
        if self._open == "text":
            part = text_part(text)
            self._emit("response.output_text.done", f'{place},"text":{json.dumps(text)},"logprobs":[]')
            self._emit("response.content_part.done", f'{place},"part":{json.dumps(part)}')
            self._done(index, text_item(self._item_id, status, [part]))
        else:
            part = summary_part(text)
            self._emit("response.reasoning_summary_text.done", f'{place},"text":{json.dumps(text)}')
            self._emit("response.reasoning_summary_part.done", f'{place},"part":{json.dumps(part)}')
            self._done(index, reasoning_item(self._item_id, [part]))
        self._open, self._texts, self._rest = None, [], ""

    def _drop_message(self) -> None:
        """End a message that is not kept: its items are not in the response."""
        if not self._fed:
            return
        kept = len(self.state.output) - self._counts["text"] - self._counts["reasoning"]
        self._close("incomplete")
        self.first_void = self._message_number if self.first_void is None else self.first_void
        del self.state.output[kept:]
        self._fed = 0

    def _place(self, index: int) -> str:
        part = "content_index" if self._open == "text" else "summary_index"
        return f'"item_id":"{self._item_id}","output_index":{index},"{part}":0'

    # Tool calls that are made here.

    def _on_call(self, data: Mapping[str, Any]) -> None:
        item = mcp_item(data, is_approved=data["tool_call_id"] in self._approved)
        index = self._calls[data["tool_call_id"]] = self._add(item | {"arguments": ""})
        self._emit("response.mcp_call.in_progress", f'"item_id":"{item["id"]}","output_index":{index}')
        self._emit_arguments("response.mcp_call_arguments", item["id"], index, item["arguments"])
        self.state.output[index] = item

    def _on_result(self, data: Mapping[str, Any]) -> None:
        index = self._calls.pop(data["tool_call_id"], None)
        if index is None:
            # The client's own answer, or a call that a person has refused: it was never made here.
            return
        item = self.state.output[index] | call_output(data)
        self._emit(f"response.mcp_call.{item['status']}", f'"item_id":"{item["id"]}","output_index":{index}')
        self._done(index, item)

    def _emit_arguments(self, name: str, item_id: str, index: int, arguments: str) -> None:
        place, text = f'"item_id":"{item_id}","output_index":{index}', json.dumps(arguments)
        self._emit(f"{name}.delta", f'{place},"delta":{text}')
        self._emit(f"{name}.done", f'{place},"arguments":{text}')

    # Items, usage and frames.

    def _add(self, item: JsonObject) -> int:
        """Add an item to the output. Returns its place."""
        index = len(self.state.output)
        self.state.output.append(item)
        self._emit("response.output_item.added", f'"output_index":{index},"item":{json.dumps(item)}')
        return index

    def _done(self, index: int, item: JsonObject) -> None:
        self.state.output[index] = item
        self._emit("response.output_item.done", f'"output_index":{index},"item":{json.dumps(item)}')

    def _add_usage(self, counts: TokenCounts | None) -> None:
        if counts is not None:
            before = self._used or dict.fromkeys(_SUM)
            self._used = {name: _plus(before[name], counts[name]) for name in _SUM}  # type: ignore[literal-required]

    def _usage_so_far(self) -> TokenCounts | None:
        """What the messages of this response have used."""
        return self._used  # type: ignore[return-value]  # it has just these names

    def _emit_response(self, name: str) -> None:
        if not self._is_left_out():
            self._emit(name, f'"response":{json.dumps(to_resource(self._head, self.state))}')
        else:
            self.next_number += 1

    def _emit(self, name: str, rest: str) -> None:
        """One frame; `rest` are the members of its JSON after the common ones."""
        if not self._is_left_out():
            data = f'{{"type":"{name}","sequence_number":{self.next_number},{rest}}}'
            self._out.append(f"event: {name}\ndata: {data}\n\n")
        self.next_number += 1

    def _is_left_out(self) -> bool:
        return self._silent or self.next_number <= self._after

    def _taken(self) -> list[str]:
        taken, self._out = self._out, []
        return taken


def _plus(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else a + b


_OF_TEXT = frozenset({"message.delta", "reasoning.delta"})
_HANDLERS: Mapping[str, Callable[[ResponseFrames, Mapping[str, Any]], None]] = {
    "run.queued": ResponseFrames._on_queued,
    "run.started": ResponseFrames._on_started,
    "message.delta": ResponseFrames._on_text,
    "reasoning.delta": ResponseFrames._on_reasoning,
    "message.completed": ResponseFrames._on_message,
    "tool.started": ResponseFrames._on_call,
    "tool.completed": ResponseFrames._on_result,
    "run.waiting": ResponseFrames._on_waiting,
    "run.retrying": ResponseFrames._on_retrying,
    "run.completed": ResponseFrames._on_completed,
    "run.cancelled": ResponseFrames._on_cancelled,
    "run.failed": ResponseFrames._on_failed,
    "thread.deleted": ResponseFrames._on_deleted,
}
# The events that frames are made of.
HANDLED = frozenset(_HANDLERS)
