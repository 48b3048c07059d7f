"""Spans of the library, in programs that have set a tracer provider and in those that have not."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from ai_agents import AgentRunner, AgentStore, ThreadStore, connect, sync, tool
from ai_agents.core import tracing
from ai_agents.core.types import ToolCallPart
from ai_agents.testing import ScriptedProvider, tool_call
from tests.support.spans import Spans, kept_spans, own_id, parent_id, trace_id

pytestmark = pytest.mark.usefixtures("own_registries")


@pytest.fixture
def spans() -> Iterator[Spans]:
    """The spans of the test."""
    with kept_spans() as kept:
        yield kept


async def test_an_agent_that_a_tool_asks_is_in_the_trace_of_the_program(spans: Spans) -> None:
    async with connect("sqlite://") as conn:
        agents, threads = AgentStore(conn), ThreadStore(conn)
        inner = AgentRunner(conn, provider=ScriptedProvider("Forty-two."))
        expert = await agents.create("expert")

        @tool
        async def ask_expert(question: str) -> str:
            """Asks the expert."""
            thread = await threads.create(expert["id"], owner_id="ada")
            with spans.provider.get_tracer("own").start_as_current_span("own work"):
                return (await inner.run(thread["id"], "ada", question))["content"]

        call: ToolCallPart = tool_call("ask_expert", question="What is six times seven?")
        outer = AgentRunner(conn, provider=ScriptedProvider([call], "It is 42."))
        agent = await agents.create("assistant", tools=[ask_expert])
        thread = await threads.create(agent["id"], owner_id="ada")
        with spans.provider.get_tracer("own").start_as_current_span("program"):
            await outer.run(thread["id"], "ada", "Ask.")

    chain = ["program", "invoke_agent assistant", "execute_tool ask_expert", "own work", "invoke_agent expert"]
    found: list[Any] = [spans.one(name) for name in chain]
    assert [parent_id(span) for span in found] == [None, *(own_id(span) for span in found[:-1])]
    assert len({trace_id(span) for span in spans.all()}) == 1


def test_a_run_without_await_is_in_the_span_of_its_caller(spans: Spans) -> None:
    with sync.connect("sqlite://") as conn:
        runner = sync.AgentRunner(conn, provider=ScriptedProvider("Hello."))
        thread = sync.ThreadStore(conn).create(sync.AgentStore(conn).create("assistant")["id"], owner_id="ada")
        with spans.provider.get_tracer("own").start_as_current_span("program"):
            runner.run(thread["id"], "ada", "Hello!")
    assert parent_id(spans.one("invoke_agent")) == own_id(spans.one("program"))
    run = spans.one("invoke_agent")
    assert run.attributes is not None
    assert run.attributes[tracing.CONVERSATION_ID] == thread["id"]


def test_a_program_without_a_tracer_provider_does_not_even_load_opentelemetry() -> None:
    program = """
import asyncio, sys
from ai_agents import AgentRunner, AgentStore, ThreadStore, connect, get_provider
async def main():
    async with connect("sqlite://") as conn:
        agent = await AgentStore(conn).create("assistant")
        thread = await ThreadStore(conn).create(agent["id"], owner_id="ada")
        await AgentRunner(conn, provider=get_provider("echo")).run(thread["id"], "ada", "Hello!")
    print([name for name in sys.modules if name.startswith("opentelemetry")])
asyncio.run(main())
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout == "[]\n"
