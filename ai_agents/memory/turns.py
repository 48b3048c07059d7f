"""Cuts histories at turns. Here a turn is a user's message and everything up to the next user's message.

A tool call and its result are in the same turn, so a cut at the beginning of a turn never separates them.
"""

from collections.abc import Sequence
from itertools import chain

from ai_agents.core.types import ModelMessage
from ai_agents.memory.base import Estimate, HistoryReader

# Messages of the first page, when their length is not known. Later pages are as long as the missing messages should be.
_FIRST_PAGE = 16
_MAX_PAGE = 256


def starts_of_turns(messages: Sequence[ModelMessage]) -> list[int]:
    """The indices at which turns begin, ascending."""
    return [index for index, message in enumerate(messages) if message.role == "user"]


def shrink_to_turn_start(messages: Sequence[ModelMessage]) -> tuple[ModelMessage, ...]:
    """The messages from the first user's message on; none where there is no user's message."""
    start = next((index for index, message in enumerate(messages) if message.role == "user"), len(messages))
    return tuple(messages[start:])


def shrink_to_turn_end(messages: Sequence[ModelMessage], following: ModelMessage | None) -> tuple[ModelMessage, ...]:
    """The messages up to the last end of a turn. `following` is the thread's next message, None where there is none."""
    if following is None or following.role == "user":
        return tuple(messages)
    starts = starts_of_turns(messages)
    return tuple(messages[: starts[-1]]) if starts else ()


def latest_turns(history: HistoryReader, count: int) -> tuple[ModelMessage, ...]:
    """The whole turns among the last `count` messages; at least the newest turn, even if it is longer."""
    messages = history.latest(count)
    turns = shrink_to_turn_start(messages)
    if turns or not messages:
        return turns
    return shrink_to_turn_start(history.after(history.turn_start(messages[-1].seq or 0) - 1))


def turns_within(
    history: HistoryReader, *, max_tokens: int, estimate: Estimate, after_seq: int = 0
) -> tuple[tuple[ModelMessage, ...], bool]:
    """The newest whole turns after `after_seq` that fit into `max_tokens`; at least the newest turn.

    Also returns whether the tokens were used up before all messages were read. Reads from the newest message back, at
    most one page more than it returns.
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
        average = max(1, tokens // max(1, kept))
        limit = max(1, min(_MAX_PAGE, (max_tokens - tokens) // average + 1))
    messages = shrink_to_turn_start(tuple(chain.from_iterable(reversed(pages))))
    return messages or latest_turns(history, 1), tokens > max_tokens


def _fitting(page: Sequence[ModelMessage], tokens: int, max_tokens: int, estimate: Estimate) -> tuple[int, int]:
    """How many of the page's last messages fit, and all tokens so far with the first message that does not fit."""
    for count, message in enumerate(reversed(page)):
        tokens += estimate(message)
        if tokens > max_tokens:
            return count, tokens
    return len(page), tokens
