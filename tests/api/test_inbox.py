"""`GET /approvals`: the calls that wait, over all threads, for those who may decide on them."""

from typing import Any

import httpx
from sqlalchemy import update

from ai_agents.core.types import JsonObject
from ai_agents.store.models import ToolCallTable
from tests.api.matrix import ROLES, Calculating
from tests.api.service import Service, check_problem, give_role, make_agent, make_thread


async def inbox(client: httpx.AsyncClient, **query: Any) -> list[dict[str, Any]]:
    answer = await client.get("/approvals", params=query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


async def threads_in(client: httpx.AsyncClient, **query: Any) -> list[str]:
    return [each["thread"]["id"] for each in await inbox(client, **query)]


TOOLS = [{"name": "calculator", "approval": "always"}]


async def test_those_who_may_decide_on_a_call_find_it(service: Service) -> None:
    service.container.providers.add(Calculating())
    alice = await service.user("alice")
    agent = await make_agent(alice, provider="scripted", tools=TOOLS)
    thread = await make_thread(alice, agent["id"], title="Sums")
    run = (await alice.post(f"/threads/{thread['id']}/messages", json={"content": "Six times seven?"})).json()
    for name, roles in ROLES.items():
        for resource, role, it in zip(("agent", "thread"), roles, (agent, thread), strict=True):
            if role is not None:
                await give_role(alice, name, role, resource, it["id"])
    [seen] = await inbox(alice)
    call_id = seen.pop("tool_call_id")
    assert seen.pop("requested_at") < seen.pop("expires_at")
    assert seen == {
        "name": "calculator",
        "arguments": {"expression": "6*7"},
        "thread": {"id": thread["id"], "title": "Sums"},
        "run_id": run["id"],
        "agent": {"id": agent["id"], "name": agent["name"]},
    }
    for name, sees in {"stranger": False, "user": False, "viewer": False, "editor": True}.items():
        assert len(await inbox(await service.user(name))) == sees, name
    [by_guest] = await inbox(await service.user("guest"))
    # A guest has no role on the agent.
    assert by_guest["agent"] == {"id": agent["id"], "name": None}
    admin = await service.admin()
    assert len(await inbox(admin)) == 1
    await give_role(admin, "*", "editor", "thread", thread["id"])
    stranger = await service.user("stranger")
    assert [await threads_in(stranger), await threads_in(stranger, shared=True)] == [[], [thread["id"]]]
    # What every user may do, a viewer may do.
    assert await threads_in(await service.user("viewer")) == [thread["id"]]
    path = f"/threads/{thread['id']}/runs/{run['id']}/approvals"
    decided = await alice.post(path, json={"tool_call_id": call_id, "approved": False})
    assert decided.status_code == 200
    assert [await inbox(alice), await inbox(admin)] == [[], []]


async def test_waiting_calls_come_in_pages_newest_first_and_those_that_expired_are_left_out(service: Service) -> None:
    service.container.providers.add(Calculating())
    alice = await service.user("alice")
    agent = await make_agent(alice, provider="scripted", tools=TOOLS)
    other = await make_agent(alice, provider="scripted", tools=TOOLS)
    threads = []
    for each in (agent, agent, other):
        thread = await make_thread(alice, each["id"])
        await alice.post(f"/threads/{thread['id']}/messages", json={"content": "Six times seven?"})
        threads.append(thread["id"])
    for client in (alice, await service.admin()):
        first = (await client.get("/approvals", params={"limit": 2})).json()
        second = (await client.get("/approvals", params={"limit": 2, "after": first["next"]})).json()
        told = [each["thread"]["id"] for each in first["data"] + second["data"]]
        assert (told, second["next"]) == (threads[::-1], None)
    token = (await alice.post("/tokens", json={"agents": [other["id"]]})).json()["token"]
    only = await alice.get("/approvals", headers={"authorization": f"Bearer {token}"})
    assert [each["thread"]["id"] for each in only.json()["data"]] == threads[2:]
    check_problem(await alice.get("/approvals?after=x"), 400, "invalid_cursor")
    past = update(ToolCallTable).where(ToolCallTable.run_id == (await inbox(alice))[0]["run_id"]).values(expires_at=1.0)
    await service.container.conn.database.write(lambda c: c.execute(past))
    assert await threads_in(alice) == threads[1::-1]


async def test_an_agent_keeps_how_long_its_calls_wait(small_service: Service) -> None:
    alice = await small_service.user("alice")
    choices: list[JsonObject] = [
        {"name": "calculator", "approval": "always", "expires_in_s": 60},
        {"name": "calculator", "approval": "always", "expires_in_s": None},
        {"name": "calculator", "approval": "always"},
        {"name": "calculator", "approval": "never"},
    ]
    for choice in choices:
        agent = await make_agent(alice, tools=[choice])
        assert (await alice.get(f"/agents/{agent['id']}")).json()["tools"] == [choice]
    wrong: list[JsonObject] = [{"expires_in_s": value} for value in (0, -1, 1.5, "60", True, 10**9)]
    wrong.append({"approval": "never", "expires_in_s": 60})
    for each in wrong:
        tools = [{"name": "calculator", "approval": "always", **each}]
        check_problem(await alice.post("/agents", json={"name": "a", "tools": tools}), 422, "invalid_request")
