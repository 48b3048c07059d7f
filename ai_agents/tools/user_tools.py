"""Tools that are called with the headers of each user's own.

What is read of one user (headers, the session of a server, its listing) is never used for another.
"""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from ai_agents.core.types import JsonObject, ToolDefinition
from ai_agents.store.credentials import find_sealed
from ai_agents.store.database import Database
from ai_agents.store.sealing import SealBroken, Sealer
from ai_agents.tools.base import NoCredentials, RemoteTool, ToolContext
from ai_agents.tools.mcp import McpServer

# Clients of MCP servers that are kept, each for one user: what they know of their server saves a request.
_MAX_SERVERS = 512
_log = logging.getLogger(__name__)


class UserHeaders:
    """The headers of users for the tools that admins made, read for each call."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    async def find(self, user_id: str, tool: str, created_at: str) -> dict[str, str]:
        """The user's headers for the tool that was made then. Raises `NoCredentials`."""
        sealed = await self._database.read(lambda c: find_sealed(c, user_id, tool, created_at))
        if sealed is None:
            raise NoCredentials(tool)
        try:
            return {name: str(value) for name, value in self._sealer.open(sealed).items()}
        except SealBroken:
            _log.error("a user's headers cannot be opened with this encryption key", extra={"tool": tool})
            raise NoCredentials(tool) from None


class UserTool(RemoteTool):
    """A tool that an admin made, called with the headers of the user whose run it is, and those of its own.

    `shared` is what the model is told of. `bind` returns the tool that calls for one user, by their id and headers.
    """

    def __init__(
        self,
        shared: RemoteTool,
        made: tuple[str, str],
        headers: UserHeaders,
        *,
        bind: Callable[[str, Mapping[str, str]], RemoteTool],
    ) -> None:
        self.name = shared.name
        self.description = shared.description
        self.retry_safe = shared.retry_safe
        self.timeout_s = shared.timeout_s
        self._shared = shared
        # The name under which the admin made it, and when.
        self._made, self._created_at = made
        self._headers = headers
        self._bind = bind

    def get_definition(self) -> ToolDefinition:
        """Return the definition that all users share."""
        return self._shared.get_definition()

    async def request(self, arguments: JsonObject, context: ToolContext | None = None) -> Any:
        """Return the server's answer to this user. Raises `NoCredentials`, `ToolError`."""
        if context is None:
            raise NoCredentials(self._made)
        own = await self._headers.find(context.user_id, self._made, self._created_at)
        return await self._bind(context.user_id, own).request(arguments, context)


class UserServers:
    """Clients of MCP servers, each for one user and the headers that the user has now."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str, str], tuple[Mapping[str, str], McpServer]] = OrderedDict()
        self._lock = threading.Lock()

    def get(
        self, made: tuple[str, str], user_id: str, headers: Mapping[str, str], build: Callable[[], McpServer]
    ) -> McpServer:
        """The client for this user; a new one where there is none, or where the headers are others now."""
        key = (*made, user_id)
        with self._lock:
            found = self._kept.get(key)
            if found is None or found[0] != headers:
                found = self._kept[key] = (headers, build())
            self._kept.move_to_end(key)
            if len(self._kept) > _MAX_SERVERS:
                self._kept.popitem(last=False)
        return found[1]

    def forget(self, tool: str, user_id: str) -> None:
        """Let the client go that was for this user."""
        with self._lock:
            for key in [each for each in self._kept if each[0] == tool and each[2] == user_id]:
                del self._kept[key]
