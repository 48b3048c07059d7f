"""The middleware of every request: ids, limits and logs, and cross-origin requests.

Pure ASGI: it buffers nothing, starts no tasks and does not read the body.
"""

import re
import sys
import time
from collections.abc import Callable, Iterable, Sequence

import structlog
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ai_agents.core.exceptions import AIAgentsError
from ai_agents.core.ids import new_id
from app.hosts import AnsweredHosts
from app.metrics import count_request
from app.overload import Overload
from app.paths import ids_of, logged_path
from app.problems import DOOR, RefusesInItsForm, problem

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_ACCEPTED = ("authorization", "content-type", "idempotency-key", "if-match", "last-event-id", "prefer", "x-request-id")
_EXPOSED = ("content-disposition", "etag", "location", "ratelimit", "ratelimit-policy", "retry-after", "x-request-id")
# How long browsers may keep the answer to a preflight request.
_PREFLIGHT_S = 7200
_MAX_ADDRESS = 64
# Parts of paths that tell what a request is about.
_LOGGED_IDS = ("thread_id", "run_id")
_POLLED = ("/livez", "/readyz", "/metrics")
_FAILED = 400
_SAFE_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")
# No browser may guess another type, run or frame an answer, or keep it: many have secrets, and any may be a user's.
SAFE_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
)
REQUEST_ID = "request_id"
USER_ID = "user_id"
# The server's own `send`. Streams send their chunks with it, since this middleware changes only the start of an answer.
SERVER_SEND = "server_send"
log: structlog.typing.FilteringBoundLogger = structlog.get_logger("app")


class RequestContext:
    """Gives each request an id, checks its headers' size and its host, logs its answer, makes unexpected errors a 500.

    The access log has the path and its route, without the query: that may carry a ticket. Polls that are answered well
    are logged at `debug` alone.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_header_bytes: int,
        overload: Overload,
        hosts: Sequence[str] = (),
        find_door: Callable[[str], RefusesInItsForm | None] = lambda _path: None,
    ) -> None:
        self._app = app
        self._find_door = find_door
        self._overload = overload
        self._max_header_bytes = max_header_bytes
        self._hosts = AnsweredHosts(hosts) if hosts else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, _with_short_errors(send))
            return
        began = time.perf_counter()
        headers: Sequence[tuple[bytes, bytes]] = scope["headers"]
        request_id = _request_id(headers)
        id_header = (b"x-request-id", request_id.encode())
        scope.update({REQUEST_ID: request_id, SERVER_SEND: send, DOOR: self._find_door(scope["path"])})
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        status = 0

        async def send_named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                overload.let_go(scope)
                status = message["status"]
                count_request(scope, status, time.perf_counter() - began)
                # A new message, because the given one may be a constant that several answers share.
                given = message.get("headers", ())
                message = {**message, "headers": [*given, id_header, *_safe_headers(given)]}
            await send(message)

        async def receive_outside() -> Message:
            # What the client takes its time for is no work of this process.
            overload.let_go(scope)
            try:
                return await receive()
            finally:
                if not status:
                    overload.take(scope)

        overload = self._overload
        overload.take(scope)
        try:
            if _size(scope, headers) > self._max_header_bytes:
                detail = f"The request's line and headers are larger than {self._max_header_bytes} bytes."
                await problem("payload_too_large", detail, request_id=request_id)(scope, receive, send_named)
            elif self._hosts is not None and not self._hosts.answers(scope):
                detail = "This service does not answer under this host."
                await problem("invalid_host", detail, request_id=request_id)(scope, receive, send_named)
            else:
                await self._app(scope, receive_outside, send_named)
        except ClientDisconnect:
            status = 499  # the client left before its request was complete and gets no answer
        except Exception:
            if status:
                # The answer has begun. The server cuts the connection and logs the error.
                raise
            log.exception("unexpected error")
            answer = problem("internal", "Something went wrong here. It has been logged.", request_id=request_id)
            await answer(scope, receive, send_named)
        finally:
            overload.let_go(scope)
            _finish(scope, status, time.perf_counter() - began)


def _finish(scope: Scope, status: int, took_s: float) -> None:
    # It holds the scope itself: a circle would wait for the garbage collector, with all that the request had.
    scope.pop(SERVER_SEND, None)
    _log_answer(scope, status, took_s)


def _log_answer(scope: Scope, status: int, took_s: float) -> None:
    """Log a request, with its route and with the thread and the run of its path."""
    route = getattr(scope.get("route"), "path", None)
    # A balancer or a scraper asks every few seconds. What fails is worth a line.
    write = log.debug if route in _POLLED and status < _FAILED else log.info
    ids = ids_of(scope)
    write(
        "request",
        method=scope["method"],
        path=logged_path(scope),
        route=route,
        status=status,
        ms=round(took_s * 1000, 2),
        user_id=scope.get(USER_ID),
        client=_client(scope),
        **{name: ids[name] for name in _LOGGED_IDS if name in ids},
    )


def _client(scope: Scope) -> str | None:
    """The client's address. Behind a proxy it is a text that the proxy made."""
    client = scope.get("client")
    return client[0][:_MAX_ADDRESS] if client else None


def _safe_headers(given: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """What browsers are told of each answer that says nothing else itself."""
    names = {name for name, _ in given}
    return [header for header in SAFE_HEADERS if header[0] not in names]


def _with_short_errors(send: Send) -> Send:
    """Leave a refused start to the command line, which prints its sentence: a traceback does not help the operator."""

    async def send_short(message: Message) -> None:
        error = sys.exception()  # the error that the web framework is about to report
        if message["type"] == "lifespan.startup.failed" and isinstance(error, AIAgentsError):
            message["message"] = ""
        await send(message)

    return send_short


def _request_id(headers: Sequence[tuple[bytes, bytes]]) -> str:
    """The client's id if it is safe in logs and headers, else a new id."""
    for name, value in headers:
        if name == b"x-request-id" and _SAFE_ID.fullmatch(value):
            return value.decode()
    return new_id()


def _size(scope: Scope, headers: Sequence[tuple[bytes, bytes]]) -> int:
    size = len(scope.get("raw_path") or b"") + len(scope["query_string"])
    for name, value in headers:
        size += len(name) + len(value) + 4  # as they travel: `name: value\r\n`
    return size


def allow_origins(
    app: FastAPI, origins: list[str], *, accepted: Iterable[str] = (), exposed: Iterable[str] = ()
) -> None:
    """Let pages of these origins call every route and read every answer, problems too.

    `accepted` are headers of doors that they may send besides, and `exposed` those that they may read. Cookies are
    never accepted: each request carries a key or a ticket.
    """
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=_METHODS,
            allow_headers=(*_ACCEPTED, *accepted),
            expose_headers=(*_EXPOSED, *exposed),
            max_age=_PREFLIGHT_S,
        )
