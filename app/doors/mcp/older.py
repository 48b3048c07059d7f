"""One POST of a client that begins with `initialize` (2025-11-25 and before): one request, one answer.

As the SDK does it for the newest revision: its kernel handles the request under a context that writes what belongs to
it (progress, questions) before the answer. The answer is JSON, until something comes before it: then it is a stream.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import anyio
import orjson
from mcp.server.connection import Connection
from mcp.server.lowlevel import Server
from mcp.server.runner import serve_one
from mcp.shared.dispatcher import CallOptions
from mcp.shared.exceptions import NoBackChannelError
from mcp.shared.jsonrpc_dispatcher import handler_exception_to_error_data, progress_token_from_params
from mcp.shared.message import ServerMessageMetadata
from mcp.shared.transport_context import TransportContext
from mcp_types import INTERNAL_ERROR, INVALID_REQUEST, ErrorData, JSONRPCRequest
from pydantic import ValidationError
from starlette.requests import Request
from starlette.types import Receive, Send

from ai_agents.core.types import JsonObject
from app.responses import JsonResponse

_STREAM_HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
]
_HEARTBEAT = b": ping\n\n"
_log = logging.getLogger(__name__)


class Exchanged:
    """The context of one request, a `DispatchContext` of the SDK. The client cannot be asked on it and waited for."""

    can_send_request = False

    def __init__(
        self, asked: JSONRPCRequest, request: Request, send: Send, *, streams: bool, session: str | None
    ) -> None:
        self.request_id = asked.id
        self.transport = TransportContext(kind="streamable-http", can_send_request=False, headers=request.headers)
        self.message_metadata = ServerMessageMetadata(request_context=request)
        self.cancel_requested = anyio.Event()
        self.has_begun = False
        self._token = progress_token_from_params(asked.params)
        self._send = send
        self._streams = streams
        # Told to the client when it begins its session.
        self._session = session if asked.method == "initialize" else None

    async def send_raw_request(
        self, method: str, _params: Mapping[str, Any] | None, _opts: CallOptions | None = None
    ) -> dict[str, Any]:
        """Raises `NoBackChannelError`: an answer would come with another request, perhaps to another process."""
        raise NoBackChannelError(method)

    async def notify(self, method: str, params: Mapping[str, Any] | None, _opts: CallOptions | None = None) -> None:
        """Tell the client something that belongs to its request."""
        await self.write({"jsonrpc": "2.0", "method": method, "params": dict(params or {})})

    async def progress(self, progress: float, total: float | None = None, message: str | None = None) -> None:
        """Tell of progress, if the client wants to know."""
        if self._token is not None:
            told = {"progressToken": self._token, "progress": progress, "total": total, "message": message}
            await self.notify(
                "notifications/progress", {name: value for name, value in told.items() if value is not None}
            )

    async def write(self, message: JsonObject) -> None:
        """Write a message before the answer, where the answer is a stream."""
        await self._write(b"event: message\ndata: " + orjson.dumps(message) + b"\n\n")

    async def beat(self) -> None:
        """Keep the connection of a long answer alive."""
        await self._write(_HEARTBEAT)

    async def end(self, answer: JsonObject, request: Request, receive: Receive) -> None:
        """Give the answer."""
        if not self.has_begun:
            headers = {} if self._session is None else {"mcp-session-id": self._session}
            await JsonResponse(answer, headers=headers)(request.scope, receive, self._send)
            return
        data = b"event: message\ndata: " + orjson.dumps(answer) + b"\n\n"
        await self._send({"type": "http.response.body", "body": data, "more_body": False})

    async def _write(self, data: bytes) -> None:
        if not self._streams:
            return
        if not self.has_begun:
            self.has_begun = True
            await self._send({"type": "http.response.start", "status": 200, "headers": _STREAM_HEADERS})
        await self._send({"type": "http.response.body", "body": data, "more_body": True})


def read_request(message: JsonObject) -> JSONRPCRequest | None:
    """The request that a message is; None for what is none."""
    try:
        return JSONRPCRequest.model_validate(message)
    except ValidationError:
        return None


def no_request() -> JsonResponse:
    """The answer to what is no message of the protocol, such as a batch."""
    error = {"code": INVALID_REQUEST, "message": "The body is not a single request, notification or answer."}
    return JsonResponse({"jsonrpc": "2.0", "id": None, "error": error}, 400)


async def handle(server: Server[Any], asked: JSONRPCRequest, context: Exchanged, connection: Connection) -> JsonObject:
    """The answer of the server, with whatever its handlers raise as an error."""
    told: JsonObject = {"jsonrpc": "2.0", "id": asked.id}
    try:
        result = await serve_one(server, context, asked.method, asked.params, connection=connection, lifespan_state={})
    except Exception as error:  # noqa: BLE001  # the edge of a request: clients are told nothing of what went wrong inside
        found = handler_exception_to_error_data(error)
        if found is None:
            _log.exception("a request of a client failed")
            found = ErrorData(code=INTERNAL_ERROR, message="The request failed for a reason that is in the log.")
        return told | {"error": found.model_dump(mode="json", by_alias=True, exclude_none=True)}
    return told | {"result": result}


async def until_left(receive: Receive) -> None:
    """Return when the client has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def serve(
    server: Server[Any],
    asked: JSONRPCRequest,
    context: Exchanged,
    connection: Connection,
    request: Request,
) -> None:
    """Answer the request, unless the client leaves before: then nothing waits here any more, and its run goes on."""
    receive = request.receive
    answering = asyncio.ensure_future(handle(server, asked, context, connection))
    leaving = asyncio.ensure_future(until_left(receive))
    try:
        await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if answering.done():
            await context.end(answering.result(), request, receive)
    finally:
        for task in (answering, leaving):
            task.cancel()
        await asyncio.wait({answering, leaving})
