"""Rows of roles: one per user and resource, and a resource keeps an owner once it has one."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import event

from ai_agents.agents import AgentStore
from ai_agents.core.exceptions import (
    AgentNotFound,
    InvalidCursor,
    InvalidRequest,
    LastOwner,
    NotFound,
    RoleNotFound,
    ThreadNotFound,
)
from ai_agents.core.ids import is_id, new_id
from ai_agents.store import roles, thread_access
from ai_agents.store.database import Database
from ai_agents.store.roles import RoleStore
from ai_agents.store.thread_access import ThreadAccess
from ai_agents.store.threads import ThreadStore


@pytest.fixture
def store(database: Database) -> RoleStore:
    """The roles of the database."""
    return RoleStore(database)


async def test_a_role_is_given_found_and_taken_away(store: RoleStore, thread_id: str) -> None:
    role = await store.assign("ann", "owner", "thread", thread_id)
    assert is_id(role["id"])
    assert list(role.items()) == [
        ("id", role["id"]),
        ("user_id", "ann"),
        ("role", "owner"),
        ("resource_type", "thread"),
        ("resource_id", thread_id),
        ("created_at", role["created_at"]),
    ]
    assert await store.get(role["id"]) == role
    viewer = await store.assign("*", "viewer", "thread", thread_id)
    assert await store.list("thread", thread_id) == {"data": [viewer, role], "next": None}
    assert await store.remove(viewer["id"]) == viewer
    assert (await store.list("thread", thread_id))["data"] == [role]
    for attempt in (store.remove(viewer["id"]), store.get(viewer["id"]), store.remove("nonsense")):
        with pytest.raises(RoleNotFound):
            await attempt


async def test_a_second_role_replaces_the_first(store: RoleStore, thread_id: str) -> None:
    first = await store.assign("ann", "viewer", "thread", thread_id)
    second = await store.assign("ann", "editor", "thread", thread_id)
    assert second == {**first, "role": "editor"}
    assert (await store.list("thread", thread_id))["data"] == [second]


async def test_a_bad_role_is_refused(store: RoleStore, agents: AgentStore, agent_id: str, thread_id: str) -> None:
    deleted = (await agents.create("gone"))["id"]
    await agents.delete(deleted)
    refused: list[tuple[str, str, str, str, type[Exception]]] = [
        ("ann", "admin", "thread", thread_id, InvalidRequest),
        ("ann", "", "thread", thread_id, InvalidRequest),
        ("", "viewer", "thread", thread_id, InvalidRequest),
        ("ann", "viewer", "file", thread_id, InvalidRequest),
        ("*", "owner", "thread", thread_id, InvalidRequest),
        ("ann", "viewer", "thread", agent_id, ThreadNotFound),
        ("ann", "viewer", "agent", thread_id, AgentNotFound),
        ("ann", "viewer", "agent", deleted, AgentNotFound),
        ("ann", "viewer", "thread", "nonsense", ThreadNotFound),
    ]
    for user_id, role, resource_type, resource_id, error in refused:
        with pytest.raises(error):
            await store.assign(user_id, role, resource_type, resource_id)
    assert (await store.list("thread", thread_id))["data"] == []


async def test_the_last_owner_can_be_neither_removed_nor_demoted(store: RoleStore, thread_id: str) -> None:
    ann = await store.assign("ann", "owner", "thread", thread_id)
    await store.assign("bea", "editor", "thread", thread_id)
    for attempt in (store.remove(ann["id"]), store.assign("ann", "viewer", "thread", thread_id)):
        with pytest.raises(LastOwner):
            await attempt
    assert await store.get(ann["id"]) == ann
    assert await store.assign("ann", "owner", "thread", thread_id) == ann
    bea = await store.assign("bea", "owner", "thread", thread_id)
    assert (await store.assign("ann", "viewer", "thread", thread_id))["role"] == "viewer"
    with pytest.raises(LastOwner):
        await store.remove(bea["id"])


async def test_of_owners_who_all_leave_at_once_one_stays(store: RoleStore, thread_id: str) -> None:
    owners = [await store.assign(f"u{n}", "owner", "thread", thread_id) for n in range(6)]
    leaving: list[Any] = [store.remove(owner["id"]) for owner in owners[:3]]
    leaving += [store.assign(owner["user_id"], "viewer", "thread", thread_id) for owner in owners[3:]]
    results = await asyncio.gather(*leaving, return_exceptions=True)
    assert [type(result) for result in results if isinstance(result, Exception)] == [LastOwner]
    listed = (await store.list("thread", thread_id))["data"]
    assert [role["role"] for role in listed].count("owner") == 1


async def test_one_user_given_roles_at_once_has_one(store: RoleStore, thread_id: str) -> None:
    await asyncio.gather(*(store.assign("ann", role, "thread", thread_id) for role in ("viewer", "editor") * 4))
    assert len((await store.list("thread", thread_id))["data"]) == 1


async def test_roles_come_in_pages(store: RoleStore, thread_id: str) -> None:
    made = [await store.assign(f"u{n}", "viewer", "thread", thread_id) for n in range(5)]
    page = await store.list("thread", thread_id, limit=3)
    rest = await store.list("thread", thread_id, limit=3, after=page["next"])
    assert page["data"] + rest["data"] == made[::-1]
    assert rest["next"] is None
    with pytest.raises(InvalidCursor):
        await store.list("thread", thread_id, after="nonsense")


async def test_the_better_role_counts(store: RoleStore, database: Database, agent_id: str, thread_id: str) -> None:
    async def role_of(user_id: str) -> str | None:
        return await database.read(lambda c: roles.get_role(c, user_id, "thread", thread_id))

    assert await role_of("ann") is None
    await store.assign("ann", "viewer", "thread", thread_id)
    assert await role_of("ann") == "viewer"
    await store.assign("*", "editor", "thread", thread_id)
    assert (await role_of("ann"), await role_of("bea")) == ("editor", "editor")
    await store.assign("ann", "owner", "thread", thread_id)
    assert (await role_of("ann"), await role_of("bea")) == ("owner", "editor")
    for resource_type in ("agent", "thread"):
        with pytest.raises(NotFound):
            await database.read(lambda c, t=resource_type: roles.get_role(c, "ann", t, new_id()))  # type: ignore[misc]  # bound now


async def test_access_in_one_go(store: RoleStore, database: Database, agents: AgentStore, threads: ThreadStore) -> None:
    """All that a request needs to know about a user and a thread is one answer."""
    agent_id = (await agents.create("a", owner_id="ann"))["id"]
    thread_id = (await threads.create(agent_id, owner_id="bea"))["id"]

    async def found(user_id: str) -> ThreadAccess | None:
        return await database.read(lambda c: thread_access.find_thread_roles(c, user_id, thread_id))

    assert await found("ann") == ThreadAccess(thread_id, agent_id, 1, False, None, "owner")
    assert await found("bea") == ThreadAccess(thread_id, agent_id, 1, False, "owner", None)
    await store.assign("*", "viewer", "agent", agent_id)
    await agents.update(agent_id, {"name": "b"})
    await agents.delete(agent_id)
    assert await found("bea") == ThreadAccess(thread_id, agent_id, 2, True, "owner", "viewer")
    assert await database.read(lambda c: thread_access.find_thread_roles(c, "ann", new_id())) is None


async def test_that_answer_takes_one_statement_and_only_indexes(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    agent = await AgentStore(database).create("a")
    thread = await ThreadStore(database).create(agent["id"], owner_id="ann")

    def plans(connection: Any) -> list[str]:
        seen: list[tuple[str, Any]] = []
        event.listen(connection, "before_cursor_execute", lambda _c, _k, sql, values, *_: seen.append((sql, values)))
        assert thread_access.find_thread_roles(connection, "ann", thread["id"]) is not None
        ((statement, values),) = seen
        return [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]

    plan = [step for step in await database.read(plans) if "SUBQUERY" not in step]
    assert len(plan) == 6
    assert all(step.startswith("SEARCH") and "USING" in step and "INDEX" in step for step in plan), plan
    await database.close()


async def test_a_list_of_what_a_user_sees_costs_one_page(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    agents, threads = AgentStore(database), ThreadStore(database)
    agent = await agents.create("a")
    steps = []
    for more in (30, 400):
        async with database.transaction():
            for n in range(more):
                await threads.create(agent["id"], owner_id="ann" if n % 2 else "bea")
        page = await threads.list("ann", limit=5)
        ticks = [0]

        def count(connection: Any, ticks: list[int] = ticks, after: str | None = page["next"]) -> None:
            from ai_agents.store.thread_lists import list_threads

            def tick() -> int:
                ticks[0] += 1
                return 0

            driver = connection.connection.driver_connection
            driver.set_progress_handler(tick, 10)
            list_threads(connection, user_id="ann", agent_id=None, limit=5, after=after)
            driver.set_progress_handler(None, 0)

        await database.read(count)
        steps.append(ticks[0])
    assert 0 < steps[1] <= steps[0] + 20
    await database.close()
