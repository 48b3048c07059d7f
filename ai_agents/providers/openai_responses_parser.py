"""The parser of the streams of OpenAI's Responses.

An answer is told up to four times: by deltas, by `…done` events, by `response.output_item.done` and by the output of
the terminal event. Servers leave out any of these. Text is written when it is first told and never twice: a later
telling adds what continues the earlier one. Calls are written when they are whole; tellings that contradict each other
are an error, so that no tool runs with arguments that the model did not give.

Source: https://developers.openai.com/api/reference/resources/responses/streaming-events, read 2026-11-22. What servers
leave out: https://github.com/ggml-org/llama.cpp, tools/server/server-task.cpp (no `output_index`),
https://www.openresponses.org (`response.reasoning.delta`), read 2026-11-30.
"""

from collections.abc import Mapping
from typing import Any

from ai_agents.core.exceptions import ProviderError, ProviderRejected
from ai_agents.core.types import JsonObject, ModelRequest, StopReason, ToolCallPart, Usage
from ai_agents.providers.assembly import raw_arguments
from ai_agents.providers.errors import error_from_wire, truncated
from ai_agents.providers.openai_calls import CALL_FIELDS
from ai_agents.providers.openai_items import Form, OutputItem, OutputItems, content_told, part_text, same_arguments
from ai_agents.providers.quirks import Endpoint
from ai_agents.providers.reading import as_count, as_object, as_objects, as_text, storable
from ai_agents.providers.response_parser import ResponseParser

_DELTAS: Mapping[str, Form] = {
    "response.output_text.delta": "text",
    "response.refusal.delta": "refusal",
    "response.reasoning_summary_text.delta": "summary",
    "response.reasoning_summary.delta": "summary",
    "response.reasoning_text.delta": "reasoning",
    "response.reasoning.delta": "reasoning",
}
_DONES: Mapping[str, Form] = {name.replace(".delta", ".done"): form for name, form in _DELTAS.items()}
_PARTS_DONE = frozenset({"response.content_part.done", "response.reasoning_summary_part.done"})
_STATES = frozenset({"response.created", "response.queued", "response.in_progress"})
_ENDS = frozenset(
    {"response.completed", "response.incomplete", "response.failed", "response.cancelled", "response.done"}
)
_FORM_OF_PART: Mapping[str, Form] = {
    "output_text": "text",
    "text": "text",
    "refusal": "refusal",
    "summary_text": "summary",
    "reasoning_text": "reasoning",
}
# The API refuses a smaller limit.
MIN_OUTPUT_TOKENS = 16
_UNFINISHED = frozenset({"", "in_progress", "queued"})
# Why a response is incomplete.
_STOP_REASONS: dict[str, StopReason] = {
    "max_output_tokens": "max_tokens",
    "max_tokens": "max_tokens",
    "length": "max_tokens",
    "content_filter": "refusal",
}
# LiteLLM puts the signature of a call into its id.
_SIGNED_ID = "__thought__"
# Codes with which a response fails since its content was filtered: another try is filtered too.
_FILTERED = frozenset({"content_filter", "content_policy_violation"})


class OpenAIResponsesParser(ResponseParser):
    """Parses the events of one response. Events and items of unknown kinds are left out."""

    def __init__(self, request: ModelRequest, endpoint: Endpoint) -> None:
        super().__init__(request, endpoint)
        self._items = OutputItems(self.provider)
        self._open_item: OutputItem | None = None
        self._refused = False
        self._usage: Usage | None = None

    def usage(self) -> Usage | None:
        return self._usage

    def read_whole(self, body: JsonObject) -> None:
        if as_text(body.get("type")).startswith("response."):
            self.read(body)
            return
        self._refuse_chat(body)
        response = as_object(body.get("response")) or body
        self._end(response, as_text(response.get("status")))

    def read(self, event: JsonObject) -> None:
        kind = as_text(event.get("type"))
        if kind in _DELTAS:
            form = _DELTAS[kind]
            item = self._item_of(event, form)
            if not item.done:
                self._write(item, form, _index(event), as_text(event.get("delta")))
        elif kind in _DONES:
            form = _DONES[kind]
            self._end_text(event, form, as_text(event.get("refusal" if form == "refusal" else "text")))
        elif kind in _PARTS_DONE:
            part = as_object(event.get("part"))
            if (form_told := _FORM_OF_PART.get(as_text(part.get("type")))) is not None:
                self._end_text(event, form_told, part_text(part))
        elif kind in _ENDS:
            self._end(as_object(event.get("response")), kind.removeprefix("response."))
        elif kind == "error" or event.get("error"):
            raise self._failure(event.get("error") or event)
        else:
            self._read_item(kind, event)

    def _read_item(self, kind: str, event: JsonObject) -> None:
        if kind == "response.function_call_arguments.delta":
            self._call_of(event).pieces.append(as_text(event.get("delta")))
        elif kind == "response.function_call_arguments.done":
            raw = raw_arguments(event.get("arguments"))
            if not self._items.is_ended_call(event, raw):
                self._call_of(event).said = raw
        elif kind == "response.output_item.added":
            self._items.begin(event)
        elif kind == "response.output_item.done":
            told = as_object(event.get("item"))
            self._end_item(self._items.ended_by(event, told), told)
        elif kind in _STATES:
            self._read_model(as_object(event.get("response")))
        else:
            self._refuse_chat(event)

    def _item_of(self, event: JsonObject, form: Form, whole: str | None = None) -> OutputItem:
        return self._items.of(event, "message" if form in {"text", "refusal"} else "reasoning", whole=whole)

    def _call_of(self, event: JsonObject) -> OutputItem:
        call = self._items.of(event, "function_call")
        call.name = call.name or as_text(event.get("name"))
        return call

    def _write(self, item: OutputItem, form: Form, index: int, text: str) -> None:
        """Write a piece of an item's text. Of two forms of the same reasoning only the first one is written."""
        kind = "text"
        if form == "refusal":
            self._refused = True
        elif form in {"summary", "reasoning"}:
            kind = "reasoning"
            if item.reasoning_form not in {None, form}:
                return
        if not text:
            return
        if self._open_item is not item:
            self.writer.close()
            self._open_item = item
        if kind == "text":
            self.writer.write("text", text)
        else:
            item.reasoning_form = form
            if self.writer.kind != "reasoning":
                # Reasoning in plain text goes back as it came, which needs the id of its item.
                self.writer.open("reasoning", origin=self.origin(raw=item.id) if form == "reasoning" else None)
            elif (form, index) not in item.written and item.written:
                self.writer.write("reasoning", "\n\n")
            self.writer.write("reasoning", text)
        item.written.setdefault((form, index), []).append(text)

    def _write_rest(self, item: OutputItem, form: Form, index: int, whole: str) -> None:
        """Write what the whole text adds to the pieces before it. Where they differ, what was streamed stands."""
        before = item.text_at(form, index)
        if not before and whole and item.text_of(form).endswith(whole):
            return  # its pieces came under another index
        if whole.startswith(before):
            self._write(item, form, index, whole[len(before) :])

    def _end_text(self, event: JsonObject, form: Form, whole: str) -> None:
        item = self._item_of(event, form, whole)
        if not item.done:
            self._write_rest(item, form, _index(event), whole)

    def _end_item(self, item: OutputItem | None, told: JsonObject) -> None:
        """End an item by its whole form; None where it is one that ended before."""
        if item is None:
            return
        if item.kind == "function_call":
            self._end_call(item, told)
            return
        if item.kind == "message":
            for index, part in enumerate(content_told(told)):
                if (form := _FORM_OF_PART.get(as_text(part.get("type")))) in {"text", "refusal"}:
                    self._write_rest(item, form, index, part_text(part))
        elif item.kind == "reasoning":
            self._end_reasoning(item, told)
        item.done = True
        if self._open_item is item:
            self.writer.close()

    def _end_reasoning(self, item: OutputItem, told: JsonObject) -> None:
        for name, form in (("summary", "summary"), ("content", "reasoning")):
            for index, part in enumerate(as_objects(told.get(name))):
                if text := part_text(part):
                    self._write_rest(item, form, index, text)  # type: ignore[arg-type]  # both are forms
        if not told.get("encrypted_content"):
            return
        if self._open_item is not item or self.writer.kind != "reasoning":
            self.writer.open("reasoning")
            self._open_item = item
        kept = {name: value for name, value in told.items() if name != "status" and value not in (None, [], "")}
        whole = storable({"type": "reasoning", "summary": []} | kept)
        self.writer.close(origin=None if whole is None else self.origin(item=whole))

    def _end_call(self, call: OutputItem, told: JsonObject, *, cut: bool = False) -> None:
        """Write a call of which everything that is told agrees. Raises `ProviderTruncated` where it does not."""
        name = as_text(told.get("name"))
        if not (call.name or name) or (call.name and name and call.name != name):
            raise truncated(self.provider, "called a tool by no name, or by two")
        tellings = ["".join(call.pieces), call.said, raw_arguments(told.get("arguments"))]
        raw = same_arguments(
            [telling for telling in tellings if telling.strip()] or [raw_arguments(call.begun_as.get("arguments"))]
        )
        if raw is None:
            raise truncated(self.provider, "gave two different arguments for one tool call")
        call.name, call.said, call.done = call.name or name, raw, True
        self._open_item = None
        origin = self._call_origin(call.begun_as | told)
        self.write_call(call.name, raw, cut=cut or told.get("status") == "incomplete", origin=origin)

    def _call_origin(self, told: JsonObject) -> JsonObject | None:
        """What the server wants back with this call: a signature in fields of its own, or in the call's id."""
        call_id = as_text(told.get("call_id"))
        fields = {name: told[name] for name in CALL_FIELDS if "signature" in str(told.get(name))}
        facts = ({"fields": fields} if fields else {}) | ({"id": call_id} if _SIGNED_ID in call_id else {})
        kept = as_object(storable(facts))
        return self.origin(**kept) if kept else None

    def _end(self, response: JsonObject, how: str) -> None:
        """End the response in the way that its status says, or `how` where it has none. Raises `ProviderError`."""
        self._read_model(response)
        self._usage = _usage_from_wire(as_object(response.get("usage")))
        status = as_text(response.get("status")).lower()
        # Some servers leave the status in the terminal event as it was before.
        status = how if status in {"", "in_progress", "queued"} else status
        if response.get("error") or status == "failed":
            raise self._failure(response.get("error"))
        told = self._told_stop_reason(status, as_object(response.get("incomplete_details")).get("reason"))
        self._end_output(as_objects(response.get("output")), cut=told != "end")
        if not self.writer.parts and self.writer.kind is None:
            # What the SDKs call the text of a response, some servers send.
            self.writer.write("text", as_text(response.get("output_text")))
        self.end(self._stop_reason(told), self._usage)

    def _told_stop_reason(self, status: str, reason: Any) -> StopReason:
        if status in _UNFINISHED or (status == "incomplete" and reason is None):
            raise truncated(self.provider, "did not say that its answer is whole, nor why it is not")
        if status in {"completed", "incomplete"}:
            return "end" if reason is None else self.stop_reason_of(reason, _STOP_REASONS)
        return self.stop_reason_of(status, {"done": "end"})

    def _end_output(self, output: list[JsonObject], *, cut: bool) -> None:
        """Write what only the output of the terminal event tells, and end the calls of which only pieces were told."""
        for item, told in self._items.matched(output):
            if not item.done:
                self._end_item(item, told)
            elif item.kind == "message":
                # Its part has ended; what is new in it becomes another part.
                self._end_item(item, told)
            elif item.kind == "function_call":
                self._check_same(item, told)
        for call in self._items.open_calls():
            if not (call.pieces or call.said or call.begun_as.get("arguments") or cut):
                raise truncated(self.provider, "began a tool call and did not end it")
            self._end_call(call, {}, cut=cut)

    def _check_same(self, call: OutputItem, told: JsonObject) -> None:
        """Raise `ProviderTruncated` where the output tells another call than the one that was written."""
        raw, name = raw_arguments(told.get("arguments")), as_text(told.get("name"))
        if (name and name != call.name) or (raw.strip() and same_arguments([call.said, raw]) is None):
            raise truncated(self.provider, "gave two different arguments for one tool call")

    def _stop_reason(self, told: StopReason) -> StopReason:
        limit = self.request.settings.max_tokens
        if self._refused:
            return "refusal"
        if told == "end" and any(isinstance(part, ToolCallPart) for part in self.writer.parts):
            return "tool_use"
        used = self._usage.output_tokens if self._usage else None
        if told == "end" and limit is not None and used is not None and used >= max(limit, MIN_OUTPUT_TOKENS):
            return "max_tokens"  # llama.cpp's server calls an answer completed that its limit cut
        return told

    def _failure(self, reported: Any) -> ProviderError:
        facts = as_object(reported)
        if as_text(facts.get("code")) in _FILTERED:
            refusal = ProviderRejected(f"{self.provider} filtered its answer.", provider=self.provider)
            refusal.upstream = error_from_wire(self.provider, reported).upstream
            return refusal
        return error_from_wire(self.provider, reported)

    def _read_model(self, response: JsonObject) -> None:
        self.model = as_text(response.get("model")) or self.model

    def _refuse_chat(self, body: JsonObject) -> None:
        if as_text(body.get("object")).startswith("chat.completion"):
            sentence = f"{self.provider} answered with a chat completion; the setting api: chat asks it for one."
            raise ProviderRejected(sentence, provider=self.provider)


def _index(event: JsonObject) -> int:
    """The index of a part within its item. Some servers leave it out, since there is only one part."""
    index = as_count(event.get("summary_index"))
    return (index if index is not None else as_count(event.get("content_index"))) or 0


def _usage_from_wire(usage: JsonObject) -> Usage:
    """The framework's counts; None where the server does not report them. Some servers report those of a chat."""
    into = as_object(usage.get("input_tokens_details") or usage.get("prompt_tokens_details"))
    out = as_object(usage.get("output_tokens_details") or usage.get("completion_tokens_details"))
    input_tokens = as_count(usage.get("input_tokens", usage.get("prompt_tokens")))
    output_tokens = as_count(usage.get("output_tokens", usage.get("completion_tokens")))
    reasoning = as_count(out.get("reasoning_tokens"))
    if reasoning and input_tokens is not None and output_tokens is not None:
        total = as_count(usage.get("total_tokens"))
        if total == input_tokens + output_tokens + reasoning:
            output_tokens += reasoning  # this server counts the reasoning beside its output
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cached_input_tokens=as_count(into.get("cached_tokens")),
        reasoning_tokens=reasoning,
        cache_write_tokens=as_count(into.get("cache_write_tokens")),
    )
