"""Users have limits: those of the settings, or their own, which admins set."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ai_agents.auth.limits import StoredLimits
from ai_agents.core.limits import LIMIT_NAMES
from ai_agents.workers.erasure import request_erasure
from tests.api.live import Live
from tests.api.service import Service, check_problem, give_role, make_agent, make_thread, open_service, settings_for
from tests.support.redis_server import RedisServer

DEFAULTS: dict[str, Any] = {
    "requests_per_minute": 600,
    "streams": 50,
    "runs": 50,
    "files_bytes": 10_000_000_000,
    "threads": None,
    "thread_rows": 1_000_000,
    "agent_versions": 1000,
    "tokens_per_day": None,
    "cost_per_day": None,
}


async def test_an_admin_sets_the_limits_of_any_user(service: Service) -> None:
    admin = await service.admin()
    assert tuple(DEFAULTS) == LIMIT_NAMES
    for user in ("alice", "https://id.example/|al/ice", "limits", "a/limits"):
        path = f"/users/{quote(user, safe='')}/limits"
        assert (await admin.get(path)).json() == {**DEFAULTS, "own": []}
        for given in ({"streams": 2, "threads": 7, "runs": None, "cost_per_day": 0.25}, {"threads": 8}, {}):
            told = {**DEFAULTS, **given, "own": sorted(given)}
            assert (await admin.put(path, json=given)).json() == told
            assert (await admin.get(path)).json() == told


async def test_others_and_what_is_no_limit_are_refused(small_service: Service) -> None:
    admin, alice = await small_service.admin(), await small_service.user("alice")
    check_problem(await alice.get("/users/alice/limits"), 403, "forbidden")
    check_problem(await alice.put("/users/alice/limits", json={"runs": 1000}), 403, "forbidden")
    check_problem(await admin.get("/users/*/limits"), 422, "invalid_request")
    wrong: tuple[Any, ...] = ({"rows": 1}, {"runs": -1}, {"runs": 1.5}, {"runs": "1"}, {"threads": 2**53}, [])
    for body in (*wrong, {"requests_per_minute": 0}, {"cost_per_day": -0.1}, {"cost_per_day": 1e10}):
        check_problem(await admin.put("/users/alice/limits", json=body), 422, "invalid_request")


async def test_a_change_is_heard_by_other_processes_and_forgotten_with_the_user(
    database_url: str, redis_server: RedisServer, tmp_path: Path
) -> None:
    settings = settings_for(database_url, tmp_path, redis_url=redis_server.url)
    async with open_service(settings) as here, open_service(settings) as there:
        admin = await here.admin()
        await admin.put("/users/alice/limits", json={"runs": 3})
        limits, stored = there.container.limits, there.container.stored_limits
        assert here.container.limits.of("alice")["runs"] == 3
        await stored.refresh()
        assert (limits.of("alice")["runs"], limits.of("bob")["runs"]) == (3, 50)
        # The defaults do not hold an admin, but what was set for this user does.
        assert limits.of("alice", is_admin=True) == {**dict.fromkeys(DEFAULTS), "runs": 3}
        job = await there.container.conn.database.write(lambda c: request_erasure(c, "alice"))
        await there.container.job_runner.run(job["id"])
        assert (await admin.get("/users/alice/limits")).json()["own"] == []
        with_all_anew = StoredLimits(there.container.conn.database, limits)
        await with_all_anew.refresh()
        assert limits.of("alice")["runs"] == 50


async def test_own_limits_hold_requests_and_streams(small_service: Service) -> None:
    admin, alice = await small_service.admin(), await small_service.user("alice")
    await admin.put("/users/alice/limits", json={"requests_per_minute": 2})
    assert [(await alice.get("/me")).status_code for _ in range(4)] == [200, 200, 429, 429]
    await admin.put("/users/alice/limits", json={"requests_per_minute": None})
    assert {(await alice.get("/me")).status_code for _ in range(4)} == {200}
    await admin.put("/users/admin/limits", json={"requests_per_minute": 1})
    assert (await admin.get("/me")).status_code == 200
    check_problem(await admin.get("/me"), 429, "rate_limited")


async def test_users_see_their_limits_and_what_is_used_of_them(live: Live) -> None:
    alice, admin = await live.user("alice"), await live.admin()
    gate = asyncio.Event()
    thread = await live.scripted_thread(alice, "Hello!", [gate, "Hello!"])
    await alice.post("/files", files={"file": ("a.txt", b"12345")})
    path = f"/threads/{thread['id']}"
    message = (await alice.post(f"{path}/messages", json={"content": "Hello!"})).json()
    await alice.post(f"{path}/messages", json={"content": "Wait."}, headers={"prefer": "respond-async"})
    async with alice.stream("GET", f"{path}/events"):
        found = (await alice.get("/me")).json()["limits"]
    gate.set()
    assert {name: each["limit"] for name, each in found.items()} == DEFAULTS
    used = {name: each["used"] for name, each in found.items()}
    usage = message["usage"]
    assert used | {"requests_per_minute": 0} == {
        "requests_per_minute": 0,
        "streams": 1,
        "runs": 1,
        "files_bytes": 5,
        "threads": 1,
        "thread_rows": 4,
        "agent_versions": 1,
        "tokens_per_day": usage["input_tokens"] + usage["output_tokens"],
        "cost_per_day": 0,
    }
    assert 1 <= used["requests_per_minute"] <= 10
    now, resets = datetime.now(UTC), {name: each["resets_at"] for name, each in found.items() if each["resets_at"]}
    assert list(resets) == ["requests_per_minute", "tokens_per_day", "cost_per_day"]
    assert (
        now - timedelta(seconds=5) < datetime.fromisoformat(resets["requests_per_minute"]) < now + timedelta(minutes=1)
    )
    assert resets["cost_per_day"] == resets["tokens_per_day"] == f"{(now + timedelta(days=1)).date()}T00:00:00.000000Z"

    # The defaults do not hold an admin; what holds them is shown.
    await admin.put("/users/admin/limits", json={"cost_per_day": 0.25})
    found = (await admin.get("/me")).json()["limits"]
    assert {name: each["limit"] for name, each in found.items()} == {**dict.fromkeys(DEFAULTS), "cost_per_day": 0.25}
    token = await alice.post("/tokens", json={"agents": [thread["agent_id"]]})
    of_some = await alice.get("/me", headers={"authorization": f"Bearer {token.json()['token']}"})
    assert of_some.json() == {"user_id": "alice", "admin": False, "limits": {}}


async def test_admins_list_users_with_how_much_each_has(service: Service) -> None:
    admin, longest = await service.admin(), "\N{OLD HUNGARIAN CAPITAL LETTER A}" * 255
    alice = await service.user("alice")
    check_problem(await alice.get("/users"), 403, "forbidden")
    await service.user(longest)
    agent = await make_agent(alice)
    await make_agent(alice)
    await alice.patch(f"/agents/{agent['id']}", json={"description": "Second."})
    await make_thread(alice, agent["id"])
    await give_role(alice, "https://id.example/|bob", "user", "agent", agent["id"])
    await service.container.roles.assign("*", "user", "agent", agent["id"])
    for name in (b"a", b"bc"):
        await alice.post("/files", files={"file": ("a.txt", name)})
    await admin.put("/users/carol/limits", json={"runs": 1})
    listed: list[dict[str, Any]] = []
    after: dict[str, str] = {}
    while True:
        page = (await admin.get("/users", params={"limit": 1, **after})).json()
        listed += page["data"]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert listed == (await admin.get("/users", params={"limit": 100})).json()["data"]
    assert {each["id"] for each in listed} == {"alice", "https://id.example/|bob", "carol", longest}
    assert len(listed) == 4
    none = dict.fromkeys(("keys", "agents", "agent_versions", "threads", "files", "files_bytes", "runs"), 0)
    (of_alice,) = (each for each in listed if each["id"] == "alice")
    assert of_alice == {
        "id": "alice",
        **none,
        "keys": 1,
        "agents": 2,
        "agent_versions": 3,
        "threads": 1,
        "files": 2,
        "files_bytes": 3,
    }
    assert {"id": "carol", **none} in listed
    check_problem(await admin.get("/users", params={"after": "WzFd"}), 400, "invalid_cursor")
