"""Asks one model after another until one begins to answer: an agent's own model first, then its fallbacks.

After the first event of an answer no other model can take over, so that the rest of the stream needs no wrapper.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from time import monotonic
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar

from ai_agents.core.exceptions import ProviderError, ProviderTruncated, RequestError
from ai_agents.core.types import ModelEvent, ModelRequest
from ai_agents.providers.assembly import closeable
from ai_agents.providers.base import Provider
from ai_agents.providers.breaker import Breaker, Breakers

CandidateT = TypeVar("CandidateT", bound="Candidate")
# Until the first token, all models and all tries together.
PATIENCE_S = 60.0
# A model whose answers break off this often is asked last for the rest of the run.
_MAX_CUTS = 2


@dataclass(frozen=True, slots=True)
class BegunStream:
    """A provider's stream whose first event has come. `rest` has to be closed."""

    first: ModelEvent
    rest: AsyncGenerator[ModelEvent]


async def begin_stream(provider: Provider, request: ModelRequest) -> BegunStream:
    """Wait for the first event of a response. Raises what the stream raises, `ProviderTruncated` for an empty one."""
    events = closeable(provider.stream(request))
    try:
        return BegunStream(await anext(events), events)
    except StopAsyncIteration:
        raise ProviderTruncated(provider=provider.name) from None
    except BaseException:
        await events.aclose()
        raise


class OpenModel(Protocol):
    """A model that can be asked, with the conversation as it has to be sent to it."""

    @property
    def request(self) -> ModelRequest:
        """The conversation as it was when the model was opened."""
        ...

    async def begin(self, request: ModelRequest) -> BegunStream:
        """Begin to stream a response. Raises `ProviderError`."""
        ...


class Candidate(ABC):
    """A model that may be asked."""

    def __init__(self, provider: str, model: str) -> None:
        self.provider = provider
        self.model = model

    @abstractmethod
    async def open(self) -> OpenModel:
        """Make the model ready; called once, when it is the candidate's turn.

        Raises `ProviderError`, and `RequestError` where this model cannot be sent the conversation.
        """


@dataclass(frozen=True, slots=True)
class _Opened:
    """An open candidate. `length` is the number of the conversation's messages when it was opened."""

    model: OpenModel
    length: int

    def extended(self, request: ModelRequest, *, start_within_s: float) -> ModelRequest:
        """The model's own request, with the messages that the conversation got since it was opened."""
        own = self.model.request
        return replace(
            own,
            messages=(*own.messages, *request.messages[self.length :]),
            tools=request.tools,
            output_schema=request.output_schema,
            start_within_s=start_within_s,
        )


class AnswerStream:
    """An answer under way: its first event and the rest. It is a context, which tells the breaker how the answer ended.

    A `ProviderError` that is raised within the context counts as the model's failure, any other error as none.
    """

    def __init__(self, chain: "FallbackChain[Any]", index: int, stream: BegunStream, breaker: Breaker) -> None:
        self.first = stream.first
        self.rest = stream.rest
        self._chain = chain
        self._index = index
        self._breaker = breaker

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.rest.aclose()
        finally:
            if error is None:
                self._breaker.succeed()
            elif isinstance(error, ProviderError):
                self._breaker.fail(error)
                self._chain.note_cut(self._index)
            self._breaker.give_up()


class FallbackChain(Generic[CandidateT]):
    """The candidates of one run. The one that answered last is asked first from then on.

    A candidate that fails before its first event is followed by the next one. Models whose breaker is open are skipped,
    unless there is no other.
    """

    def __init__(self, candidates: Sequence[CandidateT], breakers: Breakers, *, patience_s: float = PATIENCE_S) -> None:
        self._candidates = candidates
        self._breakers = [breakers.get(candidate.provider, candidate.model) for candidate in candidates]
        self._patience_s = patience_s
        self._opened: dict[int, _Opened] = {}
        self._cuts: Counter[int] = Counter()
        self._current = 0

    @property
    def current(self) -> CandidateT:
        """The candidate that answered last, or is asked first."""
        return self._candidates[self._current]

    async def begin(self, request: ModelRequest) -> AnswerStream:
        """The answer of the first candidate that begins one.

        Raises the first candidate's error where none does; its text includes the errors of the others.
        """
        deadline = monotonic() + max(self._patience_s, request.settings.timeout_s or 0.0)
        failures: list[tuple[Candidate, ProviderError | RequestError]] = []
        order = self._order()
        for place, index in enumerate(order, start=1):
            candidate = self._candidates[index]
            left_s = deadline - monotonic()
            if failures and left_s <= 0:
                break
            try:
                opened = await self._open(index, request)
            except (ProviderError, RequestError) as error:
                failures.append((candidate, error))
                continue
            # A candidate with another one after it gets half of the time that is left.
            own = opened.extended(request, start_within_s=left_s if place == len(order) else left_s / 2)
            breaker = self._breakers[index]
            breaker.begin()
            begun = False
            try:
                stream = await opened.model.begin(own)
                begun = True
            except ProviderError as error:
                breaker.fail(error)
                failures.append((candidate, error))
                continue
            finally:
                if not begun:
                    breaker.give_up()
            self._current = index
            return AnswerStream(self, index, stream, breaker)
        raise _joined(failures)

    def note_cut(self, index: int) -> None:
        """Count an answer of this candidate that broke off."""
        self._cuts[index] += 1

    def _order(self) -> list[int]:
        """The candidates in the order in which they are asked: from the current one on, then those before it."""
        count = len(self._candidates)
        order = [*range(self._current, count), *range(self._current)]
        if self._cuts[self._current] >= _MAX_CUTS:
            order = [*order[1:], order[0]]
        closed = [index for index in order if not self._breakers[index].is_open]
        return closed or order

    async def _open(self, index: int, request: ModelRequest) -> _Opened:
        opened = self._opened.get(index)
        if opened is None:
            model = await self._candidates[index].open()
            opened = self._opened[index] = _Opened(model, len(request.messages))
        return opened


def _joined(failures: Sequence[tuple[Candidate, ProviderError | RequestError]]) -> ProviderError | RequestError:
    """The first error, whose text includes the others'."""
    (_, first), *others = failures
    if others:
        listed = " ".join(f"{candidate.provider}:{candidate.model}: {error}" for candidate, error in others)
        first.args = (f"{first} Nor did the fallbacks answer. {listed}",)
    return first
