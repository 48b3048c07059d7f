"""The one route of MCP clients."""

import asyncio
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ai_agents.core.exceptions import PermissionDenied
from ai_agents.core.extras import require
from ai_agents.core.types import JsonObject
from app.authentication import AppContainer, ScopedUser
from app.dependencies import check_media_type, read_bytes
from app.doors.base import DoorRoute
from app.doors.mcp.exchanges import Exchange, Post
from app.doors.mcp.refusals import FORM, JsonRpcRefusal, SessionNotFound
from app.openapi import BODY, USER, failures, request_body
from app.overload import Overload
from app.responses import JSON
from app.settings import Settings
from app.strict_json import MAX_VALUES, parse_json

router = APIRouter(route_class=DoorRoute, tags=["mcp"])
MESSAGE: JsonObject = {
    "title": "McpMessage",
    "type": "object",
    "description": "A message of JSON-RPC: a request, a notification, or the answer to a question.",
    "properties": {
        "jsonrpc": {"const": "2.0"},
        "method": {"type": "string", "maxLength": 200},
        "params": {"type": "object", "additionalProperties": True, "maxProperties": MAX_VALUES},
    },
    "required": ["jsonrpc"],
    "additionalProperties": True,
    "maxProperties": MAX_VALUES,
}
ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The answer: JSON, or a stream of messages that ends with it.",
        "content": {
            JSON: {"schema": {"type": "object", "description": "An answer of JSON-RPC."}},
            "text/event-stream": {"schema": {"type": "string", "description": "Each event is a message of JSON-RPC."}},
        },
    },
    202: {"description": "A notification or a person's answer: it was taken. Without a body, as the protocol says."},
    406: {"description": "The client takes no form that there is.", "model": JsonRpcRefusal},
}
_SESSION, _VERSION = "mcp-session-id", "mcp-protocol-version"
_SERVING = "app.doors.mcp.serving"


class Served(Response):
    """What the SDK answers."""

    def __init__(self, post: Post) -> None:
        super().__init__()
        self._post = post

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the SDK answer."""
        from app.doors.mcp.serving import serve

        await serve(self._post, scope, receive, send)


@router.post(
    "/mcp",
    response_model=None,
    responses={**ANSWERS, **failures(*USER, *BODY, "not_found", form=FORM)},
    openapi_extra=request_body(JSON, MESSAGE),
)
async def call_mcp(request: Request, user: ScopedUser, container: AppContainer) -> Response:
    """One message of a client of the Model Context Protocol: the agents that you may talk to are tools.

    Revisions 2026-07-28, and 2025-11-25 and before with `initialize`. There is no stream to GET.
    """
    require("mcp")
    settings: Settings = request.app.state.settings
    _check_origin(request, settings)
    check_media_type(request)
    body = await read_bytes(request, limit=settings.max_body_bytes)
    message = _parse(body, settings)
    # It takes a second, once.
    await asyncio.to_thread(import_module, _SERVING)
    from app.doors.mcp import serving

    session = request.headers.get(_SESSION)
    exchange = Exchange(container, user, request.app.state.streams, session)
    if serving.is_older(request.headers.get(_VERSION)):
        if session is not None and not serving.is_session(session):
            raise SessionNotFound
        if await _take(exchange, message):
            return Response(status_code=202)
        if message.get("method") == "initialize":
            session = serving.new_session(message.get("params"))
    overload: Overload = request.app.state.overload
    overload.let_go(request.scope)
    return Served(Post(exchange, session, body, message))


async def _take(exchange: Exchange, message: JsonObject) -> bool:
    """Take a message that is no request: a person's answer, a cancellation, or what is of no use here."""
    if "method" not in message:
        if "id" not in message or not {"result", "error"} & message.keys():
            return False
        await exchange.answer(message["id"], message.get("result"))
        return True
    if "id" in message:
        return False
    params = message.get("params")
    if message["method"] == "notifications/cancelled" and isinstance(params, dict):
        await exchange.cancel(params.get("requestId"))
    return True


def _parse(body: bytes, settings: Settings) -> JsonObject:
    """The message; empty for what is no object, which the SDK refuses. Raises `InvalidFields`."""
    value: Any = parse_json(body, max_depth=settings.max_json_depth)
    return value if isinstance(value, dict) else {}


def _check_origin(request: Request, settings: Settings) -> None:
    """Raises `PermissionDenied` for a page of another origin that is not named: the protocol asks servers to look."""
    origin = request.headers.get("origin")
    if origin is None or origin in settings.allowed_origins or "*" in settings.allowed_origins:
        return
    if urlsplit(origin).netloc != request.headers.get("host"):
        raise PermissionDenied("Pages of this origin may not use this door.")
