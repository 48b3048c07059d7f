"""Retries over HTTP: in each form of an answer, once for each key, and in the streams of those who follow."""

import asyncio

from tests.api.live import Live, events_of, read_all
from tests.api.service import check_problem, give_role


async def test_the_last_run_is_retried_in_any_form(live: Live) -> None:
    alice = await live.user("alice")
    thread = await live.scripted_thread(alice, "first", "second", "third", "fourth", "fifth")
    path = f"/threads/{thread['id']}"
    first = (await alice.post(f"{path}/messages", json={"content": "Hi"})).json()

    again = await alice.post(f"{path}/runs/{first['run_id']}/retry")
    assert (again.status_code, again.json()["content"]) == (201, "second")
    assert again.headers["location"] == f"{path}/messages/{again.json()['id']}"

    retry = f"{path}/runs/{again.json()['run_id']}/retry"
    key = {"idempotency-key": "third"}
    async with alice.stream("POST", retry, json={"stream": True}, headers=key) as response:
        events = [event async for event in events_of(response)]
    assert [event.event for event in events if "delta" not in event.event] == [
        "run.started",
        "message.started",
        "message.completed",
        "run.completed",
    ]
    started = events[0].data
    assert started["superseded"] == [again.json()["id"]]
    repeated = await alice.post(retry, headers=key)
    assert (repeated.status_code, repeated.json()["content"]) == (201, "third")
    check_problem(await alice.post(retry, headers=key, json={"x": 1}), 422, "invalid_request")

    accepted = await alice.post(f"{path}/runs/{started['run_id']}/retry", headers={"prefer": "respond-async"})
    assert (accepted.status_code, accepted.headers["preference-applied"]) == (202, "respond-async")
    await read_all(alice, f"{accepted.headers['location']}/events")

    history = (await alice.get(f"{path}/messages")).json()["data"]
    assert [(each["content"], each.get("superseded")) for each in history] == [
        ("Hi", None),
        ("first", True),
        ("second", True),
        ("third", True),
        ("fourth", None),
    ]
    shown = (await alice.get(path)).json()
    assert (shown["preview"], shown["message_count"]) == ("fourth", 5)
    left_out = (await alice.get(f"{path}/context")).json()["left_out"]
    assert {each["reason"] for each in left_out} == {"superseded"}


async def test_another_run_than_the_last_and_one_that_goes_on_are_conflicts(live: Live) -> None:
    alice, bob = await live.user("alice"), await live.user("bob")
    gate = asyncio.Event()
    thread = await live.scripted_thread(alice, "first", ["sec", gate, "ond"])
    path = f"/threads/{thread['id']}"
    first = (await alice.post(f"{path}/messages", json={"content": "Hi"})).json()
    accepted = await alice.post(f"{path}/messages", json={"content": "And?"}, headers={"prefer": "respond-async"})
    run = accepted.json()["id"]
    assert check_problem(await alice.post(f"{path}/runs/{run}/retry"), 409, "thread_busy")["run_id"] == run
    gate.set()
    await read_all(alice, f"{path}/runs/{run}/events")
    check_problem(await alice.post(f"{path}/runs/{first['run_id']}/retry"), 409, "conflict")
    await give_role(alice, "bob", "viewer", "thread", thread["id"])
    check_problem(await bob.post(f"{path}/runs/{run}/retry"), 403, "forbidden")
    check_problem(await alice.post(f"{path}/runs/nonsense/retry"), 404, "not_found")
