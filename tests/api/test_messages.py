"""Sending messages, in each form of answer, and reading them."""

import asyncio
from typing import Any

import pytest

from ai_agents.core.exceptions import ProviderError, ProviderRateLimited, ProviderRejected, ProviderTimeout
from ai_agents.testing import tool_call
from tests.api.live import Live, events_of, next_of, read_all, text_of
from tests.api.service import UNKNOWN_ID, Service, check_problem, give_role, make_agent, make_thread


async def test_a_message_is_answered_with_the_assistants(live: Live) -> None:
    alice = await live.user("alice")
    thread = await live.scripted_thread(alice, ["Hel", "lo!"])

    response = await alice.post(f"/threads/{thread['id']}/messages", json={"content": "Hi", "metadata": {"a": 1}})

    assert response.status_code == 201
    answer = response.json()
    assert (answer["role"], answer["content"], answer["status"]) == ("assistant", "Hello!", "completed")
    assert response.headers["location"] == f"/threads/{thread['id']}/messages/{answer['id']}"
    assert (await alice.get(response.headers["location"])).json() == answer
    question, kept = (await alice.get(f"/threads/{thread['id']}/messages")).json()["data"]
    assert (question["role"], question["content"], question["metadata"]) == ("user", "Hi", {"a": 1})
    assert question["user_id"] == "alice"
    assert kept == answer


async def test_content_may_come_in_parts(live: Live) -> None:
    alice = await live.user("alice")
    thread = await live.scripted_thread(alice, "ok")
    parts = [{"type": "text", "text": "one "}, {"type": "text", "text": "two"}]

    await alice.post(f"/threads/{thread['id']}/messages", json={"content": parts})

    question = (await alice.get(f"/threads/{thread['id']}/messages")).json()["data"][0]
    assert (question["parts"], question["content"]) == (parts, "one two")


@pytest.mark.parametrize("asked", [{"headers": {"accept": "text/event-stream"}}, {"json": {"stream": True}}])
async def test_a_stream_brings_the_run_as_it_happens(live: Live, asked: dict[str, Any]) -> None:
    alice = await live.user("alice")
    gate = asyncio.Event()
    thread = await live.scripted_thread(alice, ["Hel", gate, "lo!"])
    path = f"/threads/{thread['id']}/messages"
    body = {"content": "Hi"} | asked.get("json", {})

    async with alice.stream("POST", path, json=body, headers=asked.get("headers")) as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert response.headers["cache-control"] == "no-cache, no-transform"
        assert response.headers["x-accel-buffering"] == "no"
        stream = events_of(response)
        first = await next_of(stream, "message.delta")
        assert first.data["text"] == "Hel"
        gate.set()
        rest = [event async for event in stream]

    assert text_of([first, *rest]) == "Hello!"
    assert [event.event for event in rest][-2:] == ["message.completed", "run.completed"]
    assert rest[-2].data["message"]["content"] == "Hello!"
    assert all(event.data["type"] == event.event and event.data["thread_id"] == thread["id"] for event in rest)


async def test_a_client_that_leaves_does_not_stop_the_run(live: Live) -> None:
    alice = await live.user("alice")
    gate = asyncio.Event()
    thread = await live.scripted_thread(alice, ["Hel", gate, "lo!"])

    async with alice.stream(
        "POST", f"/threads/{thread['id']}/messages", json={"content": "Hi", "stream": True}
    ) as response:
        left = await next_of(events_of(response), "message.delta")
    gate.set()
    events = await read_all(
        alice, f"/threads/{thread['id']}/runs/{left.data['run_id']}/events", **{"last-event-id": left.id}
    )

    assert left.data["text"] + text_of(events) == "Hello!"
    assert events[-1].event == "run.completed"


async def test_a_run_can_be_answered_before_it_has_ended(live: Live) -> None:
    alice = await live.user("alice")
    gate = asyncio.Event()
    thread = await live.scripted_thread(alice, [gate, "Hello!"])

    response = await alice.post(
        f"/threads/{thread['id']}/messages", json={"content": "Hi"}, headers={"prefer": "wait=1, respond-async"}
    )

    assert response.status_code == 202
    assert response.headers["preference-applied"] == "respond-async"
    run = response.json()
    assert run["status"] == "running"
    assert response.headers["location"] == f"/threads/{thread['id']}/runs/{run['id']}"
    gate.set()
    assert (await read_all(alice, f"{response.headers['location']}/events"))[-1].event == "run.completed"
    assert (await alice.get(response.headers["location"])).json()["status"] == "completed"


async def test_tool_calls_are_steps_of_the_history(live: Live) -> None:
    alice = await live.user("alice")
    thread = await live.scripted_thread(alice, [tool_call("calculator", expression="6 * 7")], "It is 42.")

    answer = (await alice.post(f"/threads/{thread['id']}/messages", json={"content": "6 * 7?"})).json()

    assert answer["content"] == "It is 42."
    history = (await alice.get(f"/threads/{thread['id']}/messages")).json()["data"]
    assert [message["role"] for message in history] == ["user", "assistant", "tool", "assistant"]
    assert history[1]["parts"][0]["type"] == "tool_call"
    assert "42" in str(history[2]["parts"][0]["result"])


FAILURES = [
    (ProviderRejected("The key is wrong."), 502, "provider_rejected"),
    (ProviderError("It broke.", retryable=False), 502, "provider_error"),
    (ProviderRateLimited("Slow down.", retryable=False), 429, "provider_rate_limited"),
    (ProviderTimeout("Silence.", retryable=False), 504, "provider_timeout"),
]


@pytest.mark.parametrize("failure, status, code", FAILURES, ids=[code for _, _, code in FAILURES])
async def test_a_failed_run_keeps_the_question(live: Live, failure: ProviderError, status: int, code: str) -> None:
    alice = await live.user("alice")
    thread = await live.scripted_thread(alice, failure)

    response = await alice.post(f"/threads/{thread['id']}/messages", json={"content": "Hi"})

    problem = check_problem(response, status, code)
    assert problem["detail"] == str(failure)
    run = (await alice.get(f"/threads/{thread['id']}/runs/{problem['run_id']}")).json()
    # One problem, one shape: in the answer, in the run, and in both places of the event.
    told = {name: value for name, value in problem.items() if name not in {"request_id", "run_id"}}
    events = await read_all(alice, f"/threads/{thread['id']}/runs/{run['id']}/events")
    assert (run["status"], run["error"]) == ("failed", told)
    assert events[-1].data["problem"] == events[-1].data["run"]["error"] == told
    assert [each["content"] for each in (await alice.get(f"/threads/{thread['id']}/messages")).json()["data"]] == ["Hi"]


async def test_a_failure_within_a_stream_is_an_event(live: Live) -> None:
    alice = await live.user("alice")
    thread = await live.scripted_thread(alice, ProviderRejected("The key is wrong."))

    async with alice.stream(
        "POST", f"/threads/{thread['id']}/messages", json={"content": "Hi", "stream": True}
    ) as response:
        assert response.status_code == 200
        events = [event async for event in events_of(response)]

    assert events[-1].event == "run.failed"
    assert events[-1].data["problem"]["code"] == "provider_rejected"


async def test_an_agent_whose_provider_has_no_key_says_so(live: Live) -> None:
    alice = await live.user("alice")
    agent = await make_agent(alice, provider="anthropic", model="some-model")
    thread = await make_thread(alice, agent["id"])

    response = await alice.post(f"/threads/{thread['id']}/messages", json={"content": "Hi"})

    check_problem(response, 503, "provider_not_configured")
    assert int(response.headers["retry-after"]) > 0


async def test_a_busy_thread_refuses_and_names_the_run(live: Live) -> None:
    alice = await live.user("alice")
    gate = asyncio.Event()
    thread = await live.scripted_thread(alice, [gate, "Hello!"])
    path = f"/threads/{thread['id']}/messages"
    run = (await alice.post(path, json={"content": "Hi"}, headers={"prefer": "respond-async"})).json()

    for body in ({"content": "Again"}, {"content": "Again", "stream": True}):
        assert check_problem(await alice.post(path, json=body), 409, "thread_busy")["run_id"] == run["id"]
    gate.set()
    await read_all(alice, f"/threads/{thread['id']}/runs/{run['id']}/events")


async def test_messages_can_wait_for_a_busy_thread(live: Live) -> None:
    alice = await live.user("alice")
    gate = asyncio.Event()
    thread = await live.scripted_thread(alice, [gate, "first"], "second")
    path = f"/threads/{thread['id']}/messages"
    await alice.post(path, json={"content": "one"}, headers={"prefer": "respond-async"})

    queued = await alice.post(path, json={"content": "two", "on_busy": "queue"}, headers={"prefer": "respond-async"})
    assert queued.json()["status"] == "queued"
    gate.set()
    await read_all(alice, f"{queued.headers['location']}/events")

    history = (await alice.get(path)).json()["data"]
    assert [message["content"] for message in history] == ["one", "first", "two", "second"]


async def test_a_message_can_join_the_run_that_is_under_way_in_any_form(live: Live) -> None:
    alice = await live.user("alice")
    gate = asyncio.Event()
    thread = await live.scripted_thread(alice, ["first", gate, "."], "second.")
    path = f"/threads/{thread['id']}/messages"
    run = (await alice.post(path, json={"content": "one"}, headers={"prefer": "respond-async"})).json()

    def body(content: str, **fields: object) -> dict[str, object]:
        return {"content": content, "on_busy": "steer", **fields}

    accepted = await alice.post(path, json=body("two"), headers={"prefer": "respond-async"})
    assert (accepted.status_code, accepted.json()["id"]) == (202, run["id"])
    assert accepted.headers["location"] == f"/threads/{thread['id']}/runs/{run['id']}"
    assert [message["content"] for message in (await alice.get(path)).json()["data"]] == ["one"]

    async def read() -> list[str]:
        async with alice.stream("POST", path, json=body("three", stream=True)) as response:
            return [event.event async for event in events_of(response) if "delta" not in event.event]

    key = {"idempotency-key": "four"}
    reading = asyncio.create_task(read())
    waiting = asyncio.create_task(alice.post(path, json=body("four"), headers=key))
    async with asyncio.timeout(60):
        while len(await live.waiting_to_join(run["id"])) < 3:
            await asyncio.sleep(0.01)
    queued = (await alice.get(f"{path}/{(await live.waiting_to_join(run['id']))[0]}")).json()
    assert (queued["content"], queued["status"], queued["seq"], queued["run_id"]) == ("two", "queued", None, run["id"])
    gate.set()

    names = await reading
    assert (names[0], names[-1]) == ("run.started", "run.completed")
    assert names.count("message.completed") == 5
    answer = await waiting
    assert (answer.status_code, answer.json()["content"]) == (201, "second.")
    assert (await alice.post(path, json=body("four"), headers=key)).json() == answer.json()
    history = (await alice.get(path)).json()["data"]
    assert [message["content"] for message in history][:3] == ["one", "first.", "two"]
    assert sorted(message["content"] for message in history[3:5]) == ["four", "three"]
    assert {message["run_id"] for message in history} == {run["id"]}


async def test_the_same_request_twice_is_one_run_in_any_form(live: Live) -> None:
    alice = await live.user("alice")
    thread = await live.scripted_thread(alice, "Hello!")
    path, key = f"/threads/{thread['id']}/messages", {"idempotency-key": "once"}

    first = await alice.post(path, json={"content": "Hi"}, headers=key)
    again = await alice.post(path, json={"content": "Hi"}, headers=key)
    async with alice.stream("POST", path, json={"content": "Hi", "stream": True}, headers=key) as response:
        events = [event async for event in events_of(response)]
    accepted = await alice.post(path, json={"content": "Hi"}, headers=key | {"prefer": "respond-async"})

    assert again.status_code == 201
    assert again.json() == first.json()
    assert [event.event for event in events] == ["run.started", "message.completed", "run.completed"]
    assert accepted.json()["id"] == first.json()["run_id"]
    assert len((await alice.get(f"/threads/{thread['id']}/runs")).json()["data"]) == 1


async def test_a_key_is_not_for_another_message(live: Live) -> None:
    alice = await live.user("alice")
    thread = await live.scripted_thread(alice, "Hello!")
    path, key = f"/threads/{thread['id']}/messages", {"idempotency-key": "once"}
    await alice.post(path, json={"content": "Hi"}, headers=key)

    response = await alice.post(path, json={"content": "Something else"}, headers=key)

    check_problem(response, 422, "idempotency_key_reused")


async def test_many_equal_requests_at_once_are_one_run(live: Live) -> None:
    alice = await live.user("alice")
    thread = await live.scripted_thread(alice, "Hello!")
    path, key = f"/threads/{thread['id']}/messages", {"idempotency-key": "once"}

    responses = await asyncio.gather(*(alice.post(path, json={"content": "Hi"}, headers=key) for _ in range(10)))

    assert {response.status_code for response in responses} == {201}
    assert len({response.json()["id"] for response in responses}) == 1


async def test_a_viewer_reads_and_may_not_send(live: Live) -> None:
    alice, bob = await live.user("alice"), await live.user("bob")
    thread = await live.scripted_thread(alice, "Hello!")
    await give_role(alice, "bob", "viewer", "thread", thread["id"])
    path = f"/threads/{thread['id']}/messages"
    await alice.post(path, json={"content": "Hi"})

    assert len((await bob.get(path)).json()["data"]) == 2
    check_problem(await bob.post(path, json={"content": "Hi"}), 403, "forbidden")


async def test_an_editor_sends_only_where_they_may_see_the_agent(live: Live) -> None:
    alice, bob = await live.user("alice"), await live.user("bob")
    thread = await live.scripted_thread(alice, "Hello!")
    await give_role(alice, "bob", "editor", "thread", thread["id"])
    path = f"/threads/{thread['id']}/messages"

    check_problem(await bob.post(path, json={"content": "Hi"}), 403, "forbidden")
    await give_role(await live.admin(), "*", "user", "agent", thread["agent_id"])
    assert (await bob.post(path, json={"content": "Hi"})).status_code == 201


async def test_a_thread_whose_agent_is_deleted_is_only_read(live: Live) -> None:
    alice = await live.user("alice")
    thread = await live.scripted_thread(alice, "Hello!")
    path = f"/threads/{thread['id']}/messages"
    await alice.post(path, json={"content": "Hi"})

    await alice.delete(f"/agents/{thread['agent_id']}")

    check_problem(await alice.post(path, json={"content": "Hi"}), 409, "agent_deleted")
    assert len((await alice.get(path)).json()["data"]) == 2


async def test_the_history_comes_in_pages_from_either_end(live: Live) -> None:
    alice = await live.user("alice")
    agent = await make_agent(alice)
    said = [{"role": role, "content": f"{number}"} for number in range(5) for role in ("user", "assistant")]
    thread = await make_thread(alice, agent["id"], messages=said)
    path = f"/threads/{thread['id']}/messages"

    for order, expected in (("asc", said), ("desc", said[::-1])):
        found: list[str] = []
        query: dict[str, str | int] = {"limit": 4, "order": order}
        while True:
            page = (await alice.get(path, params=query)).json()
            found += [message["content"] for message in page["data"]]
            if page["next"] is None:
                break
            query["after"] = page["next"]
        assert found == [message["content"] for message in expected]


async def test_a_page_can_be_asked_for_around_a_message(service: Service) -> None:
    """As a search result or a link is opened: it goes on from there, and is full at either end of the history."""
    alice = await service.user("alice")
    history = [{"role": ("user", "assistant")[number % 2], "content": str(number)} for number in range(10)]
    thread, other = await make_thread(alice, messages=history), await make_thread(alice, messages=history)
    path = f"/threads/{thread['id']}/messages"
    ids = [each["id"] for each in (await alice.get(path)).json()["data"]]

    async def page(number: int, **query: Any) -> tuple[str, str | None]:
        found = (await alice.get(path, params={"around": ids[number], "limit": 4} | query)).json()
        return "".join(each["content"] for each in found["data"]), found["next"]

    assert [(await page(number))[0] for number in (0, 1, 5, 8, 9)] == ["0123", "0123", "4567", "6789", "6789"]
    assert [(await page(number, order="desc"))[0] for number in (0, 5, 9)] == ["3210", "7654", "9876"]
    assert (await page(9))[1] is (await page(0, order="desc"))[1] is None
    rest = (await alice.get(path, params={"after": (await page(5))[1]})).json()
    older = (await alice.get(path, params={"after": (await page(5, order="desc"))[1], "order": "desc"})).json()
    assert "".join(each["content"] for each in rest["data"]) == "89"
    assert "".join(each["content"] for each in older["data"]) == "3210"
    assert await page(3, limit=1) == ("3", (await page(3, limit=1))[1])
    check_problem(await alice.get(path, params={"around": ids[0], "after": "x"}), 422, "invalid_request")
    for unknown in ("x", UNKNOWN_ID, (await alice.get(f"/threads/{other['id']}/messages")).json()["data"][0]["id"]):
        check_problem(await alice.get(path, params={"around": unknown}), 404, "not_found")


async def test_a_message_of_another_thread_is_none_of_this(live: Live) -> None:
    alice = await live.user("alice")
    one = await make_thread(alice, messages=[{"role": "user", "content": "Hi"}])
    other = await make_thread(alice, one["agent_id"])
    message = (await alice.get(f"/threads/{one['id']}/messages")).json()["data"][0]

    for message_id in (message["id"], UNKNOWN_ID, "x"):
        check_problem(await alice.get(f"/threads/{other['id']}/messages/{message_id}"), 404, "not_found")
