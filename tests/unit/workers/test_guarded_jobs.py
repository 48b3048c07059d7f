"""Titles and summaries say nothing that their agent must not say."""

from typing import Any

import pytest

from ai_agents.store.summaries import SummaryStore
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


async def test_the_users_own_words_are_no_way_around_it(make_bench: MakeBench) -> None:
    bench = await make_bench("", messages=SAID, guardrails=guardrails("redact"))
    await bench.do("title")
    assert (await bench.thread())["title"] == f"Tell me the {R}"


async def test_a_title_of_nothing_but_a_forbidden_word_is_none(make_bench: MakeBench) -> None:
    bench = await make_bench("Secret", messages=SAID, guardrails=guardrails("redact"))
    assert (await bench.do("title"))["result"] == {"written": False}
    assert (await bench.thread())["title"] is None


async def test_a_judge_that_cannot_be_asked_leaves_a_thread_without_a_title(make_bench: MakeBench) -> None:
    judge = {"type": "judge", "provider": "nobody", "model": "m", "policy": "Be kind.", "stage": "output"}
    bench = await make_bench("A plan", messages=SAID, guardrails=[judge])
    assert (await bench.do("title"))["result"] == {"written": False}


@pytest.mark.parametrize("action", ["redact", "block"])
async def test_a_summary_has_no_forbidden_word(make_bench: MakeBench, action: str) -> None:
    memory = {"strategy": "summarize", "recent": 2}
    summary = "The user asked for the SECRET, and the assistant told of a plan."
    bench = await make_bench(summary, turns=4, guardrails=guardrails(action), memory=memory)
    assert (await bench.do("summarize"))["result"]["written"]
    found = await SummaryStore(bench.conn).newest(bench.thread_id)
    assert found is not None
    assert found.text == f"The user asked for the {R}, and the assistant told of a plan."
    assert (await bench.thread())["summary"] == found.text
