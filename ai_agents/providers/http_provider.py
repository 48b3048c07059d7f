"""The base of the providers behind HTTP: one transport, retries before the first token, reads that become events."""

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial

from ai_agents.core.event_loop import pressure
from ai_agents.core.exceptions import PackageMissing, ProviderError, ProviderNotConfigured, ProviderTimeout
from ai_agents.core.types import ModelEvent, ModelRequest
from ai_agents.providers.base import Provider
from ai_agents.providers.response_parser import ResponseParser
from ai_agents.providers.retry import MAX_TOTAL_S, with_retries
from ai_agents.providers.transport import OpenResponse, ProviderTransport

DEFAULT_TIMEOUT_S = 60.0
# While the event loop is overloaded, a stream is still read at least this often.
_LONGEST_PAUSE_S = 0.1
# A response, the parser that has its first events, and the error that came right after them.
_Begun = tuple[OpenResponse, ResponseParser, ProviderError | None]


class HTTPProvider(Provider):
    """A provider that answers over HTTP with a stream of lines.

    The transport is built on first use, once per event loop, and all requests share its connections.
    `max_retries` counts the tries after the first one; a request is tried again only before its answer begins.
    `settings.timeout_s` of a request is the longest silence in seconds; None means 60.
    """

    def __init__(
        self, *, model: str | None = None, api_key: str | None = None, base_url: str | None = None, max_retries: int = 2
    ) -> None:
        super().__init__(model=model)
        self.max_retries = max_retries
        self._api_key = api_key
        self._base_url = base_url
        self._transport: ProviderTransport | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._building = asyncio.Lock()

    async def prepare(self) -> None:
        await self._ready_transport()

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        request = self._with_model(request)
        transport = await self._ready_transport()
        before: ResponseParser | None = None
        while True:
            response, parser, failure = await self._begin(transport, request, before)
            events = parser.writer.events
            try:
                while True:
                    for event in events:
                        yield event
                    events.clear()
                    if failure is not None:
                        raise failure
                    if parser.done:
                        break
                    if pause_s := pressure.pause_s(_LONGEST_PAUSE_S):
                        await asyncio.sleep(pause_s)
                    failure = await response.read_into(parser)
                await response.drain()
            finally:
                await response.aclose()
            continuation = parser.continuation()
            if continuation is None:
                return
            request, before = continuation, parser

    async def aclose(self) -> None:
        """Close all connections; open streams fail."""
        transport, self._transport = self._transport, None
        if transport is not None and self._loop is asyncio.get_running_loop():
            await transport.aclose()

    async def _ready_transport(self) -> ProviderTransport:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            # A client belongs to the event loop that first used it, and cannot be closed from another one.
            self._transport, self._loop, self._building = None, loop, asyncio.Lock()
        if self._transport is None:
            async with self._building:
                if self._transport is None:
                    try:
                        self._transport = await asyncio.to_thread(self._build)
                    except PackageMissing as error:
                        raise ProviderNotConfigured(str(error), provider=self.name) from error
        return self._transport

    async def _begin(
        self, transport: ProviderTransport, request: ModelRequest, before: ResponseParser | None
    ) -> _Begun:
        """The response once its first events are there. Retryable failures before that are tried again."""
        usual_s = max(MAX_TOTAL_S, _timeout_s(request))
        within_s = usual_s if request.start_within_s is None else request.start_within_s
        begin = partial(self._begin_once, transport, request, before)
        return await with_retries(begin, retries=self.max_retries, within_s=within_s)

    async def _begin_once(
        self, transport: ProviderTransport, request: ModelRequest, before: ResponseParser | None, left_s: float
    ) -> _Begun:
        parser = self._parser(request, before)
        failure: ProviderError | None = None
        try:
            async with asyncio.timeout(left_s) as deadline:
                response = await self._send(transport, request, timeout_s=_timeout_s(request))
                try:
                    while not (parser.writer.events or parser.done or failure):
                        failure = await response.read_into(parser)
                        # The first bytes are here. From now on only silence has a limit: a model may think for long.
                        deadline.reschedule(None)
                    if failure is not None and not parser.writer.events:
                        raise failure
                except BaseException:
                    await response.aclose()
                    raise
        except TimeoutError as error:
            sentence = f"{self.name} did not begin to answer within {left_s:.3g} s."
            raise ProviderTimeout(sentence, provider=self.name) from error
        return response, parser, failure

    def _with_model(self, request: ModelRequest) -> ModelRequest:
        if request.model:
            return request
        if not self.model:
            sentence = f"{self.name} needs the name of a model: none is set for the agent and there is no default."
            raise ProviderNotConfigured(sentence, provider=self.name)
        return replace(request, model=self.model)

    @abstractmethod
    def _build(self) -> ProviderTransport:
        """Build the transport; called in a thread, since it imports a library. Raises `ProviderNotConfigured`."""

    @abstractmethod
    async def _send(self, transport: ProviderTransport, request: ModelRequest, *, timeout_s: float) -> OpenResponse:
        """Send the request once. Raises `ProviderError`."""

    @abstractmethod
    def _parser(self, request: ModelRequest, before: ResponseParser | None) -> ResponseParser:
        """A parser for the response to this request. `before` parsed the response that this one continues."""


def _timeout_s(request: ModelRequest) -> float:
    timeout_s = request.settings.timeout_s
    return DEFAULT_TIMEOUT_S if timeout_s is None else timeout_s
