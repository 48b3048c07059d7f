"""The parser of the Messages API's streams, as Anthropic and the servers that speak its wire format send them.

Sources, read 2026-11-30: https://platform.claude.com/docs/en/build-with-claude/streaming. Without `message_stop`:
https://github.com/esengine/DeepSeek-Reasonix/pull/8756 (the bytes end), https://github.com/tombii/better-ccflare/pull/307
(only pings follow). Calls with `end_turn`: https://github.com/BerriAI/litellm/pull/34718,
https://github.com/maximhq/bifrost/issues/3638. Two answers in one stream, and one that begins twice:
https://github.com/vercel/ai/tree/main/packages/anthropic/src/__fixtures__.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from ai_agents.core.exceptions import ProviderError
from ai_agents.core.types import JsonObject, ModelMessage, ModelRequest, PartKind, StopReason, Usage
from ai_agents.providers.anthropic_models import anthropic_facts
from ai_agents.providers.assembly import parse_arguments, raw_arguments
from ai_agents.providers.errors import error_from_wire, truncated
from ai_agents.providers.lines import clean_json
from ai_agents.providers.quirks import Endpoint
from ai_agents.providers.reading import as_count, as_object, as_text
from ai_agents.providers.response_parser import ResponseParser

# Calls of tools that the provider runs itself. Their results are blocks of the same response.
SERVER_CALLS = frozenset({"server_tool_use", "mcp_tool_use"})
# How often a paused answer is continued: https://platform.claude.com/docs/en/agents-and-tools/tool-use/server-tools
MAX_PAUSES = 8
_STOP_REASONS: dict[str, StopReason] = {
    "end_turn": "end",
    "tool_use": "tool_use",
    "max_tokens": "max_tokens",
    "stop_sequence": "stop_sequence",
    "refusal": "refusal",
    "pause_turn": "pause",
    "model_context_window_exceeded": "context_exceeded",
}
_CUT: frozenset[StopReason] = frozenset({"max_tokens", "context_exceeded"})
_COUNTS = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
# What a delta says by itself, whatever the kind of its block: its part, and the field with the text.
_SPOKEN: dict[Any, tuple[PartKind, str]] = {
    "text_delta": ("text", "text"),
    "thinking_delta": ("reasoning", "thinking"),
}
_SPEAKING = ("text", "thinking", None)


@dataclass(slots=True, eq=False)
class _Block:
    """A block of the answer. `kind` is None where the server's word for it cannot be read.

    `held` is what it said while another block was speaking, `pieces` are of its arguments.
    """

    kind: str | None
    start: JsonObject = field(default_factory=dict)
    has_deltas: bool = False
    has_spoken: bool = False
    ended: bool = False
    held: list[tuple[PartKind, str]] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)
    signature: list[str] = field(default_factory=list)


class AnthropicParser(ResponseParser):
    """Parses the events of one response.

    Blocks are told apart by `index`, and may come interleaved. One of them speaks: its text goes out at once. What the
    others say follows when it has ended. Calls are written at the end, since only that tells whether they are complete.
    What cannot be put to one block for certain is an error of the provider.

    Events and blocks of unknown kinds are left out, as the API's versioning asks of its clients. The blocks of the
    provider's own tools are kept for the provider alone. Where an answer paused, the responses that continue it add to
    the same events: `before` is the parser of the response that paused.
    """

    exact_integers = True

    def __init__(self, request: ModelRequest, endpoint: Endpoint, *, before: "AnthropicParser | None" = None) -> None:
        super().__init__(request, endpoint)
        self._pauses = 0
        self._usage_before = Usage()
        if before is not None:
            self.writer = before.writer
            self._pauses = before._pauses + 1
            self._usage_before = before._total_usage()
        self._paused = False
        self._id: str | None = None
        self._open: dict[int | None, _Block] = {}
        self._calls: list[_Block] = []
        self._ids_of_calls: set[tuple[int | None, str]] = set()
        self._speaker: _Block | None = None
        self._waiting: list[_Block] = []
        self._stop: Any = None
        self._usage: dict[str, int] = {}
        self._output_is_final = False

    def read_whole(self, body: JsonObject) -> None:
        if body.get("type") == "error":
            raise error_from_wire(self.provider, body)
        self._start_message(body)
        content = body.get("content")
        if isinstance(content, str):
            content = [{"type": "text", "text": content}]
        for index, block in enumerate(content or ()):
            self._start_block({"index": index, "content_block": block})
            self._end_block(index)
        self._read_message_delta({"delta": body, "usage": body.get("usage")})
        self._end()

    def read(self, event: JsonObject) -> None:
        kind = event.get("type")
        if kind == "content_block_delta":
            self._read_delta(as_count(event.get("index")), event.get("delta"))
        elif kind == "content_block_start":
            self._start_block(event)
        elif kind == "content_block_stop":
            self._end_block(as_count(event.get("index")))
        elif kind == "message_start":
            self._start_message(as_object(event.get("message")))
        elif kind == "message_delta":
            self._read_message_delta(event)
        elif kind == "message_stop" or (kind == "ping" and self._stop is not None):
            self._end()
        elif kind == "error" or event.get("error"):
            raise error_from_wire(self.provider, event.get("error") or event)
        elif kind == "message":
            self.read_whole(event)
        elif event.keys() & {"delta", "content_block"} and (not isinstance(kind, str) or _has_arguments(event)):
            raise self._unclear("an event that does not say what it is")

    def end_of_bytes(self) -> None:
        if not self.done and self._stop is not None:
            self._end()

    def usage(self) -> Usage | None:
        # Of the input all, of the output only those before a pause.
        return self._total_usage() if self._usage else None

    def continuation(self) -> ModelRequest | None:
        if not self._paused:
            return None
        answer = ModelMessage("assistant", tuple(self.writer.parts))
        # The request of a continued response ends with an earlier part of this answer.
        messages = self.request.messages[:-1] if self._pauses else self.request.messages
        return replace(self.request, messages=(*messages, answer))

    def _start_message(self, message: JsonObject) -> None:
        own_id = as_text(message.get("id"))
        if self._id is not None and own_id != self._id:
            raise truncated(self.provider, "began another answer inside its answer")
        self._id = own_id
        self.model = as_text(message.get("model")) or self.model
        self._take_usage(message.get("usage"))

    def _read_message_delta(self, event: JsonObject) -> None:
        self._stop = as_object(event.get("delta")).get("stop_reason") or self._stop
        if self._take_usage(event.get("usage")):
            self._output_is_final = True

    def _start_block(self, event: JsonObject) -> None:
        index, given = as_count(event.get("index")), as_object(event.get("content_block"))
        kind = given.get("type")
        block = _Block(kind if isinstance(kind, str) else None, given)
        before = self._open.get(index)
        if before is not None:
            if before.start == given and not before.has_deltas:
                return  # the same event, sent twice
            if before.kind not in _SPEAKING:
                raise self._unclear("a block inside another one")
            self._end_block(index)
        self._open[index] = block
        if kind == "text":
            self._say(block, "text", self._piece(given.get("text")))
        elif kind == "thinking":
            block.signature = [as_text(given.get("signature"))]
            self._say(block, "reasoning", self._piece(given.get("thinking")))
        elif kind == "tool_use":
            self._start_call(index, block)

    def _start_call(self, index: int | None, block: _Block) -> None:
        own_id = as_text(block.start.get("id"))
        if own_id and (index, own_id) in self._ids_of_calls:
            raise self._unclear("the same call twice")
        self._ids_of_calls.add((index, own_id))
        self._calls.append(block)

    def _read_delta(self, index: int | None, delta: Any) -> None:
        if not isinstance(delta, dict) or not isinstance(kind := delta.get("type"), str):
            raise self._unclear("a delta that does not say what it is")
        block = self._open.get(index)
        if kind in _SPOKEN:
            part, name = _SPOKEN[kind]
            block = block or self._unnamed_block(index, part)
            self._say(block, part, self._piece(delta.get(name)))
        elif kind == "input_json_delta":
            if block is None or block.kind in _SPEAKING:
                raise self._unclear("arguments that belong to no call")
            block.pieces.append(self._arguments(delta.get("partial_json")))
        elif block is not None and block.kind == "tool_use":
            raise self._unclear("a delta of a call that is none of arguments")
        elif block is not None and kind == "signature_delta":
            block.signature.append(as_text(delta.get("signature")))
        if block is not None:
            block.has_deltas = True

    def _unnamed_block(self, index: int | None, part: PartKind) -> _Block:
        """The block of a delta whose index is not open: the only one that is, or one whose start was not sent."""
        if index is None and len(self._open) == 1:
            return next(iter(self._open.values()))
        if self._open:
            raise self._unclear("text that belongs to no block")
        self._open[index] = _Block("text" if part == "text" else "thinking")
        return self._open[index]

    def _say(self, block: _Block, part: PartKind, text: str) -> None:
        """Write what a block says; if another one is speaking, hold it."""
        if block.kind not in _SPEAKING:
            # A block of an unknown kind may say more than this client has to show.
            if block.kind == "tool_use" or block.kind in SERVER_CALLS:
                raise self._unclear("text inside a call")
            return
        if not text:
            return
        block.has_spoken = True
        if self._speaker is None:
            self._speaker = block
        if self._speaker is block:
            self.writer.write(part, text)
        else:
            if not block.held:
                self._waiting.append(block)
            block.held.append((part, text))

    def _end_block(self, index: int | None) -> None:
        block = self._open.pop(index, None)
        if block is None and index is None and len(self._open) == 1:
            block = self._open.popitem()[1]
        if block is not None:
            self._finish_block(block)

    def _finish_block(self, block: _Block) -> None:
        block.ended = True
        if self._speaker is block:
            self._write_end(block)
            self._speaker = None
            self._let_others_speak()
        elif self._speaker is None:
            self._write_whole(block)
        elif block not in self._waiting:
            self._waiting.append(block)

    def _let_others_speak(self) -> None:
        while self._waiting and self._speaker is None:
            block = self._waiting.pop(0)
            if not block.held:
                self._write_whole(block)
                continue
            for part, text in block.held:
                self.writer.write(part, text)
            block.held = []
            if block.ended:
                self._write_end(block)
            else:
                self._speaker = block

    def _write_end(self, block: _Block) -> None:
        """End the part of a block that has spoken."""
        is_thinking = block.kind == "thinking" and self.writer.kind == "reasoning"
        self.writer.close(origin=self._thinking_origin(block) if is_thinking else None)

    def _write_whole(self, block: _Block) -> None:
        """Write a block that has ended and has not spoken."""
        kind, start = block.kind, block.start
        origin: JsonObject | None = None
        if kind == "thinking":
            # Only the signature of the thinking was sent.
            origin = self._thinking_origin(block)
        elif kind == "redacted_thinking":
            data = as_text(start.get("data"))
            origin = self.origin(redacted=data) if data else None
        elif kind in SERVER_CALLS:
            arguments = parse_arguments("".join(block.pieces))[0] or start.get("input") or {}
            origin = self.origin(block=clean_json(start | {"input": arguments}))
        elif kind is not None and kind.endswith("_tool_result"):
            origin = self.origin(block=clean_json(start))
        elif kind is None:
            raise self._unclear("a block that does not say what it is")
        if origin is not None:
            self.writer.open("reasoning", origin=origin)
            self.writer.close()

    def _thinking_origin(self, block: _Block) -> JsonObject | None:
        """What the server wants back with this thinking: its signature, or from others than Claude that it had none.

        Sources, read 2026-11-30: https://platform.minimax.io/docs/api-reference/text-anthropic-api.md,
        https://github.com/NousResearch/hermes-agent/pull/17510 (DeepSeek), …/pull/67606 (Kimi).
        """
        signature = "".join(block.signature)
        if signature:
            return self.origin(signature=signature)
        if anthropic_facts(self.request.model).signs or not block.has_spoken:
            return None
        return self.origin(signature="") if "signature" in block.start else self.origin(unsigned=True)

    def _write_call(self, block: _Block, *, cut: bool) -> None:
        name = block.start.get("name")
        if not isinstance(name, str) or not name.strip():
            raise self._unclear("a call without the name of its tool")
        self.write_call(name, _raw_arguments(block), cut=cut)

    def _end(self) -> None:
        if self._stop is None:
            raise truncated(self.provider, "ended its answer without a reason")
        stop_reason = self.stop_reason_of(self._stop, _STOP_REASONS)
        unfinished = [*self._open.values(), *self._calls[-1:]]
        # Some servers leave out the end of a block.
        for block in self._open.values():
            self._finish_block(block)
        for call in self._calls:
            self._write_call(call, cut=stop_reason in _CUT and call in unfinished)
        if stop_reason == "end" and self._calls:
            stop_reason = "tool_use"
        self._paused = stop_reason == "pause" and bool(self.writer.parts) and self._pauses < MAX_PAUSES
        if self._paused:
            self.done = True
        else:
            self.end(stop_reason, self._total_usage())

    def _piece(self, value: Any) -> str:
        """A piece of a text. One that cannot be read must not be missing from the whole in silence."""
        if value is None or isinstance(value, str):
            return value or ""
        raise self._unclear("text that is no text")

    def _arguments(self, value: Any) -> str:
        """A piece of the JSON of arguments; an object is the JSON of one."""
        if isinstance(value, dict):
            return raw_arguments(value)
        if isinstance(value, str):
            return value
        raise self._unclear("arguments that are no text")

    def _unclear(self, what: str) -> ProviderError:
        return truncated(self.provider, f"sent {what}")

    def _total_usage(self) -> Usage:
        usage = _usage_from_wire(self._usage)
        # The first figure of the output is no count yet.
        return self._usage_before + (usage if self._output_is_final else replace(usage, output_tokens=None))

    def _take_usage(self, reported: Any) -> bool:
        """Add the reported figures; returns whether the output is among them. A later 0 replaces no earlier figure."""
        figures = as_object(reported)
        details = as_object(figures.get("output_tokens_details"))
        counts = {name: as_count(figures.get(name)) for name in _COUNTS}
        counts["thinking_tokens"] = as_count(details.get("thinking_tokens"))
        for name, count in counts.items():
            if count or (count is not None and name not in self._usage):
                self._usage[name] = count
        return counts["output_tokens"] is not None


def _has_arguments(event: JsonObject) -> bool:
    return (
        "partial_json" in as_object(event.get("delta")) or as_object(event.get("content_block")).get("name") is not None
    )


def _raw_arguments(block: _Block) -> str:
    """The JSON of a call's arguments: its deltas, and what stands in its start where that says more."""
    raw, given = "".join(block.pieces), block.start.get("input")
    if not given or (raw.strip() and not isinstance(given, dict)):
        return raw
    # The object twice is read if it is the same, and shown to the model if it is not.
    return raw_arguments(given) + ("" if raw.strip() in {"", "{}", "null"} else raw)


def _usage_from_wire(usage: dict[str, int]) -> Usage:
    """The framework's counts. Anthropic counts input that was read from its cache, or written to it, apart."""
    fresh, cached = usage.get("input_tokens"), usage.get("cache_read_input_tokens")
    written = usage.get("cache_creation_input_tokens")
    return Usage(
        input_tokens=None if fresh is None else fresh + (cached or 0) + (written or 0),
        output_tokens=usage.get("output_tokens"),
        cached_input_tokens=cached,
        reasoning_tokens=usage.get("thinking_tokens"),
        cache_write_tokens=written,
    )
