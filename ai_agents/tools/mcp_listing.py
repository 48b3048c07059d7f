"""What an MCP server says of its tools, read one tool at a time.

An odd tool is left out, with the reason, and the others stay.
"""

import hashlib
import logging
import re
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from ai_agents.core import json
from ai_agents.core.exceptions import InvalidRequest
from ai_agents.core.json import clean_text
from ai_agents.core.table_rows import LeftOutTool, OfferedTool, ServerTools
from ai_agents.core.types import JsonObject
from ai_agents.tools.base import ToolError
from ai_agents.tools.mcp_results import quotable
from ai_agents.tools.mcp_tap import Tap
from ai_agents.tools.results import SecretHeaders, clean_value
from ai_agents.tools.schema import ArgumentsValidator

if TYPE_CHECKING:
    from mcp import Client

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_MAX_OFFERED = 256
_MAX_DESCRIPTION = 8 * 1024
# How many pages are followed, each a request, and how many tools are looked at: each takes time to check.
_MAX_PAGES = 100
_MAX_READ = 4 * _MAX_OFFERED
_MAX_LISTING_BYTES = 1024 * 1024
# How many tools that are left out are told of, and in how many characters each.
_MAX_LEFT_OUT = 256
_MAX_REASON = 500
# Stands in a listing for all tools that were not read.
_OTHERS = {"name": "(others)"}
_log = logging.getLogger(__name__)


def page_without_tools(page: JsonObject) -> JsonObject:
    """Return what the SDK gets of a page: its cursor. What else stands there is not used, and may be odd."""
    kept: JsonObject = {"resultType": "complete", "tools": [], "ttlMs": 0, "cacheScope": "private"}
    if not isinstance(page.get("tools"), list):
        return page  # the SDK says what is wrong
    cursor = page.get("nextCursor")
    return kept | ({"nextCursor": cursor} if isinstance(cursor, str) else {})


async def read_pages(client: "Client", tap: Tap, keep: Collection[str]) -> list[Any]:
    """Return the tools of all pages as the server wrote them; one more than is read stands for all others.

    Pages are followed for as long as there is room, or a tool named in `keep` has not been found.
    """
    read: list[Any] = []
    missing, seen = set(keep), set[str | None]()
    is_whole, is_last, cursor = True, False, None
    for _page in range(_MAX_PAGES):
        tap.expect()
        page = await client.list_tools(cursor=cursor, cache_mode="bypass")
        for tool in tap.take()["tools"]:
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
