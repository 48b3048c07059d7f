"""Which messages of a request are left out where it is too long, and the notices that say so."""

from collections.abc import Sequence
from typing import Literal

from ai_agents.context.builder import ContextAccount
from ai_agents.core.rows import Notice
from ai_agents.core.tokens import estimate_message
from ai_agents.core.types import ModelRequest
from ai_agents.memory.turns import starts_of_turns


def notices_of(account: ContextAccount) -> list[Notice]:
    """The notice of a request without some of the messages that the memory chose; none where all of them fit."""
    left_out = [each.seq or 0 for each in account.left_out if each.reason == "token_budget"]
    # Each stands for all messages before it.
    unread = [each.seq or 0 for each in account.left_out if each.reason == "not_read"]
    if not left_out and not unread:
        return []
    through = max([*left_out, *(seq - 1 for seq in unread)])
    return [notice_of(None if unread else len(left_out), through, "window")]


def merge_notices(earlier: Sequence[Notice], now: Sequence[Notice]) -> tuple[Notice, ...]:
    """The notices from before a run waited, and those since; of two about the same subject, the newer one."""
    newer = {_subject(each) for each in now}
    return (*(each for each in earlier if _subject(each) not in newer), *now)


def oldest_half(request: ModelRequest) -> tuple[int, int] | None:
    """The messages to leave out so that about half remains: the first index, and the index after the last one.

    They are whole turns, oldest first; the newest turn and the summary always stay. None where nothing can be left out.
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


def notice_of(messages: int | None, through_seq: int, reason: Literal["window", "provider"]) -> Notice:
    """The notice that so many messages (None: an unknown number) were left out, up to this one."""
    return {"code": "context_left_out", "messages": messages, "through_seq": through_seq or None, "reason": reason}
