"""Cuts histories at turns. Here a turn is a user's message and everything up to the next user's message.

What a thread has before its first user's message, such as a greeting, is a turn too. A tool call and its result are in
the same turn, so a cut at the beginning of a turn never separates them.

Providers keep what they computed for the beginning of a request. Two functions move a window's edge rarely, so that
most requests begin as the one before: `latest_turns` by a number of messages, `first_kept` by a share of the tokens.
Both depend on the messages alone, so that every process chooses the same edge.
"""

from collections.abc import Sequence
from itertools import chain

from ai_agents.core.types import ModelMessage
from ai_agents.memory.base import Estimate, HistoryReader

# Messages of the first page, when their length is not known. Later pages are as long as the missing messages should be.
_FIRST_PAGE = 16
_MAX_PAGE = 256
# Steps are counted from the beginning of a block of this many log rows for each message of a step. A block is short, so
# that counting costs the same in any thread. It has few ends, since an edge moves up to twice as far over an end.
_ROWS_PER_STEP = 64
# What is left when tokens are used up.
_LEAST_SHARE = 0.75


def starts_of_turns(messages: Sequence[ModelMessage]) -> list[int]:
    """The indices at which turns begin, ascending. The first message begins one."""
    return [index for index, message in enumerate(messages) if not index or message.role == "user"]


def shrink_to_turn_start(messages: Sequence[ModelMessage]) -> tuple[ModelMessage, ...]:
    """The messages from the first user's message on; none where there is no user's message."""
    start = next((index for index, message in enumerate(messages) if message.role == "user"), len(messages))
    return tuple(messages[start:])


def shrink_to_newest_turn(messages: Sequence[ModelMessage]) -> tuple[ModelMessage, ...]:
    """The messages from the last user's message on; all of them where there is no user's message."""
    starts = starts_of_turns(messages)
    return tuple(messages[starts[-1] :]) if starts else ()


def shrink_to_turn_end(messages: Sequence[ModelMessage], following: ModelMessage | None) -> tuple[ModelMessage, ...]:
    """The messages up to the last end of a turn. `following` is the thread's next message, None where there is none."""
    if following is None or following.role == "user":
        return tuple(messages)
    starts = starts_of_turns(messages)
    return tuple(messages[: starts[-1]]) if starts else ()


def latest_turns(history: HistoryReader, count: int, *, step: int = 1) -> tuple[ModelMessage, ...]:
    """The whole turns among the last `count` messages; at least the newest turn, even if it is longer.

    With a `step` they are the turns among the last `count` messages and up to `step - 1` more, so that the edge moves
    by `step` messages at a time; once in a long while it moves by up to `2 * step`.
    """
    most = most_of_latest(count, step)
    # One more says whether the thread begins before them.
    messages = history.latest(most + 1)
    has_more = len(messages) > most
    messages = messages[1:] if has_more else messages
    if step > 1 and len(messages) > count:
        first = _stepped(history, messages, len(messages) - count, step)
        has_more = has_more or first > 0
        messages = messages[first:]
    turns = shrink_to_turn_start(messages) if has_more else _from_turn_start(history, messages)
    if turns or not messages:
        return turns
    return tuple(history.after(history.turn_start(messages[-1].seq or 0) - 1))


def most_of_latest(count: int, step: int) -> int:
    """How many messages `latest_turns` reads, and at most returns."""
    return count + 2 * step if step > 1 else count


def _stepped(history: HistoryReader, messages: Sequence[ModelMessage], last: int, step: int) -> int:
    """The index of the newest landmark up to `last`; 0 in a thread that has none yet.

    A landmark is a message that comes after `step` messages of its block, or after twice as many, and so on. So two
    landmarks are at least `step` and at most `2 * step` messages apart. In a block with fewer messages there is none:
    where nearly all rows of a log are others than messages, the edge moves with each message.
    """
    block = _ROWS_PER_STEP * step
    seqs = [message.seq or 0 for message in messages[: last + 1]]
    earlier = history.count(after_seq=seqs[0] // block * block - 1, through_seq=seqs[0] - 1)
    landmark = 0 if earlier and not earlier % step else None
    for index in range(1, last + 1):
        earlier = earlier + 1 if seqs[index] // block == seqs[index - 1] // block else 0
        if earlier and not earlier % step:
            landmark = index
    if landmark is None:
        return 0 if last < 2 * step else last
    return landmark


def _from_turn_start(history: HistoryReader, messages: Sequence[ModelMessage]) -> tuple[ModelMessage, ...]:
    """The messages from the first beginning of a turn on."""
    seq = messages[0].seq if messages else None
    if seq is not None and messages[0].role != "user" and history.turn_start(seq) == seq:
        return tuple(messages)  # they begin as the thread does
    return shrink_to_turn_start(messages)


def first_kept(seqs: Sequence[int], costs: Sequence[float], limit: float) -> int:
    """The index of the first turn to keep of those with these first `seq` and costs, where not all fit into `limit`.

    What is kept has at least three quarters of `limit`, as far as turns allow it, and always has the newest turn. Of
    the turns at which it can begin, it begins at the one with the roundest number: the turn during which the thread's
    `seq` passed a multiple of the highest power of two. While a thread grows, this turn stays the same until it does
    not fit any more, or until a rounder one leaves three quarters; so the edge moves by an eighth to a quarter of
    `limit` where turns are alike, and only forward.
    """
    last = len(costs) - 1
    kept, roundest, total = last, -1, 0.0
    for index in range(last, -1, -1):
        total += costs[index]
        if total > limit:
            break
        if total < _LEAST_SHARE * limit:
            kept = index
            continue
        # In a row of turns the highest is never there twice: between two multiples of it lies one of its double.
        roundness = (seqs[index] ^ seqs[index + 1]).bit_length() if index < last else 0
        if roundness > roundest:
            kept, roundest = index, roundness
    return kept


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
    messages = _from_turn_start(history, tuple(chain.from_iterable(reversed(pages))))
    return messages or latest_turns(history, 1), tokens > max_tokens


def _fitting(page: Sequence[ModelMessage], tokens: int, max_tokens: int, estimate: Estimate) -> tuple[int, int]:
    """How many of the page's last messages fit, and all tokens so far with the first message that does not fit."""
    for count, message in enumerate(reversed(page)):
        tokens += estimate(message)
        if tokens > max_tokens:
            return count, tokens
    return len(page), tokens
