"""Results of tools that are too long to be shown: all of each is kept as a file."""

import logging

from ai_agents.attachments.files import Attachments
from ai_agents.core.exceptions import AIAgentsError
from ai_agents.core.types import FilePart

_log = logging.getLogger(__name__)


async def keep_result(
    attachments: Attachments | None, user_id: str, text: str, *, tool: str, run_id: str
) -> FilePart | None:
    """A file of this user with a tool's whole result; None where it cannot be stored."""
    if attachments is None:
        return None
    try:
        return await attachments.add_text(user_id, f"{tool.replace('/', '-')[:64]}.txt", text)
    except AIAgentsError:
        _log.warning("a tool's result could not be kept", exc_info=True, extra={"run_id": run_id, "tool": tool})
        return None
