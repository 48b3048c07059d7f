"""Feedback: each reader of a thread says once what they think of an answer, and the agent's owners read it."""

from typing import Any

import httpx

from tests.api.service import Service, check_problem, give_role, make_agent, make_thread


async def answer_of(client: httpx.AsyncClient, thread_id: str) -> tuple[str, str]:
    """The path of the feedback on a new answer in the thread, and that on the message before it."""
    answer = (await client.post(f"/threads/{thread_id}/messages", json={"content": "Hello!"})).json()
    history = (await client.get(f"/threads/{thread_id}/messages", params={"order": "desc"})).json()["data"]
    assert history[0]["id"] == answer["id"]
    path = f"/threads/{thread_id}/messages"
    return f"{path}/{answer['id']}/feedback", f"{path}/{history[1]['id']}/feedback"


async def listed(client: httpx.AsyncClient, **params: Any) -> list[Any]:
    page = await client.get("/feedback", params=params)
    assert page.status_code == 200, page.text
    return [(each["user_id"], each["rating"], each["comment"]) for each in page.json()["data"]]


async def test_each_reader_rates_an_answer_once_and_the_owner_of_the_agent_reads_it(small_service: Service) -> None:
    service = small_service
    alice, bob, carol = [await service.user(name) for name in ("alice", "bob", "carol")]
    admin = await service.admin()
    agent = await make_agent(alice)
    await give_role(alice, "bob", "user", "agent", agent["id"])
    thread = await make_thread(bob, agent["id"])
    await give_role(bob, "carol", "viewer", "thread", thread["id"])
    path, question = await answer_of(bob, thread["id"])

    said = await bob.put(path, json={"rating": 1, "comment": " Good. "})
    assert said.status_code == 200, said.text
    assert said.json() | {"created_at": "", "updated_at": ""} == {
        "message_id": path.split("/")[4],
        "thread_id": thread["id"],
        "agent_id": agent["id"],
        "user_id": "bob",
        "rating": 1,
        "comment": "Good.",
        "created_at": "",
        "updated_at": "",
    }
    again = (await bob.put(path, json={"rating": -1})).json()
    assert (again["rating"], again["comment"], again["created_at"]) == (-1, None, said.json()["created_at"])
    assert (await carol.put(path, json={"comment": "What is this?"})).status_code == 200

    both = [("carol", None, "What is this?"), ("bob", -1, None)]
    assert await listed(alice) == await listed(admin) == both, "its owner reads it without a right to the thread"
    assert await listed(alice, agent_id=agent["id"], rating="-1") == both[1:]
    assert await listed(alice, rating="1") == await listed(bob) == await listed(carol) == []
    first = (await alice.get("/feedback", params={"limit": 1})).json()
    assert await listed(alice, limit=1, after=first["next"]) == both[1:]

    check_problem(await bob.get("/feedback", params={"agent_id": agent["id"]}), 403, "forbidden")
    check_problem(await carol.get("/feedback", params={"agent_id": agent["id"]}), 404, "not_found")
    check_problem(await bob.put(question, json={"rating": 1}), 422, "invalid_request")
    for body in (
        {"rating": 0},
        {"rating": True},
        {"rating": 1.0},
        {"rating": "1"},
        {"comment": "a" * 2001},
        {"stars": 5},
    ):
        check_problem(await bob.put(path, json=body), 422, "invalid_request")
    check_problem(await alice.put(path, json={"rating": 1}), 404, "not_found")

    taken_back = (await bob.put(path, json={})).json()
    assert (taken_back["rating"], taken_back["comment"]) == (None, None)
    assert await listed(alice) == both[:1]
    assert (await bob.delete(f"/threads/{thread['id']}")).status_code == 204
    assert await listed(admin) == []
