"""Traces of this process: spans of requests, and where all spans are sent. The framework makes the others.

The SDK of OpenTelemetry is imported only where an address for traces is set. A collector that does not answer costs a
line in the log, and spans.
"""

import logging
import os
import threading
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ai_agents.core import tracing
from ai_agents.core.extras import require
from app.middleware import REQUEST_ID
from app.paths import ids_of, traced_path
from app.settings.sources import env_file
from app.settings.tracing import TracingSettings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
    from opentelemetry.trace import Span

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("app")
# What the processes are called in traces.
SERVICE, WORKER = "ai-agents", "ai-agents-worker"
PACKAGE = "opentelemetry.exporter.otlp.proto.http"
# What a balancer or a scraper asks every few seconds says nothing in a trace.
_POLLED = ("/livez", "/readyz", "/metrics")
# How long the last spans may take to be sent when the process ends: the whole stop has five seconds after its grace.
_LAST_S = 0.8
# Loggers that would write a line for each batch that is not sent, and for each span that finds the queue full.
_NOISY = ("opentelemetry.exporter", "opentelemetry.sdk._shared_internal", "opentelemetry.sdk.trace.export")
# Scopes of libraries whose spans quote what servers said; ours tell the same without it.
_TALKATIVE = frozenset({"mcp-python-sdk"})
_LONGEST_REASON = 300
# A span with content has up to some 100 KB: those that wait may not cost much memory, and those that are sent at once
# not be more than collectors take, which is some 20 MB.
_BOUNDS_OF_CONTENT = {"OTEL_BSP_MAX_QUEUE_SIZE": "256", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "64"}


class Tracing:
    """The spans of this process, on their way to a collector. `close` sends the last ones."""

    def __init__(self, provider: "TracerProvider") -> None:
        self._provider = provider

    def close(self) -> None:
        """Send what is left, and do not wait for long."""
        # A thread that does not delay the end of the process: an address may hang.
        ending = threading.Thread(target=self._provider.shutdown, name="last-spans", daemon=True)
        ending.start()
        ending.join(_LAST_S)


def start_tracing(settings: TracingSettings, *, service: str) -> Tracing | None:
    """Send spans where the settings say; None where they name no address, or the program has a provider already.

    `service` is what the process is called in traces, unless a variable says it. Raises `PackageMissing`.
    """
    address = settings.traces_address
    if address is None or tracing.is_on():
        return None
    require(PACKAGE)
    _hand_on(settings)
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.propagate import set_global_textmap
    from opentelemetry.propagators.composite import CompositePropagator
    from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON

    names = {SERVICE_VERSION: version("ai-agents")}
    if not (settings.otel_service_name or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")):
        names[SERVICE_NAME] = service
    provider = TracerProvider(
        # Unless it is said otherwise, whether a run is seen is not for the client to say.
        sampler=ALWAYS_ON if settings.otel_traces_sampler is None else None,
        resource=Resource.create(names),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(BatchSpanProcessor(told_once(OTLPSpanExporter(), address)))
    # What libraries would add to the requests that they make: providers and others are not told of our traces.
    set_global_textmap(CompositePropagator([]))
    trace.set_tracer_provider(provider)
    tracing.trace_content(settings.traces_have_content)
    log.info("traces are sent", address=shown(address))
    return Tracing(provider)


def find_fault(settings: TracingSettings, *, timeout_s: float) -> str | None:
    """Why spans cannot be sent, found out by sending none; None if they can. Blocks. Raises `PackageMissing`."""
    require(PACKAGE)
    _hand_on(settings)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import SpanExportResult

    said, exporter = _heard(settings.traces_address or ""), OTLPSpanExporter(timeout=timeout_s)
    try:
        if exporter.export(()) is SpanExportResult.SUCCESS:
            return None
    finally:
        exporter.shutdown()  # type: ignore[no-untyped-call]  # the package's gap
    return said.take() or "it cannot be reached"


def _hand_on(settings: TracingSettings) -> None:
    """Let the SDK, which reads variables alone, know what `.env` and files of secrets say."""
    from_files = {name: value for name, value in env_file().items() if name.startswith("OTEL_")}
    for name, value in {**from_files, **settings.variables()}.items():
        os.environ.setdefault(name, value)
    if settings.traces_have_content and not any(name in os.environ for name in _BOUNDS_OF_CONTENT):
        os.environ.update(_BOUNDS_OF_CONTENT)
    # Servers and clients choose some of them.
    os.environ.setdefault("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", str(tracing.MOST_CONTENT))


def told_once(exporter: "SpanExporter", address: str) -> "SpanExporter":
    """The exporter, of whose failures the log is told once, and once that it works again."""
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    said = _heard(address)

    class ToldOnce(SpanExporter):
        """Sends what it is given, and tells once that it cannot."""

        _fails = False

        def export(self, spans: "Sequence[ReadableSpan]") -> "SpanExportResult":
            """Send spans."""
            result = exporter.export([span for span in spans if _scope_of(span) not in _TALKATIVE])
            fails = result is not SpanExportResult.SUCCESS
            if fails and not self._fails:
                log.warning("traces cannot be sent, and are dropped", address=shown(address), reason=said.take())
            elif self._fails and not fails:
                log.info("traces are sent again", address=shown(address))
            if not fails:
                said.take()
            self._fails = fails
            return result

        def shutdown(self) -> None:
            """End sending."""
            exporter.shutdown()

        def force_flush(self, timeout_millis: int = 30_000) -> bool:
            """Send what is held back."""
            return exporter.force_flush(timeout_millis)

    return ToldOnce()


def _scope_of(span: "ReadableSpan") -> str | None:
    return None if span.instrumentation_scope is None else span.instrumentation_scope.name


class _FirstWords(logging.Handler):
    """Keeps the first thing that was said: after it come the tries and their end. The address's path is left out."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self._path = urlsplit(address).path.rstrip("/")
        self._text: str | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        if self._text is None:
            said = record.getMessage()
            self._text = (said.replace(self._path, "/…") if self._path else said)[:_LONGEST_REASON]

    def take(self) -> str | None:
        """What was said, once."""
        text, self._text = self._text, None
        return text


def _heard(address: str) -> _FirstWords:
    """What the SDK says of sending, which is not logged any more."""
    said = _FirstWords(address)
    for name in _NOISY:
        noisy = logging.getLogger(name)
        noisy.handlers, noisy.propagate = [said], False
        noisy.setLevel(logging.WARNING)
    return said


def shown(address: str) -> str:
    """The address without what may be secret in it: a user, a path, a query."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.netloc else ""


class TracedRequests:
    """Gives each request a span, which belongs to that of its client, if the client names one.

    It lasts until the request is answered; that of a stream until the stream has begun, since a stream may go on for
    hours, and a span is seen only after its end.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _POLLED:
            await self._app(scope, receive, send)
            return
        span = _start_span(scope)
        status = 0

        async def send_noted(message: Message) -> None:
            nonlocal status, span
            if message["type"] == "http.response.start":
                status = message["status"]
                if _is_stream(message.get("headers", ())):
                    _end_span(span, scope, status)
                    span = None
            await send(message)

        with tracing.within(span):
            try:
                await self._app(scope, receive, send_noted)
            finally:
                _end_span(span, scope, status)


def _start_span(scope: Scope) -> "Span | None":
    attributes = {
        tracing.METHOD: scope["method"],
        tracing.SCHEME: scope["scheme"],
    }
    parent = _parent_of(scope["headers"]) or tracing.NO_PARENT
    return tracing.start(scope["method"], attributes, kind="server", parent=parent)


def _parent_of(headers: Sequence[tuple[bytes, bytes]]) -> str | None:
    """The span of the client, if it names exactly one."""
    given = [value for name, value in headers if name == b"traceparent"]
    return tracing.as_traceparent(given[0].decode("latin-1")) if len(given) == 1 else None


def _is_stream(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    return any(name == b"content-type" and value.startswith(b"text/event-stream") for name, value in headers)


def _end_span(span: "Span | None", scope: Scope, status: int) -> None:
    if span is None:
        return
    ids = ids_of(scope)
    route = getattr(scope.get("route"), "path", None)
    if route is not None:
        span.update_name(f"{scope['method']} {route}")
    known = {
        tracing.ROUTE: route,
        tracing.PATH: traced_path(scope),
        tracing.STATUS: status or None,
        tracing.REQUEST_ID: scope.get(REQUEST_ID),
        tracing.CONVERSATION_ID: ids.get("thread_id"),
        tracing.RUN_ID: ids.get("run_id"),
    }
    # By the conventions, what a client did wrong is no error of the server.
    tracing.end(span, known, error=str(status) if status >= 500 else None)
