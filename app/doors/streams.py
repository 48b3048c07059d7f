"""Runs as streams of doors: a translator makes a client's frames of the run's events.

The client may leave: the run goes on. Comments keep the connection alive, as on our own streams.
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Protocol, runtime_checkable

from ai_agents.streams.cursor import Frame
from ai_agents.streams.reader import StreamReader
from app.event_streams import EventStreamResponse, OpenStreams
from app.services.identity import Principal

_PRELUDE = b": ok\n\n"
_HEARTBEAT = b": ping\n\n"


class Translator(Protocol):
    """Makes the frames of one stream. It knows neither HTTP nor the database."""

    @property
    def ended(self) -> bool:
        """Whether the client's stream is complete: nothing of the run's is sent any more."""
        ...

    def begin(self) -> bytes:
        """What comes first."""
        ...

    def take(self, frame: Frame) -> bytes:
        """What an event of the run is to the client; empty for nothing."""
        ...

    def end(self) -> bytes:
        """What comes last. Where `ended` is False the stream is cut: the process stops, or the right was lost."""
        ...


@runtime_checkable
class Settles(Protocol):
    """A translator that looks at what came together before it ends.

    A stream that is read again has a wait and what came after it in one batch: what is over is no end.
    """

    def settle(self) -> bytes:
        """What follows from the events that were taken, once all that came together were."""
        ...


class DoorStream(EventStreamResponse[StreamReader]):
    """The open stream of a run at a door."""

    def __init__(
        self,
        reader: StreamReader,
        translator: Translator,
        *,
        user: Principal,
        streams: OpenStreams,
        headers: Mapping[str, str],
        has_begun: bool = True,
    ) -> None:
        """`headers` are those of the door. `has_begun`: see `EventStreamResponse`."""
        super().__init__(reader, user=user, streams=streams, has_begun=has_begun)
        self.more_headers = [(name.encode(), value.encode()) for name, value in headers.items()]
        self._translator = translator
        self._settle: Callable[[], bytes] = translator.settle if isinstance(translator, Settles) else bytes

    async def chunks(self, reader: StreamReader) -> AsyncGenerator[bytes]:
        """The frames of the translator; those that come together are one chunk."""
        translator = self._translator
        yield _PRELUDE + translator.begin()
        async with aclosing(reader.frames()) as batches:
            async for batch in batches:
                if not batch:
                    yield _HEARTBEAT
                elif chunk := b"".join([*map(translator.take, batch), self._settle()]):
                    yield chunk
                if translator.ended:
                    return

    def last_chunk(self) -> bytes:
        """The translator's last bytes."""
        return self._translator.end()
