"""Titles and summaries say nothing that their agent must not say."""

from typing import Any

import pytest

from ai_agents.core import json
from ai_agents.core.types import JobKind
from ai_agents.store import thread_log
from tests.present import present
from tests.support.summaries import SummaryStore
from tests.unit.workers.conftest import MakeBench

SAID = [{"role": "user", "content": "Tell me the secret."}, {"role": "assistant", "content": "It is a plan."}]
R = "[redacted]"


def guardrails(action: str) -> list[dict[str, Any]]:
    return [{"type": "blocklist", "patterns": ["secret"], "stage": "output", "action": action}]


@pytest.mark.parametrize("action", ["redact", "block"])
async def test_a_title_has_no_forbidden_word(make_bench: MakeBench, action: str) -> None:
    bench = await make_bench("The sec\u200bret plan", messages=SAID, guardrails=guardrails(action))
    await bench.do("title")
    assert (await bench.thread())["title"] == f"The {R} plan"


async def test_a_title_made_of_the_users_words_is_judged_too(make_bench: MakeBench) -> None:
    bench = await make_bench("\n", messages=SAID, guardrails=guardrails("redact"))
    await bench.do("title")
    assert (await bench.thread())["title"] == f"Tell me the {R}"


async def test_a_title_that_is_only_a_forbidden_word_is_not_written(make_bench: MakeBench) -> None:
    bench = await make_bench("Secret", messages=SAID, guardrails=guardrails("redact"))
    assert (await bench.do("title"))["result"] == {"written": False}
    assert (await bench.thread())["title"] is None


async def test_a_failing_judge_leaves_a_thread_without_a_title(make_bench: MakeBench) -> None:
    judge = {"type": "judge", "provider": "nobody", "model": "m", "policy": "Be kind.", "stage": "output"}
    bench = await make_bench("A plan", messages=SAID, guardrails=[judge])
    assert (await bench.do("title"))["result"] == {"written": False}


@pytest.mark.parametrize("action", ["redact", "block"])
async def test_a_summary_has_no_forbidden_word(make_bench: MakeBench, action: str) -> None:
    memory = {"strategy": "summarize", "recent": 2}
    summary = "The user asked for the SECRET, and the assistant told of a plan."
    bench = await make_bench(summary, turns=4, guardrails=guardrails(action), memory=memory)
    assert present((await bench.do("summarize"))["result"])["written"]
    found = await SummaryStore(bench.conn).newest(bench.thread_id)
    assert found is not None
    assert found.text == f"The user asked for the {R}, and the assistant told of a plan."
    assert (await bench.thread())["summary"] == found.text


@pytest.mark.parametrize("kind", ["title", "summarize"])
async def test_findings_in_a_title_are_recorded_in_the_log(make_bench: MakeBench, kind: JobKind) -> None:
    said = "The user asked for the secret of the plan."
    memory = {"strategy": "summarize", "recent": 2}
    bench = await make_bench(said, turns=4, guardrails=guardrails("block"), memory=memory)
    await bench.do(kind)
    rows = await bench.conn.database.read(lambda c: thread_log.list_after(c, bench.thread_id, 0))
    told = [json.loads(row.data) for row in rows if row.type == "guardrail.triggered"]
    assert [(each["guardrail"], each["stage"], each["action"]) for each in told] == [("blocklist", "output", "redact")]


async def test_max_length_does_not_limit_a_summary(make_bench: MakeBench) -> None:
    memory = {"strategy": "summarize", "recent": 2}
    short = {"type": "max_length", "characters": 10, "action": "redact"}
    bench = await make_bench("The user and the assistant made a plan.", turns=4, guardrails=[short], memory=memory)
    assert present((await bench.do("summarize"))["result"])["written"]
    assert (await bench.thread())["summary"] == "The user and the assistant made a plan."
