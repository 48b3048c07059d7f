"""Users have limits: those of the settings, or their own, which admins set."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

from ai_agents.auth.limits import StoredLimits
from ai_agents.core.limits import LIMIT_NAMES
from ai_agents.workers.erasure import request_erasure
from tests.api.service import Service, check_problem, open_service, settings_for
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
