"""What was said before, as a request of a door tells it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ai_agents.core.types import FilePart, Loc, TextPart, ToolCallPart, ToolResultPart
from app.doors.files import FileKeeper, Media
from app.doors.threads import PastMessage

HistoryPart = TextPart | Media | ToolCallPart | ToolResultPart


@dataclass(frozen=True, slots=True)
class HistoryMessage:
    """A message of before, with its files as they came. `loc` is its place in the request."""

    role: str
    parts: Sequence[HistoryPart]
    loc: Loc


async def keep_history(keeper: FileKeeper, history: Iterable[HistoryMessage]) -> list[PastMessage]:
    """The messages with their files stored. Raises what `FileKeeper.keep` raises."""
    return [await _kept(keeper, each) for each in history]


async def _kept(keeper: FileKeeper, message: HistoryMessage) -> PastMessage:
    parts: list[TextPart | FilePart | ToolCallPart | ToolResultPart] = []
    for part in message.parts:
        parts.extend(await keeper.keep([part]) if isinstance(part, TextPart | Media) else [part])
    return PastMessage(message.role, parts, message.loc)
