"""Turns the bytes of one response into model events. Pure: it reads nothing and waits for nothing."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from ai_agents.core.exceptions import ProviderError
from ai_agents.core.json import clean_text
from ai_agents.core.types import JsonObject, ModelRequest, ResponseEnd, StopReason, Usage
from ai_agents.providers.assembly import PartWriter
from ai_agents.providers.errors import truncated
from ai_agents.providers.lines import LineDecoder, SSEDecoder, parse_object
from ai_agents.providers.rendering import ToolNames


class ResponseParser(ABC):
    """Parses the stream of one response, however its bytes are split into chunks.

    A wire format's parser implements `read`, and calls `end` at the terminal event. The events are in `writer.events`.
    `model` is the model that answers: the one that was asked for, until the response names another one.
    """

    provider: ClassVar[str]
    decoder: ClassVar[type[LineDecoder]] = SSEDecoder

    def __init__(self, request: ModelRequest) -> None:
        self.request = request
        self.model = request.model
        self.writer = PartWriter()
        self.done = False
        self._decoder = self.decoder()
        self._names = ToolNames(request.tools)

    def feed(self, chunk: bytes) -> ProviderError | None:
        """Write the events of this chunk. An error is returned, not raised: the events before it go first."""
        try:
            return self._read_all(self._decoder.feed(chunk))
        except ValueError:
            return truncated(self.provider, "sent a line that is too long")

    def finish(self) -> ProviderError | None:
        """The bytes have ended: write what is left. Returns an error where the terminal event is missing."""
        if (error := self._read_all(self._decoder.flush())) is not None:
            return error
        self.end_of_bytes()
        return None if self.done else truncated(self.provider)

    @abstractmethod
    def read(self, event: JsonObject) -> None:
        """Write the events for one JSON object of the stream. Raises `ProviderError` where it reports a failure."""

    def read_marker(self, data: bytes) -> bool:
        """Read `data` if it is a marker that is not JSON; returns whether it is one."""
        return False

    def end_of_bytes(self) -> None:  # noqa: B027  # optional: most streams have one terminal event
        """Set `done` where the stream is complete although its terminal event is missing."""

    def usage(self) -> Usage | None:
        """The tokens that the provider has reported so far, for a call that fails before its end."""
        return None

    def continuation(self) -> ModelRequest | None:
        """The request that makes the provider go on where it paused; None where the response is complete."""
        return None

    def origin(self, **facts: Any) -> JsonObject:
        """The `origin` of a reasoning part: the model that was asked, and what the provider wants back."""
        return {"provider": self.provider, "model": self.request.model, **facts}

    def write_call(self, name: str, raw: str, *, cut: bool = False) -> None:
        """Write a whole call of the tool that the provider knows by this name."""
        self.writer.tool_call(self._names.from_wire(clean_text(name)), raw, cut=cut)

    def end(self, stop_reason: StopReason, usage: Usage) -> None:
        """End the open part and the response."""
        self.writer.close()
        self.writer.events.append(ResponseEnd(stop_reason, usage, clean_text(self.model)))
        self.done = True

    def _read_all(self, datas: list[bytes]) -> ProviderError | None:
        for data in datas:
            if self.done:
                break
            if self.read_marker(data):
                continue
            try:
                self.read(parse_object(data))
            except ProviderError as error:
                return error
            except (ValueError, TypeError, KeyError, AttributeError, IndexError):
                # The object has a shape that this wire format does not have.
                return truncated(self.provider, "sent data that is not in its format")
        return None
