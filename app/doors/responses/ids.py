"""Ids of this door: a prefix that tells what it is, then our own id without its dashes.

A run that waits for its client ends a response, and what follows the client's answer is another response. So a response
is a part of a run. Its id is the run's; for a later part, with the number of the row `run.waiting` before it. Nothing
has to be stored.
"""

import re
from dataclasses import dataclass
from uuid import UUID

from ai_agents.core.ids import is_id

_RESPONSE = re.compile(r"resp_([0-9a-f]{32})(?:_([1-9][0-9]{0,14}))?")
_HEX = re.compile(r"[0-9a-f]{32}")
_CALL = "call_"
_OF_MESSAGE = re.compile(r"(?:msg|rs)_([0-9a-f]{32})(?:_[1-9][0-9]{0,5})?")
_OF_CALL = re.compile(r"(mcp|fc|fco)_([A-Za-z0-9_-]{1,64})")


@dataclass(frozen=True, slots=True)
class ResponseId:
    """The run, and the row of its thread's log after which this part of it begins; 0 is the run's start."""

    run_id: str
    after_seq: int = 0

    def __str__(self) -> str:
        part = f"_{self.after_seq}" if self.after_seq else ""
        return f"resp_{_hex(self.run_id)}{part}"


def parse_response_id(text: str) -> ResponseId | None:
    """The response that an id means; None where it is none of ours."""
    match = _RESPONSE.fullmatch(text)
    return None if match is None else ResponseId(str(UUID(match[1])), int(match[2] or 0))


def conversation_id(thread_id: str) -> str:
    """A thread's id as a conversation."""
    return f"conv_{_hex(thread_id)}"


def parse_conversation_id(text: str) -> str | None:
    """The thread that a conversation's id means, also where it is the thread's own id; None where it is neither."""
    if is_id(text):
        return text
    rest = text.removeprefix("conv_")
    return str(UUID(rest)) if rest != text and _HEX.fullmatch(rest) else None


def text_item_id(message_id: str, nth: int) -> str:
    """The id of the nth text of a message, counted from 0."""
    return _nth("msg", message_id, nth)


def reasoning_item_id(message_id: str, nth: int) -> str:
    """The id of the nth reasoning of a message, counted from 0."""
    return _nth("rs", message_id, nth)


def call_item_id(prefix: str, tool_call_id: str) -> str:
    """The id of an item about a tool call: `mcp` made here, `mcpr` waiting for approval, `fc` of the client."""
    return f"{prefix}_{tool_call_id.removeprefix(_CALL)}"


def approved_call_id(approval_request_id: str) -> str:
    """The tool call that an approval is about."""
    rest = approval_request_id.removeprefix("mcpr_")
    return approval_request_id if rest == approval_request_id else _CALL + rest


def message_of_item(item_id: str) -> str | None:
    """The message whose text or reasoning an item is; None for an item about a call, and for other texts."""
    match = _OF_MESSAGE.fullmatch(item_id)
    return None if match is None else str(UUID(match[1]))


def call_of_item(item_id: str) -> tuple[str, str] | None:
    """`(prefix, tool_call_id)` of an item about a call; None for other texts."""
    match = _OF_CALL.fullmatch(item_id)
    return None if match is None else (match[1], _CALL + match[2])


def _nth(prefix: str, our_id: str, nth: int) -> str:
    return f"{prefix}_{_hex(our_id)}_{nth}" if nth else f"{prefix}_{_hex(our_id)}"


def _hex(our_id: str) -> str:
    return our_id.replace("-", "")
