"""Agents: their fields, their versions, and who sees them in a list."""

import asyncio
from typing import Any

import pytest

from ai_agents.auth.roles import RoleAuth
from ai_agents.core.exceptions import AgentNotFound, InvalidCursor, InvalidRequest, PreconditionFailed
from ai_agents.core.ids import is_id, new_id
from ai_agents.core.rows import AgentChanges
from ai_agents.store.agents import UncheckedAgents
from ai_agents.store.database import Database
from ai_agents.store.roles import RoleStore
from ai_agents.store.threads import ThreadStore


async def test_a_name_is_enough_and_the_rest_is_empty(agents: UncheckedAgents) -> None:
    agent = await agents.create("assistant")
    assert is_id(agent["id"])
    assert list(agent.items()) == [
        ("id", agent["id"]),
        ("name", "assistant"),
        ("description", None),
        ("system_prompt", None),
        ("provider", None),
        ("model", None),
        ("settings", {}),
        ("tools", []),
        ("memory", None),
        ("guardrails", []),
        ("fallbacks", []),
        ("output_schema", None),
        ("budget", None),
        ("metadata", {}),
        ("version", 1),
        ("created_at", agent["created_at"]),
        ("updated_at", agent["created_at"]),
    ]
    assert await agents.get(agent["id"]) == agent
    assert await agents.find(agent["id"]) == agent


async def test_every_field_is_kept_as_it_was_given(agents: UncheckedAgents) -> None:
    fields: dict[str, Any] = {
        "description": "helps",
        "system_prompt": "Be brief.",
        "provider": "anthropic",
        "model": "claude",
        "settings": {"temperature": 0.5, "stop": ["x"]},
        "tools": ["calculator", {"name": "mail", "approval": "always"}],
        "memory": {"strategy": "last_n", "n": 20},
        "guardrails": [{"type": "pii", "kinds": ["email"], "stage": "input", "action": "block"}],
        "fallbacks": [{"provider": "openai", "model": "gpt"}],
        "output_schema": {"type": "object"},
        "metadata": {"z": 1, "a": [True, None]},
    }
    agent = await agents.create("a", **fields)
    assert {name: value for name, value in agent.items() if name in fields} == fields
    assert await agents.get(agent["id"]) == agent


async def test_an_agent_without_a_name_or_with_what_is_not_json_is_refused(agents: UncheckedAgents) -> None:
    for fields in ({"name": ""}, {"name": "  "}, {"name": "a", "metadata": {"x": 2**70}}):
        with pytest.raises(InvalidRequest):
            await agents.create(**fields)
    assert (await agents.list())["data"] == []


async def test_a_change_makes_the_next_version_and_leaves_the_old_one_as_it_was(agents: UncheckedAgents) -> None:
    first = await agents.create("a", tools=["calculator"])
    second = await agents.update(first["id"], {"name": "b", "metadata": {"n": 1}})
    assert second == {
        **first,
        "name": "b",
        "metadata": {"n": 1},
        "version": 2,
        "updated_at": second["updated_at"],
    }
    assert second["updated_at"] > first["updated_at"]
    assert await agents.get(first["id"]) == second
    assert await agents.get_version(first["id"], 1) == first
    assert await agents.get_version(first["id"], 2) == second
    assert await agents.list_versions(first["id"]) == {"data": [second, first], "next": None}


async def test_a_change_that_changes_nothing_makes_no_version(agents: UncheckedAgents) -> None:
    agent = await agents.create("a", metadata={"x": 1, "y": 2})
    changes: tuple[AgentChanges, ...] = ({}, {"name": "a"}, {"metadata": {"y": 2, "x": 1}}, {"description": None})
    for change in changes:
        assert await agents.update(agent["id"], change) == agent
    assert len((await agents.list_versions(agent["id"]))["data"]) == 1


async def test_what_python_takes_for_equal_but_json_does_not_is_a_change(agents: UncheckedAgents) -> None:
    agent = await agents.create("a", metadata={"x": 1})
    assert (await agents.update(agent["id"], {"metadata": {"x": True}}))["version"] == 2


async def test_what_an_agent_cannot_become_is_refused(agents: UncheckedAgents) -> None:
    agent = await agents.create("a")
    changes: tuple[Any, ...] = ({"id": "x"}, {"version": 7}, {"name": ""}, {"name": None})
    for change in changes:
        with pytest.raises(InvalidRequest):
            await agents.update(agent["id"], change)
    assert await agents.get(agent["id"]) == agent


async def test_a_change_of_another_version_than_the_expected_is_refused(agents: UncheckedAgents) -> None:
    agent = await agents.create("a")
    await agents.update(agent["id"], {"name": "b"}, expected_version=1)
    with pytest.raises(PreconditionFailed):
        await agents.update(agent["id"], {"name": "c"}, expected_version=1)
    assert (await agents.get(agent["id"]))["name"] == "b"


async def test_changes_at_once_each_make_a_version_and_lose_nothing(agents: UncheckedAgents) -> None:
    agent = await agents.create("a")
    names = ["description", "system_prompt", "provider", "model"]
    changes: list[Any] = [{name: name} for name in names]
    await asyncio.gather(*(agents.update(agent["id"], change) for change in changes))
    now = await agents.get(agent["id"])
    assert now["version"] == 5
    assert [now["description"], now["system_prompt"], now["provider"], now["model"]] == names
    versions = (await agents.list_versions(agent["id"]))["data"]
    assert [version["version"] for version in versions] == [5, 4, 3, 2, 1]


async def test_of_several_changes_that_expect_one_version_one_succeeds(agents: UncheckedAgents) -> None:
    agent = await agents.create("a")
    changes = (agents.update(agent["id"], {"name": f"n{n}"}, expected_version=1) for n in range(5))
    results = await asyncio.gather(*changes, return_exceptions=True)
    assert sum(isinstance(result, PreconditionFailed) for result in results) == 4
    assert (await agents.get(agent["id"]))["version"] == 2


async def test_a_deleted_agent_is_gone_but_its_versions_can_be_read(
    agents: UncheckedAgents, threads: ThreadStore
) -> None:
    agent = await agents.create("a")
    thread = await threads.create(agent["id"])
    await agents.delete(agent["id"])
    for attempt in (
        agents.get(agent["id"]),
        agents.update(agent["id"], {"name": "b"}),
        agents.delete(agent["id"]),
        agents.list_versions(agent["id"]),
        threads.create(agent["id"]),
    ):
        with pytest.raises(AgentNotFound):
            await attempt
    assert await agents.find(agent["id"]) is None
    assert (await agents.list())["data"] == (await agents.list("anybody"))["data"] == []
    assert await agents.get_version(agent["id"], 1) == agent
    assert await threads.get(thread["id"]) == thread


async def test_an_agent_that_never_was_is_not_found(agents: UncheckedAgents) -> None:
    for absent in (new_id(), "nonsense", ""):
        for attempt in (
            agents.get(absent),
            agents.update(absent, {}),
            agents.delete(absent),
            agents.get_version(absent, 1),
        ):
            with pytest.raises(AgentNotFound):
                await attempt
        assert await agents.find(absent) is None


async def test_a_list_has_the_agents_on_which_the_user_has_a_role(agents: UncheckedAgents, database: Database) -> None:
    mine = await agents.create("mine", owner_id="ann")
    hers = await agents.create("hers", owner_id="bea")
    free = await agents.create("free")
    both = await agents.create("both", owner_id="ann")
    await RoleStore(database).assign("*", "viewer", "agent", both["id"])
    quiet = await agents.create("quiet", owner_id="dan")
    await RoleStore(database).assign("*", "viewer", "agent", quiet["id"], listed=False)
    assert [agent["name"] for agent in (await agents.list("bea", shared=True))["data"]] == [
        "quiet",
        "both",
        "free",
        "hers",
    ]
    await agents.delete(quiet["id"])
    assert await _names(agents, None) == ["both", "free", "hers", "mine"]
    assert await _names(agents, "ann") == ["both", "free", "mine"]
    assert await _names(agents, "bea") == ["both", "free", "hers"]
    assert await _names(agents, "*") == ["both", "free"]
    await agents.delete(free["id"])
    assert await _names(agents, "ann") == ["both", "mine"]
    assert mine["id"] < hers["id"] < free["id"] < both["id"]


async def test_a_list_has_agents_in_short_and_less_of_those_one_may_only_talk_to(
    agents: UncheckedAgents, database: Database
) -> None:
    facts: dict[str, Any] = {"description": "Adds.", "provider": "openai", "model": None, "metadata": {"a": 1}}
    made = await agents.create("sums", system_prompt="Secret.", tools=["calculator"], owner_id="ann", **facts)
    times = {name: made[name] for name in ("version", "created_at", "updated_at")}
    whole = {"id": made["id"], "name": "sums", **facts, **times}
    card = {"id": made["id"], "name": "sums", "description": "Adds."}
    roles = RoleStore(database)
    for role, shown in (("user", card), ("viewer", whole), ("editor", whole)):
        await roles.assign("bea", role, "agent", made["id"])
        assert (await agents.list("bea"))["data"] == [shown]
    assert (await agents.list("ann"))["data"] == (await agents.list())["data"] == [whole]
    await roles.assign("*", "viewer", "agent", made["id"])
    await roles.assign("bea", "user", "agent", made["id"])
    assert (await agents.list("bea"))["data"] == [whole]


async def test_an_agent_without_an_owner_is_for_everybody_to_talk_to(
    agents: UncheckedAgents, database: Database
) -> None:
    made = await agents.create("free")
    assert await RoleAuth(database).role_of("eve", "agent", made["id"]) == "user"


async def test_pages_follow_one_another_without_gap_or_repetition(agents: UncheckedAgents) -> None:
    for user_id in (None, "ann"):
        made = [await agents.create(f"a{n}", owner_id="ann" if n % 2 else None) for n in range(7)]
        seen: list[str] = []
        after: str | None = None
        while len(seen) < 7:
            page = await agents.list(user_id, limit=3, after=after)
            seen += [agent["id"] for agent in page["data"]]
            after = page["next"]
            await agents.create("newer", owner_id="ann")  # newer than the first page, so on no later page
        assert seen[:7] == [agent["id"] for agent in reversed(made)]


async def test_versions_come_in_pages(agents: UncheckedAgents) -> None:
    agent = await agents.create("a")
    for n in range(4):
        await agents.update(agent["id"], {"name": f"a{n}"})
    page = await agents.list_versions(agent["id"], limit=3)
    assert [version["version"] for version in page["data"]] == [5, 4, 3]
    page = await agents.list_versions(agent["id"], limit=3, after=page["next"])
    assert [version["version"] for version in page["data"]] == [2, 1]
    assert page["next"] is None


async def test_an_unknown_cursor_is_refused(agents: UncheckedAgents, agent_id: str) -> None:
    for attempt in (
        agents.list(after="nonsense"),
        agents.list("ann", after="nonsense"),
        agents.list_versions(agent_id, after="nonsense"),
    ):
        with pytest.raises(InvalidCursor):
            await attempt


async def _names(agents: UncheckedAgents, user_id: str | None) -> list[str]:
    return [agent["name"] for agent in (await agents.list(user_id))["data"]]
