"""Asks one model after the other until one begins to answer: an agent's own first, then its fallbacks."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from time import monotonic
from typing import ClassVar

from ai_agents.core.exceptions import ProviderError, ProviderTruncated, RequestError
from ai_agents.core.types import ModelEvent, ModelRequest, ResponseEnd
from ai_agents.providers.assembly import closeable
from ai_agents.providers.base import Provider
from ai_agents.providers.breaker import Breakers

# Until the first token, all models and all tries together.
PATIENCE_S = 60.0
# A model whose answers break off so often is not asked again in the same run, if there is another one.
_MAX_CUTS = 2


@dataclass(frozen=True, slots=True)
class Candidate:
    """Who may be asked. `open` gives the provider, and the conversation as this model is to be sent it.

    It is called when the candidate's turn has come. Raises `ProviderError`, and `RequestError` where the conversation
    is none for this model.
    """

    provider: str
    model: str
    open: Callable[[], Awaitable[tuple[Provider, ModelRequest]]]


@dataclass(frozen=True, slots=True)
class _Opened:
    """A candidate with its request, as it was when the conversation had `length` messages; later ones are added."""

    provider: Provider
    request: ModelRequest
    length: int

    def extended(self, request: ModelRequest, *, start_within_s: float) -> ModelRequest:
        return replace(
            self.request,
            messages=(*self.request.messages, *request.messages[self.length :]),
            tools=request.tools,
            output_schema=request.output_schema,
            start_within_s=start_within_s,
        )


class FallbackProvider(Provider):
    """The candidates of one run as one provider. Whoever has begun to answer is asked first from then on.

    Only before its first event is a failure followed by the next candidate; after it, the failure is raised. Models
    whose breaker is open are passed over, unless there is no other.
    """

    name: ClassVar[str] = "fallback"

    def __init__(self, candidates: Sequence[Candidate], breakers: Breakers, *, patience_s: float | None = None) -> None:
        super().__init__(model=candidates[0].model)
        self._candidates = candidates
        self._breakers = breakers
        self._patience_s = PATIENCE_S if patience_s is None else patience_s
        self._opened: dict[int, _Opened] = {}
        self._cuts: Counter[int] = Counter()
        self.current = 0

    @property
    def answering(self) -> Candidate:
        """Who answered last, or is asked first."""
        return self._candidates[self.current]

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """Stream one response of the first candidate that gives one; see `Provider.stream`.

        Raises the first candidate's error where none does, told of the others' as well.
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
            # Who can be followed by another one gets half of the time that is left.
            asked = opened.extended(request, start_within_s=left_s if place == len(order) else left_s / 2)
            breaker = self._breakers.get(candidate.provider, candidate.model)
            breaker.begin()
            begun = False
            last: ModelEvent | None = None
            try:
                async with aclosing(closeable(opened.provider.stream(asked))) as events:
                    async for event in events:
                        last = event
                        if not begun:
                            begun, self.current = True, index
                        yield event
                if not isinstance(last, ResponseEnd):
                    raise ProviderTruncated(provider=candidate.provider)
                breaker.succeed()
                return
            except ProviderError as error:
                breaker.fail(error)
                if begun:
                    self._cuts[index] += 1
                    raise
                failures.append((candidate, error))
            finally:
                breaker.give_up()
        raise _told_together(failures)

    def _order(self) -> list[int]:
        """Whom to ask, in order: the current one first, and those after it before those before it."""
        count = len(self._candidates)
        order = [*range(self.current, count), *range(self.current)]
        if self._cuts[self.current] >= _MAX_CUTS:
            order = [*order[1:], order[0]]
        closed = [index for index in order if not self._is_open(index)]
        return closed or order

    def _is_open(self, index: int) -> bool:
        candidate = self._candidates[index]
        return self._breakers.get(candidate.provider, candidate.model).is_open

    async def _open(self, index: int, request: ModelRequest) -> _Opened:
        opened = self._opened.get(index)
        if opened is None:
            provider, own = await self._candidates[index].open()
            opened = self._opened[index] = _Opened(provider, own, len(request.messages))
        return opened


def _told_together(failures: Sequence[tuple[Candidate, ProviderError | RequestError]]) -> ProviderError | RequestError:
    (_, first), *others = failures
    if others:
        told = " ".join(f"{candidate.provider}:{candidate.model}: {error}" for candidate, error in others)
        first.args = (f"{first} Nor did the fallbacks answer. {told}",)
    return first
