"""`GET /events`: hints about all threads of a user, as a browser and other clients read them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
from sqlalchemy import update

from ai_agents.store.access_tables import ApiKeyTable, TicketTable
from app.event_streams import OpenStreams
from tests.api.live import TIMEOUT_S, Live, SentEvent, events_of, next_of
from tests.api.rights import end_in
from tests.api.service import check_problem, give_role, make_agent, make_thread
from tests.support.limits import limits_for_all


@pytest.fixture(autouse=True)
def without_delay(request: pytest.FixtureRequest) -> None:
    """Tell at once, rather than collect for most of a second."""
    if "live" in request.fixturenames:
        request.getfixturevalue("live").container.conn.feed.collect_s = 0.0


@asynccontextmanager
async def following(client: httpx.AsyncClient, query: str = "") -> AsyncIterator[AsyncIterator[SentEvent]]:
    """The hints that a client gets."""
    async with client.stream("GET", f"/events{query}") as response:
        assert response.status_code == 200, await response.aread()
        yield events_of(response)


async def browser_of(live: Live) -> httpx.AsyncClient:
    client = await live.admin()
    del client.headers["authorization"]
    return client


async def feed_ticket(client: httpx.AsyncClient) -> str:
    made = await client.post("/tickets", json={})
    assert made.status_code == 201, made.text
    return str(made.json()["ticket"])


async def test_an_event_source_follows_all_threads_by_a_ticket(live: Live) -> None:
    alice = await live.user("alice")
    thread = await live.scripted_thread(alice, "Hello!", "Hello again!")
    browser = await browser_of(live)
    async with browser.stream("GET", f"/events?ticket={await feed_ticket(alice)}") as response:
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert response.headers["cache-control"] == "no-cache, no-transform"
        lines = response.aiter_lines()
        assert [await anext(lines), await anext(lines)] == [": ok", ""]
        await alice.post(f"/threads/{thread['id']}/messages", json={"content": "Hi"})
        block = [await anext(lines), await anext(lines), await anext(lines), await anext(lines)]
        assert block[:2] == ["retry: 1000", "event: thread.activity"]
        assert block[2].startswith("data: {")
        assert thread["id"] in block[2]
        assert block[3] == ""
        assert not any(line.startswith("id:") for line in block)
    other = await make_ticket_of(alice, thread["id"])
    check_problem(await browser.get(f"/events?ticket={other}"), 401, "unauthorized")
    feed = await feed_ticket(alice)
    check_problem(await browser.get(f"/threads/{thread['id']}/events?ticket={feed}"), 401, "unauthorized")
    check_problem(await browser.get("/events"), 401, "unauthorized")
    check_problem(await alice.get("/events?thread_id=x"), 422, "invalid_request")


async def make_ticket_of(client: httpx.AsyncClient, thread_id: str) -> str:
    return str((await client.post("/tickets", json={"thread_id": thread_id})).json()["ticket"])


async def test_threads_that_are_made_shared_waiting_and_deleted_are_told_of(live: Live) -> None:
    alice, bob, admin = await live.user("alice"), await live.user("bob"), await live.admin()
    agent = await make_agent(alice, provider="echo", tools=[{"name": "calculator", "approval": "always"}])
    async with following(alice) as of_alice, following(bob) as of_bob, following(admin) as of_admin:
        thread = await make_thread(alice, agent["id"], title="Sums")
        made = await next_of(of_alice, "thread.activity")
        shown = (await alice.get(f"/threads/{thread['id']}")).json()
        expected = {name: shown[name] for name in ("id", "title", "last_activity_at")}
        assert made.data["thread"] == {**expected, "running": False, "waiting": False}
        assert (await next_of(of_admin, "thread.activity")).data == made.data
        content = '/tool calculator {"expression": "6*7"}'
        await alice.post(f"/threads/{thread['id']}/messages", json={"content": content})
        async with asyncio.timeout(TIMEOUT_S):
            while not (await next_of(of_alice, "thread.activity")).data["thread"]["waiting"]:
                pass
        await give_role(alice, "bob", "viewer", "thread", thread["id"])
        assert (await next_of(of_bob, "thread.activity")).data["thread"]["title"] == "Sums"
        await alice.delete(f"/threads/{thread['id']}")
        gone = {"type": "thread.deleted", "thread_id": thread["id"], "thread": {"id": thread["id"]}}
        for each in (of_alice, of_bob, of_admin):
            assert (await next_of(each, "thread.deleted")).data == gone
    # The admin's use of what others have is in the audit log.
    await live.container.audit.flush()
    operations = [entry["operation"] for entry in (await admin.get("/audit?action=access")).json()["data"]]
    assert "follow_threads" in operations


async def delete_key(live: Live, key_id: str) -> None:
    assert (await (await live.admin()).delete(f"/keys/{key_id}")).status_code == 204


async def let_tickets_end(live: Live, _key_id: str) -> None:
    made, ends = end_in(-24 * 3600), end_in(0.5)
    await live.container.conn.database.write(
        lambda c: c.execute(update(TicketTable).values(created_at=made, expires_at=ends))
    )


async def let_key_end(live: Live, _key_id: str) -> None:
    """It ends soon, and so does its token; streams that are opened from now on know it."""
    ends = update(ApiKeyTable).where(ApiKeyTable.user_id == "alice").values(expires_at=end_in(1))
    await live.container.conn.database.write(lambda c: c.execute(ends))


@pytest.mark.parametrize("take", [delete_key, let_key_end, let_tickets_end])
async def test_following_ends_with_the_key_the_token_and_the_ticket(
    small_live: Live, take: Callable[[Live, str], Awaitable[None]]
) -> None:
    live = small_live
    alice = await live.user("alice")
    key_id = (await alice.get("/keys")).json()["data"][0]["id"]
    agent = await make_agent(alice)
    token = (await alice.post("/tokens", json={"agents": [agent["id"]]})).json()["token"]
    by_token, browser = await browser_of(live), await browser_of(live)
    by_token.headers["authorization"] = f"Bearer {token}"
    tickets = [await feed_ticket(alice), await feed_ticket(by_token)]
    if take is not delete_key:
        await take(live, key_id)
    opened = [following(browser, f"?ticket={ticket}") for ticket in tickets]
    opened += [] if take is let_tickets_end else [following(alice), following(by_token)]
    reading = [asyncio.create_task(read_to_the_end(each)) for each in opened]
    while len(live.container.conn.feed) < len(opened):
        await asyncio.sleep(0.01)
    assert not any(task.done() for task in reading)
    if take is delete_key:
        await take(live, key_id)
    async with asyncio.timeout(TIMEOUT_S):
        await asyncio.gather(*reading)
    assert len(live.container.conn.feed) == 0


async def read_to_the_end(opening: object) -> None:
    async with opening as hints:  # type: ignore[attr-defined]  # what `following` gives
        async for _ in hints:
            pass


async def test_streams_of_hints_count_as_the_users_streams(small_live: Live) -> None:
    alice = await small_live.user("alice")
    ticket = await feed_ticket(alice)
    small_live.app.state.streams = OpenStreams(limits_for_all({"streams": 1}))
    async with following(alice):
        check_problem(await alice.get("/events"), 429, "rate_limited")
        browser = await browser_of(small_live)
        refused = await browser.get(f"/events?ticket={ticket}")
        assert (refused.status_code, refused.text) == (200, "retry: 5000\n\n")


async def test_silence_is_kept_alive_by_comments(small_live: Live) -> None:
    small_live.container.conn.feed.silence_s = 0.05
    alice = await small_live.user("alice")
    async with alice.stream("GET", "/events") as response:
        chunks = response.aiter_text()
        text = ""
        async with asyncio.timeout(TIMEOUT_S):
            while text.count(": ping\n\n") < 2:
                text += await anext(chunks)
    assert set(text.split("\n\n")) <= {": ok", ": ping", ""}
