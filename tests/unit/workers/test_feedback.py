"""Feedback in the library, on both databases: one for each user and message, gone with its user."""

import asyncio

import pytest

from ai_agents import FeedbackStore, MessageStore
from ai_agents.core.exceptions import InvalidRequest, MessageNotFound
from ai_agents.core.ids import new_id
from ai_agents.store.jobs import JobStore
from ai_agents.workers.erasure import request_erasure
from tests.present import present
from tests.unit.workers.conftest import MakeBench


async def test_users_rate_an_answer_once_each_and_their_feedback_is_erased_with_them(make_bench: MakeBench) -> None:
    bench = await make_bench(turns=1)
    store, thread_id = FeedbackStore(bench.conn), bench.thread_id
    question, answer = [each["id"] for each in (await MessageStore(bench.conn).list(thread_id))["data"]]
    await asyncio.gather(*(store.put(thread_id, answer, "bob", rating=1, comment=f"{n}") for n in range(10)))
    await store.put(thread_id, answer, "eve", rating=-1, comment="of eve")
    page = await store.list()
    assert [(each["user_id"], each["rating"]) for each in page["data"]] == [("eve", -1), ("bob", 1)]
    agent_id = page["data"][0]["agent_id"]
    assert await store.list("ada", agent_id=agent_id) == {"data": [], "next": None}, "only owners of the agent read it"

    with pytest.raises(InvalidRequest, match="assistant"):
        await store.put(thread_id, question, "bob", rating=1)
    with pytest.raises(InvalidRequest, match="rating"):
        await store.put(thread_id, answer, "bob", rating=5)  # type: ignore[arg-type]  # of a program without types
    with pytest.raises(InvalidRequest, match="2000"):
        await store.put(thread_id, answer, "bob", comment="a" * 2001)
    with pytest.raises(MessageNotFound):
        await store.put(thread_id, new_id(), "bob", rating=1)

    job = await bench.conn.database.write(lambda c: request_erasure(c, "bob"))
    await bench.runner.run(job["id"])
    done = await JobStore(bench.conn).get(job["id"])
    assert present(done["result"])["removed"]["feedback"] == 1, done
    assert [each["user_id"] for each in (await store.list(rating=-1))["data"]] == ["eve"]
    assert (await store.list(rating=1))["data"] == []
