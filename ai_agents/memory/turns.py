"""Cuts histories at turns. Here a turn is a user's message and everything up to the next user's message.

A tool call and its result are in the same turn, so a cut at the beginning of a turn never separates them.
"""

from collections.abc import Sequence

from ai_agents.core.types import ModelMessage
from ai_agents.memory.base import HistoryReader


def starts_of_turns(messages: Sequence[ModelMessage]) -> list[int]:
    """The indices at which turns begin, ascending."""
    return [index for index, message in enumerate(messages) if message.role == "user"]


def shrink_to_turn_start(messages: Sequence[ModelMessage]) -> tuple[ModelMessage, ...]:
    """The messages from the first user's message on; none where there is no user's message."""
    for index, message in enumerate(messages):
        if message.role == "user":
            return tuple(messages[index:])
    return ()


def shrink_to_turn_end(messages: Sequence[ModelMessage], following: ModelMessage | None) -> tuple[ModelMessage, ...]:
    """The messages up to the last end of a turn. `following` is the thread's next message, None where there is none."""
    if following is None or following.role == "user":
        return tuple(messages)
    starts = starts_of_turns(messages)
    return tuple(messages[: starts[-1]]) if starts else ()


def newest_turn(history: HistoryReader, newest: ModelMessage) -> tuple[ModelMessage, ...]:
    """The whole turn of the thread's newest message."""
    if newest.role == "user" or newest.seq is None:
        return shrink_to_turn_start((newest,))
    return shrink_to_turn_start(history.after(history.turn_start(newest.seq) - 1))


def latest_turns(history: HistoryReader, count: int) -> tuple[ModelMessage, ...]:
    """The whole turns among the last `count` messages; at least the newest turn, even if it is longer."""
    messages = history.latest(count)
    if not messages:
        return ()
    return shrink_to_turn_start(messages) or newest_turn(history, messages[-1])
