"""What admins look for and change: jobs by their ids, users and keys by their names, the log, and HTTP tools."""

from typing import Any

import httpx

from tests.api.service import UNKNOWN_ID, Service, check_problem


async def all_of(client: httpx.AsyncClient, path: str, key: str, **query: Any) -> list[Any]:
    """This field of what a list has, of all pages."""
    found, after = [], None
    while True:
        answer = await client.get(path, params=query | ({"after": after} if after else {}))
        assert answer.status_code == 200, answer.text
        found += [each[key] for each in answer.json()["data"]]
        after = answer.json()["next"]
        if after is None:
            return found


async def test_an_admin_reads_one_job(small_service: Service) -> None:
    admin, alice = await small_service.admin(), await small_service.user("alice")
    job = (await admin.delete("/users/nobody-here")).json()

    found = (await admin.get(f"/jobs/{job['id']}")).json()

    assert (found["id"], found["kind"]) == (job["id"], "erase_user")
    check_problem(await alice.get(f"/jobs/{job['id']}"), 403, "forbidden")
    for unknown in (UNKNOWN_ID, "no-id"):
        check_problem(await admin.get(f"/jobs/{unknown}"), 404, "not_found")


async def test_users_and_keys_are_found_by_a_part_of_their_names(service: Service, monkeypatch: Any) -> None:
    # So that a search goes over several reads.
    monkeypatch.setattr("ai_agents.store.text_filter._FIRST", 2)
    admin = await service.admin()
    users = ["Ärgerlich", "a%b", "bob|ärger", "carol", "dora", "x/ÄRGER"]
    clients = {name: await service.user(name) for name in users}
    for name in ("laptop", "Phone", "old phone"):
        await clients["carol"].post("/keys", json={"name": name})

    async def users_with(q: str, **query: Any) -> list[Any]:
        return await all_of(admin, "/users", "id", q=q, **query)

    assert sorted(await users_with("ärger")) == sorted(["Ärgerlich", "bob|ärger", "x/ÄRGER"])
    assert await users_with("ärger", limit=1) == await users_with("A\u0308RGER")
    assert await users_with("%") == ["a%b"]
    assert await users_with("none of these") == []
    (carol,) = (await admin.get("/users", params={"q": "carol"})).json()["data"]
    assert carol in (await admin.get("/users", params={"limit": 100})).json()["data"]
    assert carol["keys"] == 4

    assert await all_of(admin, "/keys", "name", q="PHONE") == ["old phone", "Phone"]
    assert await all_of(admin, "/keys", "name", q="phone", limit=1) == ["old phone", "Phone"]
    assert set(await all_of(admin, "/keys", "user_id", q="ÄRGER")) == {"Ärgerlich", "bob|ärger", "x/ÄRGER"}
    (prefix,) = await all_of(admin, "/keys", "prefix", q="laptop")
    assert await all_of(admin, "/keys", "name", q=prefix) == ["laptop"]
    assert await all_of(clients["dora"], "/keys", "name", q="phone") == [], "others' keys are not looked through"
    for path in ("/users", "/keys"):
        check_problem(await admin.get(path, params={"q": ""}), 422, "invalid_request")
    check_problem(await clients["dora"].get("/users", params={"q": "d"}), 403, "forbidden")


async def test_the_audit_log_leaves_out_an_action(small_service: Service) -> None:
    admin = await small_service.admin()
    made = (await admin.post("/keys", json={"user_id": "alice", "name": "laptop"})).json()
    await admin.get("/users")
    await small_service.container.audit.flush()

    actions = await all_of(admin, "/audit", "action", limit=100)
    assert {"access", "key.create"} <= {*actions}
    without = await all_of(admin, "/audit", "action", exclude="access", limit=100)
    assert without == [action for action in actions if action != "access"]
    assert await all_of(admin, "/audit", "resource_id", exclude="access", action="key.create") == [made["id"]]
    assert await all_of(admin, "/audit", "action", exclude="access", action="access") == []
    check_problem(await admin.get("/audit", params={"exclude": "reading"}), 422, "invalid_request")


TOOL = {
    "type": "http",
    "name": "orders",
    "description": "Counts orders.",
    "url": "http://shop.example:9/orders",
    "headers": {"x-api-key": "secret"},
}


async def test_an_admin_changes_an_http_tool(service: Service) -> None:
    admin, alice = await service.admin(), await service.user("alice")
    (made,) = (await admin.post("/tools", json=TOOL)).json()["data"]
    assert (made["version"], made["method"]) == (1, "GET")
    path = "/tools/orders"

    changed = await admin.patch(path, json={"description": "Counts all orders.", "method": "POST", "url": None})

    (tool,) = changed.json()["data"]
    assert (changed.headers["etag"], tool["version"], tool["method"], tool["url"]) == ('"2"', 2, "POST", made["url"])
    assert tool["description"] == "Counts all orders."
    assert tool in (await admin.get("/tools")).json()["data"]
    again = await admin.patch(path, json={"method": "POST"}, headers={"if-match": '"2"'})
    assert again.headers["etag"] == '"2"', "what changes nothing makes no version"
    check_problem(
        await admin.patch(path, json={"method": "GET"}, headers={"if-match": '"1"'}), 412, "precondition_failed"
    )
    problem = check_problem(
        await admin.patch(path, json={"url": "http://shop.example:9/{order}"}), 422, "invalid_request"
    )
    assert problem["errors"][0]["loc"] == ["body", "url"]
    check_problem(await admin.patch(path, json={"name": "other"}), 422, "invalid_request")
    check_problem(await admin.patch("/tools/unknown", json={}), 404, "not_found")
    check_problem(await admin.patch("/tools/calculator", json={}), 409, "conflict")
    check_problem(await alice.patch(path, json={}), 403, "forbidden")


async def test_headers_that_users_gave_do_not_follow_a_tool_to_another_server(small_service: Service) -> None:
    service = small_service
    admin, alice = await service.admin(), await service.user("alice")
    await admin.post("/tools", json=TOOL | {"credentials": "user"})
    role = {"user_id": "alice", "role": "user", "resource_type": "tool", "resource_id": "orders"}
    await admin.post("/roles", json=role)

    async def given() -> list[Any]:
        return await all_of(alice, "/me/credentials", "tool")

    assert (await alice.put("/me/credentials/orders", json={"headers": {"x-user": "hers"}})).status_code == 204
    await admin.patch("/tools/orders", json={"url": "http://shop.example:9/other"})
    assert await given() == ["orders"]
    await admin.patch("/tools/orders", json={"url": "http://shop.example:10/other"})
    assert await given() == []
    assert (await alice.put("/me/credentials/orders", json={"headers": {"x-user": "hers"}})).status_code == 204
    await admin.patch("/tools/orders", json={"credentials": None})
    assert await given() == []
