"""Tickets: a browser reads one thread's streams without a key, as long as its user may read the thread."""

import asyncio
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlalchemy import Connection, select, update

from ai_agents.core.ids import TIME_FORMAT
from ai_agents.store.access_tables import TicketTable
from app.event_streams import OpenStreams
from app.rates import RequestRates
from tests.api.live import Live, events_of, next_of
from tests.api.service import UNKNOWN_ID, check_problem, give_role
from tests.present import present
from tests.support.limits import limits_for_all


async def make_ticket(client: httpx.AsyncClient, thread_id: str) -> str:
    response = await client.post("/tickets", json={"thread_id": thread_id})
    assert response.status_code == 201, response.text
    return str(response.json()["ticket"])


async def without_key(live: Live) -> httpx.AsyncClient:
    client = await live.admin()
    del client.headers["authorization"]
    return client


async def test_a_ticket_reads_the_streams_of_its_thread_alone(live: Live) -> None:
    alice = await live.user("alice")
    thread = await live.scripted_thread(alice, "Hello!")
    other = await live.scripted_thread(alice, "Hidden")
    answer = (await alice.post(f"/threads/{thread['id']}/messages", json={"content": "Hi"})).json()
    ticket = await make_ticket(alice, thread["id"])
    browser = await without_key(live)

    async with browser.stream("GET", f"/threads/{thread['id']}/runs/{answer['run_id']}/events?ticket={ticket}") as run:
        assert [event.event async for event in events_of(run)][-1] == "run.completed"
    async with browser.stream("GET", f"/threads/{thread['id']}/events?ticket={ticket}") as stream:
        sending = asyncio.create_task(alice.post(f"/threads/{thread['id']}/messages", json={"content": "Again"}))
        await next_of(events_of(stream), "run.completed")
        await sending
    check_problem(await browser.get(f"/threads/{other['id']}/events?ticket={ticket}"), 401, "unauthorized")
    check_problem(await browser.get(f"/threads/{thread['id']}?ticket={ticket}"), 401, "unauthorized")
    check_problem(await browser.get(f"/threads/{thread['id']}/events?ticket={ticket}x"), 401, "unauthorized")


async def test_a_ticket_for_a_thread_one_may_not_see_is_refused(live: Live) -> None:
    alice, mallory = await live.user("alice"), await live.user("mallory")
    thread = await live.scripted_thread(alice, "Hello!")
    hidden = await mallory.post("/tickets", json={"thread_id": thread["id"]})
    nothing = await mallory.post("/tickets", json={"thread_id": UNKNOWN_ID})
    check_problem(hidden, 404, "not_found")
    assert {**hidden.json(), "request_id": ""} == {**nothing.json(), "request_id": ""}
    check_problem(
        await (await without_key(live)).post("/tickets", json={"thread_id": thread["id"]}), 401, "unauthorized"
    )
    check_problem(await alice.post("/tickets", json={"thread_id": 7}), 422, "invalid_request")


async def test_a_lost_role_and_a_deleted_key_take_the_ticket_along(live: Live) -> None:
    alice, bob = await live.user("alice"), await live.user("bob")
    thread = await live.scripted_thread(alice, "Hello!")
    await give_role(alice, "bob", "viewer", "thread", thread["id"])
    roles = (await alice.get("/roles", params={"resource_type": "thread", "resource_id": thread["id"]})).json()["data"]
    role = next(each for each in roles if each["user_id"] == "bob")
    ticket = await make_ticket(bob, thread["id"])
    browser = await without_key(live)
    path = f"/threads/{thread['id']}/events?ticket={ticket}"
    async with browser.stream("GET", path) as stream:
        assert stream.status_code == 200
    await alice.delete(f"/roles/{role['id']}")
    check_problem(await browser.get(path), 404, "not_found")

    mine = await make_ticket(alice, thread["id"])
    key = (await alice.get("/keys")).json()["data"][0]
    await alice.delete(f"/keys/{key['id']}")
    check_problem(await browser.get(f"/threads/{thread['id']}/events?ticket={mine}"), 401, "unauthorized")


async def let_pass(live: Live, time: timedelta) -> None:
    """Make all tickets older."""

    def move(connection: Connection) -> None:
        for ticket_id, *times in connection.execute(
            select(TicketTable.id, TicketTable.created_at, TicketTable.expires_at)
        ).all():
            made, ends = ((datetime.fromisoformat(each) - time).strftime(TIME_FORMAT) for each in times)
            changed = update(TicketTable).where(TicketTable.id == ticket_id).values(created_at=made, expires_at=ends)
            connection.execute(changed)

    await live.container.conn.database.write(move)


async def test_a_ticket_lasts_ten_minutes_and_at_most_a_day(live: Live) -> None:
    alice = await live.user("alice")
    thread = await live.scripted_thread(alice, "Hello!")
    ticket = await make_ticket(alice, thread["id"])
    uses = 0
    while await live.container.tickets.use(ticket) is not None:
        uses += 1
        await let_pass(live, timedelta(minutes=9))
    assert uses == 24 * 60 // 9
    second = await make_ticket(alice, thread["id"])
    await let_pass(live, timedelta(minutes=9, seconds=50))
    assert await live.container.tickets.use(second) is not None
    await let_pass(live, timedelta(minutes=10))
    assert await live.container.tickets.use(second) is None


async def test_a_stream_opened_by_ticket_is_told_to_come_back_where_others_are_refused(live: Live) -> None:
    alice = await live.user("alice")
    thread = await live.scripted_thread(alice, "Hello!")
    ticket = await make_ticket(alice, thread["id"])
    browser = await without_key(live)
    live.app.state.streams = OpenStreams(limits_for_all({"streams": 0}))
    check_problem(await alice.get(f"/threads/{thread['id']}/events"), 429, "rate_limited")
    response = await browser.get(f"/threads/{thread['id']}/events?ticket={ticket}")
    assert (response.status_code, response.text) == (200, "retry: 5000\n\n")
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"


async def test_a_ticket_turns_no_other_refusal_into_a_stream(live: Live) -> None:
    alice = await live.user("alice")
    thread = await live.scripted_thread(alice, "Hello!")
    ticket = await make_ticket(alice, thread["id"])
    browser = await without_key(live)
    live.app.state.rates = RequestRates(limits_for_all({"requests_per_minute": 1}))
    path = f"/threads/{thread['id']}/events?ticket={ticket}"
    assert (await alice.get("/me")).status_code == 200
    for other in (f"/me?ticket={ticket}", f"/threads/{thread['id']}/messages?ticket={ticket}", path):
        check_problem(await alice.get(other), 429, "rate_limited")
    check_problem(await browser.get(path, headers={"accept": "application/json"}), 429, "rate_limited")
    assert (await browser.get(path)).text == "retry: 5000\n\n"


async def test_a_request_over_the_limit_does_not_use_its_ticket(live: Live) -> None:
    alice = await live.user("alice")
    thread = await live.scripted_thread(alice, "Hello!")
    ticket = await make_ticket(alice, thread["id"])
    browser = await without_key(live)
    await let_pass(live, timedelta(minutes=9))
    live.app.state.rates = RequestRates(limits_for_all({"requests_per_minute": 1}))
    path = f"/threads/{thread['id']}/events?ticket={ticket}"
    assert (await alice.get("/me")).status_code == 200
    assert (await browser.get(path)).text == "retry: 5000\n\n"
    found = present(await live.container.tickets.find(ticket))
    assert datetime.fromisoformat(found["use_by"]) < datetime.now(UTC), "it is not extended"
    live.app.state.rates = RequestRates(limits_for_all({}))
    async with browser.stream("GET", path) as stream:
        assert stream.status_code == 200
    found = present(await live.container.tickets.find(ticket))
    assert datetime.fromisoformat(found["use_by"]) > datetime.now(UTC), "now it is"


async def test_a_ticket_is_in_no_log(live: Live, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    alice = await live.user("alice")
    thread = await live.scripted_thread(alice, "Hello!")
    ticket = await make_ticket(alice, thread["id"])
    browser = await without_key(live)
    await browser.get(f"/threads/{thread['id']}/nothing?ticket={ticket}")
    async with browser.stream("GET", f"/threads/{thread['id']}/events?ticket={ticket}"):
        pass
    out, err = capfdbinary.readouterr()
    assert ticket.encode() not in out + err
