"""Spans of requests and runs, as they are made in this process. tests/faults/test_traces.py has a collector."""

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from structlog.testing import CapturingLogger

from ai_agents import trace_content
from ai_agents.core import extras, tracing
from ai_agents.core.exceptions import PackageMissing, ProviderTimeout
from ai_agents.core.ids import new_id
from ai_agents.testing import ScriptedProvider, tool_call
from app.settings import Settings
from app.tracing import start_tracing, told_once
from tests.api.service import Service, make_agent, make_thread, open_service, settings_for
from tests.support.spans import Spans, kept_spans, own_id, parent_id, trace_id

TRACE, CLIENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
OTHER = "0af7651916cd43dd8448eb211c80319c"
SEND = "POST /threads/{thread_id}/messages"
NOWHERE = "http://127.0.0.1:9"
KEY = "sk-proj-abcdefghijklmnopqrstuvwxyz"
# Also what is no traceparent: they come from anywhere.
HOSTILE = [
    "", "00", f"ff-{TRACE}-{CLIENT}-01", f"00-{'0' * 32}-{CLIENT}-01", f"00-{TRACE}-{'0' * 16}-01",
    f"00-{TRACE.upper()}-{CLIENT}-01", f"00-{TRACE}-{CLIENT}-01\u00ff", f"00-{TRACE}-{CLIENT}-01-" + "x" * 5000,
    f"{TRACE}-{CLIENT}-1", f"00-{TRACE[:-1]}x-{CLIENT}-01", f"00-{TRACE}-{CLIENT}",
]  # fmt: skip


def traceparent(trace: str = TRACE) -> dict[str, str]:
    return {"traceparent": f"00-{trace}-{CLIENT}-01"}


@pytest.fixture
def spans() -> Iterator[Spans]:
    """The spans of the test."""
    with kept_spans() as kept:
        yield kept


@pytest.fixture
async def traced(spans: Spans, sqlite_url: str, tmp_path: Path) -> AsyncIterator[Service]:
    """A service with spans."""
    settings = settings_for(sqlite_url, tmp_path, otel_exporter_otlp_endpoint=NOWHERE, outbound_allow="127.0.0.1:9")
    async with open_service(settings) as service:
        yield service


async def send(client: httpx.AsyncClient, thread: dict[str, Any], content: str, **body: Any) -> dict[str, Any]:
    headers = body.pop("headers", {})
    answer = await client.post(f"/threads/{thread['id']}/messages", json={"content": content} | body, headers=headers)
    assert answer.status_code in (201, 202), answer.text
    told: dict[str, Any] = answer.json()
    return told


async def until(spans: Spans, beginning: str, *, count: int = 1) -> None:
    """Until so many spans have ended."""
    async with asyncio.timeout(60):
        while len(spans.named(beginning)) < count:
            await asyncio.sleep(0.01)


async def test_what_is_said_is_in_no_span_unless_it_is_asked_for_and_then_without_keys(
    traced: Service, spans: Spans
) -> None:
    alice = await traced.user("alice")
    said = ["my-question", "my-instructions", "6*7042", "my-answer"]
    traced.container.providers.add(ScriptedProvider())
    agent = await make_agent(alice, provider="scripted", tools=["calculator"], system_prompt=said[1])
    for with_content in (False, True):
        trace_content(with_content)
        traced.container.providers.add(ScriptedProvider([tool_call("calculator", expression=said[2])], said[3]))
        await send(alice, await make_thread(alice, agent["id"]), f"{said[0]} {KEY}")
        text = spans.text()
        assert [word in text for word in said] == [with_content] * 4
        assert KEY not in text
    _, chat = spans.named("chat")[-2:]
    assert chat.attributes is not None
    assert '"role":"tool"' in str(chat.attributes[tracing.INPUT])
    assert chat.attributes[tracing.OUTPUT] == (
        '[{"role":"assistant","parts":[{"type":"text","content":"my-answer"}],"finish_reason":"stop"}]'
    )
    tool = spans.named("execute_tool calculator")[-1]
    assert tool.attributes is not None
    assert tool.attributes[tracing.TOOL_RESULT] == '"42252"'


async def test_a_run_that_waited_for_an_approval_goes_on_in_its_trace_with_a_link_to_the_decision(
    traced: Service, spans: Spans
) -> None:
    alice = await traced.user("alice")
    call = tool_call("calculator", expression="6*7")
    traced.container.providers.add(ScriptedProvider([call], "It is 42."))
    agent = await make_agent(alice, provider="scripted", tools=[{"name": "calculator", "approval": "always"}])
    thread = await make_thread(alice, agent["id"])
    run = await send(alice, thread, "How much is it?", headers=traceparent())
    path = f"/threads/{thread['id']}/runs/{run['id']}/approvals"
    decision = {"tool_call_id": call.tool_call_id, "approved": True}
    decided = await alice.post(path, json=decision, headers=traceparent(OTHER))
    assert decided.status_code == 200, decided.text
    await until(spans, "invoke_agent", count=2)

    first, second = spans.named("invoke_agent")
    request = spans.one(SEND)
    assert {trace_id(first), trace_id(second), trace_id(request), trace_id(spans.one("execute_tool"))} == {TRACE}
    assert (parent_id(first), parent_id(second)) == (own_id(request), own_id(request))
    assert [f"{link.context.trace_id:032x}" for link in second.links] == [OTHER]
    assert first.attributes is not None
    assert second.attributes is not None
    assert (first.attributes[tracing.RUN_STATUS], second.attributes[tracing.RUN_STATUS]) == ("waiting", "completed")


async def test_what_fails_on_the_way_is_told_by_spans_and_events(traced: Service, spans: Spans) -> None:
    alice = await traced.user("alice")
    failing = ScriptedProvider(ProviderTimeout("not-to-be-told", provider="first"))
    answering = ScriptedProvider([tool_call("what_the_model_said")], "The code is 4111 1111 1111 1111.")
    failing.name, answering.name = "first", "second"
    traced.container.providers.add(failing)
    traced.container.providers.add(answering)
    agent = await make_agent(
        alice,
        provider="first",
        model="m",
        fallbacks=[{"provider": "second", "model": "n"}],
        guardrails=[{"type": "pii", "stage": "output", "action": "redact"}],
    )
    await send(alice, await make_thread(alice, agent["id"]), "Go on.")

    run = spans.one("invoke_agent")
    of_first = spans.one("chat m")
    assert of_first.attributes is not None
    assert of_first.attributes[tracing.ERROR_TYPE] == "provider_timeout"
    assert len(spans.named("chat n")) == 2
    assert parent_id(of_first) == own_id(run)
    tool = spans.one("execute_tool unknown")
    assert tool.attributes is not None
    assert tool.attributes[tracing.ERROR_TYPE] == "tool_error"
    found = [event for event in run.events if event.name == tracing.FOUND]
    assert [dict(event.attributes or {}) for event in found] == [
        {tracing.GUARDRAIL: "pii", tracing.STAGE: "output", tracing.ACTION: "redact"}
    ]
    assert "not-to-be-told" not in spans.text()
    assert "4111 1111" not in spans.text()
    assert "what_the_model_said" not in spans.text()


async def test_what_stands_in_a_path_is_in_no_span_unless_it_is_an_id(traced: Service, spans: Spans) -> None:
    alice, thread = await traced.user("alice"), new_id()
    for path in ("/users/ada%40example.com/limits", f"/threads/{KEY}", "/threads/patient-zero/runs/x", f"/{KEY}", "/x"):
        await alice.get(path, params={"ticket": "tkt_secret"})
    await alice.get(f"/threads/{thread}/runs/none")

    said = spans.text()
    assert not [word for word in ("example.com", KEY, "patient", "tkt_", '"/x"') if word in said]
    of_run = spans.named("GET /threads/{thread_id}/runs/{run_id}")[-1]
    assert of_run.attributes is not None
    assert of_run.attributes[tracing.PATH] == f"/threads/{thread}/runs/{{run_id}}"
    assert of_run.attributes[tracing.CONVERSATION_ID] == thread


async def test_a_request_has_the_trace_of_its_client_if_that_is_one_and_polls_have_none(
    traced: Service, spans: Spans
) -> None:
    alice = await traced.user("alice")
    for value in HOSTILE:
        await alice.get("/agents", headers=[(b"traceparent", value.encode("latin-1"))])
    twice = [(b"traceparent", f"00-{TRACE}-{CLIENT}-01".encode())] * 2
    await alice.get("/agents", headers=twice)
    assert len(spans.named("GET /agents")) == len(HOSTILE) + 1
    assert not any(trace_id(span) == TRACE or span.parent for span in spans.all())
    for path in ("/livez", "/readyz", "/metrics"):
        await alice.get(path)
    assert len(spans.all()) == len(HOSTILE) + 1
    # A later version of the header may have more in it.
    await alice.get("/agents", headers={"traceparent": f"01-{TRACE}-{CLIENT}-00-more"})
    assert trace_id(spans.all()[-1]) == TRACE


async def test_the_span_of_a_stream_ends_when_the_stream_begins_and_its_run_belongs_to_it(
    traced: Service, spans: Spans
) -> None:
    alice = await traced.user("alice")
    agent = await make_agent(alice, provider="echo", model="echo")
    thread = await make_thread(alice, agent["id"])
    headers = {"accept": "text/event-stream"}
    answer = await alice.post(f"/threads/{thread['id']}/messages", json={"content": "Hello!"}, headers=headers)
    assert "run.completed" in answer.text
    request, run = spans.one(SEND), spans.one("invoke_agent")
    assert parent_id(run) == own_id(request)
    assert (request.end_time or 0) <= (run.end_time or 0)


async def test_a_queued_run_tells_how_long_it_waited_and_its_webhook_is_in_its_trace(
    traced: Service, spans: Spans
) -> None:
    alice = await traced.user("alice")
    agent = await make_agent(alice, provider="echo", model="echo")
    thread = await make_thread(alice, agent["id"])
    # Nothing listens there: the delivery is tried again later.
    hook = {"url": "https://127.0.0.1:9/", "events": ["run.completed"], "agent_id": agent["id"]}
    made = await alice.post("/webhooks", json=hook)
    assert made.status_code == 201, made.text
    first = send(alice, thread, "one " * 40)
    second = send(alice, thread, "two", on_busy="queue", headers=traceparent())
    await asyncio.gather(first, second)
    await until(spans, "invoke_agent", count=2)
    await until(spans, "job webhook", count=2)

    waited = [span for span in spans.named("invoke_agent") if trace_id(span) == TRACE]
    assert len(waited) == 1
    assert TRACE in {trace_id(span) for span in spans.named("job webhook")}
    if waited[0].attributes and waited[0].attributes[tracing.RUN_ORIGIN] == "queued":
        assert float(str(waited[0].attributes[tracing.RUN_WAITED_S])) > 0


def test_the_log_is_told_once_that_spans_cannot_be_sent_and_once_that_they_can_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = CapturingLogger()
    monkeypatch.setattr("app.tracing.log", log)

    class Flaky(InMemorySpanExporter):
        answers = iter([SpanExportResult.FAILURE] * 3 + [SpanExportResult.SUCCESS] * 2)

        def export(self, spans: Any) -> SpanExportResult:
            answer = next(self.answers)
            if answer is SpanExportResult.FAILURE:
                logging.getLogger("opentelemetry.exporter.otlp").warning("No: %s", "/a-secret-path/v1/traces")
            return answer

    exporter = told_once(Flaky(), "https://collector.example:4318/a-secret-path")
    for _ in range(5):
        exporter.export(())
    there = {"address": "https://collector.example:4318"}
    assert log.calls == [
        ("warning", ("traces cannot be sent, and are dropped",), {**there, "reason": "No: /…/v1/traces"}),
        ("info", ("traces are sent again",), there),
    ]


WITHOUT_A_COLLECTOR = """
from ai_agents.core import tracing
from app.settings import Settings
from app.tracing import start_tracing

def resident_kb():
    return int(open("/proc/self/status").read().split("VmRSS:")[1].split()[0])

start_tracing(Settings(), service="ai-agents")
tracing.end(tracing.start("first", {}))
before = resident_kb()
for number in range(3000):
    said = {tracing.INPUT: f"{number}" * 100_000, tracing.OUTPUT: f"{number}" * 100_000}
    tracing.end(tracing.start("chat", said))
print("grown", resident_kb() - before)
"""


def test_spans_with_content_that_cannot_be_sent_take_little_memory(tmp_path: Path) -> None:
    settings = {
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "OTEL_EXPORTER_OTLP_ENDPOINT": NOWHERE,
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "true",
    }
    program, environment = [sys.executable, "-c", WITHOUT_A_COLLECTOR], {**os.environ, **settings}
    ended = subprocess.run(
        program, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    grown_kb = int(ended.stdout.rpartition("grown")[2])
    assert grown_kb < 50_000


def test_an_address_for_traces_without_the_package_ends_the_start_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(extras, "is_installed", lambda module: not module.startswith("opentelemetry"))
    settings = Settings(var_dir=tmp_path, otel_exporter_otlp_endpoint=NOWHERE)
    with pytest.raises(PackageMissing, match=r'^Sending traces needs .* pip install "opentelemetry-exporter-otlp'):
        start_tracing(settings, service="ai-agents")
