"""Summaries: every message is in the summary or in the window, also when both change at the same time."""

import asyncio

import pytest
from sqlalchemy import update

from ai_agents import AgentRunner, ThreadStore
from ai_agents.core.parts import text_of
from ai_agents.core.types import FilePart, ModelMessage, TextPart, ToolCallPart, ToolResultPart
from ai_agents.memory.strategies import Summarize
from ai_agents.store.history import History
from ai_agents.store.models import MessageTable
from ai_agents.store.thread_log import list_after
from ai_agents.testing import ScriptedProvider
from ai_agents.workers.transcript import lines
from tests.present import present
from tests.unit.workers.conftest import Bench, MakeBench

SUMMARY = "Ada asked questions 1 to 25, and each of them was answered."
MEMORY = {"strategy": "summarize", "recent": 10}


async def window(bench: Bench) -> list[str]:
    """What the next context shows beside the summary."""
    chosen = await bench.conn.database.read(lambda c: Summarize(recent=10).window(History(c, bench.thread_id)))
    return [text_of(message.parts) for message in chosen.messages]


async def test_older_messages_are_summarized_and_the_log_says_so(make_bench: MakeBench) -> None:
    bench = await make_bench(SUMMARY, turns=30, memory=MEMORY)
    before = await bench.contents()
    job = await bench.do("summarize")

    assert job["result"] == {"written": True, "covers_through_seq": 50}
    assert (await bench.thread())["summary"] == SUMMARY
    assert await window(bench) == [
        word for number in range(26, 31) for word in (f"question {number}", f"answer {number}")
    ]
    rows = await bench.conn.database.read(lambda c: list_after(c, bench.thread_id, 60))
    assert [row.type for row in rows] == ["context.compacted"]
    assert await bench.contents() == before


async def test_the_agents_model_is_asked_over_the_agents_api(make_bench: MakeBench) -> None:
    bench = await make_bench(SUMMARY, turns=30, memory=MEMORY, settings={"api": "responses"})
    await bench.do("summarize")
    assert bench.provider.requests[0].settings.api == "responses"


async def test_the_next_summary_is_made_from_the_last_one_and_newer_messages(make_bench: MakeBench) -> None:
    bench = await make_bench(SUMMARY, turns=30, memory=MEMORY)
    await bench.do("summarize")
    bench.provider.answers += ["answer 31", "A summary of all that was said before."]
    runner = AgentRunner(bench.conn, provider=bench.provider)
    await runner.run(bench.thread_id, "ada", "question 31")
    await bench.do("summarize")

    sent = str(bench.provider.requests[-1].messages)
    assert SUMMARY in sent
    assert "question 26" in sent
    assert "question 25" not in sent
    assert (await bench.thread())["summary"] == "A summary of all that was said before."


async def test_what_a_provider_refused_is_in_no_summary(make_bench: MakeBench) -> None:
    bench = await make_bench(SUMMARY, turns=30, memory=MEMORY)
    turn = MessageTable.thread_id == bench.thread_id, MessageTable.seq.in_([3, 4])
    refuse = update(MessageTable).where(*turn).values(refused=True)
    await bench.conn.database.write(lambda c: c.execute(refuse).close())

    await bench.do("summarize")

    sent = str(bench.provider.requests[-1].messages)
    assert '"question 1"' in sent
    assert '"question 2"' not in sent
    assert '"question 3"' in sent


async def test_messages_sent_during_a_summary_are_in_the_next_context(make_bench: MakeBench) -> None:
    gate = asyncio.Event()
    bench = await make_bench([gate, SUMMARY], turns=30, memory=MEMORY)
    doing = asyncio.create_task(bench.do("summarize"))
    while not bench.provider.requests:
        await asyncio.sleep(0)
    answering = AgentRunner(bench.conn, provider=ScriptedProvider(*(f"late answer {n}" for n in range(3))))
    for number in range(3):
        await answering.run(bench.thread_id, "ada", f"late question {number}")
    gate.set()
    await doing

    shown = await window(bench)
    assert shown[0] == "question 26"
    assert [text for text in shown if text.startswith("late question")] == [f"late question {n}" for n in range(3)]


@pytest.mark.parametrize("answer", ["\n", "ok", "I'm sorry, but I can't help with that request.", "<think>hm</think>"])
async def test_an_empty_refused_or_too_short_summary_changes_nothing(make_bench: MakeBench, answer: str) -> None:
    bench = await make_bench(answer, turns=30, memory=MEMORY)
    job = await bench.do("summarize")
    assert present(job["result"])["written"] is False
    assert (await bench.thread())["summary"] is None
    assert len(await window(bench)) == 60


async def test_a_summary_written_by_a_person_meanwhile_stays(make_bench: MakeBench) -> None:
    gate = asyncio.Event()
    bench = await make_bench([gate, SUMMARY], turns=30, memory=MEMORY)
    doing = asyncio.create_task(bench.do("summarize"))
    while not bench.provider.requests:
        await asyncio.sleep(0)
    await ThreadStore(bench.conn).update(bench.thread_id, {"summary": "Mine"})
    gate.set()
    assert present((await doing)["result"])["written"] is False
    assert (await bench.thread())["summary"] == "Mine"


async def test_a_job_for_a_summarized_range_does_nothing(make_bench: MakeBench) -> None:
    bench = await make_bench(SUMMARY, "A second summary that nobody needs.", turns=30, memory=MEMORY)
    job = await bench.do("summarize")
    await bench.conn.database.write(
        lambda c: c.exec_driver_sql("UPDATE jobs SET status = 'queued', due_at = 0")  # as if it came an hour late
    )
    await bench.runner.run(job["id"])
    assert len(bench.provider.requests) == 1
    assert await bench.covers() == 50


async def test_a_short_thread_is_not_summarized(make_bench: MakeBench) -> None:
    bench = await make_bench(turns=3, memory=MEMORY)
    assert present((await bench.do("summarize"))["result"])["written"] is False
    assert bench.provider.requests == []


async def test_a_long_thread_is_summarized_in_several_jobs(make_bench: MakeBench) -> None:
    said = [
        message
        for number in range(20)
        for message in (
            {"role": "user", "content": f"{number} " + "x" * 5000},
            {"role": "assistant", "content": "y" * 100},
        )
    ]
    bench = await make_bench(*[SUMMARY] * 9, messages=said, memory=MEMORY)
    first = await bench.do("summarize")
    assert 0 < present(first["result"])["covers_through_seq"] < 30
    second = await bench.do("summarize")
    assert second["id"] != first["id"]
    while await bench.covers() < 30:
        await bench.do("summarize")
    assert await bench.covers() == 30


def test_a_transcript_shows_tool_calls_and_attachments() -> None:
    shown = lines(
        [
            ModelMessage("user", (FilePart("1", "plan.pdf", "application/pdf", 9),)),
            ModelMessage("assistant", (ToolCallPart("c", "calculator", {"expression": "2+2"}),)),
            ModelMessage("tool", (ToolResultPart("c", "calculator", "4"),)),
            ModelMessage("tool", (ToolResultPart("d", "weather", {"why": "no"}, is_error=True),)),
            ModelMessage("assistant", (TextPart(""),)),
        ]
    )
    assert "plan.pdf" in shown[0]
    assert "2+2" in shown[1]
    assert '"answered":"4"' in shown[2]
    assert '"failed"' in shown[3]
    assert len(shown) == 4
