"""Requests that take processor time are served one at a time for each user, in turn between users."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

from fastapi.routing import APIRoute

from app.dependencies import JsonBody
from app.main import ROUTERS
from app.services.identity import Principal
from app.turns import _agents, _large
from tests.api.live import Live
from tests.api.service import Service, check_problem, make_agent, make_thread

# Besides these, `POST /threads` takes a turn to store the thread, and `GET /threads/{thread_id}/events` for a list.
LARGE = {
    "GET /agents", "GET /agents/{agent_id}/versions", "GET /threads", "POST /threads/{thread_id}/fork",
    "GET /threads/{thread_id}/context", "GET /threads/{thread_id}/messages", "GET /threads/{thread_id}/runs",
    "GET /tools", "GET /usage", "GET /me", "GET /keys", "GET /users", "GET /runs", "GET /approvals", "GET /search",
    "GET /v1/models", "GET /v1/conversations/{conversation_id}/items", "GET /ai-sdk/threads/{thread_id}/messages",
}  # fmt: skip
ALICE = Principal("alice", is_admin=False, token="")
AGENTS = {"POST /agents", "PATCH /agents/{agent_id}"}


@asynccontextmanager
async def turn_of(service: Service, user: str) -> AsyncIterator[None]:
    """Hold this user's turn."""
    async with service.app.state.turns.large.turn(replace(ALICE, user_id=user)):
        yield


def test_these_routes_take_turns_after_they_have_read_their_body() -> None:
    found: dict[str, set[str]] = {"large": set(), "agents": set()}
    for route in (route for module in ROUTERS for route in module.router.routes if isinstance(route, APIRoute)):
        calls = [each.call for each in route.dependant.dependencies]
        for name, turn in (("large", _large), ("agents", _agents)):
            if turn in calls:
                later = calls[calls.index(turn) :]
                assert not any(isinstance(call, JsonBody) for call in later), "a slow body would hold the turn"
                found[name] |= {f"{method} {route.path}" for method in route.methods or ()}
    assert found == {"large": LARGE, "agents": AGENTS}


async def test_a_user_waits_for_their_own_turn_alone_and_chats_meanwhile(small_service: Service) -> None:
    alice, bob = await small_service.user("alice"), await small_service.user("bob")
    mine, theirs = (await make_thread(alice))["id"], (await make_thread(bob))["id"]
    async with turn_of(small_service, "alice"):
        waiting = [asyncio.create_task(alice.get(f"/threads/{mine}/context")) for _ in range(32)]
        assert (await bob.get(f"/threads/{theirs}/context")).status_code == 200
        assert (await alice.post(f"/threads/{mine}/messages", json={"content": "hello"})).status_code == 201
        assert (await alice.get(f"/threads/{mine}")).status_code == 200
        assert await make_agent(alice)
        refused = await alice.get("/agents")
        check_problem(refused, 429, "rate_limited")
        assert refused.headers["retry-after"] == "1"
        assert not any(task.done() for task in waiting)
        listed = await alice.get(f"/threads/{mine}/events", headers={"accept": "application/json"})
        check_problem(listed, 429, "rate_limited")
        refused = await alice.post("/threads", json={"agent_id": (await make_agent(alice))["id"]})
        check_problem(refused, 429, "rate_limited")
    assert {(await task).status_code for task in waiting} == {200}


async def test_an_admin_is_let_in_when_it_is_busiest(small_service: Service) -> None:
    admin = await small_service.admin()
    async with AsyncExitStack() as turns:
        for number in range(4):
            await turns.enter_async_context(turn_of(small_service, f"user {number}"))
        bob = asyncio.create_task((await small_service.user("bob")).get("/agents"))
        assert (await admin.get("/agents")).status_code == 200
        assert not bob.done()
    assert (await bob).status_code == 200


async def test_a_refused_request_gives_its_turn_back(small_service: Service) -> None:
    alice = await small_service.user("alice")
    thread = (await make_thread(alice))["id"]
    for _ in range(6):
        check_problem(await alice.get(f"/threads/{thread}/context?strategy=none"), 422, "invalid_request")
        check_problem(await alice.get("/agents?limit=1000"), 422, "invalid_request")
        check_problem(await alice.get("/agents?after=nothing"), 400, "invalid_cursor")
    assert (await alice.get("/agents")).status_code == 200


async def test_nothing_is_done_for_a_client_that_left_while_it_waited(live: Live) -> None:
    alice, admin = await live.user("alice"), await live.admin()
    turns = live.app.state.turns
    async with turns.agents.turn(ALICE), turns.large.turn(ALICE):
        asked = [
            asyncio.create_task(alice.post("/agents", json={"name": "left"})),
            asyncio.create_task(alice.get("/agents")),
        ]
        while len(turns.agents) + len(turns.large) < 2:
            await asyncio.sleep(0.01)
        for task in asked:
            task.cancel()
        await asyncio.wait(asked)
        # The server hears of it.
        await admin.get("/agents")
    assert (await alice.post("/agents", json={"name": "stayed"})).status_code == 201
    assert [agent["name"] for agent in (await admin.get("/agents")).json()["data"]] == ["stayed"]
