"""A collector of traces: it takes OTLP over HTTP and keeps the spans."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan

from tests.fakes.http_server import Asked, HttpServer, reply


@dataclass(frozen=True, slots=True)
class Seen:
    """A span as it was sent. `events` are their names with their attributes, `links` the traces that it points to."""

    name: str
    service: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: str
    attributes: Mapping[str, Any]
    events: tuple[tuple[str, Mapping[str, Any]], ...]
    links: tuple[str, ...]
    failed: bool


class Collector(HttpServer):
    """Keeps the spans that are sent to `/v1/traces`, and the bytes in which they came."""

    def __init__(self) -> None:
        super().__init__()
        self.spans: list[Seen] = []
        self.bodies: list[bytes] = []
        self.on("/v1/traces", self._take)

    async def _take(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        self.bodies.append(asked.body)
        sent = ExportTraceServiceRequest.FromString(asked.body)
        for of_process in sent.resource_spans:
            resource = _values(of_process.resource.attributes)
            for of_scope in of_process.scope_spans:
                self.spans += [_seen(span, resource["service.name"]) for span in of_scope.spans]
        writer.write(reply(ExportTraceServiceResponse().SerializeToString(), kind="application/x-protobuf"))

    async def until(self, fits: Callable[[Seen], bool], *, count: int = 1, timeout_s: float = 30.0) -> list[Seen]:
        """The spans that fit, once there are so many. Raises `TimeoutError`, with the names of those that came."""
        try:
            async with asyncio.timeout(timeout_s):
                while len(found := [span for span in self.spans if fits(span)]) < count:
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise TimeoutError(f"of the spans {[span.name for span in self.spans]} too few fit") from None
        return found

    async def named(self, beginning: str, *, count: int = 1) -> list[Seen]:
        """The spans whose names begin so, once there are so many."""
        return await self.until(lambda span: span.name.startswith(beginning), count=count)


def _seen(span: WireSpan, service: str) -> Seen:
    return Seen(
        name=span.name,
        service=service,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        kind=WireSpan.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        attributes=_values(span.attributes),
        events=tuple((event.name, _values(event.attributes)) for event in span.events),
        links=tuple(link.trace_id.hex() for link in span.links),
        failed=span.status.code == 2,
    )


def _values(attributes: Any) -> dict[str, Any]:
    given: list[KeyValue] = list(attributes)
    return {each.key: _value(each.value) for each in given}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(each) for each in value.array_value.values]
    return None if kind is None else getattr(value, kind)
