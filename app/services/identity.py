"""Users of requests, what they see, and checks of ids, versions and rights that many use cases share."""

from dataclasses import dataclass, field
from typing import Literal, TypedDict

from ai_agents.core.exceptions import AgentNotFound, NotFound, PermissionDenied, PreconditionFailed, ThreadNotFound
from ai_agents.core.ids import is_id
from ai_agents.core.scopes import AgentScope, Reach
from ai_agents.core.types import RoleName
from ai_agents.store.roles import ThreadAccess
from app.container import Container

# How a request says who sends it.
Credential = Literal["key", "token", "ticket"]


@dataclass(frozen=True, slots=True)
class Principal:
    """The user who sends a request. `token` is the secret that identified them, of the kind `sent`.

    `key_id` is the key or token, or the one that made the ticket. `ask_at` is when a stream that stays open has to ask
    again for its right, in seconds since 1970: when the key ends, or the ticket has to be extended. None: never.
    `within` are the only agents that a token is for.
    """

    user_id: str
    is_admin: bool
    token: str = field(repr=False)
    sent: Credential = "key"
    key_id: str | None = None
    ask_at: float | None = None
    within: AgentScope | None = None

    @property
    def reach(self) -> Reach:
        """What every question for a right of this user is asked with: `f(user.user_id, …, **user.reach)`."""
        return {"is_admin": self.is_admin, "within": self.within}


class PageArguments(TypedDict):
    """Which part of a list is asked for, as the `list` methods of the stores take it."""

    limit: int
    after: str | None


def check_id(value: str, unknown: type[NotFound]) -> str:
    """The id itself. A value that is no id raises what an unknown id raises."""
    if not is_id(value):
        raise unknown
    return value


def check_version(expected: frozenset[int], version: int) -> None:
    """Raises `PreconditionFailed` unless the version is one of those that the change is meant for."""
    if version not in expected:
        raise PreconditionFailed(f"It has been changed since: its version is {version} by now.")


@dataclass(frozen=True, slots=True)
class VisibleAgent:
    """An agent that the user sees, and the user's role on it (None for an admin without a role)."""

    id: str
    role: RoleName | None


async def see_agent(container: Container, user: Principal, agent_id: str) -> VisibleAgent:
    """The agent, if the user sees it. Raises `AgentNotFound`."""
    check_id(agent_id, AgentNotFound)
    role = await container.auth.agent_access(user.user_id, agent_id, "see", **user.reach)
    return VisibleAgent(agent_id, role)


async def see_thread(container: Container, user: Principal, thread_id: str) -> ThreadAccess:
    """The user's roles on the thread and on its agent, if they see the thread. Raises `ThreadNotFound`."""
    check_id(thread_id, ThreadNotFound)
    return await container.auth.thread_access(user.user_id, thread_id, **user.reach)


def require_admin(user: Principal, message: str = "Only an admin may do this.") -> None:
    """Raises `PermissionDenied` with this message for a user who is no admin."""
    if not user.is_admin:
        raise PermissionDenied(message)
