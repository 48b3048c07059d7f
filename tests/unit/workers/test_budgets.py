"""Jobs and budgets: titles do without a model, summaries wait for the next day, and users pay for what they cause."""

import time
from typing import Any

from sqlalchemy import select

from ai_agents import AgentRunner, AgentStore
from ai_agents.store.budget_tables import BudgetDayTable
from ai_agents.store.job_tables import JobTable
from ai_agents.store.provider_tables import ModelCallTable
from tests.unit.workers.conftest import Bench, MakeBench

SPENT = {"tokens_per_day": 0, "cost_per_day": None}
MEMORY = {"strategy": "summarize", "recent": 2}


async def due_in(bench: Bench, job_id: str) -> float:
    found = select(JobTable.due_at).where(JobTable.id == job_id)
    return float(await bench.conn.database.read(lambda c: c.execute(found).scalar_one())) - time.time()


async def test_without_a_budget_a_thread_is_titled_with_its_first_words(make_bench: MakeBench) -> None:
    bench = await make_bench("A title", turns=1, budget=SPENT)

    job = await bench.do("title")

    assert (job["status"], (await bench.thread())["title"]) == ("completed", "question 1")
    assert bench.provider.requests == []


async def test_a_summary_waits_for_the_next_days_budget_without_using_up_its_attempts(make_bench: MakeBench) -> None:
    bench = await make_bench("A summary of all that was said.", turns=6, memory=MEMORY, budget=SPENT)

    job = await bench.do("summarize")

    assert (job["status"], job["attempts"]) == ("queued", 0)
    assert "budget_exceeded" in str(job["error"])
    assert 0 < await due_in(bench, job["id"]) <= 86_400 + 600
    assert bench.provider.requests == []

    agent_id = (await bench.thread())["agent_id"]
    await AgentStore(bench.conn).update(agent_id, {"budget": None})
    await bench.hurry(job["id"])
    await bench.runner.run(job["id"])
    assert await bench.covers() > 0


async def test_a_user_pays_for_the_jobs_of_their_last_message(make_bench: MakeBench) -> None:
    bench = await make_bench("An answer.", "A title", budget={"tokens_per_day": 10_000, "cost_per_day": None})
    await AgentRunner(bench.conn, provider=bench.provider).run(bench.thread_id, "ada", "Hello!")

    await bench.do("title")

    calls: Any = select(ModelCallTable.user_id, ModelCallTable.run_id.is_(None)).order_by(ModelCallTable.id)
    assert await bench.conn.database.read(lambda c: c.execute(calls).all()) == [("ada", False), ("ada", True)]
    counted = select(BudgetDayTable.tokens)
    assert await bench.conn.database.read(lambda c: c.execute(counted).scalar_one()) == 30
