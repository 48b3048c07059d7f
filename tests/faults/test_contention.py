"""Many messages at once, on two processes: what is decided, is decided once for all of them."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from tests.faults.support.cluster import Answered, Cluster


async def send_all(cluster: Cluster, thread_id: str, bodies: list[dict[str, Any]], **headers: str) -> list[Answered]:
    """Send all at once, to one process and the other in turn."""
    path = f"/threads/{thread_id}/messages"
    return await asyncio.gather(
        *(
            cluster.call(cluster.replicas[number % 2], "POST", path, body, prefer="respond-async", **headers)
            for number, body in enumerate(bodies)
        )
    )


@pytest.mark.parametrize("on_busy", ["reject", "queue", "interrupt"])
async def test_thirty_messages_at_once_leave_a_thread_in_order(pair: Cluster, on_busy: str) -> None:
    one, two = pair.replicas
    thread_id = await pair.make_thread(one)
    watching = pair.follow([one, two], thread_id)
    bodies = [{"content": f"words=5 pause=0.005 number={number}", "on_busy": on_busy} for number in range(30)]
    answers = await send_all(pair, thread_id, bodies)
    statuses = Counter(answer.status for answer in answers)
    accepted = [answer.data for answer in answers if answer.status == 202]
    assert accepted
    assert statuses[202] + statuses[409] == 30
    assert on_busy == "reject" or statuses[202] == 30
    assert all(answer.data["code"] == "thread_busy" for answer in answers if answer.status == 409)
    ended = [await pair.until_ended(one, thread_id, run["id"]) for run in accepted]
    allowed = {"completed", "cancelled"} if on_busy == "interrupt" else {"completed"}
    assert {run["status"] for run in ended} <= allowed
    assert any(run["status"] == "completed" for run in ended)
    log = await pair.check_log(two, thread_id)
    started = [row["run_id"] for row in log if row["type"] == "run.started"]
    active: str | None = None
    for row in log:
        if row["type"] == "run.started":
            assert active is None, "two runs at once"
            active = row["run_id"]
        elif row["type"] in {"run.completed", "run.failed", "run.cancelled"} and row["run_id"] == active:
            active = None
    if on_busy == "queue":
        queued = [row["run_id"] for row in log if row["type"] == "run.queued"]
        assert started[-len(queued) :] == queued, "the queue's order was not kept"
    said = [each["content"] for each in await pair.history(two, thread_id) if each["role"] == "user"]
    sent = [body["content"] for body, answer in zip(bodies, answers, strict=True) if answer.status == 202]
    assert sorted(said) == sorted(sent), "what was accepted is in the history once"
    await watching.until(lambda told: told.rows[-1].seq == len(log) if told.rows else False)
    assert watching.told.types() == [row["type"] for row in log]


async def test_fifty_equal_requests_with_one_key_are_one_run(pair: Cluster) -> None:
    one, two = pair.replicas
    thread_id = await pair.make_thread(one)
    body = {"content": "words=30 pause=0.01"}
    answers = await send_all(pair, thread_id, [body] * 50, **{"idempotency-key": "once"})
    assert {(answer.status, answer.data["id"]) for answer in answers} == {(202, answers[0].data["id"])}
    run = await pair.until_ended(two, thread_id, answers[0].data["id"])
    assert run["status"] == "completed"
    assert len(pair.model.requests) == 1
    assert [message["role"] for message in await pair.history(two, thread_id)] == ["user", "assistant"]
    other = await send_all(pair, thread_id, [{"content": "another"}] * 2, **{"idempotency-key": "once"})
    assert [(answer.status, answer.data["code"]) for answer in other] == [(422, "idempotency_key_reused")] * 2


async def test_streams_and_waiting_requests_with_one_key_share_one_run(pair: Cluster) -> None:
    thread_id = await pair.make_thread(pair.replicas[0])
    path = f"/threads/{thread_id}/messages"
    body = {"content": "words=30 pause=0.01"}

    async def wait_for_answer(number: int) -> tuple[int, str]:
        answer = await pair.call(pair.replicas[number % 2], "POST", path, body, **{"idempotency-key": "k"})
        return answer.status, answer.data["content"]

    async def stream(number: int) -> tuple[int, str]:
        headers = {"idempotency-key": "k", "accept": "text/event-stream"}
        address = pair.replicas[number % 2].url
        async with pair.session.post(address + path, json=body, headers=headers) as response:
            told = await pair.read(response)
        return 201, "".join(told.contents.values())

    answers = await asyncio.gather(*(stream(n) if n % 3 else wait_for_answer(n) for n in range(12)))
    assert len(set(answers)) == 1
    assert answers[0][0] == 201
    assert len(pair.model.requests) == 1
