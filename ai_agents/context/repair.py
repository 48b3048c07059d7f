"""Repairs any part of a history for a request, so that every provider accepts it. The history itself is not changed.

Afterwards the first message is a user's, if need be a short one that is not stored; no message is empty; right after
an assistant's message that calls tools stands one tool message per call, in the order of the calls; every
`tool_call_id` is unique; there are no other tool messages.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from ai_agents.core.types import FilePart, ModelMessage, Part, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from ai_agents.providers.rendering import ASSISTANT_BEGINS

NOT_FINISHED = "The call was not finished."
# OpenAI takes no longer ids.
_MAX_ID = 40
_PARTS = {"user": (TextPart, FilePart), "assistant": (TextPart, ReasoningPart, ToolCallPart), "tool": (ToolResultPart,)}


def repair(messages: Sequence[ModelMessage]) -> list[ModelMessage]:
    """The messages as a request may hold them, in their order; what is added has no `seq`."""
    sendable = list(filter(None, map(_without_nothing, _once(messages))))
    slots = _match(sendable)
    ids = _Ids(slot.call.tool_call_id for called in slots.values() for slot in called)
    repaired: list[ModelMessage] = []
    for index, message in enumerate(sendable):
        if message.role == "tool":
            continue
        called = slots.get(index)
        if not called:
            repaired.append(message)
            continue
        for slot in called:
            slot.new_id = ids.unique(slot.call.tool_call_id)
        repaired.append(_renamed(message, called))
        repaired.extend(slot.answer() for slot in called)
    if repaired and repaired[0].role != "user":
        repaired.insert(0, ModelMessage("user", (TextPart(ASSISTANT_BEGINS),)))
    return repaired


@dataclass(slots=True)
class _Slot:
    """One call and what answers it."""

    call: ToolCallPart
    result: ToolResultPart | None = None
    seq: int | None = None
    new_id: str = ""

    def answer(self) -> ModelMessage:
        if self.result is None:
            part = ToolResultPart(self.new_id, self.call.name, NOT_FINISHED, is_error=True)
        else:
            part = replace(self.result, tool_call_id=self.new_id, name=self.call.name)
        return ModelMessage("tool", (part,), self.seq)


class _Ids:
    """Gives each call an id of its own, the one it has where that is still free."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)
        self._given: set[str] = set()
        self._numbers: dict[str, int] = {}

    def unique(self, wanted: str) -> str:
        new_id = wanted
        while not new_id or new_id in self._given or (new_id != wanted and new_id in self._taken):
            number = self._numbers[wanted] = self._numbers.get(wanted, 1) + 1
            suffix = f"_{number}"
            new_id = (wanted or "call")[: _MAX_ID - len(suffix)] + suffix
        self._given.add(new_id)
        return new_id


def _once(messages: Iterable[ModelMessage]) -> Iterator[ModelMessage]:
    """Each recorded message the first time that it comes. Results that came in one message were one before a repair."""
    seen: set[int | tuple[int, str]] = set()
    for message in messages:
        seq = message.seq
        if seq is None:
            yield message
            continue
        first = message.parts[0] if message.role == "tool" and message.parts else None
        key = (seq, first.tool_call_id) if isinstance(first, ToolResultPart) else seq
        if key not in seen:
            seen.add(key)
            yield message


def _without_nothing(message: ModelMessage) -> ModelMessage | None:
    """The message without parts that say nothing or are not its role's; None where none would be left to send.

    Reasoning alone is nothing: a provider other than its own is not sent it.
    """
    if len(message.parts) == 1 and isinstance(message.parts[0], TextPart) and message.role != "tool":
        return message if message.parts[0].text.strip() else None  # as most messages are
    blank = all(not part.text.strip() for part in message.parts if isinstance(part, TextPart))
    parts = tuple(part for part in message.parts if _says_something(part, message.role, blank=blank))
    if all(isinstance(part, ReasoningPart) for part in parts):
        return None
    return message if len(parts) == len(message.parts) else replace(message, parts=parts)


def _says_something(part: Part, role: str, *, blank: bool) -> bool:
    if not isinstance(part, _PARTS[role]):
        return False
    match part:
        case TextPart():
            return bool(part.text) and not blank
        case ReasoningPart():
            return bool(part.text) or part.origin is not None
        case _:
            return True


def _match(messages: Sequence[ModelMessage]) -> dict[int, list[_Slot]]:
    """For each index of a message with calls, its calls with their results.

    Providers repeat ids: a result answers the last message before it that called with its id, each call there once.
    """
    slots: dict[int, list[_Slot]] = {}
    latest: dict[str, list[_Slot]] = {}
    for index, message in enumerate(messages):
        called = [_Slot(part) for part in message.parts if isinstance(part, ToolCallPart)]
        if called:
            slots[index] = called
            latest |= {slot.call.tool_call_id: [] for slot in called}
            for slot in called:
                latest[slot.call.tool_call_id].append(slot)
        for part in message.parts:
            if isinstance(part, ToolResultPart):
                _answer(latest.get(part.tool_call_id, []), part, message.seq)
    return slots


def _answer(waiting: Sequence[_Slot], result: ToolResultPart, seq: int | None) -> None:
    slot = next((slot for slot in waiting if slot.result is None), None)
    if slot is not None:
        slot.result, slot.seq = result, seq


def _renamed(message: ModelMessage, called: Sequence[_Slot]) -> ModelMessage:
    if all(slot.new_id == slot.call.tool_call_id for slot in called):
        return message
    new_ids = iter(called)
    parts = tuple(
        replace(part, tool_call_id=next(new_ids).new_id) if isinstance(part, ToolCallPart) else part
        for part in message.parts
    )
    return replace(message, parts=parts)
