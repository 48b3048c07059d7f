"""HTTP as the server reads it: uvicorn's protocol, with bounds on what it costs before a request is complete.

A head (the request's line and headers) is counted while it is read and has to be complete in time. A body has to come
at a least rate, as far as this service lets it come. What is refused is answered with a problem, like other mistakes.
"""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import httptools
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from ai_agents.core.ids import new_id
from app.hosts import HEALTH
from app.middleware import SAFE_HEADERS
from app.problems import ProblemResponse, RefusesInItsForm, problem
from app.serving.gate import Gate, Queue

# Requests that a client may send ahead. What it sends beyond is not read, and the connection ends after their answers.
_MAX_AHEAD = 32
# Bytes that a chunked body may spend on each of its own bytes, for its chunks' lines.
_OVERHEAD_PER_BYTE = 16
# Pieces of a body (chunks, packets) that cost more to look at than they bring; how many of them a request may have.
_TINY_BYTES, _MAX_TINY = 16, 8192
# What a client may go on sending that nothing is made of, so that it comes to read its answer.
_MAX_IGNORED_BYTES = 256 * 1024
_CLOSE = (b"connection", b"close")


FindDoor = Callable[[str], RefusesInItsForm | None]


class _Refused(Exception):
    """Ends the parsing of what was received."""


class HttpProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(
        self,
        gate: Gate,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        find_door: FindDoor = lambda _path: None,
    ) -> None:
        """`find_door` says which of the doors for other protocols a path belongs to."""
        super().__init__(config, server_state, app_state, _loop)
        self._find_door = find_door
        self.queue: Queue | None = None
        self._gate = gate
        self._max_header_bytes = gate.limits.max_header_bytes
        # The request that is answered now; `cycle` is the newest, which may wait behind it.
        self._answered: RequestResponseCycle | None = None
        # Where in a message the parser is; in neither between two of them.
        self._in_head = False
        self._in_body = False
        self._header_bytes = 0
        # What was received since the last end of a head or a message and was no body.
        self._overhead = 0
        self._window_bytes = 0
        self._tiny = 0
        # Whether this service did not let the body come in some part of the window.
        self._was_paused = False
        self._unsent = 0
        # Nothing more is parsed.
        self._is_deaf = False
        self._ignored_bytes = 0
        self._refusal: tuple[str, str] | None = None

    # What the transport calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Take a place, or answer that there is none."""
        super().connection_made(transport)
        gate = self._gate
        if gate.has_room(len(self.connections)):
            self._wait_in(gate.idle)
        elif gate.has_place_beyond():
            self.app = Overflow(self.app, gate, self._find_door)
            self._wait_in(gate.beyond)
        else:
            gate.note("overloaded")
            self._is_deaf = True
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave all queues."""
        self._wait_in(None)
        self._gate.sending.discard(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse it, within the bounds."""
        if self._is_deaf:
            self._ignored_bytes += len(data)
            if self._ignored_bytes > _MAX_IGNORED_BYTES:
                self.flow.pause_reading()
            return
        self._unset_keepalive_if_required()
        self._overhead += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # answered as if it had asked for nothing else
        except httptools.HttpParserError:
            if not self._is_deaf:
                self._refuse(*self._refusal or ("invalid_request", "This is no valid HTTP request."))
        self._check_overhead()
        if not self._is_deaf:
            self._settle()

    def pause_writing(self) -> None:
        """The client takes its answer more slowly than it is made."""
        super().pause_writing()
        self._watch_sending()

    def resume_writing(self) -> None:
        """The client has taken most of what was written."""
        super().resume_writing()
        if not self.transport.is_closing():
            self._gate.sending.discard(self)

    # What the parser calls

    def on_message_begin(self) -> None:
        """A request begins."""
        if len(self.pipeline) >= _MAX_AHEAD:
            self.cycle.keep_alive = False
            self._is_deaf = True
            self._wait_in(None)
            raise _Refused
        super().on_message_begin()
        self._in_head = True
        self._header_bytes = 0

    def on_url(self, url: bytes) -> None:
        """A piece of the URL."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer, which is not looked at: no request may change its headers after they were judged."""
        self._count(len(name) + len(value) + 4)
        if self._in_head:
            super().on_header(name, value.strip(b" \t"))

    def on_headers_complete(self) -> None:
        """The head is complete: the request begins to be answered."""
        if self.parser.should_upgrade() and self._has_body():
            # The parser would skip the body, and read what of it comes later as the next request.
            self._stop("invalid_request", "A request with a body cannot ask for another protocol (Upgrade).")
        super().on_headers_complete()
        self._in_head, self._in_body = False, True
        self._header_bytes = self._overhead = self._window_bytes = self._tiny = 0

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        size = len(body)
        self._window_bytes += size
        if size < _TINY_BYTES:
            self._tiny += 1
            if self._tiny > _MAX_TINY:
                what = f"more than {_MAX_TINY} pieces of less than {_TINY_BYTES} bytes"
                self._stop("payload_too_large", f"The request's body comes in {what}.")
        self._overhead -= (1 + _OVERHEAD_PER_BYTE) * size
        super().on_body(body)
        if self.flow.read_paused:
            self._was_paused = True

    def on_message_complete(self) -> None:
        """The request is complete."""
        self._in_body = False
        self._overhead = 0
        super().on_message_complete()

    # What the answers call

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answered = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """An answer is written; the client may not have taken all of it."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._wait_in(None)
            self._watch_sending()
        elif not self._is_deaf:
            self._settle()

    # What the gate calls

    def end_head(self) -> None:
        """Answer that the head took too long. A client that began no request is not told."""
        if self._in_head:
            self._refuse("request_timeout", f"The request's headers took longer than {self._gate.limits.head_s:g} s.")
        else:
            self.end_idle()

    def check_body(self) -> None:
        """Refuse a body that came too slowly, if the client alone was to blame."""
        limits, cycle = self._gate.limits, self.cycle
        was_asked_for = self.expect_100_continue and not cycle.waiting_for_100_continue
        is_ours = (
            self._was_paused
            or cycle.waiting_for_100_continue
            # An answer that has begun, perhaps a stream, is not cut; neither is one that is awaited before.
            or (cycle.response_started or bool(self.pipeline))
            or was_asked_for
        )
        if was_asked_for:
            # The client has waited for the answer 100 in this window, and has the next one whole.
            self.expect_100_continue = False
        self._was_paused = self.flow.read_paused
        if is_ours or self._window_bytes >= limits.least_rate * limits.body_window_s:
            self._window_bytes = 0
            self._wait_in(self._gate.bodies)
        else:
            least = f"{limits.least_rate} bytes a second over {limits.body_window_s:g} s"
            self._refuse("request_timeout", f"The request's body came more slowly than {least}.")

    def end_idle(self) -> None:
        """Close it once the client has taken what was written."""
        self.transport.close()
        self._watch_sending()

    def check_sending(self) -> None:
        """Cut a client that does not take its answer, unless the answer is a stream, which may be long."""
        size = self.transport.get_write_buffer_size()
        limits, answered = self._gate.limits, self._answered
        if answered and _is_open(answered) and answered.chunked_encoding and not self.transport.is_closing():
            self._watch_sending()
        elif size and self._unsent - size < limits.least_rate * limits.sending_window_s:
            self._gate.note("not_taken")
            self.abort()
        elif size:
            self._watch_sending()

    def turn_away(self) -> None:
        """Answer that there is no place."""
        self._refuse("overloaded", FULL)

    def end_body(self) -> None:
        """Answer that the process stops, if the request has not arrived as a whole."""
        if self._in_body and not self._is_deaf:
            self._refuse("overloaded", "This process is stopping.")

    def abort(self) -> None:
        """Cut it."""
        self.transport.abort()

    # The rest

    def _wait_in(self, queue: Queue | None) -> None:
        if queue is self.queue:
            return
        if self.queue is not None:
            self.queue.discard(self)
        self.queue = queue
        if queue is not None:
            queue.add(self, self._gate.clock)

    def _settle(self) -> None:
        """Wait for what comes next."""
        gate = self._gate
        is_answered = not _is_open(self.cycle)
        if self._in_body and is_answered and any(name == b"transfer-encoding" for name, _ in self.headers):
            # Tiny chunks cost more to read than to send, so the end of this body is not looked for.
            self._leave()
        elif self._in_body:
            self._wait_in(gate.rests if is_answered else gate.bodies)
        elif not is_answered:
            self._wait_in(None)  # the client may wait for as long as it likes
        elif self.queue is gate.beyond:
            return
        elif self._in_head or self._overhead:
            self._wait_in(gate.heads)
        else:
            self._wait_in(gate.idle)

    def _watch_sending(self) -> None:
        self._unsent = self.transport.get_write_buffer_size()
        self._gate.sending.add(self, self._gate.clock)

    def _count(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > self._max_header_bytes:
            self._stop(*self._too_large())

    def _check_overhead(self) -> None:
        """Refuse a header, a trailer or a chunk's line that has no end: the parser tells of none before its end."""
        if self._overhead > self._max_header_bytes and not self._is_deaf:
            self._refuse(*self._too_large())
        elif self._overhead < 0:
            self._overhead = 0

    def _too_large(self) -> tuple[str, str]:
        what = "trailers and chunk lines" if self._in_body else "line and headers"
        return "payload_too_large", f"The request's {what} are larger than {self._max_header_bytes} bytes."

    def _stop(self, code: str, detail: str) -> None:
        """End the parsing, and refuse the request then."""
        self._refusal = code, detail
        raise _Refused

    def _has_body(self) -> bool:
        return any(
            (name == b"content-length" and value.strip(b"0 ")) or name == b"transfer-encoding"
            for name, value in self.headers
        )

    def _refuse(self, code: str, detail: str) -> None:
        """Answer with a problem and close, after the answers to earlier requests."""
        self._is_deaf = True
        if self.transport.is_closing():
            return
        self._gate.note(code)
        cycle = self.cycle
        if _is_open(cycle):
            if not self._in_body:
                # It waits for the answers to earlier requests: the last of them ends the connection.
                cycle.keep_alive = False
                self._wait_in(None)
                return
            cycle.disconnected = True
            cycle.message_event.set()
            if cycle.response_started or self.pipeline:
                # Something else is being sent, and the rest of this body cannot be read.
                self.end_idle()
                return
        path = bytes(getattr(self, "url", b"")).partition(b"?")[0].decode("latin-1")
        self.transport.write(refusal(code, detail, self._find_door(path)))
        self._leave()

    def _leave(self) -> None:
        """Close once the client had the time to read its answer."""
        self._is_deaf = True
        self._wait_in(self._gate.leaving)
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()


FULL = "This process has as many connections as it may have."


class Overflow:
    """The application for a connection without a place: it tells of the service's health, and closes."""

    def __init__(self, app: Any, gate: Gate, find_door: FindDoor) -> None:
        self._app: ASGIApp = app
        self._gate = gate
        self._find_door = find_door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def send_last(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), _CLOSE]}
            await send(message)

        if scope["path"] in HEALTH:
            await self._app(scope, receive, send_last)
            return
        self._gate.note("overloaded")
        request_id = new_id()
        answer = _in_form(problem("overloaded", FULL, request_id=request_id), self._find_door(scope["path"]))
        answer.raw_headers += [(b"x-request-id", request_id.encode()), *SAFE_HEADERS]
        await answer(scope, receive, send_last)


def _is_open(cycle: RequestResponseCycle | None) -> bool:
    return cycle is not None and not cycle.response_complete


def _in_form(answer: ProblemResponse, door: RefusesInItsForm | None) -> Response:
    return answer if door is None else answer.in_form_of(door)


def refusal(code: str, detail: str, door: RefusesInItsForm | None = None) -> bytes:
    """A whole answer with this problem, in the form of the door, after which the connection is closed."""
    request_id = new_id()
    # What is no HTTP has the status 400, unlike what is said wrongly in it.
    bad: dict[str, Any] = {"title": "Bad Request", "status": 400} if code == "invalid_request" else {}
    answer = _in_form(problem(code, detail, request_id=request_id, **bad), door)
    status = HTTPStatus(bad.get("status", answer.status_code))
    headers = [*answer.raw_headers, (b"x-request-id", request_id.encode()), *SAFE_HEADERS, _CLOSE]
    head = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
    return f"HTTP/1.1 {status} {status.phrase}\r\n".encode() + head + b"\r\n" + bytes(answer.body)
