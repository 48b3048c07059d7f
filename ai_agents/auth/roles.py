"""What the roles owner > editor > viewer > user allow on agents and threads. All rights on them are decided here.

A user who may not see a resource gets `NotFound`, as if it did not exist; one who may see it but not do this gets
`PermissionDenied`. Admins may do everything: callers that know that a user is an admin pass `is_admin`. A token may be
for some agents only: callers pass its scope as `within`, outside of which nothing is seen. On the agents themselves it
is never more than `user`, whatever role its user has.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from sqlalchemy import Connection

from ai_agents.core.exceptions import AgentNotFound, NotFound, PermissionDenied, ThreadNotFound
from ai_agents.core.rows import AgentSummary, SeenAgentSummary, SeenThread, Thread
from ai_agents.core.scopes import AgentScope
from ai_agents.core.types import RoleName
from ai_agents.store import roles
from ai_agents.store.database import Store, reading, writing
from ai_agents.store.ranks import RANKS
from ai_agents.store.thread_access import ThreadAccess, find_thread_roles

ThreadAction = Literal["read", "send", "cancel", "approve", "update", "fork", "delete", "manage_roles"]
AgentAction = Literal["see", "start_thread", "read", "update", "delete", "manage_roles", "list_feedback"]

_ON_THREAD: Mapping[ThreadAction, RoleName] = {
    "read": "viewer",
    "send": "editor",
    "cancel": "editor",
    "approve": "editor",
    "update": "editor",
    "fork": "editor",
    "delete": "owner",
    "manage_roles": "owner",
}
# Actions that need a role on the thread's agent, too.
_ON_ITS_AGENT: Mapping[ThreadAction, RoleName] = {"send": "user", "fork": "user"}
_ON_AGENT: Mapping[AgentAction, RoleName] = {
    # Its id, its name and its description.
    "see": "user",
    "start_thread": "user",
    # All of it.
    "read": "viewer",
    "update": "editor",
    "delete": "owner",
    "manage_roles": "owner",
    "list_feedback": "owner",
}


def can(role: RoleName | None, needed: RoleName) -> bool:
    """Whether a role is at least the needed one."""
    return role is not None and RANKS.index(role) >= RANKS.index(needed)


def may_on_thread(action: ThreadAction, thread_role: RoleName | None, agent_role: RoleName | None = None) -> bool:
    """Whether a user with these roles on a thread and on its agent may do this."""
    on_agent = _ON_ITS_AGENT.get(action)
    return can(thread_role, _ON_THREAD[action]) and (on_agent is None or can(agent_role, on_agent))


def roles_that_may(action: ThreadAction) -> tuple[RoleName, ...]:
    """The roles on a thread that allow this there."""
    return RANKS[RANKS.index(_ON_THREAD[action]) :]


def may_on_agent(action: AgentAction, role: RoleName | None) -> bool:
    """Whether a user with this role on an agent may do this."""
    return can(role, _ON_AGENT[action])


def may_send(thread_role: RoleName | None, agent_role: RoleName | None) -> bool:
    """Whether a user with these roles may send a message."""
    return may_on_thread("send", thread_role, agent_role)


def find_on_thread(
    connection: Connection,
    user_id: str,
    thread_id: str,
    *,
    is_admin: bool = False,
    within: AgentScope | None = None,
    count_runs: bool = False,
) -> ThreadAccess | None:
    """The user's roles on a thread and on its agent; None for a thread that they may not see.

    With `count_runs`, the user's runs that are under way are counted in the same statement.
    """
    found = find_thread_roles(connection, user_id, thread_id, count_runs=count_runs)
    if found is None or not (is_admin or may_on_thread("read", found.thread_role)):
        return None
    if within is None:
        return found
    if found.agent_id not in within.agents:
        return None
    return replace(found, agent_role=_capped(found.agent_role, within))


def _capped(role: RoleName | None, within: AgentScope | None) -> RoleName | None:
    """A role on an agent, as far as it counts."""
    return role if role is None or within is None else "user"


def require_on_thread(
    connection: Connection,
    user_id: str,
    thread_id: str,
    action: ThreadAction = "read",
    *,
    is_admin: bool = False,
    within: AgentScope | None = None,
) -> ThreadAccess:
    """The user's access to a thread, if it allows the action.

    Raises `ThreadNotFound` if the user may not see the thread, `PermissionDenied` if they may not do this.
    """
    found = find_on_thread(connection, user_id, thread_id, is_admin=is_admin, within=within)
    if found is None:
        raise ThreadNotFound
    if not (is_admin or may_on_thread(action, found.thread_role, found.agent_role)):
        on_agent = _ON_ITS_AGENT.get(action)
        raise PermissionDenied(
            f"This needs the role {_ON_THREAD[action]} on the thread"
            + (f" and {on_agent} on its agent." if on_agent else ".")
        )
    return found


def require_on_agent(
    connection: Connection,
    user_id: str,
    agent_id: str,
    action: AgentAction = "read",
    *,
    is_admin: bool = False,
    within: AgentScope | None = None,
) -> RoleName | None:
    """The user's role on an agent, if it allows the action.

    Raises `AgentNotFound` if the user may not see the agent, `PermissionDenied` if they may not do this.
    """
    role = _capped(roles.get_role(connection, user_id, "agent", agent_id), within)
    outside = within is not None and agent_id not in within.agents
    if outside or not (is_admin or may_on_agent("see", role)):
        raise AgentNotFound
    if not (is_admin or may_on_agent(action, role)):
        raise PermissionDenied(f"This needs the role {_ON_AGENT[action]} on the agent.")
    return role


def may_see(
    connection: Connection,
    user_id: str,
    resource_type: str,
    resource_id: str,
    *,
    is_admin: bool = False,
    within: AgentScope | None = None,
) -> bool:
    """Whether the resource exists and the user may see it."""
    try:
        if within is None:
            return roles.get_role(connection, user_id, resource_type, resource_id) is not None or is_admin
        if resource_type == "thread":
            return find_on_thread(connection, user_id, resource_id, is_admin=is_admin, within=within) is not None
        if resource_type == "agent":
            require_on_agent(connection, user_id, resource_id, "see", is_admin=is_admin, within=within)
            return True
    except NotFound:
        pass
    return False


def seen_threads(
    connection: Connection, user_id: str, found: Sequence[Thread], *, within: AgentScope | None = None
) -> list[SeenThread]:
    """Threads that the user sees, with the user's roles; two statements, however many there are."""
    on_threads = roles.get_roles(connection, user_id, "thread", [thread["id"] for thread in found])
    on_agents = roles.get_roles(connection, user_id, "agent", {thread["agent_id"] for thread in found})
    return [
        {
            **thread,
            "role": on_threads.get(thread["id"]),
            "agent_role": _capped(on_agents.get(thread["agent_id"]), within),
        }
        for thread in found
    ]


def seen_agents(
    connection: Connection, user_id: str, found: Sequence[AgentSummary], *, within: AgentScope | None = None
) -> list[SeenAgentSummary]:
    """Agents that the user sees, with the user's role on each; one statement, however many there are."""
    held = roles.get_roles(connection, user_id, "agent", [agent["id"] for agent in found])
    return [{**agent, "role": _capped(held.get(agent["id"]), within)} for agent in found]


class RoleAuth(Store):
    """Assigns roles on agents and threads, and checks them."""

    assign_role = writing(roles.assign)
    role_of = reading(roles.get_role)
    roles_of = reading(roles.get_roles)
    thread_access = reading(require_on_thread)
    agent_access = reading(require_on_agent)
    may_see = reading(may_see)
