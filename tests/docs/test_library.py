"""The page on the library and the programs in `examples/library`: each snippet and each program is run."""

import asyncio
import inspect
from contextlib import chdir
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ai_agents import DatabaseHandle
from ai_agents.core import tracing
from ai_agents.core.ids import new_id
from tests.docs.python_examples import run_snippet, snippets_of

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "docs" / "library.md"
EXAMPLES = ROOT / "examples" / "library"
# What the programs print.
PRINTED = {
    "script.py": ["echo: Hello!", "[convert: 6.2 miles]"],
    "own_provider.py": ["CAN YOU HEAR ME?"],
    "without_await.py": ["echo: Hello!", "2 messages"],
}


async def use_service(app: FastAPI) -> None:
    """Talk to the page's web service."""
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://test") as client,
    ):
        thread = (await client.post("/threads", params={"user_id": "ada"})).json()["id"]
        hello = {"user_id": "ada", "content": "Hello!"}
        answer = await client.post(f"/threads/{thread}/messages", params=hello)
        assert answer.text.rpartition("event: ")[2].startswith("run.completed\n")
        assert (await client.post(f"/threads/{new_id()}/messages", params=hello)).status_code == 404


@pytest.mark.usefixtures("own_registries")
async def test_every_snippet_of_the_page_runs_and_prints_what_it_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "unused")
    spans = InMemorySpanExporter()

    def set_provider(provider: TracerProvider) -> None:
        # One that is set in earnest stays for the whole process.
        provider.add_span_processor(SimpleSpanProcessor(spans))
        monkeypatch.setattr(tracing, "_tracer", provider.get_tracer("ai_agents"))

    monkeypatch.setattr(trace, "set_tracer_provider", set_provider)
    names: dict[str, Any] = {}
    found = snippets_of(LIBRARY)
    assert len(found) > 15
    with chdir(tmp_path):
        for snippet in found:
            own = names if not snippet.startswith("# ") else {}
            await run_snippet(snippet, own)
            if snippet.startswith("# service.py"):
                await use_service(own["app"])
            if snippet.startswith("# test_"):
                await asyncio.to_thread(own["test_the_assistant_adds_before_it_answers"])
    conn: DatabaseHandle = names["conn"]
    assert conn.tool_sources()
    assert {"chat echo", "invoke_agent assistant"} <= {span.name for span in spans.get_finished_spans()}
    printed = capsys.readouterr().out
    for text in (
        "echo: Hello!",
        "CAN YOU HEAR ME?",
        "book {'place': 'Rome'}",
        '"booked_for":"ada"',
        "no_shouting input",
        "viewer",
    ):
        assert text in printed


@pytest.mark.parametrize("program", PRINTED)
@pytest.mark.usefixtures("own_registries")
async def test_each_program_runs_as_it_stands(
    program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    names: dict[str, Any] = {"__name__": "program"}
    with chdir(tmp_path):
        await run_snippet((EXAMPLES / program).read_text(), names)
        if inspect.isawaitable(ran := names["main"]()):
            await ran

    printed = capsys.readouterr().out
    for text in PRINTED[program]:
        assert text in printed


@pytest.mark.usefixtures("own_registries")
async def test_the_tests_among_the_programs_pass_and_every_program_is_told_of() -> None:
    names: dict[str, Any] = {}
    await run_snippet((EXAMPLES / "test_guide.py").read_text(), names)
    tests = [value for name, value in names.items() if name.startswith("test_")]
    assert len(tests) == 2
    for test in tests:
        await asyncio.to_thread(test)

    told = (EXAMPLES.parent / "README.md").read_text()
    assert all(f"(library/{path.name})" in told for path in EXAMPLES.glob("*.py"))


async def test_the_web_service_among_the_programs_answers(tmp_path: Path) -> None:
    names: dict[str, Any] = {"__name__": "service"}
    with chdir(tmp_path):
        await run_snippet((EXAMPLES / "service.py").read_text(), names)
        await use_service(names["app"])
