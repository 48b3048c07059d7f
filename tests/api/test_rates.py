"""Users have a limit of requests per minute; admins and repeated requests have none."""

from pathlib import Path

from app.authentication import RequestRates
from app.errors import RateLimited
from app.services.identity import Principal
from tests.api.service import check_problem, open_service, settings_for


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
    rates = RequestRates(60, clock=lambda: now)
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
