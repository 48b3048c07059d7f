"""Spans of OpenTelemetry, by the conventions for generative AI; all of their names stand here.

A program that has set a tracer provider gets spans; in any other one nothing is made, looked up or imported. What
people and models said is in no span unless `trace_content` was called.

Sources: https://github.com/open-telemetry/semantic-conventions-genai v0.1.0, whose names are still in development, and
https://opentelemetry.io/docs/specs/semconv/http/http-spans/ v1.44.0; read 2026-11-30. Names of our own begin with
`ai_agents.`.
"""

import asyncio
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

# What is done.
OPERATION = "gen_ai.operation.name"
INVOKE_AGENT, CHAT, EXECUTE_TOOL = "invoke_agent", "chat", "execute_tool"
ERROR_TYPE = "error.type"
# Who does it, and where.
PROVIDER = "gen_ai.provider.name"
AGENT_ID, AGENT_NAME, AGENT_VERSION = "gen_ai.agent.id", "gen_ai.agent.name", "gen_ai.agent.version"
CONVERSATION_ID = "gen_ai.conversation.id"
REQUEST_MODEL, RESPONSE_MODEL = "gen_ai.request.model", "gen_ai.response.model"
REQUEST_STREAM, OUTPUT_TYPE = "gen_ai.request.stream", "gen_ai.output.type"
MAX_TOKENS, TEMPERATURE, TOP_P = "gen_ai.request.max_tokens", "gen_ai.request.temperature", "gen_ai.request.top_p"
FINISH_REASONS = "gen_ai.response.finish_reasons"
FIRST_CHUNK_S = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS, OUTPUT_TOKENS = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"
CACHE_READ_TOKENS, CACHE_WRITE_TOKENS = "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_write.input_tokens"
REASONING_TOKENS = "gen_ai.usage.reasoning.output_tokens"
TOOL_NAME, TOOL_CALL_ID, TOOL_TYPE = "gen_ai.tool.name", "gen_ai.tool.call.id", "gen_ai.tool.type"
# What was said: only with `trace_content`.
SYSTEM, INPUT, OUTPUT = "gen_ai.system_instructions", "gen_ai.input.messages", "gen_ai.output.messages"
TOOL_ARGUMENTS, TOOL_RESULT = "gen_ai.tool.call.arguments", "gen_ai.tool.call.result"
# MCP.
MCP_METHOD = "mcp.method.name"
# HTTP.
METHOD, ROUTE, PATH, SCHEME = "http.request.method", "http.route", "url.path", "url.scheme"
STATUS = "http.response.status_code"
# Our own.
REQUEST_ID, RUN_ID, JOB_ID = "ai_agents.request.id", "ai_agents.run.id", "ai_agents.job.id"
RUN_STATUS, RUN_ATTEMPT, RUN_ORIGIN = "ai_agents.run.status", "ai_agents.run.attempt", "ai_agents.run.origin"
RUN_WAITED_S, JOB_WAITED_S = "ai_agents.run.waited_s", "ai_agents.job.waited_s"
JOB, JOB_KIND, JOB_ATTEMPT = "job", "ai_agents.job.kind", "ai_agents.job.attempt"
JUDGE, MCP_SERVER = "guardrail judge", "ai_agents.mcp.server"
# Events.
REQUEST_FAILED, ANSWER_VOID = "ai_agents.provider.failed", "ai_agents.answer.void"
FOUND = "ai_agents.guardrail.found"
GUARDRAIL, STAGE, ACTION = "ai_agents.guardrail.type", "ai_agents.guardrail.stage", "ai_agents.guardrail.action"
REASON, MODEL = "ai_agents.reason", "ai_agents.model"

Attributes = Mapping[str, Any]
Kind = Literal["internal", "server", "client", "consumer"]
# Long enough for what is read by people, and short enough for a span that is sent.
MOST_CONTENT = 32 * 1024
# https://www.w3.org/TR/trace-context/#traceparent-header: versions after 00 may add fields.
_TRACEPARENT = re.compile(
    r"(00(?=.{53}$)|(?!00|ff)[0-9a-f]{2})-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?"
)
_TRACEPARENT_LENGTH, _TRACE_END = 55, 35
# As a parent: the span is the first of a trace, whatever this task is in.
NO_PARENT = ""
_tracer: "Tracer | None" = None
_with_content = False


def trace_content(on: bool = True) -> None:  # reads as a sentence
    """Say whether spans have what people and models said: prompts, answers, arguments and results of tools.

    What guardrails hide is hidden there, too, and keys in the forms of known providers are masked.
    """
    global _with_content  # noqa: PLW0603  # one for the process, as its tracer provider is
    _with_content = on


def has_content() -> bool:
    """Whether spans have what was said."""
    return _with_content


def is_on() -> bool:
    """Whether the program has set a tracer provider."""
    global _tracer  # noqa: PLW0603  # one for the process, as its tracer provider is
    if _tracer is None:
        # A program that has set a provider has imported this.
        api = sys.modules.get("opentelemetry.trace")
        provider = None if api is None else getattr(api, "get_tracer_provider", lambda: None)()
        if api is None or provider is None or isinstance(provider, api.ProxyTracerProvider):
            return False
        _tracer = api.get_tracer("ai_agents", version("ai-agents"))
    return True


def as_traceparent(given: str) -> str | None:
    """What a stranger sent as `traceparent`, as it is kept and used here; None for what is none."""
    return f"00{given[2:_TRACEPARENT_LENGTH]}" if _TRACEPARENT.fullmatch(given) else None


def current() -> str | None:
    """The `traceparent` of the span that this task is in; None where it is in none."""
    if not is_on():
        return None
    from opentelemetry.trace import get_current_span

    return traceparent_of(get_current_span())


def current_trace_id() -> str | None:
    """The id of the trace that this task is in, for its lines in the log."""
    traceparent = current()
    return None if traceparent is None else traceparent[3:_TRACE_END]


def traceparent_of(span: "Span | None") -> str | None:
    """The `traceparent` of a span; None where there is none."""
    context = None if span is None else span.get_span_context()
    if context is None or not context.is_valid:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def start(
    name: str, attributes: Attributes, *, kind: Kind = "internal", parent: str | None = None, link: str | None = None
) -> "Span | None":
    """Start a span, to be ended with `end`; None where the program wants no spans.

    `parent` is a `traceparent`, or `NO_PARENT`; without it the span belongs into the one that this task is in. `link`
    is that of a span that led to this one and is in another trace.
    """
    if not is_on() or _tracer is None:
        return None
    from opentelemetry.context import Context
    from opentelemetry.trace import Link, SpanKind, set_span_in_context

    is_other = link is not None and parent is not None and link[:_TRACE_END] != parent[:_TRACE_END]
    return _tracer.start_span(
        name,
        context=None if parent is None else set_span_in_context(_remote(parent), Context()) if parent else Context(),
        kind=getattr(SpanKind, kind.upper()),
        attributes={key: value for key, value in attributes.items() if value is not None},
        links=[Link(_remote(link).get_span_context())] if link is not None and is_other else None,
    )


def _remote(traceparent: str) -> "Span":
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

    _, trace_id, span_id, flags = traceparent.split("-")
    context = SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16)))
    return NonRecordingSpan(context)


@contextmanager
def within(span: "Span | None") -> Iterator[None]:
    """Let this task be in the span. What is raised is not the span's business: see `end`."""
    if span is None:
        yield
        return
    from opentelemetry.trace import use_span

    with use_span(span, end_on_exit=False, record_exception=False, set_status_on_exception=False):
        yield


@contextmanager
def spanned(
    name: str, attributes: Attributes, *, kind: Kind = "internal", parent: str | None = None
) -> "Iterator[Span | None]":
    """A span around what is done here. What is raised is its error."""
    span = start(name, attributes, kind=kind, parent=parent)
    try:
        with within(span):
            yield span
    except BaseException as error:
        end(span, error=error)
        raise
    end(span)


def end(span: "Span | None", attributes: Attributes | None = None, *, error: BaseException | str | None = None) -> None:
    """End a span. `error` is what it failed with, or a code; its text, which may quote what was said, is left out."""
    if span is None:
        return
    if attributes:
        add(span, attributes)
    if error is not None:
        fail(span, error if isinstance(error, str) else code_of(error))
    span.end()


def fail(span: "Span", code: str) -> None:
    """Note what went wrong."""
    from opentelemetry.trace import StatusCode

    span.set_attribute(ERROR_TYPE, code)
    span.set_status(StatusCode.ERROR)


def add(span: "Span | None", attributes: Attributes) -> None:
    """Add what is known now."""
    if span is not None:
        span.set_attributes({key: value for key, value in attributes.items() if value is not None})


def code_of(error: BaseException) -> str:
    """What kind of error it is: the code of one of ours, the name of another."""
    if isinstance(error, asyncio.CancelledError):
        return "cancelled"
    return getattr(error, "code", None) or type(error).__name__


def note(event: str, attributes: Attributes) -> None:
    """Note that something happened in the span that this task is in."""
    if is_on():
        from opentelemetry.trace import get_current_span

        get_current_span().add_event(event, {key: value for key, value in attributes.items() if value is not None})
