"""Threads: creating, changing, forking and deleting them, and who may."""

import pytest

from tests.api.service import UNKNOWN_ID, Service, check_problem, give_role, make_agent, make_thread


async def test_a_thread_begins_with_an_agent_that_one_may_see(service: Service) -> None:
    alice, bob = await service.user("alice"), await service.user("bob")
    agent = await make_agent(alice)
    body = {"agent_id": agent["id"], "title": "Talk", "metadata": {"a": 1}}

    response = await alice.post("/threads", json=body)

    thread = response.json()
    assert response.status_code == 201
    assert response.headers["location"] == f"/threads/{thread['id']}"
    assert {name: thread[name] for name in body} == body
    fetched = await alice.get(response.headers["location"])
    assert fetched.json() == thread
    assert fetched.headers["etag"] == response.headers["etag"]
    same = {"x-request-id": "same"}
    unseen = await bob.post("/threads", json=body, headers=same)
    missing = await bob.post("/threads", json=body | {"agent_id": UNKNOWN_ID}, headers=same)
    check_problem(unseen, 404, "not_found")
    assert unseen.content == missing.content
    check_problem(await bob.post("/threads", json=body | {"agent_id": "x"}), 404, "not_found")
    await give_role(alice, "bob", "user", "agent", agent["id"])
    assert (await bob.post("/threads", json=body)).status_code == 201


async def test_a_thread_can_begin_with_messages(service: Service) -> None:
    alice = await service.user("alice")
    said = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": [{"type": "text", "text": "Hello!"}]}]

    thread = await make_thread(alice, messages=said)

    history = (await alice.get(f"/threads/{thread['id']}/messages")).json()["data"]
    assert [(each["seq"], each["role"], each["content"]) for each in history] == [
        (1, "user", "Hi"),
        (2, "assistant", "Hello!"),
    ]


@pytest.mark.parametrize("role", ["system", "tool", "owner"])
async def test_only_users_and_assistants_speak_in_the_beginning(small_service: Service, role: str) -> None:
    alice = await small_service.user("alice")
    agent = await make_agent(alice)
    body = {"agent_id": agent["id"], "messages": [{"role": role, "content": "Hi"}]}

    check_problem(await alice.post("/threads", json=body), 422, "invalid_request")
    assert (await alice.get("/threads")).json()["data"] == []


async def test_title_and_metadata_can_be_changed(service: Service) -> None:
    alice = await service.user("alice")
    thread = await make_thread(alice, title="Old", metadata={"a": 1})
    path = f"/threads/{thread['id']}"

    renamed = await alice.patch(path, json={"title": "New"})
    untitled = await alice.patch(path, json={"title": None, "metadata": {}})

    assert (renamed.json()["title"], renamed.json()["metadata"]) == ("New", {"a": 1})
    assert (untitled.json()["title"], untitled.json()["metadata"]) == (None, {})
    for body in ({"title": ""}, {"title": "x" * 201}, {"title": "a\nb"}, {"agent_id": UNKNOWN_ID}, {"metadata": None}):
        check_problem(await alice.patch(path, json=body), 422, "invalid_request")


async def test_a_stale_precondition_changes_nothing(service: Service) -> None:
    alice = await service.user("alice")
    path = f"/threads/{(await make_thread(alice))['id']}"
    first = (await alice.get(path)).headers["etag"]
    second = (await alice.patch(path, json={"title": "A"}, headers={"if-match": first})).headers["etag"]

    check_problem(await alice.patch(path, json={"title": "B"}, headers={"if-match": first}), 412, "precondition_failed")
    check_problem(await alice.delete(path, headers={"if-match": first}), 412, "precondition_failed")

    assert (await alice.get(path)).json()["title"] == "A"
    assert (await alice.delete(path, headers={"if-match": second})).status_code == 204


async def test_roles_decide_what_may_be_done_with_a_thread(service: Service) -> None:
    alice, bob = await service.user("alice"), await service.user("bob")
    thread = await make_thread(alice, messages=[{"role": "user", "content": "Hi"}])
    path = f"/threads/{thread['id']}"
    message = (await alice.get(f"{path}/messages")).json()["data"][0]
    fork = {"message_id": message["id"]}
    expected = {"viewer": (403, 403, 403), "editor": (200, 201, 403), "owner": (200, 201, 204)}

    await give_role(alice, "bob", "editor", "thread", thread["id"])
    check_problem(await bob.post(f"{path}/fork", json=fork), 403, "forbidden")  # not without a role on the agent
    await give_role(alice, "bob", "user", "agent", thread["agent_id"])
    for role, (change, forked, delete) in expected.items():
        await give_role(alice, "bob", role, "thread", thread["id"])
        assert (await bob.get(path)).status_code == 200
        assert (await bob.patch(path, json={"title": role})).status_code == change
        assert (await bob.post(f"{path}/fork", json=fork)).status_code == forked
        assert (await bob.delete(path)).status_code == delete


async def test_a_deleted_thread_is_gone_with_all_that_is_in_it(service: Service) -> None:
    alice = await service.user("alice")
    thread = await make_thread(alice, messages=[{"role": "user", "content": "Hi"}])
    path = f"/threads/{thread['id']}"

    assert (await alice.delete(path)).status_code == 204

    for gone in (path, f"{path}/messages", f"{path}/runs", f"{path}/events"):
        check_problem(await alice.get(gone), 404, "not_found")
    check_problem(await alice.delete(path), 404, "not_found")
    assert (await alice.get("/threads")).json()["data"] == []


async def test_a_fork_has_the_history_up_to_its_message(service: Service) -> None:
    alice = await service.user("alice")
    said = [{"role": role, "content": role} for role in ("user", "assistant", "user", "assistant")]
    thread = await make_thread(alice, messages=said)
    history = (await alice.get(f"/threads/{thread['id']}/messages")).json()["data"]

    response = await alice.post(f"/threads/{thread['id']}/fork", json={"message_id": history[1]["id"]})

    assert response.status_code == 201
    forked = (await alice.get(f"{response.headers['location']}/messages")).json()["data"]
    assert [message["content"] for message in forked] == ["user", "assistant"]
    assert {message["id"] for message in forked}.isdisjoint(message["id"] for message in history)


async def test_forking_twice_with_one_key_makes_one_thread(service: Service) -> None:
    alice = await service.user("alice")
    thread = await make_thread(alice, messages=[{"role": "user", "content": "Hi"}])
    message = (await alice.get(f"/threads/{thread['id']}/messages")).json()["data"][0]
    path, key = f"/threads/{thread['id']}/fork", {"idempotency-key": "once"}

    first = await alice.post(path, json={"message_id": message["id"]}, headers=key)
    again = await alice.post(path, json={"message_id": message["id"]}, headers=key)

    assert again.json() == first.json()
    assert len((await alice.get("/threads")).json()["data"]) == 2


@pytest.mark.parametrize("message_id", [UNKNOWN_ID, "x"])
async def test_a_fork_at_an_unknown_message_is_not_found(service: Service, message_id: str) -> None:
    alice = await service.user("alice")
    thread = await make_thread(alice)

    check_problem(await alice.post(f"/threads/{thread['id']}/fork", json={"message_id": message_id}), 404, "not_found")


async def test_threads_are_listed_newest_first_and_by_agent(service: Service) -> None:
    alice = await service.user("alice")
    one, other = await make_agent(alice), await make_agent(alice)
    threads = [(await make_thread(alice, agent["id"]))["id"] for agent in (one, other, one)]

    everything = (await alice.get("/threads")).json()["data"]
    of_one = (await alice.get("/threads", params={"agent_id": one["id"], "limit": 1})).json()
    rest = (await alice.get("/threads", params={"agent_id": one["id"], "after": of_one["next"]})).json()

    assert [thread["id"] for thread in everything] == threads[::-1]
    assert [thread["id"] for thread in of_one["data"] + rest["data"]] == [threads[2], threads[0]]
    assert rest["next"] is None
