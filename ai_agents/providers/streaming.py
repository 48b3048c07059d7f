"""What the providers behind HTTP share: one client, retries before the first token, and reads that become events."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Protocol

from ai_agents.core.exceptions import ProviderError, ProviderTimeout
from ai_agents.core.pressure import pressure
from ai_agents.core.types import ModelEvent, ModelRequest, Usage
from ai_agents.providers.assembly import PartWriter
from ai_agents.providers.base import Provider
from ai_agents.providers.errors import error_from_transport, not_configured, truncated
from ai_agents.providers.lines import LineDecoder, parse_object
from ai_agents.providers.retry import MAX_TOTAL_S, with_retries

DEFAULT_TIMEOUT_S = 60.0
CONNECT_TIMEOUT_S = 10.0
# Streams that one process may have open at a provider at once.
MAX_CONNECTIONS = 1000
# After its terminal event a response has only its end left. Reading that lets the connection be used again.
_DRAIN_S = 0.5
# Where the event loop falls behind, what a stream brings is read this often at least.
_LONGEST_PAUSE_S = 0.1


class Response(Protocol):
    """An HTTP response whose body has not been read; both httpx and httpx2 give such."""

    @property
    def headers(self) -> Mapping[str, str]: ...

    def aiter_raw(self) -> AsyncIterator[bytes]: ...

    def aiter_bytes(self) -> AsyncIterator[bytes]: ...

    async def aclose(self) -> None: ...


class Reader(ABC):
    """Turns the bytes of one response into events, whatever pieces they come in.

    A provider's own reader says in `read` what one JSON object of its stream means, and sets `done` at the last one.
    """

    def __init__(self, provider: str, decoder: LineDecoder) -> None:
        self.provider = provider
        self.writer = PartWriter()
        self.done = False
        self._decoder = decoder

    def feed(self, chunk: bytes) -> ProviderError | None:
        """Write the events of this chunk. An error is returned, not raised: what came before it is to be told first."""
        try:
            return self._read_all(self._decoder.feed(chunk))
        except ValueError:
            return truncated(self.provider, "sent a line that is too long")

    def finish(self) -> ProviderError | None:
        """The bytes have ended: write what is left. An error is returned if the terminal event is missing."""
        if (error := self._read_all(self._decoder.flush())) is not None:
            return error
        self.end_of_bytes()
        return None if self.done else truncated(self.provider)

    @abstractmethod
    def read(self, event: dict[str, Any]) -> None:
        """Write what one JSON object of the stream means. Raises `ProviderError` for one that reports a failure."""

    def read_other(self, data: bytes) -> bool:
        """Whether `data` means something although it is not JSON."""
        return False

    def end_of_bytes(self) -> None:  # noqa: B027  # optional: most streams have one terminal event
        """Set `done` where the provider's terminal event need not be the last one."""

    def usage(self) -> Usage | None:
        """What the provider has said of the call's tokens so far; for one that fails before its end."""
        return None

    def continuation(self) -> tuple[ModelRequest, "Callable[[], Reader]"] | None:
        """Where the provider paused: the request that lets it go on, and what makes a reader of the answer to that.

        The reader goes on in the same response. None where the response is over.
        """
        return None

    def _read_all(self, datas: list[bytes]) -> ProviderError | None:
        for data in datas:
            if self.done:
                break
            if self.read_other(data):
                continue
            try:
                self.read(parse_object(data))
            except ProviderError as error:
                return error
            except (ValueError, TypeError, KeyError, AttributeError, IndexError):
                # Whatever shape it has, it is not what this provider's streams are made of.
                return truncated(self.provider, "sent something that is not part of its stream")
        return None


@dataclass(frozen=True, slots=True)
class _Begun:
    """A response under way. `reader` has its first events; `failure` is what came right after them."""

    response: Response
    reader: Reader
    chunks: AsyncIterator[bytes]
    failure: ProviderError | None


class HTTPProvider(Provider):
    """A provider that answers over HTTP with a stream of lines.

    The client is made on first use, once per event loop, and its connections are shared by all requests.
    `max_retries` counts the tries after the first one; only what has not begun to answer is tried again.
    """

    # What reading a response can raise; known once the client's library is imported.
    transport_errors: tuple[type[Exception], ...] = (OSError,)
    needs_model: ClassVar[str] = "{name} needs the name of a model: none is set for the agent and there is no default."

    def __init__(self, *, model: str | None, max_retries: int) -> None:
        super().__init__(model=model)
        self.max_retries = max_retries
        self._client: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._building = asyncio.Lock()

    async def prepare(self) -> None:
        """Import and build what the first request would, which takes a second or two for an SDK."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            # A client belongs to the loop that it was first used in, and cannot be closed from another one.
            self._client, self._loop, self._building = None, loop, asyncio.Lock()
        if self._client is None:
            async with self._building:
                if self._client is None:
                    self._client = await asyncio.to_thread(self._build)

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """Stream one response; see `Provider.stream`. `settings.timeout_s` is seconds without a byte, None means 60."""
        request = self._with_model(request)
        await self.prepare()
        make_reader: Callable[[], Reader] = partial(self._reader, request)
        while True:
            begun = await self._begin(request, make_reader)
            reader, chunks, failure = begun.reader, begun.chunks, begun.failure
            events = reader.writer.events
            try:
                while True:
                    for event in events:
                        yield event
                    events.clear()
                    if failure is not None:
                        raise failure
                    if reader.done:
                        break
                    if pause_s := pressure.pause_s(_LONGEST_PAUSE_S):
                        await asyncio.sleep(pause_s)
                    failure = await self._read(chunks, reader, request)
                await self._drain(chunks)
            finally:
                await begun.response.aclose()
            continuation = reader.continuation()
            if continuation is None:
                return
            request, make_reader = continuation

    async def _begin(self, request: ModelRequest, make_reader: Callable[[], Reader]) -> "_Begun":
        """A response that has begun: its first events are there. Until then any failure is tried again."""

        async def attempt(left_s: float) -> _Begun:
            try:
                async with asyncio.timeout(left_s) as patience:
                    return await self._begin_once(request, make_reader(), patience)
            except TimeoutError as error:
                sentence = f"{self.name} did not begin to answer within {left_s:.3g} s."
                raise ProviderTimeout(sentence, provider=self.name) from error

        within_s = request.start_within_s
        if within_s is None:
            within_s = max(MAX_TOTAL_S, self._timeout_s(request))
        return await with_retries(attempt, retries=self.max_retries, within_s=within_s)

    async def _begin_once(self, request: ModelRequest, reader: Reader, patience: asyncio.Timeout) -> "_Begun":
        response = await self._open(request)
        try:
            chunks = aiter(_body(response))
            failure: ProviderError | None = None
            while not (reader.writer.events or reader.done or failure):
                failure = await self._read(chunks, reader, request)
                # It answers: from here on only silence counts, since a model may think for long before it speaks.
                patience.reschedule(None)
            if failure is not None and not reader.writer.events:
                raise failure
        except BaseException:
            await response.aclose()
            raise
        return _Begun(response, reader, chunks, failure)

    async def _read(self, chunks: AsyncIterator[bytes], reader: Reader, request: ModelRequest) -> ProviderError | None:
        """Read once. A failure is returned, with the usage that is known: what was read before is to be told first."""
        failure: ProviderError | None
        try:
            chunk = await anext(chunks, None)
        except self.transport_errors as error:
            failure = self._failure(error, request, begun=True)
            failure.__cause__ = error
        else:
            failure = reader.finish() if chunk is None else reader.feed(chunk)
        if failure is not None:
            failure.usage = reader.usage()
        return failure

    async def _drain(self, chunks: AsyncIterator[bytes]) -> None:
        with suppress(*self.transport_errors, TimeoutError):
            async with asyncio.timeout(_DRAIN_S):
                while await anext(chunks, None) is not None:
                    pass

    async def aclose(self) -> None:
        """Close all connections; streams that are open fail."""
        client, self._client = self._client, None
        if client is not None and self._loop is asyncio.get_running_loop():
            await self._close_client(client)

    def _failure(self, error: Exception, request: ModelRequest, *, begun: bool = False) -> ProviderError:
        return error_from_transport(self.name, error, timeout_s=self._timeout_s(request), begun=begun)

    def _with_model(self, request: ModelRequest) -> ModelRequest:
        model = request.model or self.model
        if not model:
            raise not_configured(self.name, self.needs_model.format(name=self.name))
        return request if request.model else replace(request, model=model)

    def _timeout_s(self, request: ModelRequest) -> float:
        timeout_s = request.settings.timeout_s
        return DEFAULT_TIMEOUT_S if timeout_s is None else timeout_s

    @abstractmethod
    def _build(self) -> Any:
        """Import the client's library and build a client; called in a thread. Raises `ProviderNotConfigured`."""

    @abstractmethod
    async def _open(self, request: ModelRequest) -> Response:
        """Send the request once and give the response, its status being a success. Raises `ProviderError`."""

    @abstractmethod
    def _reader(self, request: ModelRequest) -> Reader:
        """What reads the response to this request."""

    @abstractmethod
    async def _close_client(self, client: Any) -> None:
        """Close what `_build` built."""


def _body(response: Response) -> AsyncIterator[bytes]:
    """The body's bytes. Requests ask for it uncompressed, which saves a step per read; a proxy may not care."""
    return response.aiter_bytes() if "content-encoding" in response.headers else response.aiter_raw()
