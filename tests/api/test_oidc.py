"""Users of an OpenID Connect issuer: what their JWTs may do, on a service with a real issuer beside it."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import ValidationError

from ai_agents.core.ids import format_time
from app.oidc.verifier import parse_admin_claim
from app.settings import Settings
from tests.api.live import TIMEOUT_S, events_of, serve
from tests.api.service import Service, check_problem, give_role, make_agent, make_thread, open_service, settings_for
from tests.fakes.issuer import AUDIENCE, Issuer

# Long enough to open some streams on a busy machine.
LASTS_S = 3.0


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with Issuer() as opened:
        yield opened


def oidc_settings(issuer: Issuer, url: str, directory: Path, **changes: Any) -> Settings:
    usual = {"oidc_issuer": issuer.address, "oidc_audience": AUDIENCE, "oidc_admin_claim": "groups=operators"}
    return settings_for(url, directory, **usual | changes)


@pytest.fixture
async def service(issuer: Issuer, database_url: str, tmp_path: Path) -> AsyncIterator[Service]:
    async with open_service(oidc_settings(issuer, database_url, tmp_path)) as opened:
        yield opened


@pytest.fixture
async def small_service(issuer: Issuer, sqlite_url: str, tmp_path: Path) -> AsyncIterator[Service]:
    async with open_service(oidc_settings(issuer, sqlite_url, tmp_path)) as opened:
        yield opened


async def holder(service: Service, jwt: str) -> httpx.AsyncClient:
    """A client with this JWT."""
    client = await service.anonymous()
    client.headers["authorization"] = f"Bearer {jwt}"
    return client


async def test_a_jwt_is_good_wherever_a_key_is_for_the_issuers_user(service: Service, issuer: Issuer) -> None:
    ann, alice = await holder(service, issuer.jwt("ann")), await service.user("alice")
    name = f"{issuer.address}|ann"
    me = (await ann.get("/me")).json()
    assert (me["user_id"], me["admin"]) == (name, False)
    thread = await make_thread(ann)
    said = await ann.post(f"/threads/{thread['id']}/messages", json={"content": "Hello"})
    assert said.status_code == 201
    shared = await make_thread(alice)
    check_problem(await ann.get(f"/threads/{shared['id']}"), 404, "not_found")
    await give_role(alice, name, "viewer", "thread", shared["id"])
    assert (await ann.get(f"/threads/{shared['id']}")).status_code == 200
    # Another JWT of the same user, and one of another.
    assert (
        await (await holder(service, issuer.jwt("ann", nonce="2"))).get(f"/threads/{thread['id']}")
    ).status_code == 200
    check_problem(await (await holder(service, issuer.jwt("eve"))).get(f"/threads/{thread['id']}"), 404, "not_found")
    check_problem(await ann.get("/jobs"), 403, "forbidden")


async def test_a_jwt_makes_tickets_and_no_keys_or_tokens(service: Service, issuer: Issuer) -> None:
    lasts_s = 120
    ann = await holder(service, issuer.jwt("ann", lasts_s=lasts_s))
    operator = await holder(service, issuer.jwt("olga", groups=["staff", "operators"]))
    for client in (ann, operator):
        for path in ("/keys", "/tokens"):
            check_problem(await client.post(path, json={}), 403, "forbidden")
    thread = await make_thread(ann)
    made = (await ann.post("/tickets", json={"thread_id": thread["id"]})).json()
    path = f"/threads/{thread['id']}/events?ticket={made['ticket']}"
    anonymous = await service.anonymous()
    assert (await anonymous.get(path, headers={"accept": "application/json"})).status_code == 200
    # However often it is used, it ends with its JWT.
    found = await service.container.tickets.find(made["ticket"])
    assert found is not None
    for _ in range(2):
        await service.container.tickets.extend(found["id"])
        found = await service.container.tickets.find(made["ticket"])
        assert found is not None
        assert found["use_by"] <= issuer_time(lasts_s)


def issuer_time(seconds: float) -> str:
    return format_time(datetime.now(UTC) + timedelta(seconds=seconds))


async def test_the_admin_claim_makes_an_admin(small_service: Service, issuer: Issuer) -> None:
    for claim, is_admin in (
        ({"groups": ["staff", "operators"]}, True),
        ({"groups": "operators"}, True),
        ({"groups": ["operators2"]}, False),
        ({"groups": "staff operators"}, False),
        ({"groups": {"operators": True}}, False),
        ({"groups": [["operators"]]}, False),
        ({"Groups": ["operators"]}, False),
        ({}, False),
    ):
        client = await holder(small_service, issuer.jwt("ann", **claim))
        assert (await client.get("/me")).json()["admin"] is is_admin, claim
        assert (await client.get("/jobs")).status_code == (200 if is_admin else 403)


@pytest.mark.parametrize("setting, claims, is_admin", [
    ("admin", {"admin": True}, True), ("admin", {"admin": "true"}, False), ("admin", {"admin": 1}, False),
    ("realm_access.roles=admin", {"realm_access": {"roles": ["admin"]}}, True),
    ("realm_access.roles=admin", {"realm_access": ["roles"]}, False),
    ("https://example.com/roles=a=b", {"https://example.com/roles": ["a=b"]}, True),
])  # fmt: skip
def test_the_admin_claim_is_named_by_the_settings(setting: str, claims: dict[str, Any], is_admin: bool) -> None:
    assert parse_admin_claim(setting).fits(claims) is is_admin


async def test_ids_of_the_issuers_users_are_named_in_keys_by_admins_alone(
    small_service: Service, issuer: Issuer
) -> None:
    alice, admin = await small_service.user("alice"), await small_service.admin()
    name = f"{issuer.address}|ann"
    for path in ("/keys", "/tokens"):
        check_problem(await alice.post(path, json={"user_id": name}), 422, "invalid_request")
        check_problem(await alice.post(path, json={"user_id": "bob"}), 403, "forbidden")
        assert (await admin.post(path, json={"user_id": name})).status_code == 201
        check_problem(await admin.post(path, json={"user_id": "*"}), 422, "invalid_request")
    ann = await holder(small_service, issuer.jwt("ann"))
    check_problem(await ann.post("/keys", json={"user_id": name}), 422, "invalid_request")


async def test_what_is_wrong_with_a_jwt_is_said(small_service: Service, issuer: Issuer) -> None:
    await (await holder(small_service, issuer.jwt())).get("/me")
    issuer.keys["own"] = ec.generate_private_key(ec.SECP256R1())
    for jwt, said in (
        (issuer.jwt(lasts_s=-1), "expired"),
        (issuer.jwt(iss="https://other.example.com"), "another issuer"),
        (issuer.jwt(aud="other"), "another audience"),
        (issuer.jwt(sub="x" * 255), "more than 255 characters"),
        (issuer.jwt()[:-6] + "AAAAAA", "signature"),
        (issuer.jwt(kid="own"), "key that its issuer publishes"),
        ("a.b.c", "not a signed JWT"),
    ):
        problem = check_problem(await (await holder(small_service, jwt)).get("/me"), 401, "unauthorized")
        assert said in problem["detail"], problem
        assert jwt not in str(problem)


async def test_without_its_keys_a_jwt_is_to_be_sent_again(issuer: Issuer, sqlite_url: str, tmp_path: Path) -> None:
    issuer.is_broken = True
    async with open_service(oidc_settings(issuer, sqlite_url, tmp_path)) as service:
        ann, alice = await holder(service, issuer.jwt()), await service.user("alice")
        answer = await ann.get("/me")
        problem = check_problem(answer, 503, "overloaded")
        assert "issuer" in problem["detail"]
        assert int(answer.headers["retry-after"]) >= 1
        assert (await alice.get("/me")).status_code == 200
        assert (await (await service.anonymous()).get("/readyz")).status_code == 200


async def test_a_service_without_an_issuer_takes_no_jwts(issuer: Issuer, sqlite_url: str, tmp_path: Path) -> None:
    async with open_service(settings_for(sqlite_url, tmp_path)) as service:
        check_problem(await (await holder(service, issuer.jwt())).get("/me"), 401, "unauthorized")
    assert issuer.server.connections == 0


@pytest.mark.parametrize("wrong", [
    {"oidc_issuer": "login.example.com"}, {"oidc_issuer": "https://login.example.com/?x=1"},
    {"oidc_issuer": "https://a|b"},
    {"oidc_issuer": "ftp://login.example.com"}, {"oidc_issuer": "https://" + "x" * 200}, {"oidc_audience": None},
    {"oidc_admin_claim": "=x"}, {"oidc_admin_claim": "groups="},
])  # fmt: skip
def test_an_issuer_is_an_address_with_an_audience(wrong: dict[str, Any], tmp_path: Path) -> None:
    good: dict[str, Any] = {
        "oidc_issuer": "https://login.example.com/realm",
        "oidc_audience": AUDIENCE,
        "oidc_admin_claim": "groups=x",
    }
    assert settings_for("sqlite:///x.db", tmp_path, **good).oidc_issuer == good["oidc_issuer"]
    with pytest.raises(ValidationError):
        settings_for("sqlite:///x.db", tmp_path, **good | wrong)


async def test_streams_by_jwt_end_with_it(issuer: Issuer, sqlite_url: str, tmp_path: Path) -> None:
    async with serve(oidc_settings(issuer, sqlite_url, tmp_path, echo_delay_s=0.01, shutdown_grace_s=0)) as live:
        headers = {"authorization": f"Bearer {issuer.jwt()}"}
        async with (
            httpx.AsyncClient(base_url=live.server.address, headers=headers, timeout=TIMEOUT_S, trust_env=False) as ann,
            httpx.AsyncClient(base_url=live.server.address, timeout=TIMEOUT_S, trust_env=False) as browser,
        ):
            agent = await make_agent(ann, provider="echo")
            busy, silent = [(await make_thread(ann, agent["id"]))["id"] for _ in range(2)]
            ends = time.time() + LASTS_S
            ann.headers["authorization"] = f"Bearer {issuer.jwt(lasts_s=LASTS_S)}"
            tickets = [
                (await ann.post("/tickets", json={"thread_id": each})).json()["ticket"] for each in (busy, silent)
            ]

            async def read(client: httpx.AsyncClient, method: str, path: str, **more: Any) -> list[str]:
                async with client.stream(method, path, **more) as response:
                    assert response.status_code == 200, await response.aread()
                    return [event.event async for event in events_of(response)]

            async with asyncio.timeout(TIMEOUT_S):
                read_all = await asyncio.gather(
                    read(ann, "POST", f"/threads/{busy}/messages", json={"content": "word " * 4000, "stream": True}),
                    read(ann, "GET", f"/threads/{busy}/events"),
                    read(ann, "GET", f"/threads/{silent}/events"),
                    read(browser, "GET", f"/threads/{busy}/events?ticket={tickets[0]}"),
                    read(browser, "GET", f"/threads/{silent}/events?ticket={tickets[1]}"),
                )
            assert ends - 0.1 < time.time() < ends + 3
            assert not any("run.completed" in events for events in read_all)
            check_problem(await ann.get("/me"), 401, "unauthorized")
            check_problem(await browser.get(f"/threads/{silent}/events?ticket={tickets[1]}"), 401, "unauthorized")


async def test_what_was_sent_by_a_jwt_that_expires_while_it_waits_goes_on(
    issuer: Issuer, sqlite_url: str, tmp_path: Path
) -> None:
    async with open_service(oidc_settings(issuer, sqlite_url, tmp_path, echo_delay_s=0.01)) as service:
        alice, ann = await service.user("alice"), await holder(service, issuer.jwt("ann"))
        agent = await make_agent(alice, provider="echo")
        path = f"/threads/{(await make_thread(alice, agent['id']))['id']}"
        for kind, resource_id in (("thread", path.removeprefix("/threads/")), ("agent", agent["id"])):
            await give_role(alice, f"{issuer.address}|ann", "editor", kind, resource_id)
        later = {"prefer": "respond-async"}
        first = await alice.post(f"{path}/messages", json={"content": "word " * 4000}, headers=later)
        body, once = {"content": "Hello?", "on_busy": "queue"}, {"idempotency-key": "once"}
        sent = await ann.post(f"{path}/messages", json=body, headers=later | once)
        assert sent.json()["status"] == "queued"
        assert (await ann.post(f"{path}/messages", json=body, headers=later | once)).json()["id"] == sent.json()["id"]

        assert service.container.jwts is not None
        service.container.jwts._clock = lambda: time.time() + 1000
        check_problem(await ann.post(f"{path}/messages", json=body, headers=later | once), 401, "unauthorized")
        await alice.post(f"{path}/runs/{first.json()['id']}/cancel")
        async with asyncio.timeout(TIMEOUT_S):
            while (run := (await alice.get(f"{path}/runs/{sent.json()['id']}")).json())["status"] != "completed":
                assert run["status"] in ("queued", "running"), run
                await asyncio.sleep(0.02)
