"""The parser of chat completions, as OpenAI and compatible servers stream them.

Compatible servers differ in details; what is known of that is tolerated.
Source: https://developers.openai.com/api/reference/resources/chat, read 2026-11-22. Reasoning: DeepSeek and others send
`reasoning_content` (https://api-docs.deepseek.com/guides/thinking_mode), vLLM, Groq and Cerebras `reasoning`, Mistral
parts of `content` (https://docs.mistral.ai/capabilities/reasoning), OpenRouter `reasoning_details` beside `reasoning`
(https://openrouter.ai/docs/guides/best-practices/reasoning-tokens), LiteLLM `thinking_blocks`
(https://docs.litellm.ai/docs/reasoning_content).
"""

from collections.abc import Iterable
from typing import Any

from ai_agents.core.json import clean_text
from ai_agents.core.types import JsonObject, ModelRequest, StopReason, Usage
from ai_agents.providers.assembly import check_parts
from ai_agents.providers.errors import RefusedCall, error_from_wire, truncated
from ai_agents.providers.openai_calls import CallPieces, PartialCall, UncertainCall
from ai_agents.providers.openai_usage import merge_usage, usage_from_wire
from ai_agents.providers.quirks import Endpoint
from ai_agents.providers.reading import as_count, as_object, as_objects, as_text
from ai_agents.providers.refused_calls import find_call
from ai_agents.providers.response_parser import ResponseParser, is_failure

# The fields that hold reasoning as text. They go back under the name under which they came.
REASONING_TEXTS = ("reasoning_content", "reasoning")
# Lists of objects that go back as they came, with their pieces joined.
REASONING_LISTS = ("reasoning_details", "thinking_blocks")
# Fields of a message that go back as they came.
MESSAGE_FIELDS = ("extra_content", "provider_specific_fields")
# LiteLLM puts a signature of Gemini into the id of the call, after this: https://github.com/BerriAI/litellm/pull/16895
_SIGNED_ID = "__thought__"
# `eos` is Together's, `model_length` Mistral's, `sensitive` and `model_context_window_exceeded` Z.ai's.
_STOP_REASONS: dict[str, StopReason] = {
    "stop": "end",
    "eos": "end",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "length": "max_tokens",
    "model_length": "context_exceeded",
    "model_context_window_exceeded": "context_exceeded",
    "content_filter": "refusal",
    "sensitive": "refusal",
}
_UNCERTAIN = "sent a tool call of which it cannot be told what belongs to it"
# What a delta has that is nothing but text.
_PLAIN = frozenset({"content", "role"})
# The texts of an object of `REASONING_LISTS`, of which each piece has some.
_PIECES = ("text", "summary", "thinking")


class OpenAIChatParser(ResponseParser):
    """Parses the chunks of one response.

    Tool calls are written at the end, since their pieces may come in any order. The end is `[DONE]`, or the end of the
    bytes after a finish reason: several servers leave `[DONE]` out. We ask for one choice; a server that puts the calls
    of its answer into another one is understood.
    """

    def __init__(self, request: ModelRequest, endpoint: Endpoint) -> None:
        super().__init__(request, endpoint)
        self._calls: dict[int, CallPieces] = {}
        self._legacy = CallPieces()
        self._finish: Any = None
        self._other_finish: Any = None
        self._refused = False
        self._usage: dict[str, int] = {}
        # What goes back to the provider with the reasoning, and the name of the field that the text came in.
        self._reasoning: list[str] = []
        self._reasoning_field = ""
        self._lists: dict[str, list[JsonObject]] = {}
        self._fields: JsonObject = {}
        # Whether deltas came, so that a `message` is the whole answer once more; the texts of messages before.
        self._streams = False
        self._said: list[str] = []

    def read_whole(self, body: JsonObject) -> None:
        self.read(body)
        self.end_of_bytes()

    def read(self, event: JsonObject) -> None:
        if event.get("usage"):
            merge_usage(self._usage, event["usage"])
        choices = event.get("choices")
        try:
            for choice in choices if isinstance(choices, list) else _as_list(choices):
                self._read_choice(choice)
        except UncertainCall as error:
            raise truncated(self.provider, _UNCERTAIN) from error
        if "x_groq" in event:
            groq = as_object(event["x_groq"])
            merge_usage(self._usage, groq.get("usage"))
            if groq.get("error"):
                self._fail(groq["error"])
        if event.get("error") or event.get("object") == "error":
            self._fail(event.get("error") or event)
        model = event.get("model")
        if model and isinstance(model, str):
            self.model = model

    def read_marker(self, data: bytes) -> bool:
        if data.strip() != b"[DONE]":
            return False
        self._end()
        return True

    def end_of_bytes(self) -> None:
        if not self.done and self._finish_reason() is not None:
            self._end()

    def usage(self) -> Usage | None:
        return usage_from_wire(self._usage) if self._usage else None

    def write_refused_call(self, refused: RefusedCall) -> None:
        """Write a call that the server refused because of its arguments: the model is shown what it wrote.

        Raises the error where it cannot be told which tool was meant.
        """
        found = find_call(refused.written, [self._names.to_wire(tool.name) for tool in self.request.tools])
        if found is None:
            raise truncated(self.provider, "refused the call that its model wrote") from refused
        self._end_reasoning()
        self.write_call(*found, fault=refused.said)
        self.end("tool_use", usage_from_wire(self._usage))

    def _fail(self, error: Any) -> None:
        failure = error_from_wire(self.provider, error)
        if isinstance(failure, RefusedCall):
            self.write_refused_call(failure)
        else:
            raise failure

    def _read_choice(self, choice: Any) -> None:
        if not isinstance(choice, dict):
            raise ValueError("a choice is an object")  # noqa: TRY004  # callers catch one type for all bad data
        index = choice.get("index")
        number = 0 if index == 0 or index is None else as_count(index)
        if number is None:
            number = 0
            if _has_calls(choice):
                raise UncertainCall("a choice has no index that can be read")
        delta = choice.get("delta")
        if delta:
            if number == 0 and (text := _only_text(delta)) is not None:
                self._write_text(text)
            else:
                self._read_delta(delta, number)
            self._streams = True
        if choice.get("message"):
            self._read_message(choice["message"], number)
        if finish := choice.get("finish_reason"):
            if number:
                self._other_finish = finish
            elif not is_failure(self._finish):
                self._finish = finish
        if choice.get("usage"):
            merge_usage(self._usage, choice["usage"])
        if choice.get("error"):
            self._fail(choice["error"])

    def _read_delta(self, delta: Any, number: int) -> None:
        if not isinstance(delta, dict):
            raise ValueError("a delta is an object")  # noqa: TRY004  # callers catch one type for all bad data
        self._read_calls(delta, number)
        if number:
            return  # the text of another choice is another answer
        self._read_reasoning(delta)
        if delta.get("content"):
            self._read_content(delta["content"])
        if delta.get("refusal"):
            self._refused = True
            self._write_text(as_text(delta["refusal"]))

    def _read_message(self, message: Any, number: int) -> None:
        """Read a message where a delta is wanted. After deltas it is the whole answer, of which most is known."""
        if not isinstance(message, dict):
            raise ValueError("a message is an object")  # noqa: TRY004  # callers catch one type for all bad data
        if not self._streams:
            said = message.get("content")
            if isinstance(said, str) and len(self._said) > 1 and said == "".join(self._said):
                message = {**message, "content": None}
            elif isinstance(said, str):
                self._said.append(said)
            self._read_delta(message, number)
            return
        calls = _as_list(message.get("tool_calls"))
        self._calls.setdefault(number, CallPieces()).add_whole(_all_objects(calls))
        if number == 0 and self.writer.kind is None and not self.writer.parts:
            self._read_delta({**message, "tool_calls": None}, number)

    def _read_calls(self, delta: JsonObject, number: int) -> None:
        if delta.get("tool_calls"):
            pieces = self._calls.setdefault(number, CallPieces())
            for piece in _all_objects(_as_list(delta["tool_calls"])):
                pieces.add(piece)
        if delta.get("function_call") and number == 0:
            self._legacy.add({"index": 0, "function": delta["function_call"]})

    def _read_content(self, content: Any) -> None:
        if isinstance(content, str):
            self._write_text(content)
            return
        for part in _as_list(content):
            if not isinstance(part, dict):
                self._write_text(as_text(part))
                continue
            thinking = part.get("thinking") or (part.get("reasoning") if part.get("type") == "reasoning" else None)
            if thinking:
                texts = [thinking] if isinstance(thinking, str) else [each.get("text") for each in as_objects(thinking)]
                self.writer.write("reasoning", "".join(map(as_text, texts)))
            elif part.get("type") in {"text", "output_text", None}:
                self._write_text(as_text(part.get("text")))

    def _read_reasoning(self, delta: JsonObject) -> None:
        text = ""
        for name in REASONING_TEXTS:
            if isinstance(value := delta.get(name), str) and value:
                text = value
                if self._reasoning_field != name:
                    self._end_reasoning()
                self._reasoning_field = name
                self._reasoning.append(text)
                break
        for name in REASONING_LISTS:
            if delta.get(name):
                pieces = as_objects(delta[name])
                join_pieces(self._lists.setdefault(name, []), pieces)
                text = text or "".join(as_text(piece.get(each)) for piece in pieces for each in _PIECES)
        for name in MESSAGE_FIELDS:
            if delta.get(name):
                self._fields[name] = {**self._fields.get(name, {}), **as_object(delta[name])}
        if text:
            self.writer.write("reasoning", text)

    def _write_text(self, text: str) -> None:
        if text and self.writer.kind == "reasoning":
            self._end_reasoning()
        self.writer.write("text", text)

    def _end_reasoning(self) -> None:
        """End the reasoning part. What the server wants back of it is its origin."""
        if self.writer.kind == "reasoning" and (facts := self._reasoning_facts()):
            self.writer.close(origin=self.origin(**facts))

    def _reasoning_facts(self) -> JsonObject:
        facts: JsonObject = {}
        if self._reasoning:
            facts[self._reasoning_field] = clean_text("".join(self._reasoning))
        facts |= self._lists
        self._reasoning, self._lists = [], {}
        return facts

    def _end_message(self) -> None:
        """Keep what belongs to the whole message, or came after its reasoning, in a part without text."""
        self._end_reasoning()
        facts = self._reasoning_facts()
        facts |= {name: value for name, value in self._fields.items() if _is_wanted_back(name, value)}
        if facts and (self.writer.kind is not None or self.writer.parts):
            self.writer.open("reasoning", origin=self.origin(**facts))
            self.writer.close()

    def _finish_reason(self) -> Any:
        return self._other_finish if self._finish is None else self._finish

    def _end(self) -> None:
        finish = self._finish_reason()
        if finish is None:
            raise truncated(self.provider, "ended its answer without a reason")
        stop_reason = self.stop_reason_of(finish, _STOP_REASONS)
        try:
            calls = self._whole_calls(cut=stop_reason == "max_tokens")
        except UncertainCall as error:
            raise truncated(self.provider, _UNCERTAIN) from error
        if self._refused:
            stop_reason = "refusal"
        elif calls and stop_reason == "end":
            stop_reason = "tool_use"
        self._end_message()
        for call in calls:
            cut = stop_reason == "max_tokens" and call is calls[-1]
            self.write_call(call.name, call.raw, cut=cut, origin=self._call_origin(call))
        self.end(stop_reason, usage_from_wire(self._usage))

    def _whole_calls(self, *, cut: bool) -> list[PartialCall]:
        of_choices = [found for pieces in self._calls.values() if (found := pieces.end(cut=cut))]
        legacy = self._legacy.end(cut=cut)
        if len(of_choices) > 1:
            raise UncertainCall("two choices have calls")
        if not of_choices:
            return legacy
        if legacy and (len(of_choices[0]) > 1 or not legacy[0].is_same(of_choices[0][0])):
            raise UncertainCall("a call in the old form is not the one in the new form")
        return of_choices[0]

    def _call_origin(self, call: PartialCall) -> JsonObject | None:
        signed_id = call.id if _SIGNED_ID in call.id else ""
        facts: JsonObject = {"fields": call.fields, "function_fields": call.function_fields, "id": signed_id}
        kept = {name: value for name, value in facts.items() if value}
        return self.origin(**kept) if kept else None


def _only_text(delta: Any) -> str | None:
    """The text of a delta that has nothing else, as most have; None for any other one."""
    if not isinstance(delta, dict):
        return None
    text = delta.get("content", "")
    if len(delta) > 1 or "content" not in delta:
        for name, value in delta.items():
            if value and name not in _PLAIN:
                return None
    return text if isinstance(text, str) else None


def _has_calls(choice: JsonObject) -> bool:
    said = (as_object(choice.get(name)) for name in ("delta", "message"))
    return any(each.get("tool_calls") or each.get("function_call") for each in said)


def _as_list(value: Any) -> list[Any]:
    """The value if it is a list, an object as its only item; none for a value that says nothing.

    Raises ValueError for any other value.
    """
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        return [value]
    if value:
        raise ValueError("a list is wanted")
    return []


def _all_objects(items: list[Any]) -> list[JsonObject]:
    if not all(isinstance(item, dict) for item in items):
        raise ValueError("objects are wanted")
    return items


def join_pieces(joined: list[JsonObject], pieces: Iterable[JsonObject]) -> None:
    """Add the pieces of `reasoning_details` or `thinking_blocks` to the blocks before them.

    Raises `ProviderError` for one too many.
    """
    for piece in pieces:
        block = _open_block(joined, piece)
        if block is None:
            joined.append(dict(piece))
            check_parts(len(joined))
            continue
        for name, value in piece.items():
            if name in _PIECES and isinstance(value, str) and isinstance(block.get(name), str):
                block[name] += value
            elif value is not None or name not in block:
                block[name] = value


def _open_block(joined: list[JsonObject], piece: JsonObject) -> JsonObject | None:
    """The block that a piece goes on with: of its type and index, and not ended. Encrypted blocks come whole."""
    if not any(name in piece for name in (*_PIECES, "signature")):
        return None
    index, kind = piece.get("index"), piece.get("type")
    for block in reversed(joined if index is not None else joined[-1:]):
        if (block.get("index"), block.get("type")) == (index, kind):
            others = (piece.get(name) and block.get(name) not in (None, piece[name]) for name in ("id", "format"))
            ended = index is None and bool(block.get("signature"))
            return None if ended or any(others) else block
    return None


def _is_wanted_back(name: str, value: Any) -> bool:
    """LiteLLM's fields hold much; it wants the signatures back."""
    return bool(value) and (name == "extra_content" or any("signature" in str(key) for key in as_object(value)))
