"""Asks one model after another until one begins to answer: an agent's own model first, then its fallbacks.

After the first event of an answer no other model can take over, so that the rest of the stream needs no wrapper.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from time import monotonic
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from ai_agents.core import tracing
from ai_agents.core.exceptions import ProviderError, ProviderRejected, ProviderTruncated, RequestError
from ai_agents.core.observing import observer
from ai_agents.core.types import ModelEvent, ModelRequest
from ai_agents.providers.base import Provider
from ai_agents.providers.breaker import Breakers
from ai_agents.providers.spans import start_chat

if TYPE_CHECKING:
    from opentelemetry.trace import Span

CandidateT = TypeVar("CandidateT", bound="Candidate")
# Until the first token, all models and all tries together.
PATIENCE_S = 60.0
# A model whose answers break off this often is asked last for the rest of the run.
_MAX_CUTS = 2


@dataclass(frozen=True, slots=True)
class BegunStream:
    """A provider's stream whose first event has come. `rest` has to be closed. `span` is that of the call."""

    first: ModelEvent
    rest: AsyncGenerator[ModelEvent]
    span: "Span | None" = None


async def begin_stream(provider: Provider, request: ModelRequest) -> BegunStream:
    """Wait for the first event of a response. Raises what the stream raises, `ProviderTruncated` for an empty one."""
    events = provider.events(request)
    asked = monotonic()
    try:
        first = await anext(events)
        observer().answer_began(provider.name, monotonic() - asked)
        return BegunStream(first, events)
    except StopAsyncIteration:
        raise ProviderTruncated(provider=provider.name) from None
    except BaseException:
        await events.aclose()
        raise


class OpenModel(Protocol):
    """A model that can be asked. `request` is the conversation for it, as it was when the model was opened."""

    request: ModelRequest

    async def begin(self, request: ModelRequest) -> BegunStream:
        """Begin to stream a response. Raises `ProviderError`."""


class Candidate(ABC):
    """A model that may be asked."""

    def __init__(self, provider: str, model: str) -> None:
        self.provider = provider
        self.model = model

    @abstractmethod
    async def open(self) -> OpenModel:
        """Make the model ready; called once. Raises `ProviderError`, and `RequestError` for an unfit conversation."""


async def _traced(candidate: Candidate, model: OpenModel, request: ModelRequest) -> BegunStream:
    """Begin to stream a response, in a span that lasts until the stream is closed."""
    span = start_chat(candidate.provider, request)
    if span is None:
        return await model.begin(request)
    asked = monotonic()
    try:
        with tracing.within(span):
            stream = await model.begin(request)
    except BaseException as error:
        tracing.end(span, error=error)
        raise
    tracing.add(span, {tracing.FIRST_CHUNK_S: monotonic() - asked})
    return replace(stream, span=span)


class FallbackChain(Generic[CandidateT]):
    """The candidates of one run. The one that answered last is asked first from then on.

    A candidate that fails before its first event is followed by the next one. Models whose breaker is open are skipped,
    unless there is no other. A model that refused a request is not asked again until another one has answered it.
    `last_failure` is the newest error of a candidate, also where another one answered.
    """

    def __init__(self, candidates: Sequence[CandidateT], breakers: Breakers, *, patience_s: float = PATIENCE_S) -> None:
        self._candidates = candidates
        self._breakers = [breakers.get(candidate.provider, candidate.model) for candidate in candidates]
        self._patience_s = patience_s
        # With the number of the conversation's messages when the model was opened.
        self._opened: dict[int, tuple[OpenModel, int]] = {}
        self._cuts: Counter[int] = Counter()
        # Candidates that are not asked again for the request that is being answered, and why.
        self._ruled_out: dict[int, ProviderError] = {}
        self.last_failure: ProviderError | None = None
        self._current = 0

    @property
    def current(self) -> CandidateT:
        """The candidate that answered last, or is asked first."""
        return self._candidates[self._current]

    @asynccontextmanager
    async def begin(self, request: ModelRequest) -> AsyncIterator[BegunStream]:
        """The answer of the first candidate that begins one, as a context that closes the answer.

        A `ProviderError` that is raised within the context counts as the model's failure, any other error as none.
        Raises the first candidate's error where none begins to answer; its text includes the errors of the others.
        """
        stream = await self._begin(request)
        index = self._current
        breaker = self._breakers[index]
        failure: BaseException | None = None
        try:
            yield stream
            breaker.succeed()
            self._ruled_out.clear()
        except ProviderError as error:
            failure = error
            breaker.fail(error)
            self.last_failure = error
            self._cuts[index] += 1
            raise
        except BaseException as error:
            failure = error
            raise
        finally:
            tracing.end(stream.span, error=failure)
            breaker.give_up()
            await stream.rest.aclose()

    def rule_out_current(self, error: ProviderError) -> bool:
        """Ask the current candidate no more for this request; whether another one is left."""
        self._ruled_out[self._current] = error
        return len(self._ruled_out) < len(self._candidates)

    async def _begin(self, request: ModelRequest) -> BegunStream:
        deadline = monotonic() + max(self._patience_s, request.settings.timeout_s or 0.0)
        failures: list[tuple[Candidate, ProviderError | RequestError]] = [
            (self._candidates[index], error) for index, error in self._ruled_out.items()
        ]
        order = self._order()
        for place, index in enumerate(order, start=1):
            candidate = self._candidates[index]
            left_s = deadline - monotonic()
            if failures and left_s <= 0:
                break
            # A candidate with another one after it gets half of the time that is left.
            share_s = left_s if place == len(order) else left_s / 2
            try:
                model, own = await self._open(index, request, start_within_s=share_s)
            except (ProviderError, RequestError) as error:
                failures.append((candidate, error))
                continue
            breaker = self._breakers[index]
            breaker.begin()
            try:
                stream = await _traced(candidate, model, own)
            except ProviderError as error:
                breaker.fail(error)
                self.last_failure = error
                failures.append((candidate, error))
                if isinstance(error, ProviderRejected):
                    self._ruled_out[index] = error
                continue
            except BaseException:
                breaker.give_up()
                raise
            self._current = index
            return stream
        (_, first), *others = failures
        if others:
            listed = " ".join(f"{candidate.provider}:{candidate.model}: {error}" for candidate, error in others)
            first.args = (f"{first} Nor did the fallbacks answer. {listed}",)
        raise first

    def _order(self) -> list[int]:
        """The candidates in the order in which they are asked: from the current one on, then those before it."""
        count = len(self._candidates)
        order = [*range(self._current, count), *range(self._current)]
        if self._cuts[self._current] >= _MAX_CUTS:
            order = [*order[1:], order[0]]
        order = [index for index in order if index not in self._ruled_out]
        closed = [index for index in order if not self._breakers[index].is_open]
        return closed or order

    async def _open(
        self, index: int, request: ModelRequest, *, start_within_s: float
    ) -> tuple[OpenModel, ModelRequest]:
        """The model, and its own request with the messages that the conversation got since the model was opened."""
        if index not in self._opened:
            self._opened[index] = await self._candidates[index].open(), len(request.messages)
        model, length = self._opened[index]
        own = replace(
            model.request,
            messages=(*model.request.messages, *request.messages[length:]),
            tools=request.tools,
            output_schema=request.output_schema,
            start_within_s=start_within_s,
        )
        return model, own
