"""Spans that are kept in this process, as long as a test lasts."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from ai_agents.core import tracing


class Spans:
    """What has ended so far."""

    def __init__(self) -> None:
        self._kept = InMemorySpanExporter()
        self.provider = TracerProvider(sampler=ALWAYS_ON, shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._kept))

    def all(self) -> list[ReadableSpan]:
        """All of them, in the order in which they ended."""
        return list(self._kept.get_finished_spans())

    def named(self, beginning: str) -> list[ReadableSpan]:
        """Those whose names begin so."""
        return [span for span in self.all() if span.name.startswith(beginning)]

    def one(self, beginning: str) -> ReadableSpan:
        """The only one whose name begins so."""
        found = self.named(beginning)
        assert len(found) == 1, [span.name for span in self.all()]
        return found[0]

    def text(self) -> str:
        """All that is in them."""
        return "\n".join(span.to_json() for span in self.all())


@contextmanager
def kept_spans() -> Iterator[Spans]:
    """Spans of the framework. A tracer provider that is set in earnest would stay for the whole process."""
    with pytest.MonkeyPatch.context() as patch:
        spans = Spans()
        patch.setattr(tracing, "_tracer", spans.provider.get_tracer("ai_agents"))
        patch.setattr(tracing, "_with_content", False)
        yield spans


def trace_id(span: ReadableSpan) -> str:
    """The id of its trace."""
    assert span.context is not None
    return f"{span.context.trace_id:032x}"


def parent_id(span: ReadableSpan) -> int | None:
    """The id of its parent."""
    return None if span.parent is None else span.parent.span_id


def own_id(span: ReadableSpan) -> int:
    """Its own id."""
    assert span.context is not None
    number: int = span.context.span_id
    return number
