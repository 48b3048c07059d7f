"""The official SDK's server, one exchange at a time: no session is kept, so that any replica answers any request.

The SDK serves the revision 2026-07-28 so by itself; `older` does it for those before. There the id of the session says
whether the client can ask a person.

This module imports the SDK: it is imported when the first client comes.
"""

import asyncio
import logging
import re
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from typing import Any
from uuid import uuid4

import anyio
from mcp.server.caching import CacheHint
from mcp.server.connection import Connection
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    CallToolRequestParams,
    PaginatedRequestParams,
)
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from ai_agents.core.exceptions import AIAgentsError, InvalidCursor
from ai_agents.core.types import JsonObject
from app.doors.mcp import older, translator
from app.doors.mcp.exchanges import AgentCall, Exchange, Post, Questions, UnknownTool
from app.middleware import SERVER_SEND

_EXCHANGE = "mcp_exchange"
_STREAM = "text/event-stream"
_VERSION = "mcp-protocol-version"
_DEFAULT_VERSION = "2025-03-26"  # of a request that does not say, by the specification
_INSTRUCTIONS = (
    "Each tool is an agent that answers in words. Give the `thread_id` of a result to go on with that conversation."
)
# `e`: the client can ask a person (elicitation); `n`: it cannot.
_SESSION = re.compile(r"[0-9a-f]{32}-[en]")
_ASKS, _ASKS_NOT = "-e", "-n"
_NEEDS_A_PERSON = (
    "The agent waits for a person to approve a call, and this client cannot ask one. It goes on when that is decided."
)
_log = logging.getLogger(__name__)
# It has a line for each request.
logging.getLogger("mcp.server.streamable_http_manager").setLevel(logging.WARNING)
Context = ServerRequestContext[Any, Request]


def is_older(version: str | None) -> bool:
    """Whether a request with this header is of a revision with `initialize`."""
    return version is None or version in HANDSHAKE_PROTOCOL_VERSIONS


def is_session(session: str) -> bool:
    """Whether the id is one that `initialize` gives."""
    return _SESSION.fullmatch(session) is not None


def new_session(params: object) -> str:
    """An id for the session that a client opens with these parameters."""
    capabilities = params.get("capabilities") if isinstance(params, dict) else None
    asks = isinstance(capabilities, dict) and isinstance(capabilities.get("elicitation"), dict)
    return uuid4().hex + (_ASKS if asks else _ASKS_NOT)


async def serve(post: Post, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one POST."""
    exchange = post.exchange
    direct: Send = scope.get(SERVER_SEND, send)
    request = Request({**scope, _EXCHANGE: exchange}, receive)
    streams = _STREAM in request.headers.get("accept", "").lower()
    handed = False

    async def again() -> Message:
        nonlocal handed
        if not handed:
            handed = True
            return {"type": "http.request", "body": post.body, "more_body": False}
        message = await receive()
        exchange.left |= message["type"] == "http.disconnect"
        return message

    async def onward(message: Message) -> None:
        # As on our own streams, what comes between the beginning and the end does not pass all that is around.
        await (direct if message.get("more_body") else send)(message)

    version = request.headers.get(_VERSION)
    if is_older(version):
        await _serve_older(post, version or _DEFAULT_VERSION, request, onward, streams=streams)
        return
    manager = StreamableHTTPSessionManager(_server(), json_response=not streams, stateless=True)
    async with manager.run():
        await manager.handle_request(request.scope, again, onward)


async def _serve_older(post: Post, version: str, request: Request, send: Send, *, streams: bool) -> None:
    """Answer one POST of a revision with `initialize`. Without a stream there is no progress, and no question."""
    asked = older.read_request(post.message)
    if asked is None:
        await older.no_request()(request.scope, request.receive, send)
        return
    asks = streams and post.session is not None and post.session.endswith(_ASKS)
    connection = Connection.from_envelope(version, None, {"elicitation": {}} if asks else {})
    context = older.Exchanged(asked, request, send, streams=streams, session=post.session)
    post.exchange.write, post.exchange.beat = context.write, context.beat
    await older.serve(_server(), asked, context, connection, request)


@cache
def _server() -> Server[Any]:
    server: Server[Any] = Server(
        "ai-agents",
        version=version("ai-agents"),
        title="AI Agents",
        instructions=_INSTRUCTIONS,
        cache_hints={"tools/list": CacheHint(ttl_ms=0, scope="private")},
        get_tool_input_schema=lambda _name: translator.INPUT_SCHEMA,
        on_list_tools=_list_tools,
        on_call_tool=_call_tool,
    )
    # Spans of OpenTelemetry, which the service does not have elsewhere.
    server.middleware.clear()
    return server


def _exchange_of(context: Context) -> Exchange:
    assert context.request is not None  # noqa: S101  # each message comes with its request
    exchange: Exchange = context.request.scope[_EXCHANGE]
    return exchange


async def _list_tools(context: Context, params: PaginatedRequestParams | None) -> Any:
    try:
        return await _exchange_of(context).list_tools(None if params is None else params.cursor)
    except InvalidCursor as error:
        raise MCPError(INVALID_PARAMS, str(error)) from None
    except AIAgentsError as error:
        raise MCPError(INTERNAL_ERROR, str(error), {"code": error.code}) from error


async def _call_tool(context: Context, params: CallToolRequestParams) -> Any:
    """The result of an agent's tool; every refusal and failure is one, for the model that called."""
    exchange = _exchange_of(context)
    call: AgentCall | None = None
    try:
        call = exchange.open_call(params.name)
        return await _follow(context, params, call)
    except UnknownTool:
        raise MCPError(INVALID_PARAMS, f"Unknown tool: {params.name[:64]}") from None
    except AIAgentsError as error:
        ids = {} if call is None else {"thread_id": call.thread_id, "run_id": call.run_id}
        return translator.error_of(error.code, str(error), **ids)
    except asyncio.CancelledError:
        # In 2026-07-28 a client cancels by closing the connection; in the older revisions a lost one says nothing.
        cancels = exchange.left and context.protocol_version in MODERN_PROTOCOL_VERSIONS
        if cancels and call is not None and call.thread_id is not None and call.run_id is not None:
            with anyio.CancelScope(shield=True):
                await exchange.stop(call.thread_id, call.run_id)
        raise
    except Exception as error:  # the edge of a call: clients are told nothing of what went wrong inside
        _log.exception("a call of a client failed")
        raise MCPError(INTERNAL_ERROR, "The call failed for a reason that is in the log.") from error


async def _follow(context: Context, params: CallToolRequestParams, call: AgentCall) -> JsonObject:
    exchange, is_modern = _exchange_of(context), context.protocol_version in MODERN_PROTOCOL_VERSIONS
    raw: Mapping[str, Any] = context.params or {}
    if is_modern and params.request_state is not None:
        await call.resume(params.request_state, raw.get("inputResponses") or {})
    else:
        await call.start(params.arguments or {}, context.request_id)
    capabilities = context.session.client_capabilities
    can_ask = capabilities is not None and capabilities.elicitation is not None

    async def report(shown: int, told: str) -> None:
        await context.session.report_progress(shown, message=told)

    async def ask(questions: Questions) -> bool:
        if is_modern or not can_ask:
            return False
        for name, question in questions.asked.items():
            await exchange.write({"jsonrpc": "2.0", "id": name, "method": "elicitation/create", "params": question})
        return True

    wants_progress = bool(context.meta) and "progress_token" in (context.meta or {})
    found = await call.follow(report if wants_progress else None, ask)
    if not isinstance(found, Questions):
        return found
    if is_modern and can_ask:
        return {
            "resultType": "input_required",
            "inputRequests": {
                name: {"method": "elicitation/create", "params": question} for name, question in found.asked.items()
            },
            "requestState": f"{found.thread_id} {found.run_id}",
        }
    return translator.error_of("approval_required", _NEEDS_A_PERSON, thread_id=found.thread_id, run_id=found.run_id)
