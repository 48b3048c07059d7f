"""Users have a limit of requests per minute; admins and repeated requests have none."""

import asyncio
import re
from collections import Counter
from pathlib import Path
from typing import Any

from app.doors.listed import door_at
from app.errors import RateLimited
from app.rates import RequestRates
from app.services.identity import Principal
from tests.api.declared import document
from tests.api.service import UNKNOWN_ID, check_problem, make_agent, make_thread, open_service, settings_for
from tests.support.limits import limits_for_all
from tests.support.stopwatch import Stopwatch


def taken(rates: RequestRates, user: str, count: int) -> int:
    passed = 0
    for _ in range(count):
        try:
            rates.check(Principal(user, is_admin=False, token=""))
            passed += 1
        except RateLimited:
            pass
    return passed


def test_a_burst_of_a_minute_is_taken_and_then_the_steady_rate() -> None:
    now = 0.0
    rates = RequestRates(limits_for_all({"requests_per_minute": 60}), clock=lambda: now)
    assert taken(rates, "alice", 100) == 60
    assert taken(rates, "bob", 1) == 1
    now = 10.0
    assert taken(rates, "alice", 100) == 10
    now = 1000.0
    assert taken(rates, "alice", 100) == 60


async def test_too_many_requests_are_refused_with_the_time_to_come_back(sqlite_url: str, tmp_path: Path) -> None:
    async with open_service(settings_for(sqlite_url, tmp_path, max_requests_per_minute=3)) as service:
        alice, admin = await service.user("alice"), await service.admin()
        first = await alice.post("/agents", json={"name": "a"}, headers={"idempotency-key": "one"})
        for _ in range(2):
            assert (await alice.get("/me")).status_code == 200
        refused = await alice.get("/me")
        check_problem(refused, 429, "rate_limited")
        assert refused.headers["ratelimit-policy"] == '"requests";q=3;w=60'
        assert 1 <= int(refused.headers["retry-after"]) <= 20
        assert refused.headers["ratelimit"] == f'"requests";r=0;t={refused.headers["retry-after"]}'
        again = await alice.post("/agents", json={"name": "a"}, headers={"idempotency-key": "one"})
        assert (again.status_code, again.json()) == (201, first.json())
        other = await alice.post("/agents", json={"name": "a"}, headers={"idempotency-key": "two"})
        check_problem(other, 429, "rate_limited")
        assert all([(await admin.get("/me")).status_code == 200 for _ in range(10)])


BODIES: dict[str, dict[str, Any]] = {
    "/agents": {"json": {"name": "another"}},
    "/threads": {"json": {"agent_id": UNKNOWN_ID}},
    "/threads/{thread_id}/fork": {"json": {"message_id": UNKNOWN_ID}},
    "/threads/{thread_id}/messages": {"json": {"content": "Hello!"}},
    "/threads/{thread_id}/runs/{run_id}/retry": {},
    "/roles": {
        "json": {"user_id": "bob", "role": "viewer", "resource_type": "agent", "resource_id": UNKNOWN_ID},
    },
    "/files": {"files": {"file": ("note.txt", b"Hello!", "text/plain")}},
    "/tools": {
        "json": {"type": "http", "name": "t", "description": "d", "method": "GET", "url": "https://example.com"}
    },
    "/providers": {"json": {"name": "p", "type": "openai", "base_url": "https://example.com"}},
}


def operations() -> list[tuple[str, str, bool]]:
    """Method and path of every operation that needs a key, and whether it takes an idempotency key."""
    return [
        (method, path, "Idempotency-Key" in {each["name"] for each in operation.get("parameters", [])})
        for path, of_path in document()["paths"].items()
        for method, operation in of_path.items()
        if operation.get("security")
    ]


def test_every_request_that_takes_an_idempotency_key_is_tried() -> None:
    own = {path for _method, path, takes_key in operations() if takes_key and door_at(path) is None}
    assert own == set(BODIES)


async def test_a_used_idempotency_key_lets_no_other_request_past_the_limit(sqlite_url: str, tmp_path: Path) -> None:
    async with open_service(settings_for(sqlite_url, tmp_path, max_requests_per_minute=3)) as service:
        admin, used = await service.admin(), {"idempotency-key": "one"}
        for number, (method, path, takes_key) in enumerate(operations()):
            alice = await service.user(f"alice-{number}")
            made = (await alice.post("/agents", json={"name": "a"}, headers=used)).json()["id"]
            for _ in range(2):
                await alice.get("/me")
            address = re.sub("{[a-z_]+}", UNKNOWN_ID, path)
            of_door = {
                "json": {"model": "assistant", "input": "Hello!", "messages": [{"role": "user", "content": "Hello!"}]}
            }
            body = BODIES.get(path, of_door) if method == "post" and takes_key else {}
            for headers in (used, {"idempotency-key": "two"}):
                refused = await alice.request(method, address, headers=headers, **body)
                if takes_key and refused.status_code in (403, 404):
                    continue  # it might be a repeated one, and is refused before that is asked
                assert refused.status_code == 429, (path, refused.text)
                if door_at(path) is None:
                    check_problem(refused, 429, "rate_limited")
            assert [agent["id"] for agent in (await admin.get("/agents")).json()["data"]] == [made], path
            await admin.delete(f"/agents/{made}")


async def test_repeated_requests_have_a_limit_of_their_own(sqlite_url: str, tmp_path: Path) -> None:
    async with open_service(settings_for(sqlite_url, tmp_path, max_requests_per_minute=3)) as service:
        alice = await service.user("alice")
        once = {"idempotency-key": "one"}
        answers = [await alice.post("/agents", json={"name": "a"}, headers=once) for _ in range(7)]
        assert [answer.status_code for answer in answers] == [201] * 6 + [429]
        assert len({answer.json()["id"] for answer in answers[:6]}) == 1


async def test_a_user_at_the_limits_does_not_slow_another(sqlite_url: str, tmp_path: Path) -> None:
    async with open_service(settings_for(sqlite_url, tmp_path)) as service:
        admin, alice, bob = await service.admin(), await service.user("alice"), await service.user("bob")
        threads = [await make_thread(each, (await make_agent(each, provider="echo"))["id"]) for each in (alice, bob)]
        paths = [f"/threads/{thread['id']}/messages" for thread in threads]
        assert (
            await admin.put("/users/alice/limits", json={"tokens_per_day": 0, "requests_per_minute": 40})
        ).status_code == 200
        refused: Counter[str] = Counter()
        done = asyncio.Event()

        async def press() -> None:
            while not done.is_set():
                answer = await alice.post(paths[0], json={"content": "Hello!"})
                refused[answer.json()["code"]] += 1
                await asyncio.sleep(0.01)  # a refused request waits for nothing, and would let no other task run

        pressing = [asyncio.create_task(press()) for _ in range(5)]
        took_s: list[float] = []
        while len(took_s) < 20 or min(refused["budget_exceeded"], refused["rate_limited"]) <= 10:
            watch = Stopwatch()
            assert (await bob.post(paths[1], json={"content": "Hello!"})).status_code == 201
            took_s.append(watch.seconds)
        done.set()
        await asyncio.gather(*pressing)

        assert sorted(took_s)[len(took_s) * 9 // 10] < 0.5
