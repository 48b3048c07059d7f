"""The base of the providers behind HTTP: one transport, retries before the first token, reads that become events."""

import asyncio
from abc import abstractmethod
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from typing import Any
from urllib.parse import quote

from ai_agents.core.event_loop import pressure
from ai_agents.core.exceptions import (
    PackageMissing,
    ProviderError,
    ProviderNotConfigured,
    ProviderTimeout,
)
from ai_agents.core.notices import Notice
from ai_agents.core.types import ModelEvent, ModelRequest
from ai_agents.providers.base import Provider
from ai_agents.providers.failures import log_failure
from ai_agents.providers.listing import MAX_LISTED, ListedModel
from ai_agents.providers.quirks import NO_QUIRKS, Endpoint, LearnedQuirks, Quirks
from ai_agents.providers.response_parser import ResponseParser
from ai_agents.providers.retry import MAX_TOTAL_S, with_retries
from ai_agents.providers.single_calls import one_call_at_a_time
from ai_agents.providers.specs import PROVIDER_TYPES, maker_of
from ai_agents.providers.tool_schemas import tools_without_form
from ai_agents.providers.transport import OpenResponse, ProviderTransport, ReadResponse
from ai_agents.providers.wire_format import WireFormat
from ai_agents.providers.without_tools import without_tools

DEFAULT_TIMEOUT_S = 60.0
LIST_TIMEOUT_S = 30.0
# While the event loop is overloaded, a stream is still read at least this often.
_LONGEST_PAUSE_S = 0.1
# A response, the parser that has its first events, and the error that came right after them.
_Begun = tuple[OpenResponse, ResponseParser, ProviderError | None]


class HTTPProvider(Provider):
    """A provider that answers over HTTP with a stream of lines.

    The transport is built on first use, once per event loop, and all requests share its connections. `headers` go with
    every request. `quirks` are what the server does differently; `learned` is what its refusals taught.
    `max_retries` counts the tries after the first one; a request is tried again only before its answer begins.
    `settings.timeout_s` of a request is the longest silence in seconds; None means 60.
    """

    def __init__(
        self,
        *,
        model: str | None = None,
        name: str | None = None,
        api_key: str | None = None,
        base_url: str | None = None,
        headers: Mapping[str, str] | None = None,
        quirks: Quirks | None = None,
        max_retries: int = 2,
    ) -> None:
        super().__init__(model=model, name=name)
        self.max_retries = max_retries
        self.quirks = quirks or NO_QUIRKS
        self.learned = LearnedQuirks(self.name)
        self._headers = dict(headers or {})
        self._api_key = api_key
        self._base_url = base_url
        self._transport: ProviderTransport | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._building = asyncio.Lock()
        self._streams = 0
        self._is_retired = False

    async def prepare(self) -> None:
        await self._ready_transport()

    def refusal_of(self, model: str) -> str | None:
        """At its public address are no models of other makers; compatible servers name theirs as they like."""
        kind = type(self).name
        public = PROVIDER_TYPES[kind].base_url if kind in PROVIDER_TYPES else None
        if public is None or (self._base_url or public).rstrip("/") != public or maker_of(model) in {None, kind}:
            return None
        return f"{self.name} has no model {model}, which is one of {maker_of(model)}'s: name that as the provider."

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent]:
        request = self._with_model(request)
        self._streams += 1
        try:
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
                            self._log_failure(transport, request.model, failure)
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
        finally:
            await self._leave()

    async def _leave(self) -> None:
        """A stream has ended: the last one of a provider that was changed or deleted closes its connections."""
        self._streams -= 1
        if self._is_retired and not self._streams:
            await self.aclose()

    def events(self, request: ModelRequest) -> AsyncGenerator[ModelEvent]:
        """The stream itself, whose events are written by parsers that keep the order."""
        return self.stream(request) if type(self).stream is HTTPProvider.stream else super().events(request)

    def left_out(self, request: ModelRequest) -> Sequence[Notice]:
        request = self._with_model(request)
        wire = self.wire_format(request)
        found = list(wire.left_out(request, self.endpoint(request.model)))
        named = {notice["tool"] for notice in found if notice["code"] == "tool_left_out"}
        return found + [notice for notice in tools_without_form(request, wire.family) if notice["tool"] not in named]

    def endpoint(self, model: str) -> Endpoint:
        """The server, as a wire format sees it when this model is asked. What was given wins over what was learned."""
        return Endpoint(self.name, self.learned.get(model).merged(self.quirks))

    @abstractmethod
    def wire_format(self, request: ModelRequest) -> WireFormat:
        """The API that this request goes to."""

    async def list_models(self) -> Sequence[ListedModel]:
        self._streams += 1
        try:
            transport = await self._ready_transport()
            return await self._list_within_limit(transport)
        finally:
            await self._leave()

    async def _list_within_limit(self, transport: ProviderTransport) -> Sequence[ListedModel]:
        try:
            async with asyncio.timeout(LIST_TIMEOUT_S):
                return await self._list_models(transport)
        except TimeoutError as error:
            sentence = f"{self.name} did not list its models within {LIST_TIMEOUT_S:.0f} s."
            raise ProviderTimeout(sentence, provider=self.name) from error
        except ProviderError as error:
            self._log_failure(transport, "", error)
            raise

    async def _list_models(self, transport: ProviderTransport) -> Sequence[ListedModel]:
        """What the server lists; without a way to ask it, the default model. Raises `ProviderError`."""
        return await super().list_models()

    async def retire(self) -> None:
        self._is_retired = True
        if not self._streams:
            await self.aclose()

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

        async def begin(left_s: float) -> _Begun:
            try:
                return await self._begin_once(transport, request, before, left_s)
            except ProviderError as error:
                self._log_failure(transport, request.model, error)
                raise

        return await with_retries(begin, retries=self.max_retries, within_s=within_s)

    async def _begin_once(
        self, transport: ProviderTransport, request: ModelRequest, before: ResponseParser | None, left_s: float
    ) -> _Begun:
        failure: ProviderError | None = None
        try:
            async with asyncio.timeout(left_s) as deadline:
                response, parser = await self._send(transport, request, before)
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

    async def _send(
        self, transport: ProviderTransport, request: ModelRequest, before: ResponseParser | None
    ) -> tuple[OpenResponse, ResponseParser]:
        """Send the request. One that is refused for a parameter which we added is sent once more without it.

        What that taught is remembered for the model. Raises `ProviderError`.
        """
        wire, taught = self.wire_format(request), NO_QUIRKS
        post = partial(transport.post, wire.path(request), timeout_s=_timeout_s(request))
        while True:
            known = self.endpoint(request.model)
            endpoint = known if taught is NO_QUIRKS else replace(known, quirks=known.quirks.merged(taught))
            payload = wire.to_wire(_for(endpoint, request), endpoint)
            try:
                response = await post(payload, headers=wire.headers_to_wire(payload))
            except ProviderError as error:
                if (parser := wire.read_refusal(error, request, endpoint)) is not None:
                    self._log_failure(transport, request.model, error)
                    return ReadResponse(self.name), parser
                remedy = wire.remedy(error, payload)
                if remedy is None or _is_known(remedy, taught):
                    raise
                self._log_failure(transport, request.model, error)
                taught = taught.merged(remedy)
                continue
            if taught is not NO_QUIRKS:
                self.learned.learn(request.model, taught)
            return response, wire.parser(request, endpoint, before)

    def _log_failure(self, transport: ProviderTransport, model: str, error: ProviderError) -> None:
        log_failure(error, provider=self.name, model=model, address=transport.base_url)

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


async def list_pages(
    transport: ProviderTransport,
    path: str,
    parameter: str,
    *,
    read: Callable[[Any], Sequence[ListedModel]],
    next_page: Callable[[Any], str | None],
) -> Sequence[ListedModel]:
    """The models of a list in pages. `path` has a query; `parameter` takes what `next_page` finds in a page."""
    found: list[ListedModel] = []
    url: str | None = path
    while url is not None and len(found) < MAX_LISTED:
        page = await transport.get_json(url, timeout_s=LIST_TIMEOUT_S)
        found += read(page)
        token = next_page(page)
        url = None if token is None else f"{path}&{parameter}={quote(token, safe='')}"
    return found[:MAX_LISTED]


def _is_known(remedy: Quirks, taught: Quirks) -> bool:
    """Whether this was tried for the request already, so that sending it again would go round in a circle."""
    none = Quirks()
    names = [each.name for each in fields(Quirks) if getattr(remedy, each.name) != getattr(none, each.name)]
    return any(getattr(taught, name) != getattr(none, name) for name in names)


def _for(endpoint: Endpoint, request: ModelRequest) -> ModelRequest:
    if endpoint.quirks.tools is False:
        return without_tools(request)
    if endpoint.quirks.parallel_calls is False:
        return replace(request, messages=one_call_at_a_time(request.messages))
    return request


def _timeout_s(request: ModelRequest) -> float:
    timeout_s = request.settings.timeout_s
    return DEFAULT_TIMEOUT_S if timeout_s is None else timeout_s
