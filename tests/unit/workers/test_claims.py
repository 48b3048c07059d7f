"""Each job has one effect, also when it is queued or delivered twice, interrupted or late."""

import asyncio

import pytest

from ai_agents.core.exceptions import Conflict, JobNotFound, ProviderRejected, ProviderTimeout
from ai_agents.store import jobs
from ai_agents.store.jobs import MAX_ATTEMPTS, JobLost, JobStore
from ai_agents.workers.erasure import request_erasure
from ai_agents.workers.jobs import JobRunner
from app.job_queue import CeleryJobs
from tests.present import present
from tests.support.waiting import eventually
from tests.unit.workers.conftest import MakeBench, claim

LONG_ENOUGH = "Ada asked a number of questions, and each of them was answered."


async def test_a_job_queued_twice_is_one_job(make_bench: MakeBench) -> None:
    bench = await make_bench(turns=1)
    assert await bench.ask_for("title") == await bench.ask_for("title")


async def test_a_job_delivered_five_times_has_one_effect(make_bench: MakeBench) -> None:
    bench = await make_bench("A title", "Another title", turns=1)
    job_id = await bench.ask_for("title")

    begun = await asyncio.gather(*(bench.runner.run(job_id) for _ in range(5)))

    assert begun.count(True) == 1
    assert len(bench.provider.requests) == 1
    assert (await bench.thread())["title"] == "A title"


async def test_a_completed_job_delivered_again_does_nothing(make_bench: MakeBench) -> None:
    bench = await make_bench("A title", turns=1)
    job = await bench.do("title")
    assert job["status"] == "completed"
    assert not await bench.runner.run(job["id"])


async def test_a_job_claimed_by_another_process_is_left_to_it(make_bench: MakeBench) -> None:
    bench = await make_bench(turns=1)
    job_id = await bench.ask_for("title")
    assert await claim(bench, job_id) is not None
    assert not await bench.runner.run(job_id)


async def test_a_job_of_a_lost_process_is_done_by_the_next(make_bench: MakeBench) -> None:
    bench = await make_bench("A title", turns=1)
    job_id = await bench.ask_for("title")
    assert await claim(bench, job_id) is not None
    await bench.abandon(job_id)

    assert await bench.runner.run(job_id)
    assert (await bench.thread())["title"] == "A title"


async def test_a_process_that_lost_its_claim_cannot_write(make_bench: MakeBench) -> None:
    bench = await make_bench("A title", turns=1)
    job_id = await bench.ask_for("title")
    former = await claim(bench, job_id)
    assert former is not None
    await bench.abandon(job_id)
    await bench.runner.run(job_id)

    for write in (
        lambda c: jobs.finish(c, former, {}),
        lambda c: jobs.fail(c, former, "late"),
        lambda c: jobs.give_back(c, former),
        lambda c: jobs.renew(c, former, lease_s=60),
    ):
        with pytest.raises(JobLost):
            await bench.conn.database.write(write)
    assert (await JobStore(bench.conn).get(job_id))["status"] == "completed"


async def test_a_failing_job_is_retried_and_given_up_after_five_attempts(make_bench: MakeBench) -> None:
    bench = await make_bench(*[ProviderTimeout("It is away.")] * MAX_ATTEMPTS, turns=30)
    job_id = await bench.ask_for("summarize")
    for attempt in range(1, MAX_ATTEMPTS + 1):
        assert await bench.runner.run(job_id)
        assert not await bench.runner.run(job_id), "it is not due yet"
        assert (await JobStore(bench.conn).get(job_id))["attempts"] == attempt
        await bench.hurry(job_id)

    job = await JobStore(bench.conn).get(job_id)
    assert job["status"] == "failed"
    assert job["error"] == "provider_timeout: It is away."
    assert not await bench.runner.run(job_id)


async def test_a_job_that_crashes_its_process_is_given_up(make_bench: MakeBench) -> None:
    bench = await make_bench(turns=1)
    job_id = await bench.ask_for("title")
    for _ in range(MAX_ATTEMPTS):
        assert await claim(bench, job_id) is not None
        await bench.abandon(job_id)

    assert await claim(bench, job_id) is None
    job = await JobStore(bench.conn).get(job_id)
    assert (job["status"], job["attempts"]) == ("failed", MAX_ATTEMPTS)
    assert "lost" in present(job["error"])


async def test_a_failing_job_does_not_block_other_jobs(make_bench: MakeBench) -> None:
    poisoned = await make_bench(*[ProviderRejected("No.")] * 9, turns=30)
    healthy = await make_bench(LONG_ENOUGH, turns=30)
    job_id = await poisoned.ask_for("summarize")
    await poisoned.runner.run(job_id)
    assert present((await healthy.do("summarize"))["result"])["written"]


async def test_a_given_up_job_starts_again_on_request(make_bench: MakeBench) -> None:
    bench = await make_bench(*[ProviderTimeout()] * MAX_ATTEMPTS, LONG_ENOUGH, turns=30)
    job_id = await bench.ask_for("summarize")
    for _ in range(MAX_ATTEMPTS):
        await bench.runner.run(job_id)
        await bench.hurry(job_id)
    store = JobStore(bench.conn)

    again = await store.retry(job_id)
    assert (again["status"], again["attempts"], again["error"]) == ("queued", 0, None)
    assert await bench.runner.run(job_id)
    assert (await store.get(job_id))["status"] == "completed"
    with pytest.raises(Conflict):
        await store.retry(job_id)
    with pytest.raises(JobNotFound):
        await store.retry("00000000-0000-7000-8000-000000000000")


async def test_a_cancelled_job_counts_no_attempt(make_bench: MakeBench) -> None:
    never = asyncio.Event()
    bench = await make_bench([never, "x"], "A title", turns=1)
    job_id = await bench.ask_for("title")
    running = asyncio.create_task(bench.runner.run(job_id))
    while not bench.provider.requests:
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait({running})

    job = await JobStore(bench.conn).get(job_id)
    assert (job["status"], job["attempts"]) == ("queued", 0)
    assert await bench.runner.run(job_id)


async def test_a_job_that_takes_too_long_fails_with_that_reason(make_bench: MakeBench) -> None:
    bench = await make_bench([asyncio.Event(), "x"], turns=1)
    runner = JobRunner(bench.runner.context, owner="here", time_s=0.05)
    job_id = await bench.ask_for("title")
    await runner.run(job_id)
    assert "took longer than 0.05 s" in present((await JobStore(bench.conn).get(job_id))["error"])


async def test_other_due_jobs_run_beside_a_job_unless_they_failed_before(make_bench: MakeBench) -> None:
    benches = [await make_bench("A title", turns=1) for _ in range(3)]
    ids = [await bench.ask_for("title") for bench in benches]
    tried = await claim(benches[2], ids[2])
    assert tried is not None
    await benches[2].abandon(ids[2])

    await benches[0].runner.run_with_others(ids[0], others=7)

    store = JobStore(benches[0].conn)
    assert [(await store.get(job_id))["status"] for job_id in ids] == ["completed", "completed", "running"]


async def test_slow_models_do_not_hold_up_jobs_that_ask_none_in_a_worker(
    make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ai_agents.workers.jobs._LOOK_EVERY_S", 0.02)
    answers = asyncio.Event()
    bench, *others = [await make_bench(*[[answers, "A title"]] * 9, turns=1) for _ in range(9)]
    slow, *_ = [await each.ask_for("title") for each in (bench, *others)]
    store = JobStore(bench.conn)
    running = asyncio.create_task(bench.runner.run_with_others(slow, others=7))
    await eventually(lambda: len(bench.provider.requests) == 6)

    erasure = await bench.conn.database.write(lambda c: request_erasure(c, "someone"))
    await eventually(lambda: is_completed(store, erasure["id"]))
    assert len(bench.provider.requests) == 6, "the last places are for jobs that ask no model"
    assert (await store.get(slow))["status"] == "running"

    answers.set()
    await running
    assert await is_completed(store, slow)


async def is_completed(store: JobStore, job_id: str) -> bool:
    return (await store.get(job_id))["status"] == "completed"


async def test_an_unpublished_job_is_published_once(make_bench: MakeBench) -> None:
    bench = await make_bench(turns=1)
    job_id = await bench.ask_for("title")
    write = bench.conn.database.write

    assert await write(lambda c: jobs.take_unsent(c, again_after_s=60, limit=9)) == []
    assert await write(lambda c: jobs.take_unsent(c, again_after_s=-1, limit=9)) == [job_id]
    assert await write(lambda c: jobs.take_unsent(c, again_after_s=60, limit=9)) == []


async def test_jobs_that_one_process_cannot_publish_are_left_to_another(make_bench: MakeBench) -> None:
    bench = await make_bench(turns=1)
    job_id = await bench.ask_for("title")
    database = bench.conn.database

    CeleryJobs(database, "redis://127.0.0.1:1/0", retention={}).wake([job_id])

    async def taken() -> list[str]:
        return await database.write(lambda c: jobs.take_unsent(c, again_after_s=60, limit=9))

    assert await eventually(taken) == [job_id]


async def test_jobs_are_counted_by_status(make_bench: MakeBench) -> None:
    bench = await make_bench(turns=1)
    store = JobStore(bench.conn)
    assert await store.count() == {"queued": 0, "running": 0, "failed": 0, "oldest_created_at": None}
    job = await store.get(await bench.ask_for("title"))
    await bench.ask_for("summarize")
    await claim(bench, job["id"])
    assert await store.count() == {"queued": 1, "running": 1, "failed": 0, "oldest_created_at": job["created_at"]}
