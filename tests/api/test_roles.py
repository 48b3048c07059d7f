"""Roles: owners assign, list and remove them."""

from pathlib import Path

import httpx
import pytest

from tests.api.service import (
    UNKNOWN_ID,
    Service,
    check_problem,
    give_role,
    make_agent,
    make_thread,
    open_service,
    settings_for,
)


def on(thread_id: str, **fields: str) -> dict[str, str]:
    return {"user_id": "bob", "role": "viewer", "resource_type": "thread", "resource_id": thread_id} | fields


async def ids_of(client: httpx.AsyncClient, path: str) -> list[str]:
    return [each["id"] for each in (await client.get(path)).json()["data"]]


async def test_an_owner_assigns_lists_and_removes(service: Service) -> None:
    alice, bob = await service.user("alice"), await service.user("bob")
    thread = await make_thread(alice)

    response = await alice.post("/roles", json=on(thread["id"]))

    role = response.json()
    assert response.status_code == 201
    assert {name: role[name] for name in on(thread["id"])} == on(thread["id"])
    assert (await bob.get(f"/threads/{thread['id']}")).status_code == 200
    listed = (await alice.get(response.headers["location"])).json()["data"]
    assert [(each["user_id"], each["role"]) for each in listed] == [("bob", "viewer"), ("alice", "owner")]
    assert (await alice.delete(f"/roles/{role['id']}")).status_code == 204
    check_problem(await bob.get(f"/threads/{thread['id']}"), 404, "not_found")
    check_problem(await alice.delete(f"/roles/{role['id']}"), 404, "not_found")


async def test_a_second_role_replaces_the_first(service: Service) -> None:
    alice = await service.user("alice")
    agent = await make_agent(alice)
    for role in ("viewer", "editor"):
        await give_role(alice, "bob", role, "agent", agent["id"])

    listed = (await alice.get("/roles", params={"resource_type": "agent", "resource_id": agent["id"]})).json()["data"]

    assert sorted((each["user_id"], each["role"]) for each in listed) == [("alice", "owner"), ("bob", "editor")]


async def test_all_users_can_have_a_role_but_not_own(service: Service) -> None:
    admin, alice, bob = await service.admin(), await service.user("alice"), await service.user("bob")
    thread = await make_thread(alice)

    check_problem(await admin.post("/roles", json=on(thread["id"], user_id="*", role="owner")), 422, "invalid_request")
    assert (await admin.post("/roles", json=on(thread["id"], user_id="*"))).status_code == 201
    assert (await bob.get(f"/threads/{thread['id']}")).status_code == 200


async def test_only_an_admin_gives_roles_to_all_users(service: Service) -> None:
    alice = await service.user("alice")
    thread = await make_thread(alice)
    for kind, resource_id in (("thread", thread["id"]), ("agent", thread["agent_id"])):
        role = on(resource_id, user_id="*", resource_type=kind)
        check_problem(await alice.post("/roles", json=role), 403, "forbidden")
    unknown = on(UNKNOWN_ID, user_id="*")
    check_problem(await alice.post("/roles", json=unknown), 404, "not_found")


async def test_an_agent_that_an_admin_gives_to_all_is_in_every_list_and_a_thread_where_it_is_asked_for(
    service: Service,
) -> None:
    admin, alice, bob = await service.admin(), await service.user("alice"), await service.user("bob")
    thread = await make_thread(alice)
    await give_role(admin, "*", "viewer", "thread", thread["id"])
    await give_role(admin, "*", "user", "agent", thread["agent_id"])

    assert await ids_of(bob, "/agents") == await ids_of(bob, "/agents?shared=true") == [thread["agent_id"]]
    assert await ids_of(bob, "/threads") == []
    assert await ids_of(bob, "/threads?shared=true") == [thread["id"]]
    assert await ids_of(alice, "/threads") == await ids_of(alice, "/threads?shared=true") == [thread["id"]]


async def test_what_others_give_to_all_is_listed_only_where_it_is_asked_for(database_url: str, tmp_path: Path) -> None:
    async with open_service(settings_for(database_url, tmp_path, users_share_with_all=True)) as service:
        alice, bob = await service.user("alice"), await service.user("bob")
        thread = await make_thread(alice)
        await give_role(alice, "*", "viewer", "thread", thread["id"])
        await give_role(alice, "*", "viewer", "agent", thread["agent_id"])

        assert await ids_of(bob, "/agents") == await ids_of(bob, "/threads") == []
        assert await ids_of(bob, "/agents?shared=true") == [thread["agent_id"]]
        assert await ids_of(bob, "/threads?shared=true") == [thread["id"]]
        assert (await bob.get(f"/agents/{thread['agent_id']}")).status_code == 200
        # A role of one's own counts in any list.
        await give_role(alice, "bob", "user", "agent", thread["agent_id"])
        assert await ids_of(bob, "/agents") == [thread["agent_id"]]


async def test_a_user_lists_their_own_roles_and_gives_them_up(service: Service) -> None:
    admin, alice, bob = await service.admin(), await service.user("alice"), await service.user("bob")
    thread = await make_thread(alice)
    for kind, resource_id in (("agent", thread["agent_id"]), ("thread", thread["id"])):
        await give_role(alice, "bob", "viewer", kind, resource_id)
    await give_role(admin, "bob", "user", "provider", "echo")

    mine = (await bob.get("/roles")).json()["data"]
    assert [(role["user_id"], role["resource_type"], role["role"]) for role in mine] == [
        ("bob", "provider", "user"),
        ("bob", "thread", "viewer"),
        ("bob", "agent", "viewer"),
    ]
    page = (await bob.get("/roles", params={"limit": 2})).json()
    rest = (await bob.get("/roles", params={"after": page["next"]})).json()
    assert (page["data"] + rest["data"], rest["next"]) == (mine, None)
    await alice.delete(f"/agents/{thread['agent_id']}")
    for role in mine:
        assert (await bob.delete(f"/roles/{role['id']}")).status_code == 204
    assert (await bob.get("/roles")).json()["data"] == []
    check_problem(await bob.get(f"/threads/{thread['id']}"), 404, "not_found")
    own = [role["id"] for role in (await alice.get("/roles")).json()["data"] if role["resource_type"] == "thread"]
    check_problem(await alice.delete(f"/roles/{own[0]}"), 409, "last_owner")


async def test_the_last_owner_stays(service: Service) -> None:
    alice = await service.user("alice")
    thread = await make_thread(alice)
    mine = (await alice.get("/roles", params={"resource_type": "thread", "resource_id": thread["id"]})).json()["data"][
        0
    ]

    check_problem(await alice.delete(f"/roles/{mine['id']}"), 409, "last_owner")
    check_problem(await alice.post("/roles", json=on(thread["id"], user_id="alice")), 409, "last_owner")
    await give_role(alice, "bob", "owner", "thread", thread["id"])
    assert (await alice.delete(f"/roles/{mine['id']}")).status_code == 204


async def test_only_owners_see_and_assign_roles(service: Service) -> None:
    alice, bob = await service.user("alice"), await service.user("bob")
    thread = await make_thread(alice)
    query = {"resource_type": "thread", "resource_id": thread["id"]}
    role = (await alice.get("/roles", params=query)).json()["data"][0]

    for response in (
        await bob.get("/roles", params=query),
        await bob.post("/roles", json=on(thread["id"])),
        await bob.delete(f"/roles/{role['id']}"),
    ):
        check_problem(response, 404, "not_found")
    await give_role(alice, "bob", "editor", "thread", thread["id"])
    for response in (
        await bob.get("/roles", params=query),
        await bob.post("/roles", json=on(thread["id"], role="owner")),
        await bob.delete(f"/roles/{role['id']}"),
    ):
        check_problem(response, 403, "forbidden")


async def test_what_is_wrong_with_a_role_is_told_before_who_may_give_it(small_service: Service) -> None:
    alice, bob = await small_service.user("alice"), await small_service.user("bob")
    thread = await make_thread(alice)
    everybodys = on(thread["id"], user_id="*", role="owner")
    check_problem(await bob.post("/roles", json=everybodys), 404, "not_found")
    await give_role(alice, "bob", "viewer", "thread", thread["id"])
    for wrong in (everybodys, on(thread["id"], role="user")):
        check_problem(await bob.post("/roles", json=wrong), 422, "invalid_request")
    check_problem(await alice.post("/roles", json=everybodys), 422, "invalid_request")
    check_problem(await bob.post("/roles", json=on(thread["id"])), 403, "forbidden")


async def test_a_missing_role_looks_like_a_hidden_one(service: Service) -> None:
    alice, bob = await service.user("alice"), await service.user("bob")
    thread = await make_thread(alice)
    role = (await alice.get("/roles", params={"resource_type": "thread", "resource_id": thread["id"]})).json()["data"][
        0
    ]
    same = {"x-request-id": "same"}

    unseen = await bob.delete(f"/roles/{role['id']}", headers=same)

    assert unseen.content == (await bob.delete(f"/roles/{UNKNOWN_ID}", headers=same)).content
    assert unseen.content == (await bob.delete("/roles/%00", headers=same)).content


@pytest.mark.parametrize(
    "change", [{"role": "king"}, {"resource_type": "run"}, {"user_id": ""}, {"user_id": "a\nb"}, {"user_id": "x" * 256}]
)
async def test_a_role_of_no_form_is_refused(shared_service: Service, change: dict[str, str]) -> None:
    alice = await shared_service.user("alice")
    thread = await make_thread(alice)

    check_problem(await alice.post("/roles", json=on(thread["id"]) | change), 422, "invalid_request")


@pytest.mark.parametrize("query", ["resource_type=thread", "resource_type=run&resource_id=x", "resource_id=x"])
async def test_a_list_needs_to_know_of_what(shared_service: Service, query: str) -> None:
    alice = await shared_service.user("alice")

    check_problem(await alice.get(f"/roles?{query}"), 422, "invalid_request")


async def test_roles_of_nothing_are_not_found(service: Service) -> None:
    alice = await service.user("alice")

    for resource_type in ("agent", "thread"):
        for resource_id in (UNKNOWN_ID, "x", "%00"):
            query = f"resource_type={resource_type}&resource_id={resource_id}"
            check_problem(await alice.get(f"/roles?{query}"), 404, "not_found")
