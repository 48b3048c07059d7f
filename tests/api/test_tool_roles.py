"""The role `user` on tools that admins made: who may name one in an agent, and whose agents may call it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ai_agents.testing import ScriptedProvider, tool_call
from tests.api.service import Service, check_problem, give_role, make_agent, make_thread, open_service, settings_for
from tests.fakes.http_server import HttpServer, reply_json
from tests.fakes.mcp_servers import McpFake

SCHEMA = {"type": "object", "properties": {}}
MISSING = [{"code": "tool_missing", "tool": "orders"}]


@pytest.fixture
async def service(database_url: str, tmp_path: Path, http: HttpServer, mcp: McpFake) -> AsyncIterator[Service]:
    """A service with an HTTP tool and an MCP server of an admin."""
    http.on("/orders", reply_json({"orders": 3}))
    settings = settings_for(database_url, tmp_path, outbound_allow=f"{http.host},{mcp.host}")
    async with open_service(settings) as opened:
        opened.container.providers.add(ScriptedProvider("Done."))
        admin = await opened.admin()
        await make_tool(admin, http)
        assert (await admin.post("/tools", json={"type": "mcp", "name": "shop", "url": mcp.url})).status_code == 201
        yield opened


async def make_tool(admin: httpx.AsyncClient, http: HttpServer) -> None:
    body = {
        "type": "http",
        "name": "orders",
        "description": "Counts.",
        "parameters": SCHEMA,
        "url": http.url("/orders"),
    }
    made = await admin.post("/tools", json=body)
    assert made.status_code == 201, made.text


async def names_of(client: httpx.AsyncClient) -> set[str]:
    return {tool["name"] for tool in (await client.get("/tools")).json()["data"]}


async def take(admin: httpx.AsyncClient, user_id: str, tool: str) -> None:
    page = (await admin.get("/roles", params={"resource_type": "tool", "resource_id": tool})).json()
    (role,) = [each["id"] for each in page["data"] if each["user_id"] == user_id]
    assert (await admin.delete(f"/roles/{role}")).status_code == 204


async def ask(service: Service, user: httpx.AsyncClient, agent: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    """The results of the tool calls of a run, and its notices."""
    service.container.providers.add(ScriptedProvider([tool_call("orders")], "Done."))
    thread = await make_thread(user, agent["id"])
    response = await user.post(f"/threads/{thread['id']}/messages", json={"content": "Go."})
    assert response.status_code == 201, response.text
    history = (await user.get(f"/threads/{thread['id']}/messages")).json()["data"]
    run = (await user.get(f"/threads/{thread['id']}/runs/{response.json()['run_id']}")).json()
    results = [part["result"] for each in history for part in each["parts"] if part["type"] == "tool_result"]
    return results, run["notices"]


async def test_a_tool_is_its_admins_until_there_is_a_role_on_it(service: Service) -> None:
    admin, alice, bob = await service.admin(), await service.user("alice"), await service.user("bob")
    assert await names_of(alice) == {"calculator"}
    unknown = check_problem(await alice.post("/agents", json={"name": "a", "tools": ["none"]}), 422, "invalid_request")
    for name in ("orders", "shop/lookup", "shop/*"):
        hidden = check_problem(await alice.post("/agents", json={"name": "a", "tools": [name]}), 422, "invalid_request")
        assert hidden["errors"] == unknown["errors"]
        assert (await admin.post("/agents", json={"name": "a", "tools": [name]})).status_code == 201

    for name in ("orders", "shop"):
        await give_role(admin, "alice", "user", "tool", name)

    assert await names_of(alice) >= {"calculator", "orders", "shop/lookup"}
    assert await names_of(bob) == {"calculator"}
    await make_agent(alice, tools=["orders", "shop/*"])
    check_problem(await bob.post("/agents", json={"name": "a", "tools": ["orders"]}), 422, "invalid_request")
    await give_role(admin, "*", "user", "tool", "orders")
    await make_agent(bob, tools=["orders"])


async def test_a_run_calls_only_tools_that_an_owner_of_the_agent_may_use(service: Service) -> None:
    admin, alice, bob = await service.admin(), await service.user("alice"), await service.user("bob")
    await give_role(admin, "alice", "user", "tool", "orders")
    agent = await make_agent(alice, provider="scripted", tools=["orders", "calculator"])
    await give_role(alice, "bob", "user", "agent", agent["id"])
    assert await ask(service, bob, agent) == ([{"orders": 3}], [])

    await take(admin, "alice", "orders")
    results, notices = await ask(service, bob, agent)
    assert ("no tool" in str(results).lower(), notices) == (True, MISSING)
    thread = await make_thread(alice, agent["id"])
    context = (await alice.get(f"/threads/{thread['id']}/context")).json()
    assert ([tool["name"] for tool in context["tools"]], context["notices"]) == (["calculator"], MISSING)

    # A role of the sender is none of the owner; one of a second owner is enough.
    await give_role(admin, "bob", "user", "tool", "orders")
    assert (await ask(service, bob, agent))[1] == MISSING
    await give_role(alice, "bob", "owner", "agent", agent["id"])
    assert await ask(service, alice, agent) == ([{"orders": 3}], [])


async def test_an_agent_of_an_admin_may_use_every_tool(service: Service) -> None:
    admin, bob = await service.admin(), await service.user("bob")
    agent = await make_agent(admin, provider="scripted", tools=["orders", "shop/*"])
    await give_role(admin, "bob", "user", "agent", agent["id"])
    assert await ask(service, bob, agent) == ([{"orders": 3}], [])


async def test_a_lost_server_takes_all_of_its_tools(service: Service) -> None:
    admin, alice = await service.admin(), await service.user("alice")
    for name in ("orders", "shop"):
        await give_role(admin, "alice", "user", "tool", name)
    agent = await make_agent(alice, provider="scripted", tools=["shop/*", "orders", "shop/lookup"])
    await take(admin, "alice", "shop")

    results, notices = await ask(service, alice, agent)

    assert results == [{"orders": 3}]
    assert [notice["tool"] for notice in notices] == ["shop/*", "shop/lookup"]


async def test_a_change_that_leaves_a_name_is_not_asked(service: Service) -> None:
    admin, alice, bob = await service.admin(), await service.user("alice"), await service.user("bob")
    await give_role(admin, "alice", "user", "tool", "orders")
    agent = await make_agent(alice, tools=["orders"])
    await give_role(alice, "bob", "user", "agent", agent["id"])
    await take(admin, "alice", "orders")
    path, kept = f"/agents/{agent['id']}", {"tools": ["calculator", {"name": "orders", "approval": "always"}]}

    assert (await alice.patch(path, json=kept)).status_code == 200
    check_problem(await alice.patch(path, json={"tools": ["orders", "shop/*"]}), 422, "invalid_request")
    # One who may not change it does not learn what it names.
    check_problem(await bob.patch(path, json={"tools": ["orders"]}), 422, "invalid_request")
    check_problem(await bob.patch(path, json={"tools": ["calculator"]}), 403, "forbidden")
    assert (await alice.patch(path, json={"tools": []})).status_code == 200
    check_problem(await alice.patch(path, json={"tools": ["orders"]}), 422, "invalid_request")


async def test_only_admins_give_roles_on_tools_and_only_user(service: Service) -> None:
    admin, alice = await service.admin(), await service.user("alice")
    role = {"user_id": "bob", "role": "user", "resource_type": "tool", "resource_id": "orders"}
    listing = {"resource_type": "tool", "resource_id": "orders"}
    for response in (await alice.post("/roles", json=role), await alice.get("/roles", params=listing)):
        check_problem(response, 404, "not_found")
    await give_role(admin, "alice", "user", "tool", "orders")
    for response in (await alice.post("/roles", json=role), await alice.get("/roles", params=listing)):
        check_problem(response, 403, "forbidden")
    for stronger in ("viewer", "editor", "owner"):
        check_problem(await admin.post("/roles", json=role | {"role": stronger}), 422, "invalid_request")
    for unknown in ("none", "calculator", "shop/lookup"):
        check_problem(await admin.post("/roles", json=role | {"resource_id": unknown}), 404, "not_found")


async def test_roles_do_not_outlive_their_tool(service: Service, http: HttpServer) -> None:
    admin, alice = await service.admin(), await service.user("alice")
    await give_role(admin, "alice", "user", "tool", "orders")
    await admin.delete("/tools/orders")
    await make_tool(admin, http)
    assert await names_of(alice) == {"calculator"}
