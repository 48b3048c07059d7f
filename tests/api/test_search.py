"""GET /search: words of all scripts, what one may read and nothing else, and nothing of what is deleted or erased."""

from functools import partial
from typing import Any

import httpx
import pytest

from ai_agents.store import search, search_index
from tests.api.service import UNKNOWN_ID, Service, check_problem, give_role, make_agent, make_thread
from tests.support.waiting import eventually


async def found(client: httpx.AsyncClient, q: str, **where: Any) -> list[str]:
    """The contents that are found, on one page."""
    page = await client.get("/search", params={"q": q, **where})
    assert page.status_code == 200, page.text
    return [hit["message"]["content"] for hit in page.json()["data"]]


async def say(client: httpx.AsyncClient, thread_id: str, *said: str) -> None:
    for each in said:
        sent = await client.post(f"/threads/{thread_id}/messages", json={"content": each})
        assert sent.status_code == 201, sent.text


async def test_words_of_every_script_are_found_in_questions_and_answers(service: Service) -> None:
    alice = await service.user("alice")
    agent = await make_agent(alice)
    thread = await make_thread(alice, agent["id"], title="Trips")
    said = ["Die Straße nach Köln", "İstanbul'da ISPARTA", "我喜欢北京", "👍🏽 ok"]
    await say(alice, thread["id"], *said)

    async def questions(q: str) -> list[str]:
        return [each for each in await found(alice, q) if each in said]

    for q, number in (
        ("strasse", 0),
        ("KOLN die", 0),
        ('"nach köln"', 0),
        ("istanbul", 1),
        ("isparta", 1),
        ("\N{LATIN SMALL LETTER DOTLESS I}sparta", 1),
        ("北京", 2),
        ("喜欢", 2),
        ("👍", 3),
    ):
        assert await questions(q) == [said[number]], q
    assert await found(alice, '"köln nach"') == await found(alice, "Köln -straße") == await found(alice, "str*") == []
    assert len(await found(alice, "koln")) == 2, "the answer of echo has it, too"

    page = (await alice.get("/search", params={"q": "koln", "limit": 1})).json()
    (hit,) = page["data"]
    assert hit["thread"] == {"id": thread["id"], "title": "Trips"}
    ((start, end),) = hit["snippet"]["marks"]
    assert hit["snippet"]["text"][start:end] == "Köln"
    message = hit["message"]
    assert message == (await alice.get(f"/threads/{thread['id']}/messages/{message['id']}")).json()
    second = (await alice.get("/search", params={"q": "koln", "limit": 1, "after": page["next"]})).json()
    assert second["data"][0]["message"]["id"] != message["id"]
    assert second["next"] is None

    refused: list[dict[str, Any]] = [{}, {"q": ""}, {"q": "-koln"}, {"q": "a" * 501}, {"q": "a", "limit": 101}]
    for bad in (*refused, {"q": "a", "query": "b"}):
        check_problem(await alice.get("/search", params=bad), 422, "invalid_request")
    check_problem(await alice.get("/search", params={"q": "koln", "after": "W10"}), 400, "invalid_cursor")
    # A fork is a thread of its own.
    fork = await alice.post(f"/threads/{thread['id']}/fork", json={"message_id": message["id"]})
    assert len(await found(alice, "koln", thread_id=fork.json()["id"])) >= 1


async def test_nothing_is_found_in_threads_that_one_may_not_read(small_service: Service) -> None:
    service = small_service
    alice, bob, eve = [await service.user(name) for name in ("alice", "bob", "eve")]
    admin = await service.admin()
    agent, other = await make_agent(alice), await make_agent(alice)
    await give_role(alice, "bob", "user", "agent", agent["id"])
    threads = {}
    for name, client, agent_id in (("a", alice, agent["id"]), ("o", alice, other["id"]), ("b", bob, agent["id"])):
        messages = [{"role": "user", "content": f"canary {name}"}]
        threads[name] = (await make_thread(client, agent_id, messages=messages))["id"]

    assert await found(alice, "canary") == ["canary o", "canary a"]
    assert await found(bob, "canary") == ["canary b"]
    assert await found(eve, "canary") == await found(eve, "canary", shared=True) == []
    assert await found(admin, "canary") == ["canary b", "canary o", "canary a"]
    assert await found(alice, "canary", agent_id=agent["id"]) == ["canary a"]
    assert await found(alice, "canary", thread_id=threads["o"]) == ["canary o"]
    for where in (
        {"thread_id": threads["b"]},
        {"thread_id": UNKNOWN_ID},
        {"thread_id": "x"},
        {"agent_id": UNKNOWN_ID},
        {"agent_id": "x"},
    ):
        check_problem(await alice.get("/search", params={"q": "canary", **where}), 404, "not_found")
    check_problem(await eve.get("/search", params={"q": "canary", "agent_id": agent["id"]}), 404, "not_found")

    await give_role(bob, "alice", "viewer", "thread", threads["b"])
    await give_role(admin, "*", "viewer", "thread", threads["o"])
    assert await found(alice, "canary") == ["canary b", "canary o", "canary a"]
    assert await found(eve, "canary") == []
    assert await found(eve, "canary", shared=True) == ["canary o"]
    token = (await alice.post("/tokens", json={"agents": [agent["id"]]})).json()["token"]
    scoped = {"authorization": f"Bearer {token}"}
    page = (await alice.get("/search", params={"q": "canary"}, headers=scoped)).json()
    assert [hit["message"]["content"] for hit in page["data"]] == ["canary b", "canary a"]
    outside = await alice.get("/search", params={"q": "canary", "agent_id": other["id"]}, headers=scoped)
    check_problem(outside, 404, "not_found")


async def test_what_cannot_be_looked_for_is_a_mistake_in_the_query(small_service: Service) -> None:
    alice = await small_service.user("alice")
    for path in (
        "/search?q=%00",
        "/search?q=a%00b",
        "/search?q=%ff",
        "/search?q=-without",
        "/search?q=%2B",
        "/search?q=" + "x" * 501,
        "/threads?q=a%00b",
        "/threads?q=%ED%A0%80",
    ):
        problem = check_problem(await alice.get(path), 422, "invalid_request")
        assert [error["loc"] for error in problem["errors"]] == [["query", "q"]], path


async def test_a_search_that_takes_too_long_is_given_up(
    small_service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = await small_service.user("alice")
    await make_thread(alice, messages=[{"role": "user", "content": f"the word {number}"} for number in range(50)])
    with monkeypatch.context() as patch:
        patch.setattr(search, "_TIMEOUT_MS", 0)
        patch.setattr(search, "_STEPS", 10)

        problem = check_problem(await alice.get("/search", params={"q": "the -none"}), 422, "invalid_request")
        assert [error["loc"] for error in problem["errors"]] == [["query", "q"]]

    assert len(await found(alice, "the -none", limit=100)) == 50, "the connection takes other work"


async def test_what_is_deleted_or_erased_is_not_found_and_not_in_the_index(service: Service) -> None:
    alice, bob, admin = await service.user("alice"), await service.user("bob"), await service.admin()
    agent = await make_agent(alice)
    await give_role(alice, "bob", "user", "agent", agent["id"])
    shared = await make_thread(alice, agent["id"])
    await give_role(alice, "bob", "editor", "thread", shared["id"])
    gone = await make_thread(alice, agent["id"], messages=[{"role": "user", "content": "secretword of alice"}])
    await say(bob, shared["id"], "secretword of bob")
    database = service.container.conn.database
    assert set(await found(alice, "secretword of -answer")) >= {"secretword of alice", "secretword of bob"}
    # Once it is in the index proper, and once before.
    await database.write(search_index.tend)
    await say(bob, shared["id"], "secretword again of bob")

    assert (await alice.delete(f"/threads/{gone['id']}")).status_code == 204
    erased = await admin.delete("/users/bob")
    assert erased.status_code == 202
    await eventually(partial(_is_done, admin, erased.json()["id"]), what="the erasure")
    assert "[erased]" in [
        each["content"] for each in (await alice.get(f"/threads/{shared['id']}/messages")).json()["data"]
    ]
    left = await found(alice, "secretword")
    assert all(each not in left for each in ("secretword of alice", "secretword of bob", "secretword again of bob"))
    assert await found(admin, '"secretword of alice"') == []
    await database.write(search_index.tend)
    assert await found(admin, '"secretword of alice"') == []


async def _is_done(admin: httpx.AsyncClient, job_id: str) -> bool:
    jobs = (await admin.get("/jobs", params={"limit": 100})).json()["data"]
    return any(job["id"] == job_id and job["status"] == "completed" for job in jobs)
