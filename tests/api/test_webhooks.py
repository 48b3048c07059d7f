"""Webhooks: who may have them, what a real receiver gets, and what happens where it does not answer."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import ColumnElement, Connection, delete, select, update
from standardwebhooks.webhooks import WebhookVerificationError

from ai_agents.store import jobs
from ai_agents.store import webhooks as store
from ai_agents.store.clock import database_now
from ai_agents.store.job_tables import JobTable
from ai_agents.store.thread_log import Entry
from ai_agents.store.webhook_tables import DeliveryTable
from ai_agents.workers import webhooks
from tests.api.hooks import DOWN, OK, carry_out, deliveries, make_hook, say, verified
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
from tests.fakes.http_server import Asked, HttpServer
from tests.support.waiting import eventually


@pytest.fixture
async def hooked(database_url: str, tmp_path: Path) -> AsyncIterator[Service]:
    """A service that may send to this machine, once for each kind of database."""
    async with open_service(settings_for(database_url, tmp_path, outbound_allow="127.0.0.1")) as opened:
        yield opened


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deliveries are carried out by the test alone."""
    monkeypatch.setattr("ai_agents.workers.background.InProcessJobs.wake", lambda _self, _ids: None)


async def test_a_receiver_gets_signed_ids_of_the_events_that_it_asked_for(hooked: Service, http: HttpServer) -> None:
    alice = await hooked.user("alice")
    http.on("/hook", OK)
    agent = await make_agent(alice)
    other = await make_thread(alice)
    thread = await make_thread(alice, agent["id"])
    hook = await make_hook(alice, http.url("/hook"), agent["id"], "run.completed", "thread.updated")

    answer = await say(alice, thread["id"])
    await say(alice, other["id"])
    await alice.patch(f"/threads/{thread['id']}", json={"title": "Secret plans"})
    await eventually(lambda: len(http.asked) == 2, timeout_s=15)

    told = {each["type"]: each for each in (verified(asked, hook["secret"]) for asked in http.asked)}
    assert told["run.completed"]["data"] == {"thread_id": thread["id"], "run_id": answer["run_id"]}
    assert told["thread.updated"]["data"] == {"thread_id": thread["id"], "run_id": None}
    assert all(sorted(each) == ["data", "timestamp", "type"] for each in told.values())
    assert not any(b"Secret" in asked.body for asked in http.asked)
    with pytest.raises(WebhookVerificationError):
        verified(http.asked[0], webhooks.make_secret())

    async def ended() -> bool:
        return [each["status"] for each in await deliveries(alice, hook["id"])] == ["delivered", "delivered"]

    await eventually(ended)
    found = await deliveries(alice, hook["id"])
    assert {each["id"] for each in found} == {asked.headers["webhook-id"] for asked in http.asked}
    assert sorted(found[0]) == ["attempts", "created_at", "event", "id", "last_status", "status"]
    assert [(each["event"], each["attempts"], each["last_status"]) for each in found] == [
        ("thread.updated", 1, 200),
        ("run.completed", 1, 200),
    ]
    jobs_left = await hooked.container.conn.database.read(
        lambda c: c.scalars(select(JobTable.id).where(JobTable.kind == "webhook")).all()
    )
    assert jobs_left == []


def test_a_signature_is_that_of_the_published_example() -> None:
    """From https://github.com/standard-webhooks/standard-webhooks/blob/main/libraries (the test of the libraries)."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # the published one
    body = b'{"test": 2432232314}'

    found = webhooks.sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)

    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


class Hours:
    """The database's clock as jobs and webhooks read it, which the test moves on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.passed_s = 0.0
        for module in (store, jobs):
            monkeypatch.setattr(module, "database_now", self._now)

    def _now(self, dialect: str) -> ColumnElement[float]:
        return database_now(dialect) + self.passed_s

    async def pass_by(self, service: Service, seconds: float) -> None:
        """Move the clock, and carry out what is due then, as each process does every few seconds."""
        self.passed_s += seconds
        for job_id in await service.container.conn.database.read(lambda c: jobs.list_due(c, limit=50)):
            await service.container.job_runner.run(job_id)


@pytest.mark.usefixtures("by_hand")
async def test_a_receiver_that_is_down_for_an_hour_gets_each_event_once_it_is_back(
    hooked: Service, http: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, clock = await hooked.user("alice"), Hours(monkeypatch)
    asked_at: dict[str, list[float]] = {}
    received: list[tuple[float, str, Any]] = []

    async def receive(asked: Asked, writer: asyncio.StreamWriter) -> None:
        message = verified(asked, hook["secret"])
        asked_at.setdefault(asked.headers["webhook-id"], []).append(clock.passed_s)
        if clock.passed_s < 3600:
            writer.write(DOWN)
            return
        received.append((clock.passed_s, asked.headers["webhook-id"], message["data"]["run_id"]))
        writer.write(OK)

    http.on("/hook", receive)
    thread = await make_thread(alice)
    hook = await make_hook(alice, http.url("/hook"), thread["agent_id"])
    runs = [(await say(alice, thread["id"]))["run_id"]]
    await clock.pass_by(hooked, 0)
    while clock.passed_s < 2 * 3600:
        await clock.pass_by(hooked, 30)
        if clock.passed_s == 1800:
            runs += [(await say(alice, thread["id"]))["run_id"] for _ in range(3)]

    assert sorted(run_id for _, _, run_id in received) == sorted(runs)
    assert len({delivery_id for _, delivery_id, _ in received}) == len(runs)
    # New events do not wait for the next attempt of old ones; the old ones are tried ever more seldom.
    assert min(at for at, _, _ in received) < 3600 + 300
    first, *later = asked_at.values()
    waits = [after - before for before, after in itertools.pairwise(first)]
    assert first[1] <= 30
    assert all(after >= before for before, after in itertools.pairwise(waits))
    assert len(first) <= 10
    assert all(len(each) <= 10 for each in later)
    found = await deliveries(alice, hook["id"])
    assert {(each["status"], each["last_status"]) for each in found} == {("delivered", 200)}
    assert {each["id"]: each["attempts"] for each in found} == {each: len(at) for each, at in asked_at.items()}


@pytest.mark.usefixtures("by_hand")
async def test_a_delivery_is_given_up_after_a_day_and_can_be_asked_for_again(hooked: Service, http: HttpServer) -> None:
    alice = await hooked.user("alice")
    http.on("/hook", DOWN)
    thread = await make_thread(alice)
    hook = await make_hook(alice, http.url("/hook"), thread["agent_id"])
    await say(alice, thread["id"])
    database = hooked.container.conn.database
    await carry_out(hooked)
    await database.write(
        lambda c: c.execute(update(DeliveryTable).values(expires_at=DeliveryTable.expires_at - 86_395))
    )

    assert await carry_out(hooked) is None
    (failed,) = await deliveries(alice, hook["id"])
    assert (failed["status"], failed["attempts"], failed["last_status"]) == ("failed", 2, 503)

    http.on("/hook", OK)
    path = f"/webhooks/{hook['id']}/deliveries"
    again = await alice.post(f"{path}/{failed['id']}/retry")
    assert again.json() == failed | {"status": "pending"}
    await alice.post(f"{path}/{failed['id']}/retry")
    assert await carry_out(hooked) is None
    assert (await deliveries(alice, hook["id"]))[0]["status"] == "delivered"
    assert {asked.headers["webhook-id"] for asked in http.asked} == {failed["id"]}
    check_problem(await alice.post(f"{path}/{UNKNOWN_ID}/retry"), 404, "not_found")


@pytest.mark.usefixtures("by_hand")
async def test_redirects_slow_answers_and_huge_ones_do_no_harm(
    hooked: Service, http: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "TIMEOUT_S", 0.3)
    alice = await hooked.user("alice")
    sent = 0

    async def slow(_asked: Asked, _writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(30)

    async def huge(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()
            sent += 65_536

    http.on("/elsewhere", OK)
    moved = f"HTTP/1.1 307 Temporary Redirect\r\nlocation: {http.url('/elsewhere')}\r\ncontent-length: 0\r\n\r\n"
    http.on("/moved", moved.encode())
    http.on("/slow", slow)
    http.on("/huge", huge)
    thread = await make_thread(alice)
    found = {}
    for path in ("/moved", "/slow", "/huge"):
        hook = await make_hook(alice, http.url(path), thread["agent_id"])
        await say(alice, thread["id"])
        await carry_out(hooked)
        (delivery,) = await deliveries(alice, hook["id"])
        found[path] = delivery["status"], delivery["last_status"]
        await alice.delete(f"/webhooks/{hook['id']}")
        await hooked.container.conn.database.write(lambda c: c.execute(delete(JobTable)))

    assert found == {"/moved": ("pending", 307), "/slow": ("pending", None), "/huge": ("delivered", 200)}
    assert "/elsewhere" not in {asked.target for asked in http.asked}
    assert sent < 50_000_000


async def test_addresses_that_are_not_public_are_refused_when_made_and_when_sent_to(
    small_service: Service, http: HttpServer, by_hand: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = await small_service.user("alice")
    agent = await make_agent(alice)
    for url in (http.url("/hook"), "http://[::1]/", "http://169.254.169.254/", "ftp://example.org/", "x", "https://"):
        response = await alice.post("/webhooks", json={"url": url, "events": ["run.failed"], "agent_id": agent["id"]})
        assert check_problem(response, 422, "invalid_request")["errors"][0]["loc"] == ["body", "url"], url
    hook = await make_hook(alice, "https://93.184.215.14/hook", agent["id"])
    check_problem(await alice.patch(f"/webhooks/{hook['id']}", json={"url": http.url("/")}), 422, "invalid_request")

    # As if the name led elsewhere by now.
    await small_service.container.conn.database.write(
        lambda c: store.change_webhook(c, hook["id"], url=http.url("/hook"), events=None)
    )
    await say(alice, (await make_thread(alice, agent["id"]))["id"])
    await carry_out(small_service)

    assert [each["last_status"] for each in await deliveries(alice, hook["id"])] == [None]
    # A name that leads to a public address when the webhook is made, and to another one when it is sent to.
    leads_to = ["93.184.215.14"]

    async def resolve(_host: str, _port: int) -> list[str]:
        return leads_to

    monkeypatch.setattr(small_service.container.tools.outbound, "_resolve", resolve)
    for address in ("127.0.0.1", "10.0.0.7", "::ffff:127.0.0.1"):
        await alice.delete(f"/webhooks/{hook['id']}")
        await small_service.container.conn.database.write(lambda c: c.execute(delete(JobTable)))
        leads_to[:] = ["93.184.215.14"]
        hook = await make_hook(alice, f"http://hooks.example:{http.port}/hook", agent["id"])
        leads_to[:] = [address]
        await say(alice, (await make_thread(alice, agent["id"]))["id"])
        await carry_out(small_service)
        assert [each["last_status"] for each in await deliveries(alice, hook["id"])] == [None]

    assert http.connections == 0
    asked = {"url": "http://10.0.0.7/", "events": ["run.failed"], "agent_id": agent["id"]}
    refused = await alice.post("/webhooks", json=asked)
    assert (refused.status_code, "AI_AGENTS_OUTBOUND_ALLOW makes exceptions." in refused.text) == (422, True)
    # No setting makes an exception for a user in an address.
    refused = await alice.post("/webhooks", json=asked | {"url": "https://ann@hooks.example/"})
    assert (refused.status_code, "AI_AGENTS_OUTBOUND_ALLOW" in refused.text) == (422, False)


@pytest.mark.usefixtures("by_hand")
async def test_a_webhook_ends_with_the_right_of_the_user_who_made_it(hooked: Service, http: HttpServer) -> None:
    http.on("/hook", OK)
    alice, bob, admin = await hooked.user("alice"), await hooked.user("bob"), await hooked.admin()
    thread = await make_thread(alice)
    agent_id = thread["agent_id"]
    await give_role(alice, "bob", "owner", "agent", agent_id)
    of_bob = await make_hook(bob, http.url("/hook"), agent_id)
    await say(alice, thread["id"])
    await give_role(alice, "bob", "editor", "agent", agent_id)

    assert await carry_out(hooked) is None
    assert [each["status"] for each in await deliveries(bob, of_bob["id"])] == ["failed"]
    check_problem(await bob.patch(f"/webhooks/{of_bob['id']}", json={"events": ["run.failed"]}), 403, "forbidden")
    assert (await bob.delete(f"/webhooks/{of_bob['id']}")).status_code == 204

    key = (await admin.post("/keys", json={"user_id": "carol", "admin": True})).json()
    admin.headers["authorization"] = f"Bearer {key['key']}"
    for_all = await make_hook(admin, http.url("/hook"), None)
    await say(alice, thread["id"])
    assert await carry_out(hooked) is None
    assert len(http.asked) == 1
    check_problem(await alice.get(f"/webhooks/{for_all['id']}"), 404, "not_found")
    check_problem(
        await alice.post("/webhooks", json={"url": http.url("/"), "events": ["run.failed"]}), 403, "forbidden"
    )
    await (await hooked.admin()).delete(f"/keys/{key['id']}")
    await hooked.container.stored_webhooks.refresh()
    await say(alice, thread["id"])
    left = await hooked.container.conn.database.read(lambda c: c.scalars(select(DeliveryTable.id)).all())
    assert left == []


async def test_a_webhook_goes_with_its_agent_and_with_the_user_who_is_erased(hooked: Service, http: HttpServer) -> None:
    alice, bob, admin = await hooked.user("alice"), await hooked.user("bob"), await hooked.admin()
    thread = await make_thread(alice)
    gone = await make_hook(alice, http.url("/hook"), thread["agent_id"])
    await alice.delete(f"/agents/{thread['agent_id']}")
    check_problem(await alice.get(f"/webhooks/{gone['id']}"), 404, "not_found")

    agent = await make_agent(alice)
    await give_role(alice, "bob", "owner", "agent", agent["id"])
    erased = await make_hook(bob, http.url("/of-bob"), agent["id"])
    assert [each["id"] for each in (await alice.get("/webhooks")).json()["data"]] == [erased["id"]]
    job = (await admin.delete("/users/bob")).json()

    async def receipt() -> Any:
        found = (await admin.get("/jobs")).json()["data"]
        return next(each["result"] for each in found if each["id"] == job["id"])

    result = await eventually(receipt)
    assert result["removed"]["webhooks"] == 1
    assert (await alice.get("/webhooks")).json()["data"] == []


async def test_a_secret_is_shown_once_and_sealed_and_no_token_makes_a_webhook(
    hooked: Service, http: HttpServer
) -> None:
    alice = await hooked.user("alice")
    agent = await make_agent(alice)
    body = {"url": http.url("/hook"), "events": ["run.failed"], "agent_id": agent["id"]}
    hook = (await alice.post("/webhooks", json=body, headers={"idempotency-key": "k"})).json()
    again = (await alice.post("/webhooks", json=body, headers={"idempotency-key": "k"})).json()
    assert hook["id"] != again["id"]
    shown = await alice.get(f"/webhooks/{hook['id']}")
    assert "secret" not in shown.json()
    row = await hooked.container.webhooks.find(hook["id"])
    assert hook["secret"].startswith("whsec_")
    assert hook["secret"].removeprefix("whsec_") not in str(row)
    token = (await alice.post("/tokens", json={})).json()["token"]
    by_token = await alice.post("/webhooks", json=body, headers={"authorization": f"Bearer {token}"})
    check_problem(by_token, 403, "forbidden")


@pytest.mark.usefixtures("by_hand")
async def test_an_agent_without_webhooks_costs_no_statement_more(
    hooked: Service, http: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    note = store.note_entries

    def counted(connection: Connection, thread_id: str, told: Sequence[Entry]) -> None:
        asked.append(thread_id)
        note(connection, thread_id, told)

    monkeypatch.setattr(store, "note_entries", counted)
    alice = await hooked.user("alice")
    thread = await make_thread(alice)
    with_hook = await make_thread(alice)
    await make_hook(alice, http.url("/hook"), with_hook["agent_id"], "run.completed")

    await say(alice, thread["id"])
    await say(alice, with_hook["id"])

    assert asked == [with_hook["id"]]


@pytest.mark.usefixtures("by_hand")
async def test_deliveries_are_kept_for_a_week_and_so_many_of_each_webhook(
    hooked: Service, http: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MOST_KEPT", 2)
    http.on("/hook", OK)
    alice = await hooked.user("alice")
    thread = await make_thread(alice)
    hook = await make_hook(alice, http.url("/hook"), thread["agent_id"])
    for _ in range(4):
        await say(alice, thread["id"])
        await carry_out(hooked)
    newest, older = await deliveries(alice, hook["id"])
    database = hooked.container.conn.database
    old = "2026-01-01T00:00:00.000000Z"
    await database.write(
        lambda c: c.execute(update(DeliveryTable).where(DeliveryTable.id == older["id"]).values(created_at=old))
    )

    assert await database.write(store.sweep) == 1
    assert await deliveries(alice, hook["id"]) == [newest]


async def test_what_was_committed_is_delivered_by_the_next_process(
    database_url: str, tmp_path: Path, http: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ends between the commit and the delivery, and once more between the delivery and its record."""
    http.on("/hook", OK)
    settings = settings_for(database_url, tmp_path, outbound_allow="127.0.0.1")
    with monkeypatch.context() as patch:
        patch.setattr("ai_agents.workers.background.InProcessJobs.wake", lambda _self, _ids: None)
        async with open_service(settings) as first:
            alice = await first.user("alice")
            thread = await make_thread(alice)
            hook = await make_hook(alice, http.url("/hook"), thread["agent_id"])
            await say(alice, thread["id"])
            delivery = await deliveries(alice, hook["id"])
            # Sent, and not recorded.
            row = await first.container.webhooks.find_delivery(delivery[0]["id"])
            await webhooks._send(first.container.tools.outbound, hook["url"], hook["secret"], row)
    async with open_service(settings):
        await eventually(lambda: len(http.asked) == 2, timeout_s=10)
    assert {asked.headers["webhook-id"] for asked in http.asked} == {delivery[0]["id"]}
