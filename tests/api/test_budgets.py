"""Budgets over HTTP: who sets them, how a message is refused, and how a run ends that would pass one."""

from datetime import UTC, datetime
from typing import Any

from ai_agents.testing import ScriptedProvider, tool_call
from tests.api.service import Service, check_problem, give_role, make_agent, make_thread

MEMBERS = ("budget", "limit")


async def test_editors_of_an_agent_set_its_budget_and_a_message_beyond_it_is_refused(small_service: Service) -> None:
    alice, bob = await small_service.user("alice"), await small_service.user("bob")
    agent = await make_agent(alice, provider="echo", budget={"tokens_per_day": 100_000})
    assert agent["budget"] == {"tokens_per_day": 100_000, "cost_per_day": None}
    await give_role(alice, "bob", "viewer", "agent", agent["id"])
    spent = {"budget": {"tokens_per_day": 1, "cost_per_day": 2.5}}
    check_problem(await bob.patch(f"/agents/{agent['id']}", json=spent), 403, "forbidden")
    thread = await make_thread(bob, agent["id"])
    path = f"/threads/{thread['id']}/messages"
    assert (await bob.post(path, json={"content": "Hello!"})).status_code == 201

    changed = await alice.patch(f"/agents/{agent['id']}", json=spent)
    assert changed.json()["budget"] == spent["budget"]
    refused = await bob.post(path, json={"content": "Hello again!"})

    problem = check_problem(refused, 429, "budget_exceeded")
    assert [problem[name] for name in MEMBERS] == ["agent", "tokens_per_day"]
    left_s = (datetime.fromisoformat(problem["resets_at"]) - datetime.now(UTC)).total_seconds()
    assert abs(int(refused.headers["retry-after"]) - left_s) < 60
    assert problem["resets_at"].endswith("T00:00:00.000000Z")
    assert len((await bob.get(path)).json()["data"]) == 2

    for budget in ({"tokens_per_day": -1}, {"cost_per_day": "much"}, {"tokens_per_day": 1.5}, {"days": 1}, 5):
        check_problem(await alice.patch(f"/agents/{agent['id']}", json={"budget": budget}), 422, "invalid_request")
    await alice.patch(f"/agents/{agent['id']}", json={"budget": None})
    assert (await bob.post(path, json={"content": "Hello again!"})).status_code == 201


async def test_a_run_that_would_pass_a_users_budget_fails_with_it(small_service: Service) -> None:
    admin, alice = await small_service.admin(), await small_service.user("alice")
    rounds = [[tool_call("calculator", expression=f"{number}+1")] for number in range(20)]
    small_service.container.providers.add(ScriptedProvider(*rounds))
    agent = await make_agent(
        alice, provider="scripted", tools=["calculator"], settings={"max_tokens": 5, "tool_rounds": 50}
    )
    thread = await make_thread(alice, agent["id"])
    body = {"tokens_per_day": 160}
    assert (await admin.put("/users/alice/limits", json=body)).status_code == 200

    failed = await alice.post(f"/threads/{thread['id']}/messages", json={"content": "Count!"})

    problem = check_problem(failed, 429, "budget_exceeded")
    run = (await alice.get(f"/threads/{thread['id']}/runs/{problem['run_id']}")).json()
    error: dict[str, Any] = run["error"]
    assert run["status"] == "failed"
    for members in (problem, error):
        assert [members[name] for name in MEMBERS] == ["user", "tokens_per_day"]
    assert int(failed.headers["retry-after"]) > 1 or datetime.now(UTC).hour == 23

    bob = await small_service.user("bob")
    small_service.container.providers.add(ScriptedProvider("Hello, Bob."))
    other = await make_thread(bob, (await make_agent(bob, provider="scripted"))["id"])
    assert (await bob.post(f"/threads/{other['id']}/messages", json={"content": "Hello!"})).status_code == 201
    assert (await admin.put("/users/alice/limits", json={})).status_code == 200
    small_service.container.providers.add(ScriptedProvider("Here again."))
    assert (await alice.post(f"/threads/{thread['id']}/messages", json={"content": "Now?"})).status_code == 201
