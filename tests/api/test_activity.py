"""Activity of threads: when something last happened, the newest text, how many messages, and lists in that order."""

import asyncio
from typing import Any

import httpx

from ai_agents.testing import tool_call
from tests.api.live import Live, events_of, next_of
from tests.api.service import Service, check_problem, make_thread

_SAID = [
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": [{"type": "text", "text": "🙂" * 150}, {"type": "text", "text": "a" * 100}]},
]


async def _send(client: httpx.AsyncClient, thread: dict[str, Any], text: str, **headers: str) -> httpx.Response:
    return await client.post(f"/threads/{thread['id']}/messages", json={"content": text}, headers=headers)


async def _ids(client: httpx.AsyncClient, **query: Any) -> list[str]:
    """Ids of all pages."""
    found, after = [], None
    while True:
        page = (await client.get("/threads", params=query | ({"after": after} if after else {}))).json()
        found += [thread["id"] for thread in page["data"]]
        after = page["next"]
        if after is None:
            return found


async def test_a_thread_tells_of_its_newest_text_and_its_length(service: Service) -> None:
    alice = await service.user("alice")

    empty = await make_thread(alice)
    begun = await make_thread(alice, messages=_SAID)

    assert (empty["preview"], empty["message_count"], empty["running"]) == (None, 0, False)
    assert empty["last_activity_at"] == empty["created_at"]
    assert (begun["preview"], begun["message_count"]) == ("🙂" * 150 + "a" * 50, 2)
    first = (await alice.get(f"/threads/{begun['id']}/messages")).json()["data"][0]
    fork = await alice.post(f"/threads/{begun['id']}/fork", json={"message_id": first["id"]})
    assert (fork.json()["preview"], fork.json()["message_count"]) == ("Hi", 1)
    assert (await alice.get("/threads")).json()["data"] == [fork.json(), begun, empty]


async def test_messages_and_runs_are_activity_and_changes_of_the_thread_are_none(live: Live) -> None:
    alice = await live.user("alice")
    call = tool_call("calculator", expression="1 + 1")
    thread = await live.scripted_thread(alice, [call], "two")
    path = f"/threads/{thread['id']}"
    created = await alice.get(path)

    answer = await _send(alice, thread, "What is 1 + 1?", **{"idempotency-key": "one"})
    after = await alice.get(path)
    again = await _send(alice, thread, "What is 1 + 1?", **{"idempotency-key": "one"})
    renamed = await alice.patch(path, json={"title": "Sums", "summary": "They add."})

    run = (await alice.get(f"{path}/runs")).json()["data"][0]
    assert answer.status_code == again.status_code == 201
    found = after.json()
    assert (found["preview"], found["message_count"], found["running"]) == ("two", 4, False)
    assert found["message_count"] == len((await alice.get(f"{path}/messages")).json()["data"])
    assert created.json()["last_activity_at"] < run["started_at"] < found["last_activity_at"]
    assert after.headers["etag"] == created.headers["etag"]
    assert (await alice.get(path)).json() == renamed.json()
    events = (await alice.get(f"{path}/events?order=desc", headers={"accept": "application/json"})).json()["data"]
    updated, *_, completed = [event for event in events if event["type"] in ("thread.updated", "run.completed")]
    assert "preview" not in updated["thread"]
    # A repeated request does nothing in the thread, whose time is that of the newest row of a run then.
    assert renamed.json()["last_activity_at"] == completed["created_at"]


async def test_a_thread_says_whether_a_run_is_running_and_counts_no_message_that_waits(live: Live) -> None:
    alice = await live.user("alice")
    thread = await live.scripted_thread(alice, ["Hel", asyncio.Event()])
    path = f"/threads/{thread['id']}"

    async with alice.stream("POST", f"{path}/messages", json={"content": "Hi", "stream": True}) as response:
        delta = await next_of(events_of(response), "message.delta")
        waiting = {"content": "And more", "on_busy": "queue"}
        queued = await alice.post(f"{path}/messages", json=waiting, headers={"prefer": "respond-async"})
        found = (await alice.get(path)).json()
        await alice.post(f"{path}/runs/{queued.json()['id']}/cancel")
        await alice.post(f"{path}/runs/{delta.data['run_id']}/cancel")

    assert (found["preview"], found["message_count"], found["running"]) == ("Hi", 1, True)
    assert (await alice.get(path)).json()["running"] is False


async def test_threads_are_listed_by_activity(live: Live) -> None:
    alice, bob, admin = await live.user("alice"), await live.user("bob"), await live.admin()
    threads = [await live.scripted_thread(alice, "answer") for _ in range(3)]
    first, second, third = (thread["id"] for thread in threads)
    await _send(alice, threads[0], "Hi")

    for client in (alice, admin):
        assert await _ids(client) == [third, second, first]
        assert await _ids(client, order="activity") == [first, third, second]
        assert await _ids(client, order="activity", limit=1) == [first, third, second]
        assert await _ids(client, order="activity", limit=1, agent_id=threads[0]["agent_id"]) == [first]
        created = (await client.get("/threads?limit=1")).json()["next"]
        active = (await client.get("/threads?limit=1&order=activity")).json()["next"]
        check_problem(await client.get(f"/threads?order=activity&after={created}"), 400, "invalid_cursor")
        check_problem(await client.get(f"/threads?after={active}"), 400, "invalid_cursor")
    assert await _ids(bob, order="activity") == []
    for thread in threads:
        await alice.patch(f"/threads/{thread['id']}", json={"title": f"Title of {thread['id'][-1:]}"})
    assert await _ids(alice, order="activity", q="TITLE", limit=1) == [first, third, second]
    check_problem(await alice.get("/threads?order=title"), 422, "invalid_request")
