"""A provider that finds a request too long is asked once more with about half of it: the oldest turns are left out."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import ClassVar, Literal

from ai_agents.context.builder import ContextAccount
from ai_agents.core.exceptions import ContextExceeded
from ai_agents.core.rows import Notice
from ai_agents.core.tokens import estimate_message
from ai_agents.core.types import ModelEvent, ModelRequest
from ai_agents.memory.turns import starts_of_turns
from ai_agents.providers.assembly import closeable
from ai_agents.providers.base import Capabilities, Provider


def notices_of(account: ContextAccount) -> list[Notice]:
    """What a run has to say of a request that does not hold all that its memory chose."""
    left_out = [each.seq or 0 for each in account.left_out if each.reason == "token_budget"]
    # Everything before this one.
    unread = [each.seq or 0 for each in account.left_out if each.reason == "not_read"]
    if not left_out and not unread:
        return []
    through = max([*left_out, *(seq - 1 for seq in unread)])
    return [_notice(None if unread else len(left_out), through, "window")]


def carry_on(earlier: Sequence[Notice], now: Sequence[Notice]) -> tuple[Notice, ...]:
    """What a run had to say before it waited, and what it has to say since; of what recurs, only the newest."""
    recurring = {_subject(each) for each in now}
    return (*(each for each in earlier if _subject(each) not in recurring), *now)


class CompactingProvider(Provider):
    """A provider for one run. What it has left out once it leaves out of the run's later requests, too.

    The requests of a run begin alike; later ones have more at their end. `tell` is told of what was left out.
    """

    name: ClassVar[str] = "compacting"

    def __init__(self, provider: Provider, *, tell: Callable[[Notice], None]) -> None:
        super().__init__(model=provider.model)
        self._provider = provider
        self._tell = tell
        self._left_out: tuple[int, int] | None = None

    def capabilities(self, model: str) -> Capabilities:
        """Those of the provider behind it."""
        return self._provider.capabilities(model)

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """The provider's stream. Raises `ContextExceeded` where there is nothing left to leave out."""
        while True:
            begun = False
            try:
                async with aclosing(closeable(self._provider.stream(self._shortened(request)))) as events:
                    async for event in events:
                        begun = True
                        yield event
                return
            except ContextExceeded:
                if begun or self._left_out is not None:
                    raise
                found = oldest_half(request)
                if found is None:
                    raise
                self._left_out = found
                start, end = found
                seqs = [message.seq or 0 for message in request.messages[start:end]]
                self._tell(_notice(end - start, max(seqs), "provider"))

    def _shortened(self, request: ModelRequest) -> ModelRequest:
        if self._left_out is None:
            return request
        start, end = self._left_out
        return replace(request, messages=(*request.messages[:start], *request.messages[end:]))


def oldest_half(request: ModelRequest) -> tuple[int, int] | None:
    """Which messages to leave out, from the first index to before the second, so that about half remains.

    Whole turns, the oldest first; never the newest, and not the summary. None where there is no other.
    """
    messages = request.messages
    starts = [start for start in starts_of_turns(messages) if messages[start].seq is not None]
    if len(starts) < 2:
        return None
    costs = [estimate_message(message) for message in messages]
    most = sum(costs) / 2
    for end in starts[1:]:
        if sum(costs[: starts[0]]) + sum(costs[end:]) <= most:
            return starts[0], end
    return starts[0], starts[-1]


def _subject(notice: Notice) -> tuple[str, str]:
    return notice["code"], notice["tool"] if notice["code"] == "tool_missing" else notice["reason"]


def _notice(messages: int | None, through_seq: int, reason: Literal["window", "provider"]) -> Notice:
    return {
        "code": "context_left_out",
        "messages": messages,
        "through_seq": through_seq or None,
        "reason": reason,
    }
