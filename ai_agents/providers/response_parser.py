"""Turns the bytes of one response into model events. Pure: it reads nothing and waits for nothing."""

from abc import ABC, abstractmethod
from typing import Any

from ai_agents.core.exceptions import ProviderError
from ai_agents.core.types import ModelRequest, Usage
from ai_agents.providers.assembly import PartWriter
from ai_agents.providers.errors import truncated
from ai_agents.providers.lines import LineDecoder, parse_object


class ResponseParser(ABC):
    """Parses the stream of one response, however its bytes are split into chunks.

    A wire format's parser implements `read`, and sets `done` at the terminal event. The events are in `writer.events`.
    """

    def __init__(self, provider: str, decoder: LineDecoder) -> None:
        self.provider = provider
        self.writer = PartWriter()
        self.done = False
        self._decoder = decoder

    def feed(self, chunk: bytes) -> ProviderError | None:
        """Write the events of this chunk.

        An error is returned, not raised: the events before it are to be delivered first.
        """
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
    def read(self, event: dict[str, Any]) -> None:
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
