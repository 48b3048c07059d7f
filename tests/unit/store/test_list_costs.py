"""Lists of those who have very many things: the same pages as of those with few, and as cheap at any depth."""

import random
from collections.abc import Callable
from typing import Any, cast

import pytest
from sqlalchemy import Connection, Table, insert

from ai_agents.core.ids import new_id, utc_now
from ai_agents.core.rows import Page
from ai_agents.store import agents, audit, keys, run_lists, thread_lists
from ai_agents.store.access_tables import ApiKeyTable, RoleAssignmentTable
from ai_agents.store.agents import UncheckedAgents
from ai_agents.store.audit_tables import AuditEntryTable
from ai_agents.store.database import Database
from ai_agents.store.models import AgentTable, RunTable, ThreadTable
from ai_agents.store.roles import RoleStore
from ai_agents.store.threads import ThreadStore
from tests.support.examples import FUZZ

List = Callable[[Connection, str | None], Page[Any]]


def _run(thread: dict[str, Any], status: str = "completed") -> dict[str, Any]:
    new = {"agent_version": 1, "attempt": 1, "user_message_id": "", "fence": 1, "cancel_requested": False}
    new |= {"user_id": "ann", "created_at": utc_now(), "status": status}
    return {**new, "id": new_id(), "agent_id": thread["agent_id"], "thread_id": thread["id"]}


def _ids(connection: Connection, found: List) -> list[str]:
    """The ids of all pages."""
    ids: list[str] = []
    after = None
    while True:
        page = found(connection, after)
        ids += [each["id"] for each in page["data"]]
        if (after := page["next"]) is None:
            return ids


async def test_runs_of_one_with_very_many_threads_are_those_that_one_sees_in_their_order(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(5)  # the same runs each time
    made = [(await UncheckedAgents(database).create(name))["id"] for name in ("one", "other")]
    owners = chance.choices(("ann", "bob"), k=8)
    threads: list[Any] = [await ThreadStore(database).create(chance.choice(made), owner_id=owner) for owner in owners]
    await RoleStore(database).assign("*", "viewer", "thread", threads[owners.index("bob")]["id"])
    rows = [_run(chance.choice(threads), chance.choice(("completed", "failed"))) for _ in range(60)]
    await database.write(lambda c: c.execute(insert(RunTable), rows))
    seen = {"ann": {t["id"] for t, owner in zip(threads, owners, strict=True) if owner == "ann"}}
    seen["eve"] = set()
    everybody = {threads[owners.index("bob")]["id"]}

    for many, newest in ((500, 5_000), (0, 5_000), (0, 7)):
        monkeypatch.setattr(run_lists, "_MANY_THREADS", many)
        monkeypatch.setattr(run_lists, "_NEWEST", newest)
        for _ in range(60 if FUZZ else 6):
            user_id, shared = chance.choice(("ann", "eve")), chance.choice((True, False))
            agent_id, status = chance.choice((None, *made)), chance.choice((None, "completed", "failed"))
            limit = chance.randint(1, 9)
            of = seen[user_id] | (everybody if shared else set())
            wanted = [
                row["id"]
                for row in reversed(rows)
                if row["thread_id"] in of and row["agent_id"] in (agent_id or row["agent_id"])
                if row["status"] == (status or row["status"])
            ]
            where: dict[str, Any] = {"agent_id": agent_id, "status": status, "shared": shared, "limit": limit}

            def found(connection: Connection, after: str | None, u: str = user_id, w: Any = where) -> Page[Any]:
                return run_lists.list_visible_runs(connection, u, after=after, **w)

            assert await database.read(lambda c, found=found: _ids(c, found)) == wanted, (user_id, where)  # type: ignore[misc]  # of the default's type


def _steps(connection: Connection, found: List, after: str | None) -> int:
    """How many hundreds of SQLite's steps a page takes."""
    driver: Any = connection.connection.driver_connection
    count = 0

    def counted() -> None:
        nonlocal count
        count += 1

    found(connection, after)  # statements are compiled
    driver.set_progress_handler(counted, 100)
    try:
        found(connection, after)
    finally:
        driver.set_progress_handler(None, 0)
    return count


def _fill(connection: Connection, agent_id: str, number: int) -> None:
    """So many threads, runs, agents, keys and entries of the audit log, all of one user."""
    now = utc_now()
    thread = {"agent_id": agent_id, "title": "t", "title_by": "user", "metadata": {}, "last_seq": 0, "version": 1}
    thread |= {"created_at": now, "updated_at": now, "counted_for": ""}
    threads = [{"id": new_id(), **thread} for _ in range(number)]
    connection.execute(insert(ThreadTable), threads)
    connection.execute(insert(RunTable), [_run(each) for each in threads])
    of_agent = {column.key: None for column in AgentTable.__table__.c} | {"name": "a", "version": 1, "created_at": now}
    made = [{**of_agent, "id": new_id(), "updated_at": now} for _ in range(number)]
    connection.execute(insert(cast(Table, AgentTable.__table__)), made)
    role = {"user_id": "many", "role": "owner", "created_at": now, "listed": True}
    held = [("thread", each["id"]) for each in threads] + [("agent", each["id"]) for each in made]
    roles = [{"id": new_id(), "resource_type": kind, "resource_id": of, **role} for kind, of in held]
    connection.execute(insert(RoleAssignmentTable), roles)
    key = {"name": "k", "prefix": "p", "secret_hash": "h", "admin": False, "created_at": now, "is_token": False}
    connection.execute(insert(ApiKeyTable), [{"id": new_id(), "user_id": f"u{n:06}", **key} for n in range(number)])
    entry = {"created_at": now, "actor": "p", "action": "access", "outcome": "ok", "count": 1, "details": {}}
    connection.execute(insert(AuditEntryTable), [{"id": new_id(), **entry} for _ in range(number)])


async def test_a_page_takes_the_same_steps_at_any_depth_however_many_pages_there_are(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_lists, "_NEWEST", 100)
    database = Database(sqlite_url)
    agent_id = (await UncheckedAgents(database).create("a"))["id"]
    await database.write(lambda c: _fill(c, agent_id, 3_000), long=True)
    lists: dict[str, List] = {
        "threads": lambda c, after: thread_lists.list_threads(c, "many", after=after),
        "all threads": lambda c, after: thread_lists.list_threads(c, after=after),
        "runs": lambda c, after: run_lists.list_visible_runs(c, "many", after=after),
        "all runs": lambda c, after: run_lists.list_visible_runs(c, after=after),
        "agents": lambda c, after: agents.list_agents(c, "many", after=after),
        "all agents": lambda c, after: agents.list_agents(c, after=after),
        "keys": lambda c, after: keys.list_keys(c, after=after),
        "audit": lambda c, after: audit.list_entries(c, after=after),
    }

    def steps(connection: Connection, found: List) -> tuple[int, int]:
        after = None
        for _ in range(100):
            after = found(connection, after)["next"]
        return _steps(connection, found, None), _steps(connection, found, after)

    for name, found in lists.items():
        took = await database.read(lambda c, found=found: steps(c, found), long=True)  # type: ignore[misc]  # of the default's type
        # To read the keys of 3,000 rows takes 150 at least.
        assert max(took) < 100, (name, took)
    await database.close()
