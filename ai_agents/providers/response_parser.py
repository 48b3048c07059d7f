"""Turns the bytes of one response into model events. Pure: it reads nothing and waits for nothing."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from ai_agents.core.exceptions import ProviderError, UnknownFinishReason
from ai_agents.core.json import clean_text
from ai_agents.core.types import JsonObject, ModelRequest, ResponseEnd, StopReason, Usage
from ai_agents.providers.assembly import PartWriter
from ai_agents.providers.errors import error_from_wire, truncated
from ai_agents.providers.event_order import check_complete
from ai_agents.providers.lines import BOM, MAX_LINE_BYTES, LineDecoder, SSEDecoder, is_json, parse_object, split_list
from ai_agents.providers.quirks import Endpoint, FinishWord
from ai_agents.providers.reading import storable
from ai_agents.providers.rendering import ToolNames

# What the words of the quirk `finish_reasons` mean; `error` is in `_FAILURES`.
_FINISH_WORDS: Mapping[FinishWord, StopReason] = {
    "stop": "end",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}
# Reasons with which servers end an answer that failed.
_FAILURES = frozenset(
    {"error", "failed", "failure", "abort", "aborted", "cancelled", "canceled", "timeout", "network_error"}
    | {"insufficient_system_resource", "engine_error", "internal_error", "server_error", "overloaded"}
)
_MAX_REASON = 100
# Of one answer: several times what the longest answers of models take, a few hundred bytes for each token.
MAX_STREAM_BYTES = 256 * 1024 * 1024
# What reading raises where the server's JSON has another shape than its format.
_ODD_SHAPES = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
_NOT_IN_FORMAT = "sent data that is not in its format"


class ResponseParser(ABC):
    """Parses the stream of one response, however its bytes are split into chunks.

    A wire format's parser implements `read`, and calls `end` at the terminal event. The events are in `writer.events`.
    `model` is the model that answers: the one that was asked for, until the response names another one. Reading raises
    nothing but `ProviderError`, whatever the server sends. `exact_integers`: the events hold arguments of tools as
    objects, in which an integer must not become a float.
    """

    decoder: ClassVar[type[LineDecoder]] = SSEDecoder
    exact_integers: ClassVar[bool] = False

    def __init__(self, request: ModelRequest, endpoint: Endpoint) -> None:
        self.request = request
        self.endpoint = endpoint
        self.provider = endpoint.provider
        self.model = request.model
        self.writer = PartWriter()
        self.done = False
        self._decoder = self.decoder()
        self._names = ToolNames(request.tools)
        # None until the first byte tells; then the body so far if it is one JSON value instead of a stream.
        self._is_whole: bool | None = None
        self._whole = bytearray()
        self._received = 0

    def feed(self, chunk: bytes) -> ProviderError | None:
        """Write the events of this chunk. An error is returned, not raised: the events before it go first."""
        self._received += len(chunk)
        if self._received > MAX_STREAM_BYTES:
            return truncated(self.provider, f"sent more than {MAX_STREAM_BYTES:,} bytes for one answer")
        if self._is_whole is not False and self._collects(chunk):
            return None
        try:
            datas = self._decoder.feed(chunk)
        except ValueError:
            return truncated(self.provider, "sent a line that is too long")
        error = self._read_events(datas)
        self.writer.flush()
        return error

    def finish(self) -> ProviderError | None:
        """The bytes have ended: write what is left. Returns an error where the terminal event is missing."""
        if self._is_whole:
            error = self._finish_whole()
            self.writer.flush()
            return error
        error = self._read_events(self._decoder.flush()) or self._attempt(self.end_of_bytes)
        self.writer.flush()
        return error or (None if self.done else truncated(self.provider))

    @abstractmethod
    def read(self, event: JsonObject) -> None:
        """Write the events for one JSON object of the stream. Raises `ProviderError` where it reports a failure."""

    @abstractmethod
    def read_whole(self, body: JsonObject) -> None:
        """Write the events of a whole response: some servers send one where a stream was asked for."""

    def read_marker(self, data: bytes) -> bool:
        """Read `data` if it is a marker that is not JSON; returns whether it is one."""
        return data.strip() == b"[DONE]"

    def end_of_bytes(self) -> None:  # noqa: B027  # optional: most streams have one terminal event
        """Set `done` where the stream is complete although its terminal event is missing. Raises `ProviderError`."""

    def usage(self) -> Usage | None:
        """The tokens that the provider has reported so far, for a call that fails before its end."""
        return None

    def continuation(self) -> ModelRequest | None:
        """The request that makes the provider go on where it paused; None where the response is complete."""
        return None

    def origin(self, **facts: Any) -> JsonObject:
        """The `origin` of a part: the provider and model that were asked, and what the provider wants back.

        What cannot be stored, such as an integer beyond 64 bits, is left out.
        """
        kept = storable(facts)
        if kept is None:
            kept = {name: value for name, each in facts.items() if (value := storable(each)) is not None}
        return {"provider": self.provider, "model": self.request.model, **kept}

    def write_call(
        self, name: str, raw: str, *, cut: bool = False, fault: str | None = None, origin: JsonObject | None = None
    ) -> None:
        """Write a whole call of the tool that the provider knows by this name. `fault`: why the server refused it."""
        self.writer.tool_call(self._names.from_wire(clean_text(name)), raw, cut=cut, fault=fault, origin=origin)

    def stop_reason_of(self, reason: Any, known: Mapping[str, StopReason]) -> StopReason:
        """What the server's word for the end of its answer means. `known` has the words of the format, lower-case.

        Raises `ProviderTruncated` for a word that means a failure, `UnknownFinishReason` for one that is not known.
        """
        word = reason.strip().lower() if isinstance(reason, str) else f"({type(reason).__name__})"
        taught = self.endpoint.quirks.finish_reasons.get(word)
        if taught is not None and taught in _FINISH_WORDS:
            return _FINISH_WORDS[taught]
        if taught is None and word in known:
            return known[word]
        shown = clean_text(word[:_MAX_REASON])
        if taught is not None or word in _FAILURES:
            raise truncated(self.provider, f"ended its answer with the reason {shown!r}")
        sentence = f"{self.provider} ended its answer with a reason that is not known: {shown!r}."
        hint = f'If the answer was whole, the quirk finish_reasons {{"{shown}": "stop"}} of the provider says so.'
        raise UnknownFinishReason(f"{sentence} {hint}", provider=self.provider, finish_reason=shown)

    def end(self, stop_reason: StopReason, usage: Usage) -> None:
        """End the open part and the response.

        Raises `ProviderTruncated` for an answer that holds less than its stop reason says, `ProviderRejected` for a
        refusal without words.
        """
        self.writer.close()
        check_complete(self.provider, self.writer.parts, stop_reason, self.request)
        self.writer.events.append(ResponseEnd(stop_reason, usage, clean_text(self.model)))
        self.done = True

    def _collects(self, chunk: bytes) -> bool:
        """Whether the body is one JSON value, not a stream; then the chunk is kept for the end."""
        if self._is_whole is None:
            first = chunk.removeprefix(BOM).lstrip()[:1]
            if not first:
                return False
            self._is_whole = first in {b"{", b"["} and self.decoder is SSEDecoder
        if self._is_whole and len(self._whole) <= MAX_LINE_BYTES:
            self._whole += chunk
        return self._is_whole

    def _finish_whole(self) -> ProviderError | None:
        if len(self._whole) > MAX_LINE_BYTES:
            return truncated(self.provider, "sent a body that is too long")
        for data in split_list(bytes(self._whole).removeprefix(BOM)):
            if (error := self._attempt(self._read_body, data)) is not None:
                return error
        return None if self.done else truncated(self.provider)

    def _read_body(self, body: bytes) -> None:
        """Read one JSON value, or a stream of JSON lines."""
        try:
            whole = parse_object(body, exact_integers=self.exact_integers)
        except ValueError:
            if (error := self._read_events(body.splitlines())) is not None:
                raise error from None
            self.end_of_bytes()
            return
        if whole.get("error"):
            raise error_from_wire(self.provider, whole["error"])
        self.read_whole(whole)

    def _read_events(self, datas: list[bytes]) -> ProviderError | None:
        """Give the object in each of `datas` to `read`. Text that is not meant as JSON is a heartbeat, and ignored."""
        try:
            for data in datas:
                if self.done:
                    break
                if self.read_marker(data):
                    continue
                try:
                    event = parse_object(data, exact_integers=self.exact_integers)
                except ValueError:
                    if is_json(data):
                        raise
                    continue
                self.read(event)
        except ProviderError as error:
            return error
        except _ODD_SHAPES:
            return truncated(self.provider, _NOT_IN_FORMAT)
        return None

    def _attempt(self, read: Callable[..., object], *arguments: object) -> ProviderError | None:
        """Read something; returns the error, if any."""
        try:
            read(*arguments)
        except ProviderError as error:
            return error
        except _ODD_SHAPES:
            return truncated(self.provider, _NOT_IN_FORMAT)
        return None


def is_failure(reason: Any) -> bool:
    """Whether a server's word for the end of its answer says that the answer failed."""
    return isinstance(reason, str) and reason.strip().lower() in _FAILURES
