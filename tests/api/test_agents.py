"""Agents: creating them, their versions, and who may change them."""

from datetime import datetime
from pathlib import Path

import httpx
import pytest

from ai_agents.core.exceptions import InvalidRequest
from ai_agents.core.parts import text_of
from ai_agents.memory.base import HistoryReader, MemoryStrategy, Window
from ai_agents.memory.registry import register_memory_strategy
from ai_agents.testing import ScriptedProvider
from tests.api.service import Service, check_problem, give_role, make_agent, make_thread, open_service, settings_for

FULL = {
    "name": "Full",
    "description": "Has it all.",
    "system_prompt": "Be brief.\nBe kind.",
    "provider": "echo",
    "model": "echo",
    "settings": {"temperature": 0.5, "max_tokens": 100, "stop": ["END"], "reasoning": "low", "tool_rounds": 3},
    "tools": ["calculator"],
    "memory": {"strategy": "first_last", "first": 2, "last": 10},
    "guardrails": [],
    "fallbacks": [{"provider": "ollama", "model": "llama3.1"}],
    "output_schema": {"type": "object", "properties": {"ü": {"type": "string"}}, "required": ["ü"]},
    "budget": {"tokens_per_day": 100_000, "cost_per_day": 0.5},
    "metadata": {"team": "blue", "nested": {"ü": [1, 2.5, None, True]}},
}


async def test_only_a_name_is_needed(service: Service) -> None:
    alice = await service.user("alice")

    response = await alice.post("/agents", json={"name": "assistant"})

    agent = response.json()
    assert response.status_code == 201
    assert response.headers["location"] == f"/agents/{agent['id']}"
    assert response.headers["etag"] == '"1"'
    assert set(agent) == {"id", *FULL, "version", "created_at", "updated_at", "role"}
    assert agent["version"] == 1
    assert agent["created_at"].endswith("Z")
    assert datetime.fromisoformat(agent["created_at"]).utcoffset() is not None
    assert (await alice.get(response.headers["location"])).json() == agent


async def test_every_field_is_kept_as_it_was_sent(service: Service) -> None:
    alice = await service.user("alice")

    agent = (await alice.post("/agents", json=FULL)).json()

    assert {name: agent[name] for name in FULL} == FULL


@pytest.mark.parametrize(
    "memory",
    [
        {"strategy": "last_n", "n": 20},
        {"strategy": "last_n", "n": 20, "step": 1},
        {"strategy": "last_n", "n": 20, "step": 10},
        {"strategy": "first_last", "first": 2, "last": 10},
        {"strategy": "first_last", "first": 2, "last": 10, "step": 5},
        {"strategy": "summarize", "recent": 10},
        {"strategy": "token_window", "max_tokens": 100000},
    ],
)
async def test_each_memory_strategy_is_taken(shared_service: Service, memory: dict[str, object]) -> None:
    alice = await shared_service.user("alice")

    assert (await make_agent(alice, memory=memory))["memory"] == memory


async def test_a_change_makes_a_version_and_no_change_makes_none(service: Service) -> None:
    alice = await service.user("alice")
    agent = await make_agent(alice, description="Old.")

    changed = await alice.patch(f"/agents/{agent['id']}", json={"description": None, "tools": ["calculator"]})
    same = await alice.patch(f"/agents/{agent['id']}", json={"tools": ["calculator"]})
    empty = await alice.patch(f"/agents/{agent['id']}", json={})

    assert (changed.json()["version"], changed.json()["description"]) == (2, None)
    assert changed.headers["etag"] == '"2"'
    assert same.json() == empty.json() == changed.json()
    versions = (await alice.get(f"/agents/{agent['id']}/versions")).json()["data"]
    assert [(each["version"], each["description"]) for each in versions] == [(2, None), (1, "Old.")]


async def test_a_stale_precondition_changes_nothing(service: Service) -> None:
    alice = await service.user("alice")
    agent = await make_agent(alice)
    path = f"/agents/{agent['id']}"
    await alice.patch(path, json={"name": "second"}, headers={"if-match": '"1"'})

    for tag in ('"1"', "garbage", 'W/"2"', '"1", "3"'):
        check_problem(
            await alice.patch(path, json={"name": "third"}, headers={"if-match": tag}), 412, "precondition_failed"
        )
        check_problem(await alice.delete(path, headers={"if-match": tag}), 412, "precondition_failed")
    assert (await alice.get(path)).json()["name"] == "second"
    for tag in ('"2"', '"9", "3"', "*"):
        assert (await alice.patch(path, json={"name": tag}, headers={"if-match": tag})).status_code == 200


async def test_roles_decide_what_may_be_done_with_an_agent(service: Service) -> None:
    alice, bob = await service.user("alice"), await service.user("bob")
    agent = await make_agent(alice)
    path = f"/agents/{agent['id']}"
    expected = {"user": (403, 403), "viewer": (403, 403), "editor": (200, 403), "owner": (200, 204)}

    for role, (change, delete) in expected.items():
        await give_role(alice, "bob", role, "agent", agent["id"])
        assert (await bob.get(path)).status_code == 200
        assert (await bob.patch(path, json={"description": role})).status_code == change
        assert (await bob.delete(path)).status_code == delete


async def test_users_who_may_only_talk_to_an_agent_see_its_name(service: Service) -> None:
    alice, bob = await service.user("alice"), await service.user("bob")
    agent = await make_agent(alice, **(FULL | {"guardrails": [{"type": "blocklist", "patterns": ["secret"]}]}))
    path, card = f"/agents/{agent['id']}", {name: agent[name] for name in ("id", "name", "description")}
    card["role"] = "user"
    await give_role(alice, "bob", "user", "agent", agent["id"])

    seen = await bob.get(path)

    assert seen.json() == card
    assert "etag" not in seen.headers
    assert (await bob.get("/agents")).json()["data"] == [card]
    check_problem(await bob.get(f"{path}/versions"), 403, "forbidden")
    check_problem(await bob.patch(path, json={"provider": "ollama"}), 403, "forbidden")
    check_problem(
        await bob.get("/roles", params={"resource_type": "agent", "resource_id": agent["id"]}), 403, "forbidden"
    )
    thread = await make_thread(bob, agent["id"])
    context = (await bob.get(f"/threads/{thread['id']}/context")).json()
    assert (context["system"], context["tools"]) == (None, None)
    await give_role(alice, "bob", "viewer", "agent", agent["id"])
    assert (await bob.get(path)).json() == agent | {"role": "viewer"}
    assert [each | {"role": "owner"} for each in (await bob.get(f"{path}/versions")).json()["data"]] == [agent]


async def test_a_list_has_agents_in_short(service: Service) -> None:
    alice, admin = await service.user("alice"), await service.admin()
    agent = await make_agent(alice, **FULL)
    short = {
        name: agent[name]
        for name in (
            "id",
            "name",
            "description",
            "provider",
            "model",
            "metadata",
            "version",
            "created_at",
            "updated_at",
        )
    }

    for user, role in ((alice, "owner"), (admin, None)):
        assert short | {"role": role} in (await user.get("/agents")).json()["data"]


async def test_a_deleted_agent_is_gone_and_its_threads_stay(service: Service) -> None:
    alice = await service.user("alice")
    thread = await make_thread(alice, messages=[{"role": "user", "content": "Hi"}])
    path = f"/agents/{thread['agent_id']}"

    assert (await alice.delete(path)).status_code == 204

    for response in (await alice.get(path), await alice.delete(path), await alice.get(f"{path}/versions")):
        check_problem(response, 404, "not_found")
    assert (await alice.get("/agents")).json()["data"] == []
    assert len((await alice.get(f"/threads/{thread['id']}/messages")).json()["data"]) == 1
    check_problem(await alice.post("/threads", json={"agent_id": thread["agent_id"]}), 404, "not_found")


async def test_agents_are_listed_newest_first_in_pages(service: Service) -> None:
    alice, bob = await service.user("alice"), await service.user("bob")
    made = [(await make_agent(alice, name=f"{number}"))["id"] for number in range(5)]
    await make_agent(bob)

    found: list[str] = []
    query: dict[str, str | int] = {"limit": 2}
    while True:
        page = (await alice.get("/agents", params=query)).json()
        found += [agent["id"] for agent in page["data"]]
        if page["next"] is None:
            break
        query["after"] = page["next"]

    assert found == made[::-1]


async def test_the_same_request_twice_makes_one_agent(service: Service) -> None:
    alice, bob = await service.user("alice"), await service.user("bob")
    key = {"idempotency-key": "once"}

    first = await alice.post("/agents", json={"name": "a", "description": "b"}, headers=key)
    again = await alice.post("/agents", json={"description": "b", "name": "a"}, headers=key)
    another = await alice.post("/agents", json={"name": "c"}, headers=key)
    of_bob = await bob.post("/agents", json={"name": "c"}, headers=key)

    assert again.json() == first.json()
    assert (again.status_code, again.headers["location"]) == (201, first.headers["location"])
    check_problem(another, 422, "idempotency_key_reused")
    assert of_bob.status_code == 201
    assert len((await alice.get("/agents")).json()["data"]) == 1


async def test_a_refused_request_leaves_its_key_unused(service: Service) -> None:
    alice = await service.user("alice")
    key = {"idempotency-key": "once"}

    check_problem(await alice.post("/agents", json={"name": ""}, headers=key), 422, "invalid_request")

    assert (await alice.post("/agents", json={"name": "a"}, headers=key)).status_code == 201


class _Newest(MemoryStrategy):
    """Only the newest question."""

    name = "newest"

    def __init__(self, *, count: int = 1) -> None:
        if count < 1:
            raise InvalidRequest("count is at least 1.", loc=("memory", "count"))
        self.count = count

    def window(self, history: HistoryReader) -> Window:
        return Window(tuple(message for message in history.latest(self.count) if message.role == "user"))


@pytest.mark.usefixtures("own_registries")
async def test_a_registered_strategy_is_found_by_its_name(service: Service, alice: httpx.AsyncClient) -> None:
    register_memory_strategy("newest", _Newest)
    provider = ScriptedProvider("One.", "Two.")
    service.container.providers.add(provider)

    agent = await make_agent(alice, provider="scripted", memory={"strategy": "newest", "count": 1})
    assert agent["memory"] == {"strategy": "newest", "count": 1}
    thread = await make_thread(alice, agent["id"])
    for text in ("first", "second"):
        assert (await alice.post(f"/threads/{thread['id']}/messages", json={"content": text})).status_code == 201

    assert [[text_of(message.parts) for message in request.messages] for request in provider.requests] == [
        ["first"],
        ["second"],
    ]
    context = (await alice.get(f"/threads/{thread['id']}/context?strategy=newest")).json()
    assert context["strategy"] == "newest"

    for memory in ({"strategy": "newest", "count": 0}, {"strategy": "newest", "size": 1}, {"strategy": "oldest"}):
        response = await alice.post("/agents", json={"name": "x", "memory": memory})
        problem = check_problem(response, 422, "invalid_request")
        assert problem["errors"][0]["loc"][:2] == ["body", "memory"]


async def test_a_model_that_its_provider_certainly_does_not_have_is_refused(sqlite_url: str, tmp_path: Path) -> None:
    """In silence the stand-in would answer in its place. A server of one's own may call its models anything."""
    keys = {"anthropic_api_key": "key", "default_model": "echo:echo"}
    async with open_service(settings_for(sqlite_url, tmp_path, **keys)) as service:
        alice, admin = await service.user("alice"), await service.admin()
        own = {"name": "own", "type": "openai", "base_url": "http://127.0.0.1:9/v1", "api_key": "key"}
        assert (await admin.post("/providers", json=own)).status_code == 201
        for body in (
            {"model": "gpt-4o"},
            {"provider": "echo", "model": "gpt-4o"},
            {"provider": "anthropic", "model": "o3"},
        ):
            problem = check_problem(await alice.post("/agents", json={"name": "a"} | body), 422, "invalid_request")
            assert problem["errors"][0]["loc"] == ["body", "model"]
            assert body["model"] in problem["errors"][0]["msg"]
        for body in ({"provider": "own", "model": "claude-3"}, {"provider": "anthropic", "model": "claude-next"}):
            made = await make_agent(alice, **body)
            assert (await alice.patch(f"/agents/{made['id']}", json={"model": body["model"] + "-1"})).status_code == 200
            of_default = await alice.patch(f"/agents/{made['id']}", json={"provider": None})
            check_problem(of_default, 422, "invalid_request")


async def test_an_agent_whose_model_lost_its_provider_is_not_answered_by_the_stand_in(small_service: Service) -> None:
    alice = await small_service.user("alice")
    agent = await small_service.container.agents.create("a", model="gpt-4o", owner_id="alice")
    thread = await make_thread(alice, agent["id"])

    response = await alice.post(f"/threads/{thread['id']}/messages", json={"content": "Hi"})

    assert "gpt-4o" in check_problem(response, 503, "provider_not_configured")["detail"]
