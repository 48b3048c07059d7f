"""Reads back from the newest message, page by page, until the tokens are used up."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from ai_agents.core.types import ModelMessage
from ai_agents.memory.base import Estimate, HistoryReader
from ai_agents.memory.turns import newest_turn, shrink_to_turn_start

# Messages of the first page, when their length is not known. Later pages are as long as the missing messages should be.
_FIRST_PAGE = 16
_MAX_PAGE = 256


@dataclass(frozen=True, slots=True)
class Walk:
    """Whole turns, ascending. `stopped`: the tokens were used up before all messages were read."""

    messages: tuple[ModelMessage, ...]
    stopped: bool


def turns_within(history: HistoryReader, *, max_tokens: int, estimate: Estimate, after_seq: int = 0) -> Walk:
    """The newest whole turns after `after_seq` that fit into `max_tokens`; at least the newest turn.

    Reads at most one page more than it returns.
    """
    pages: list[Sequence[ModelMessage]] = []
    kept = tokens = 0
    before_seq: int | None = None
    limit = _FIRST_PAGE
    while tokens <= max_tokens:
        read = history.latest(limit, before_seq=before_seq)
        page = [message for message in read if (message.seq or 0) > after_seq]
        fitting, tokens = _fitting(page, tokens, max_tokens, estimate)
        pages.append(page[len(page) - fitting :])
        kept += fitting
        if len(page) < limit:
            break
        before_seq = page[0].seq
        limit = _next_page(max_tokens - tokens, tokens, kept)
    messages = shrink_to_turn_start(tuple(chain.from_iterable(reversed(pages))))
    if not messages and (newest := history.latest(1)):
        messages = newest_turn(history, newest[0])
    return Walk(messages, stopped=tokens > max_tokens)


def _fitting(page: Sequence[ModelMessage], tokens: int, max_tokens: int, estimate: Estimate) -> tuple[int, int]:
    """How many of the page's last messages fit, and all tokens so far with the first message that does not fit."""
    for count, message in enumerate(reversed(page)):
        tokens += estimate(message)
        if tokens > max_tokens:
            return count, tokens
    return len(page), tokens


def _next_page(missing_tokens: int, tokens: int, messages: int) -> int:
    average = max(1, tokens // max(1, messages))
    return max(1, min(_MAX_PAGE, missing_tokens // average + 1))
