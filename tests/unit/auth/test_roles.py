"""Rights: each cell of the table of rights, and the errors that users without a right get."""

import itertools
from collections.abc import AsyncIterator
from typing import Any, get_args

import pytest

from ai_agents.agents import AgentStore
from ai_agents.auth.roles import (
    AgentAction,
    RoleAuth,
    ThreadAction,
    can,
    may_on_agent,
    may_on_thread,
    may_send,
)
from ai_agents.core.exceptions import AgentNotFound, PermissionDenied, ThreadNotFound
from ai_agents.core.ids import new_id
from ai_agents.core.types import RoleName
from ai_agents.store.database import Database
from ai_agents.store.thread_access import find_thread_roles
from ai_agents.store.threads import ThreadStore

ROLES: tuple[RoleName | None, ...] = (None, "user", "viewer", "editor", "owner")
# The weakest role on a thread that may do this, and whether the user also needs any role on the agent.
THREAD_RIGHTS: dict[ThreadAction, tuple[RoleName, bool]] = {
    "read": ("viewer", False),
    "send": ("editor", True),
    "cancel": ("editor", False),
    "approve": ("editor", False),
    "update": ("editor", False),
    "fork": ("editor", True),
    "delete": ("owner", False),
    "manage_roles": ("owner", False),
}
AGENT_RIGHTS: dict[AgentAction, RoleName] = {
    "see": "user",
    "start_thread": "user",
    "read": "viewer",
    "update": "editor",
    "delete": "owner",
    "manage_roles": "owner",
    "list_feedback": "owner",
}


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A database, once on SQLite and once on PostgreSQL."""
    made = Database(database_url)
    yield made
    await made.close()


@pytest.fixture
async def agent_id(database: Database) -> str:
    """An agent of `owner`. No other user has a role on it."""
    return str((await AgentStore(database).create("a", owner_id="owner"))["id"])


@pytest.fixture
async def thread_id(database: Database, agent_id: str) -> str:
    """A thread of `owner` with this agent."""
    return str((await ThreadStore(database).create(agent_id, owner_id="owner"))["id"])


def test_a_role_is_worth_those_below_it() -> None:
    for have, need in itertools.product(ROLES, ROLES[1:]):
        assert need is not None
        assert can(have, need) is (ROLES.index(have) >= ROLES.index(need))


@pytest.mark.parametrize("action", get_args(ThreadAction))
def test_rights_on_a_thread_are_those_of_the_contract(action: ThreadAction) -> None:
    needed, also_on_agent = THREAD_RIGHTS[action]
    for thread_role, agent_role in itertools.product(ROLES, ROLES):
        allowed = ROLES.index(thread_role) >= ROLES.index(needed) and (agent_role is not None or not also_on_agent)
        assert may_on_thread(action, thread_role, agent_role) is allowed
        if action == "send":
            assert may_send(thread_role, agent_role) is allowed


@pytest.mark.parametrize("action", get_args(AgentAction))
def test_rights_on_an_agent_are_those_of_the_contract(action: AgentAction) -> None:
    for role in ROLES:
        assert may_on_agent(action, role) is (ROLES.index(role) >= ROLES.index(AGENT_RIGHTS[action]))


async def test_every_right_is_read_from_the_database(database: Database, agent_id: str, thread_id: str) -> None:
    auth = RoleAuth(database)
    for role in ("viewer", "editor"):
        await auth.assign_role(f"{role} on both", role, "thread", thread_id)
        await auth.assign_role(f"{role} on both", "user", "agent", agent_id)
        await auth.assign_role(f"{role} on thread", role, "thread", thread_id)

    async def allowed(user_id: str, *, is_admin: bool = False) -> set[str]:
        may: set[str] = set()
        for action in get_args(ThreadAction):
            try:
                found = await auth.thread_access(user_id, thread_id, action, is_admin=is_admin)
            except PermissionDenied:
                continue
            assert (found.thread_id, found.agent_id) == (thread_id, agent_id)
            may.add(action)
        return may

    everything = set(get_args(ThreadAction))
    assert await allowed("viewer on both") == await allowed("viewer on thread") == {"read"}
    assert await allowed("editor on both") == everything - {"delete", "manage_roles"}
    assert await allowed("editor on thread") == {"read", "cancel", "approve", "update"}
    assert await allowed("owner") == await allowed("stranger", is_admin=True) == everything


async def test_a_thread_one_may_not_see_is_not_found(database: Database, agent_id: str, thread_id: str) -> None:
    auth = RoleAuth(database)
    await auth.assign_role("user", "owner", "agent", agent_id)
    for action in get_args(ThreadAction):
        for user_id, some_id in (("user", thread_id), ("stranger", thread_id), ("owner", new_id()), ("owner", "x")):
            with pytest.raises(ThreadNotFound):
                await auth.thread_access(user_id, some_id, action)
        with pytest.raises(ThreadNotFound):
            await auth.thread_access("admin", new_id(), action, is_admin=True)


async def test_every_right_on_an_agent_is_asked_of_the_database(database: Database, agent_id: str) -> None:
    auth = RoleAuth(database)
    for role in ("user", "viewer", "editor"):
        await auth.assign_role(role, role, "agent", agent_id)

    async def allowed(user_id: str, *, is_admin: bool = False) -> set[str]:
        may: set[str] = set()
        for action in get_args(AgentAction):
            try:
                await auth.agent_access(user_id, agent_id, action, is_admin=is_admin)
            except PermissionDenied:
                continue
            may.add(action)
        return may

    everything = set(get_args(AgentAction))
    assert await allowed("user") == {"see", "start_thread"}
    assert await allowed("viewer") == {"see", "start_thread", "read"}
    assert await allowed("editor") == {"see", "start_thread", "read", "update"}
    assert await allowed("owner") == await allowed("stranger", is_admin=True) == everything
    for action in get_args(AgentAction):
        with pytest.raises(AgentNotFound):
            await auth.agent_access("stranger", agent_id, action)
    await AgentStore(database).delete(agent_id)
    for user_id, is_admin in (("owner", False), ("admin", True)):
        with pytest.raises(AgentNotFound):
            await auth.agent_access(user_id, agent_id, "read", is_admin=is_admin)


async def test_a_role_is_asked_for(database: Database, agent_id: str, thread_id: str) -> None:
    auth = RoleAuth(database)
    await auth.assign_role("ann", "editor", "thread", thread_id)
    assert await auth.role_of("ann", "thread", thread_id) == "editor"
    assert await auth.role_of("bea", "thread", thread_id) is None


async def test_seeing_takes_a_role_and_a_thing(database: Database, agent_id: str, thread_id: str) -> None:
    auth = RoleAuth(database)
    cases: list[tuple[tuple[str, str, str], dict[str, Any], bool]] = [
        (("owner", "thread", thread_id), {}, True),
        (("owner", "agent", agent_id), {}, True),
        (("stranger", "thread", thread_id), {}, False),
        (("stranger", "agent", agent_id), {}, False),
        (("owner", "thread", new_id()), {}, False),
        (("admin", "thread", thread_id), {"is_admin": True}, True),
        (("admin", "thread", new_id()), {"is_admin": True}, False),
    ]
    for arguments, options, seen in cases:
        assert await auth.may_see(*arguments, **options) is seen, arguments


async def test_access_is_the_role_or_not_found(database: Database, agent_id: str, thread_id: str) -> None:
    found = await database.read(lambda c: find_thread_roles(c, "owner", thread_id))
    assert found is not None
    assert (found.thread_role, found.agent_role, found.agent_version, found.agent_deleted) == (
        "owner",
        "owner",
        1,
        False,
    )
    stranger = await database.read(lambda c: find_thread_roles(c, "stranger", thread_id))
    assert stranger is not None
    assert (stranger.thread_role, stranger.agent_role) == (None, None)
    assert await database.read(lambda c: find_thread_roles(c, "owner", new_id())) is None
