"""`GET /usage`: usage and costs of model calls."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError
from sqlalchemy import insert

from ai_agents.core.ids import format_time, new_id
from ai_agents.core.types import Usage
from ai_agents.store import model_calls
from ai_agents.store.model_calls import CallRecord
from ai_agents.store.provider_tables import ModelCallTable
from ai_agents.testing import ScriptedProvider
from app.settings import Settings
from tests.api.service import Service, check_problem, make_agent, make_thread, open_service, settings_for

# The scripted provider reports 10 tokens in and 5 out: 20 millionths of a dollar.
PRICES = json.dumps({"scripted:": {"input": 1, "output": "2"}})


@pytest.fixture
async def priced(database_url: str, tmp_path: Path) -> AsyncIterator[Service]:
    """A service with a scripted provider that has a price."""
    async with open_service(settings_for(database_url, tmp_path, prices=PRICES)) as opened:
        opened.container.providers.add(ScriptedProvider())
        yield opened


async def talk(client: httpx.AsyncClient, *, messages: int = 1, **agent: Any) -> dict[str, Any]:
    """Let an agent of the client's user answer this many messages; the thread."""
    made = await make_agent(client, provider="scripted", **agent)
    thread = await make_thread(client, made["id"])
    for _ in range(messages):
        response = await client.post(f"/threads/{thread['id']}/messages", json={"content": "Hello!"})
        assert response.status_code == 201, response.text
    return thread


async def usage(client: httpx.AsyncClient, **query: str) -> list[dict[str, Any]]:
    response = await client.get("/usage", params=query)
    assert response.status_code == 200, response.text
    page: dict[str, Any] = response.json()
    assert page["next"] is None
    data: list[dict[str, Any]] = page["data"]
    return data


async def note(service: Service, **facts: Any) -> None:
    """Record a call as if it had been made at this time."""
    row = {
        "id": new_id(),
        "provider": "scripted",
        "model": "old",
        "input_tokens": 1,
        "output_tokens": 1,
        "estimated": False,
        "cost_pico_usd": 10**12,
        "outcome": "completed",
        "user_id": "alice",
    }
    await service.container.conn.database.write(lambda c: c.execute(insert(ModelCallTable), row | facts).close())


async def test_one_sees_what_ones_own_runs_used_and_an_admin_what_all_did(priced: Service) -> None:
    alice, bob, admin = await priced.user("alice"), await priced.user("bob"), await priced.admin()
    await talk(alice, messages=2)
    await talk(bob)

    [mine] = await usage(alice)
    assert mine == {
        "calls": 2,
        "usage": Usage(input_tokens=20, output_tokens=10).to_dict(),
        "cost": {"currency": "USD", "amount": "0.00004"},
        "unpriced_calls": 0,
    }
    [everybodys] = await usage(admin)
    assert (everybodys["calls"], everybodys["cost"]["amount"]) == (3, "0.00006")
    assert [(each["user_id"], each["calls"]) for each in await usage(admin, group_by="user")] == [
        ("alice", 2),
        ("bob", 1),
    ]
    assert [each["user_id"] for each in await usage(bob, group_by="user")] == ["bob"]


async def test_sums_are_parted_by_agent_model_and_day(priced: Service) -> None:
    alice = await priced.user("alice")
    one = await talk(alice, model="small")
    other = await talk(alice, model="large", messages=2)
    today = datetime.now(UTC).date().isoformat()

    by_agent = {each["agent_id"]: each["calls"] for each in await usage(alice, group_by="agent")}
    assert by_agent == {one["agent_id"]: 1, other["agent_id"]: 2}
    assert [
        (each["provider"], each["model"], each["day"], each["calls"])
        for each in await usage(alice, group_by="model,day")
    ] == [("scripted", "large", today, 2), ("scripted", "small", today, 1)]


async def test_a_time_begins_with_from_and_ends_before_to(priced: Service) -> None:
    alice = await priced.user("alice")
    for created_at in ("2026-01-31T23:59:59.999999Z", "2026-02-01T00:00:00.000000Z", "2026-02-02T00:00:00.000000Z"):
        await note(priced, created_at=created_at)

    days = await usage(alice, group_by="day", **{"from": "2026-02-01", "to": "2026-02-02"})
    assert [(each["day"], each["calls"]) for each in days] == [("2026-02-01", 1)]
    exact = {"from": "2026-02-01T00:59:59.999999+01:00", "to": "2026-02-01T00:00:00.000001Z"}
    assert [each["day"] for each in await usage(alice, group_by="day", **exact)] == ["2026-01-31", "2026-02-01"]


async def test_without_a_time_it_is_the_last_thirty_days(priced: Service) -> None:
    alice, now = await priced.user("alice"), datetime.now(UTC)
    for days in (29, 31):
        await note(priced, created_at=format_time(now - timedelta(days=days)))

    assert [each["calls"] for each in await usage(alice)] == [1]


async def test_calls_without_a_price_are_counted_apart_and_estimates_are_flagged(priced: Service) -> None:
    alice, now = await priced.user("alice"), format_time(datetime.now(UTC))
    await note(priced, created_at=now, model="a")
    await note(priced, created_at=now, model="a", cost_pico_usd=None, estimated=True)
    await note(priced, created_at=now, model="b", cost_pico_usd=None)

    known, unknown = await usage(alice, group_by="model")
    assert known["cost"] == {"currency": "USD", "amount": "1", "estimated": True}
    assert (known["unpriced_calls"], known["usage"]["estimated"]) == (1, True)
    assert (unknown["cost"], unknown["unpriced_calls"]) == (None, 1)
    assert "estimated" not in unknown["usage"]


async def test_where_nothing_was_used_the_one_sum_is_of_nothing(priced: Service) -> None:
    bob = await priced.user("bob")

    assert [(each["calls"], each["cost"]) for each in await usage(bob)] == [(0, None)]
    assert await usage(bob, group_by="model") == []


async def test_sums_come_in_pages(priced: Service) -> None:
    alice, now = await priced.user("alice"), format_time(datetime.now(UTC))
    for number in range(5):
        await note(priced, created_at=now, model=f"model-{number}")

    seen: list[str] = []
    after = None
    while after is not None or not seen:
        query = {"group_by": "model", "limit": "2"} | ({"after": after} if after else {})
        page = (await alice.get("/usage", params=query)).json()
        assert len(page["data"]) <= 2
        seen += [each["model"] for each in page["data"]]
        after = page["next"]

    assert seen == [f"model-{number}" for number in range(5)]
    check_problem(await alice.get("/usage", params={"group_by": "model", "after": "x"}), 400, "invalid_cursor")


async def test_a_deleted_thread_keeps_its_costs(priced: Service) -> None:
    alice = await priced.user("alice")
    thread = await talk(alice)
    assert (await alice.delete(f"/threads/{thread['id']}")).status_code == 204

    assert [each["calls"] for each in await usage(alice)] == [1]


async def test_what_the_service_does_by_itself_counts_for_no_user(priced: Service) -> None:
    call = CallRecord("scripted", "scripted", Usage(input_tokens=1, output_tokens=1), None, "completed")
    nobodys = {"run_id": None, "thread_id": None, "agent_id": None, "user_id": None}
    await priced.container.conn.database.write(lambda c: model_calls.insert_call(c, call, **nobodys))

    assert [each["user_id"] for each in await usage(await priced.admin(), group_by="user")] == [None]
    assert await usage(await priced.user("alice"), group_by="user") == []


@pytest.mark.parametrize(
    "query, name",
    [
        ({"group_by": "thread"}, "group_by"),
        ({"group_by": "model,"}, "group_by"),
        ({"from": "yesterday"}, "from"),
        ({"from": "2026-02-30"}, "from"),
        ({"from": "2026-02-01T00:00:00"}, "from"),
        ({"to": "9999-12-31T23:59:59-23:00"}, "to"),
        ({"from": "2026-02-02", "to": "2026-02-01"}, "from"),
        ({"from": "2025-01-01", "to": "2026-02-01"}, "from"),
        ({"to": "0001-01-01", "from": "0001-01-02"}, "from"),
        ({"limit": "0"}, "limit"),
    ],
)
async def test_a_bad_parameter_is_named(shared_service: Service, query: dict[str, str], name: str) -> None:
    alice = await shared_service.user("alice")

    problem = check_problem(await alice.get("/usage", params=query), 422, "invalid_request")

    assert problem["errors"][0]["loc"] == ["query", name]


async def test_it_takes_a_key_and_any_time_that_there_is(shared_service: Service) -> None:
    check_problem(await (await shared_service.anonymous()).get("/usage"), 401, "unauthorized")
    alice = await shared_service.user("alice")
    assert (await alice.get("/usage", params={"to": "0001-01-02"})).status_code == 200
    assert (await alice.get("/usage", params={"from": "9999-01-01", "to": "9999-12-31"})).status_code == 200


def test_prices_are_set_as_json_or_as_a_file(tmp_path: Path) -> None:
    as_json, as_toml = tmp_path / "prices.json", tmp_path / "prices.toml"
    as_json.write_text(PRICES)
    as_toml.write_text('["scripted:"]\ninput = 1\noutput = "2"\n')

    found = [Settings(prices=given).model_facts for given in (PRICES, str(as_json), str(as_toml))]

    assert found[0] == found[1] == found[2]
    assert set(found[0]) == {"scripted:"}
    assert Settings(prices=None).model_facts == {}


@pytest.mark.parametrize("given", ["{", '{"a:b": {"input": -1, "output": 1}}', "/no/such/file.json", "[]"])
def test_prices_that_cannot_be_read_are_refused_at_the_start(given: str) -> None:
    with pytest.raises(ValidationError, match="prices"):
        Settings(prices=given)


async def test_the_share_of_caches_is_that_of_calls_which_tell_it(priced: Service) -> None:
    alice, now = await priced.user("alice"), format_time(datetime.now(UTC))
    await note(priced, created_at=now, model="a", input_tokens=1_000, cached_input_tokens=900)
    await note(priced, created_at=now, model="a", input_tokens=1_000, cached_input_tokens=0)
    await note(priced, created_at=now, model="a", input_tokens=5_000)
    await note(priced, created_at=now, model="b", input_tokens=5_000)
    await note(priced, created_at=now, model="c", input_tokens=3, cached_input_tokens=0)

    one, other, none = await usage(alice, group_by="model")
    assert (one["usage"]["input_tokens"], one["usage"]["cached_input_tokens"], one["cached_share"]) == (
        7_000,
        900,
        0.45,
    )
    assert "cached_share" not in other
    assert none["cached_share"] == 0
