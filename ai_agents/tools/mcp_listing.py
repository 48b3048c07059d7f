"""What an MCP server says of its tools, read one tool at a time.

The SDK checks a listing as a whole, so that one odd tool would take all others with it. Here an odd tool is left out,
with the reason, and the others stay.
"""

import hashlib
import logging
import re
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

from ai_agents.core import json
from ai_agents.core.exceptions import InvalidRequest
from ai_agents.core.json import clean_text
from ai_agents.core.table_rows import LeftOutTool, OfferedTool, ServerTools
from ai_agents.tools.base import ToolError
from ai_agents.tools.results import SecretHeaders, clean_value
from ai_agents.tools.schema import ArgumentsValidator

if TYPE_CHECKING:
    from mcp import Client
    from mcp.client._transport import TransportStreams

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_MAX_OFFERED = 256
_MAX_DESCRIPTION = 8 * 1024
# How many pages are followed, each a request, and how many tools are looked at: each takes time to check.
_MAX_PAGES = 100
_MAX_READ = 4 * _MAX_OFFERED
_MAX_LISTING_BYTES = 1024 * 1024
# How many tools that are left out are told of, and how much of a server's word is quoted.
_MAX_LEFT_OUT = 256
_MAX_QUOTED = 200
_MAX_REASON = 500
# Stands in a listing for all tools that were not read.
_OTHERS = {"name": "(others)"}
_log = logging.getLogger(__name__)


class RawTools:
    """The tools of the last page as the server wrote them. The SDK sees a page without tools."""

    def __init__(self) -> None:
        self._page: list[Any] = []

    def take(self) -> list[Any]:
        """Return the tools of the page that has just come."""
        page, self._page = self._page, []
        return page

    @asynccontextmanager
    async def tap(
        self, transport: "AbstractAsyncContextManager[TransportStreams]"
    ) -> "AsyncGenerator[TransportStreams]":
        """The transport, with the tools taken out of the listings that come through it."""
        async with transport as (reading, writing):
            yield cast("Any", _Tapped(reading, self._take_out)), writing

    def _take_out(self, item: Any) -> None:
        result = getattr(getattr(item, "message", None), "result", None)
        if isinstance(result, dict) and isinstance(result.get("tools"), list):
            self._page = result["tools"]
            cursor = result.get("nextCursor")
            # What else stands on the page is not used, and may be as odd as a tool.
            kept = {"resultType": "complete", "tools": [], "ttlMs": 0, "cacheScope": "private"}
            result.clear()
            result.update(kept | ({"nextCursor": cursor} if isinstance(cursor, str) else {}))


class _Tapped:
    """A stream of the SDK whose items are shown to a function first."""

    def __init__(self, stream: Any, look: Any) -> None:
        self._stream = stream
        self._look = look

    async def receive(self) -> Any:
        """Return the next item."""
        item = await self._stream.receive()
        self._look(item)
        return item

    async def aclose(self) -> None:
        """Close the stream."""
        await self._stream.aclose()

    @property
    def last_context(self) -> Any:
        """The context in which the last item was sent."""
        return getattr(self._stream, "last_context", None)

    def __aiter__(self) -> "_Tapped":
        return self

    async def __anext__(self) -> Any:
        item = await self._stream.__anext__()
        self._look(item)
        return item

    async def __aenter__(self) -> "_Tapped":
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *failure: Any) -> bool | None:
        return cast("bool | None", await self._stream.__aexit__(*failure))


async def read_pages(client: "Client", raw: RawTools, keep: Collection[str]) -> list[Any]:
    """Return the tools of all pages as the server wrote them; one more than is read stands for all others.

    Pages are followed for as long as there is room, or a tool named in `keep` has not been found.
    """
    read: list[Any] = []
    missing, seen = set(keep), set[str | None]()
    is_whole, is_last, cursor = True, False, None
    for _page in range(_MAX_PAGES):
        page = await client.list_tools(cursor=cursor, cache_mode="bypass")
        for tool in raw.take():
            name = _name_of(tool)
            if len(read) < _MAX_READ or name in missing:
                read.append(tool)
            else:
                is_whole = False
            missing.discard(name)
        cursor = page.next_cursor
        is_last = cursor is None or cursor in seen
        if is_last or (len(read) >= _MAX_READ and not missing):
            break
        seen.add(cursor)
    return read if is_whole and is_last else [*read, _OTHERS]


def read_tools(
    listed: Sequence[Any], *, server: str, keep: Collection[str], secrets: SecretHeaders, checks_headers: bool
) -> ServerTools:
    """Sort a listing into the tools that a model can be told of, those named in `keep` first, and those left out.

    Takes time for long schemas. Raises `ToolError` if the descriptions are too long to be kept.
    """
    found: dict[str, OfferedTool] = {}
    left_out: list[LeftOutTool] = []
    size = 0
    for raw in listed:
        try:
            tool = _read_tool(raw, secrets, checks_headers=checks_headers)
        except InvalidRequest as error:
            left_out.append({"name": _quoted_name(raw, secrets), "reason": _shown(secrets.hide(str(error)))})
            continue
        size += len(json.dumps(tool))
        if size > _MAX_LISTING_BYTES:
            raise ToolError(f"The server {server} lists more tools than can be read.")
        known = found.setdefault(tool["name"], tool)
        if known["digest"] != tool["digest"]:
            reason = "The server describes two tools of this name; the first one counts."
            left_out.append({"name": tool["name"], "reason": reason})
    tools = sorted(found.values(), key=lambda tool: tool["name"] not in keep)
    most = max(_MAX_OFFERED, sum(tool["name"] in keep for tool in tools))
    reason = f"At most {_MAX_OFFERED} tools of a server are offered."
    left_out += [{"name": tool["name"], "reason": reason} for tool in tools[most:]]
    if left_out:
        facts = {"server": server, "tools": len(left_out), "reason": left_out[0]["reason"]}
        _log.warning("some tools of a server cannot be offered", extra=facts)
    return {"tools": tools[:most], "left_out": left_out[:_MAX_LEFT_OUT]}


def _read_tool(raw: Any, secrets: SecretHeaders, *, checks_headers: bool) -> OfferedTool:
    """Return one tool of a listing. Raises `InvalidRequest` with the reason why no model can be told of it."""
    from mcp.shared.inbound import find_invalid_x_mcp_header
    from mcp_types import Tool as McpSdkTool
    from pydantic import ValidationError

    if raw is _OTHERS:
        raise InvalidRequest(f"The server lists more tools than are read ({_MAX_READ}).")
    name = _name_of(raw)
    if not _NAME.fullmatch(name):
        raise InvalidRequest("Its name is not 1 to 64 letters, digits, `_`, `.` or `-`.")
    try:
        tool = McpSdkTool.model_validate(raw, by_name=False)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise InvalidRequest(f"Its {quotable(place)} cannot be read: {first['msg']}.") from error
    if len(tool.description or "") > _MAX_DESCRIPTION:
        raise InvalidRequest(f"Its description is longer than {_MAX_DESCRIPTION} characters.")
    ArgumentsValidator(tool.input_schema)
    if checks_headers and (fault := find_invalid_x_mcp_header(tool.input_schema)) is not None:
        raise InvalidRequest(f"Its inputSchema asks for a header that cannot be sent: {quotable(fault)}.")
    try:
        said = tool.model_dump(mode="json", by_alias=True, exclude={"meta", "icons"}, exclude_none=True)
        digest = hashlib.sha256(json.dumps_sorted(said).encode()).hexdigest()
        parameters = secrets.hide_in(clean_value(tool.input_schema))
    except (TypeError, ValueError, ToolError) as error:
        raise InvalidRequest("Its description holds a value that cannot be stored.") from error
    description = secrets.hide(clean_text(tool.description or ""))
    return {"name": name, "description": description, "parameters": parameters, "digest": digest}


def _name_of(raw: Any) -> str:
    """Return the name of a tool as the server wrote it; empty if it is no text."""
    name = raw.get("name") if isinstance(raw, dict) else None
    return name if isinstance(name, str) else ""


def _quoted_name(raw: Any, secrets: SecretHeaders) -> str:
    name = raw.get("name") if isinstance(raw, dict) else raw
    return quotable(secrets.hide(name if isinstance(name, str) else str(name)))[:64] or "(no name)"


def _shown(reason: str) -> str:
    return clean_text(reason)[:_MAX_REASON]


def quotable(said: Any) -> str:
    """Return a server's word for use in a note of ours. It can end neither the note nor the line."""
    return "".join("." if letter in "[]" or not letter.isprintable() else letter for letter in str(said)[:_MAX_QUOTED])
