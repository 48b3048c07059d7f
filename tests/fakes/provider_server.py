"""A real HTTP server that answers like Anthropic, OpenAI, Ollama and Gemini, byte for byte.

In a test:      async with FakeProviderServer() as fake:
                    fake.script("openai", [say("Hel", "lo"), call("calculator", {"expression": "6*7"})])
                    get_provider("openai", api_key="…", base_url=fake.base_url("openai"))
As a process:   python -m tests.fakes.provider_server --port 0 --tokens 50 --delay-ms 0     (prints its port)

What is not scripted is answered by itself: `tokens` words; or, where the user's text has the word "calculate" and a
calculator is offered, a call of it with {"expression": "6*7"}, and then its result.
"""

import argparse
import asyncio
import contextlib
import re
import signal
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Self

import orjson

from tests.fakes.answers import Answer, Call, Piece, Raw, Text
from tests.fakes.frames import CONTENT_TYPES, error_body, frames
from tests.fakes.rules import BrokenRule, Server, check

# OpenAI's second API counts as a provider here.
PATHS = {
    "/v1/messages": "anthropic",
    "/v1/chat/completions": "openai",
    "/v1/responses": "responses",
    "/api/chat": "ollama",
}
BASE_PATHS = {"openai": "/v1", "responses": "/v1", "gemini": "/v1beta"}
_GEMINI_PATH = re.compile(r"/v1beta/(?:models|tunedModels)/([^/:]+):streamGenerateContent")
_LAST_CHUNK = b"0\r\n\r\n"


@dataclass
class Received:
    """A request that the server received. `left` is set when the client disconnects before the end of the answer."""

    provider: str
    path: str
    headers: dict[str, str]
    json: Any
    body: bytes
    model: str = ""
    refused: str | None = None
    left: asyncio.Event = field(default_factory=asyncio.Event)
    answered: asyncio.Event = field(default_factory=asyncio.Event)


class FakeProviderServer:
    """The server. `strict`: a request that breaks the published rules of its provider is answered 400.

    `server`: it also refuses what this server refuses, which speaks the same wire formats.

    `record`: keep what was received. Without both it is cheap enough to be measured against.
    """

    def __init__(
        self,
        *,
        tokens: int = 5,
        delay_s: float = 0.0,
        strict: bool = True,
        server: Server | None = None,
        record: bool = True,
        port: int = 0,
    ) -> None:
        self.requests: list[Received] = []
        # The answers to GET, by path with its query, and the paths that were asked for.
        self.listed: dict[str, Any] = {}
        self.listings: list[str] = []
        # What Ollama tells of its models, by model, and the models that were asked about.
        self.shown: dict[str, Any] = {}
        self.shows: list[str] = []
        self.connections = 0
        self.strict = strict
        self.server = server
        self.record = record
        self.delay_s = delay_s
        self._tokens = tokens
        self._scripts: defaultdict[str, deque[Answer | Raw]] = defaultdict(deque)
        self._prepared: dict[str, bytes] = {}
        self._server: asyncio.Server | None = None
        self._open: set[Connection] = set()
        self.port = port

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), "127.0.0.1", self.port, backlog=2048)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for connection in list(self._open):
            connection.abort()
        await self._server.wait_closed()

    def base_url(self, provider: str) -> str:
        """The `base_url` for the client of this provider."""
        return f"http://127.0.0.1:{self.port}" + BASE_PATHS.get(provider, "")

    def settings(self) -> dict[str, str]:
        """The environment in which a service uses it as every provider."""
        return {
            "anthropic_api_key": "made-up",
            "anthropic_base_url": self.base_url("anthropic"),
            "openai_api_key": "made-up",
            "openai_base_url": self.base_url("openai"),
            "ollama_host": self.base_url("ollama"),
            "gemini_api_key": "made-up",
            "gemini_base_url": self.base_url("gemini"),
        }

    def script(self, provider: str, answers: Iterable[Answer | Raw]) -> None:
        """Set the answers to the next requests to this provider, in order."""
        self._scripts[provider].extend(answers)

    def received(self, provider: str) -> list[Received]:
        """The requests to this provider, in order."""
        return [request for request in self.requests if request.provider == provider]

    def opened(self, connection: "Connection") -> None:
        """A client has connected."""
        self.connections += 1
        self._open.add(connection)

    def closed(self, connection: "Connection") -> None:
        """A client has disconnected."""
        self._open.discard(connection)

    def answer_to(self, provider: str, payload: Any) -> Answer | Raw:
        """The next scripted answer, or the default answer to this request."""
        if self._scripts[provider]:
            return self._scripts[provider].popleft()
        result = _tool_result(payload)
        if result is not None:
            return Answer([Text(("The ", "result ", "is ", f"{result}."))])
        if _wants_calculator(payload):
            return Answer([Call("calculator", {"expression": "6*7"})])
        return Answer([Text(self._words())], output_tokens=self._tokens)

    def is_scripted(self, provider: str) -> bool:
        """Whether a scripted answer is left for this provider."""
        return bool(self._scripts[provider])

    def prepared(self, provider: str) -> bytes:
        """The whole default answer as bytes, HTTP included; it is built once."""
        if provider not in self._prepared:
            answer = Answer([Text(self._words())], output_tokens=self._tokens)
            pieces = frames(provider, answer, "fake-model")
            body = b"".join(_chunk(piece) for piece in pieces if isinstance(piece, bytes))
            self._prepared[provider] = _head(200, {"content-type": CONTENT_TYPES[provider]}) + body + _LAST_CHUNK
        return self._prepared[provider]

    def _words(self) -> list[str]:
        return [f"word{number} " for number in range(self._tokens)]


class Connection(asyncio.Protocol):
    """The connection of one client, with one request at a time."""

    def __init__(self, server: FakeProviderServer) -> None:
        self._server = server
        self._buffer = b""
        self._transport: asyncio.Transport
        self._task: asyncio.Task[None] | None = None
        self._current: Received | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.closed(self)
        if self._current is not None:
            self._current.left.set()
        if self._task is not None:
            self._task.cancel()

    def abort(self) -> None:
        """Cut the connection."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, rest = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", "0"))
        if len(rest) < length:
            return
        self._buffer = rest[length:]
        method, path, _ = first.split(" ")
        if method == "GET":
            self._list(path)
        else:
            self._respond(path, headers, rest[:length])

    def _list(self, path: str) -> None:
        self._server.listings.append(path)
        found = self._server.listed.get(path)
        if found is None:
            self._refuse("openai", 404, "not_found_error", f"there is no {path}")
            return
        self._give(found)

    def _show(self, model: str) -> None:
        self._server.shows.append(model)
        found = self._server.shown.get(model)
        if found is None:
            self._refuse("ollama", 404, "not_found_error", f"model {model!r} not found")
            return
        self._give(found)

    def _give(self, found: Any) -> None:
        head = _head(200, {"content-type": "application/json"})
        self._transport.write(head + _chunk(orjson.dumps(found)) + _LAST_CHUNK)

    def _respond(self, path: str, headers: dict[str, str], body: bytes) -> None:
        provider, model = _addressed(path)
        if path == "/api/show":
            self._show(orjson.loads(body)["model"])
            return
        if provider is None:
            self._refuse("openai", 404, "not_found_error", f"there is no {path}")
            return
        server = self._server
        if not server.strict and not server.record and not server.delay_s and b"calculat" not in body:
            self._transport.write(server.prepared(provider))
            return
        try:
            payload = orjson.loads(body)
        except ValueError:
            self._refuse(provider, 400, "invalid_request_error", "the body is not JSON")
            return
        request = Received(provider, path, headers, payload, body, model=model or payload.get("model", ""))
        if server.record:
            server.requests.append(request)
        if server.strict and not self._is_welcome(request):
            return
        self._current = request
        self._task = asyncio.get_running_loop().create_task(self._play(request, payload))

    def _is_welcome(self, request: Received) -> bool:
        keys = {"x-api-key", "x-goog-api-key"}
        authorised = request.headers.get("authorization", "").startswith("Bearer ") or request.headers.keys() & keys
        if request.provider != "ollama" and not authorised:
            self._refuse(request.provider, 401, "authentication_error", "no key")
            return False
        try:
            check(request.provider, request.json, request.headers, server=self._server.server, model=request.model)
        except BrokenRule as broken:
            request.refused = str(broken)
            self._refuse(request.provider, 400, "invalid_request_error", str(broken))
            return False
        return True

    def _refuse(self, provider: str, status: int, word: str, message: str) -> None:
        body = error_body(provider, status, word, message)
        self._transport.write(_head(status, {"content-type": "application/json"}) + _chunk(body) + _LAST_CHUNK)

    async def _play(self, request: Received, payload: Any) -> None:
        scripted = self._server.is_scripted(request.provider)
        answer = self._server.answer_to(request.provider, payload)
        if isinstance(answer, Raw):
            status, pieces = answer.status, list(answer.pieces)
        else:
            status, pieces = 200, frames(request.provider, answer, request.model)
        headers = {"content-type": CONTENT_TYPES[request.provider]} | dict(answer.headers)
        if status:
            self._transport.write(_head(status, headers))
        await self._send(pieces, delay_s=0.0 if scripted else self._server.delay_s)
        if answer.end == "hang":
            await asyncio.Event().wait()
        self._current = None
        if answer.end == "reset":
            self._transport.abort()
        else:
            self._transport.write(_LAST_CHUNK)
        request.answered.set()

    async def _send(self, pieces: list[Piece], *, delay_s: float) -> None:
        """Send each piece so that a client can read it alone. Delays do not add up."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        for piece in pieces:
            if isinstance(piece, asyncio.Event):
                await piece.wait()
            elif isinstance(piece, bytes):
                self._transport.write(_chunk(piece))
                due += delay_s
                await asyncio.sleep(max(0.0, due - loop.time()))
            else:
                await asyncio.sleep(piece)


def _addressed(path: str) -> tuple[str | None, str | None]:
    """The provider that a path belongs to, and the model where the path names it."""
    path = path.partition("?")[0]
    if (found := _GEMINI_PATH.fullmatch(path)) is not None:
        return "gemini", found[1]
    return PATHS.get(path), None


def _head(status: int, headers: dict[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Fake", "transfer-encoding: chunked", *(f"{n}: {v}" for n, v in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def _messages(payload: Any) -> list[Any]:
    return payload.get("messages") or payload.get("input") or payload.get("contents") or []


def _last_user_text(payload: Any) -> str:
    for message in reversed(_messages(payload)):
        if message.get("role") == "user":
            content = message.get("content") or message.get("parts")
            if isinstance(content, str):
                return content
            return " ".join(block.get("text", "") for block in content or ())
    return ""


def _tool_result(payload: Any) -> str | None:
    """The tool result in the last message, if there is one."""
    last = (_messages(payload) or [{}])[-1]
    if last.get("role") == "tool":
        return str(last.get("content"))
    if last.get("type") == "function_call_output":
        return str(last.get("output"))
    content = last.get("content") or last.get("parts")
    if last.get("role") != "user" or not isinstance(content, list):
        return None
    if "functionResponse" in content[-1]:
        return str(next(iter(content[-1]["functionResponse"]["response"].values())))
    return str(content[-1].get("content")) if content[-1].get("type") == "tool_result" else None


def _wants_calculator(payload: Any) -> bool:
    tools = [each for tool in payload.get("tools", ()) for each in tool.get("functionDeclarations", [tool])]
    names = [tool.get("name") or tool.get("function", {}).get("name") for tool in tools]
    return "calculator" in names and "calculate" in _last_user_text(payload).lower()


async def _serve(arguments: argparse.Namespace) -> None:
    server = FakeProviderServer(
        tokens=arguments.tokens,
        delay_s=arguments.delay_ms / 1000,
        strict=arguments.strict,
        record=False,
        port=arguments.port,
    )
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with server:
        print(server.port, flush=True)  # noqa: T201  # the process that started this one reads it
        await ended.wait()


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description="A fake provider for measurements and end-to-end tests.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--tokens", type=int, default=50, help="words in an answer")
    parser.add_argument("--delay-ms", type=float, default=0.0, help="between two of them")
    parser.add_argument("--strict", action="store_true", help="refuse requests that break a provider's rules")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
