"""Runs: reading, cancelling, and reading their events again."""

import asyncio

from tests.api.live import Live, events_of, next_of, read_all, text_of
from tests.api.service import UNKNOWN_ID, check_problem, give_role


async def test_runs_are_listed_newest_first(live: Live) -> None:
    alice = await live.user("alice")
    thread = await live.scripted_thread(alice, "one", "two")
    for _ in range(2):
        await alice.post(f"/threads/{thread['id']}/messages", json={"content": "Hi"})

    first = (await alice.get(f"/threads/{thread['id']}/runs", params={"limit": 1})).json()
    second = (await alice.get(f"/threads/{thread['id']}/runs", params={"after": first["next"]})).json()

    newest, oldest = first["data"] + second["data"]
    assert newest["created_at"] > oldest["created_at"]
    assert (newest["status"], newest["agent_version"], newest["user_id"]) == ("completed", 1, "alice")
    assert newest["usage"]["output_tokens"] == 5
    assert (await alice.get(f"/threads/{thread['id']}/runs/{oldest['id']}")).json() == oldest


async def test_a_finished_run_is_replayed_and_then_over(live: Live) -> None:
    alice = await live.user("alice")
    thread = await live.scripted_thread(alice, ["Hel", "lo!"])
    answer = (await alice.post(f"/threads/{thread['id']}/messages", json={"content": "Hi"})).json()
    path = f"/threads/{thread['id']}/runs/{answer['run_id']}/events"

    events = await read_all(alice, path)
    after_first = await read_all(alice, f"{path}?last_event_id={events[0].id}")
    over = await alice.get(path, headers={"last-event-id": events[-1].id})

    assert [event.event for event in events] == ["run.started", "message.completed", "run.completed"]
    assert [event.id for event in after_first] == [event.id for event in events[1:]]
    assert (over.status_code, over.content) == (204, b"")


async def test_an_event_id_from_elsewhere_is_refused(live: Live) -> None:
    alice = await live.user("alice")
    thread = await live.scripted_thread(alice, "Hello!")
    run_id = (await alice.post(f"/threads/{thread['id']}/messages", json={"content": "Hi"})).json()["run_id"]

    for event_id in ("x", "1", "1-", "-1-0", "99-0", "999999999999999-0", "1-0-0", "%00", "1-1e3"):
        for path in (f"/threads/{thread['id']}/runs/{run_id}/events", f"/threads/{thread['id']}/events"):
            check_problem(await alice.get(f"{path}?last_event_id={event_id}"), 400, "invalid_event_id")


async def test_an_event_id_of_another_run_is_refused(live: Live) -> None:
    alice = await live.user("alice")
    thread = await live.scripted_thread(alice, "one", "two")
    answers = [(await alice.post(f"/threads/{thread['id']}/messages", json={"content": "Hi"})).json() for _ in range(2)]
    one, two = (f"/threads/{thread['id']}/runs/{answer['run_id']}/events" for answer in answers)

    other = (await read_all(alice, two))[0].id

    check_problem(await alice.get(one, headers={"last-event-id": other}), 400, "invalid_event_id")


async def test_an_unknown_run_is_not_found(live: Live) -> None:
    alice = await live.user("alice")
    thread = await live.scripted_thread(alice)

    for run_id in (UNKNOWN_ID, "x", "%00"):
        path = f"/threads/{thread['id']}/runs/{run_id}"
        check_problem(await alice.get(path), 404, "not_found")
        check_problem(await alice.get(f"{path}/events"), 404, "not_found")
        check_problem(await alice.post(f"{path}/cancel"), 404, "not_found")


async def test_a_cancelled_run_keeps_what_was_said(live: Live) -> None:
    alice = await live.user("alice")
    thread = await live.scripted_thread(alice, ["Hel", asyncio.Event()])
    path = f"/threads/{thread['id']}"

    async with alice.stream("POST", f"{path}/messages", json={"content": "Hi", "stream": True}) as response:
        stream = events_of(response)
        delta = await next_of(stream, "message.delta")
        cancelled = await alice.post(f"{path}/runs/{delta.data['run_id']}/cancel")
        last = await next_of(stream, "run.cancelled")

    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert last.data["run"] == cancelled.json()
    answer = (await alice.get(f"{path}/messages")).json()["data"][-1]
    assert (answer["content"], answer["status"]) == ("Hel", "incomplete")
    again = await alice.post(f"{path}/runs/{delta.data['run_id']}/cancel")
    assert (again.status_code, again.json()) == (200, cancelled.json())


async def test_who_waits_for_a_run_that_is_cancelled_before_it_speaks_is_told(live: Live) -> None:
    alice = await live.user("alice")
    thread = await live.scripted_thread(alice, [asyncio.Event()])
    path = f"/threads/{thread['id']}"
    waiting = asyncio.create_task(alice.post(f"{path}/messages", json={"content": "Hi"}))
    async with alice.stream("GET", f"{path}/events?last_event_id=0-0") as response:
        started = await next_of(events_of(response), "run.started")

    await alice.post(f"{path}/runs/{started.data['run_id']}/cancel")

    check_problem(await waiting, 409, "run_cancelled")
    assert [each["role"] for each in (await alice.get(f"{path}/messages")).json()["data"]] == ["user"]


async def test_who_waits_for_a_run_that_is_cut_gets_what_was_said(live: Live) -> None:
    alice = await live.user("alice")
    thread = await live.scripted_thread(alice, ["Hel", asyncio.Event()])
    path = f"/threads/{thread['id']}"
    waiting = asyncio.create_task(alice.post(f"{path}/messages", json={"content": "Hi"}))
    async with alice.stream("GET", f"{path}/events?last_event_id=0-0") as response:
        delta = await next_of(events_of(response), "message.delta")

    await alice.post(f"{path}/runs/{delta.data['run_id']}/cancel")

    answer = await waiting
    assert (answer.status_code, answer.json()["status"], answer.json()["content"]) == (201, "incomplete", "Hel")


async def test_a_viewer_may_not_cancel(live: Live) -> None:
    alice, bob = await live.user("alice"), await live.user("bob")
    gate = asyncio.Event()
    thread = await live.scripted_thread(alice, [gate, "Hello!"])
    await give_role(alice, "bob", "viewer", "thread", thread["id"])
    path = f"/threads/{thread['id']}"
    run = (await alice.post(f"{path}/messages", json={"content": "Hi"}, headers={"prefer": "respond-async"})).json()

    check_problem(await bob.post(f"{path}/runs/{run['id']}/cancel"), 403, "forbidden")

    gate.set()
    assert text_of(await read_all(bob, f"{path}/runs/{run['id']}/events")) in ("", "Hello!")
    assert (await bob.get(f"{path}/runs/{run['id']}")).json()["status"] == "completed"


async def test_runs_of_all_threads_are_listed_by_status_and_agent(live: Live) -> None:
    alice, bob = await live.user("alice"), await live.user("bob")
    threads = [await live.scripted_thread(alice, "one"), await live.scripted_thread(alice, "two")]
    for thread in threads:
        await alice.post(f"/threads/{thread['id']}/messages", json={"content": "Hi"})
    await give_role(alice, "bob", "viewer", "thread", threads[0]["id"])

    for client in (alice, await live.admin()):
        first = (await client.get("/runs", params={"limit": 1})).json()
        second = (await client.get("/runs", params={"after": first["next"]})).json()
        assert [run["thread_id"] for run in first["data"] + second["data"]] == [threads[1]["id"], threads[0]["id"]]
        assert "upstream" in first["data"][0]
        of_agent = (await client.get("/runs", params={"agent_id": threads[0]["agent_id"]})).json()["data"]
        assert [run["thread_id"] for run in of_agent] == [threads[0]["id"]]
        assert len((await client.get("/runs?status=completed")).json()["data"]) == 2
        assert (await client.get("/runs?status=running")).json()["data"] == []
        assert (await client.get("/runs?agent_id=none")).json()["data"] == []
    (seen,) = (await bob.get("/runs")).json()["data"]
    assert seen["thread_id"] == threads[0]["id"]
    assert "upstream" not in seen
    check_problem(await bob.get("/runs?status=done"), 422, "invalid_request")
    check_problem(await bob.get("/runs?after=x"), 400, "invalid_cursor")
