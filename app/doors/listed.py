"""The doors of the service. One more is a folder and an entry here."""

from app.doors.ag_ui.door import AG_UI
from app.doors.ai_sdk.door import AI_SDK
from app.doors.base import ClientDoor
from app.doors.chat_completions.door import CHAT_COMPLETIONS
from app.doors.mcp.door import MCP
from app.doors.responses.door import RESPONSES

# Of two whose prefixes fit a path the first one counts.
DOORS: tuple[ClientDoor, ...] = (RESPONSES, CHAT_COMPLETIONS, MCP, AG_UI, AI_SDK)
_PREFIXES = tuple(door.prefix for door in DOORS)


def door_at(path: str) -> ClientDoor | None:
    """The door that the path belongs to; None for our own routes."""
    if not path.startswith(_PREFIXES):
        return None
    return next(door for door in DOORS if path.startswith(door.prefix))
