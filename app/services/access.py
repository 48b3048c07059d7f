"""What use cases check first: whether the user sees the thing, and whether they are an admin."""

from dataclasses import dataclass

from ai_agents.core.exceptions import AgentNotFound, PermissionDenied, ThreadNotFound
from ai_agents.core.types import RoleName
from ai_agents.store.roles import ThreadAccess
from app.container import Container
from app.services.arguments import check_id
from app.services.identity import Principal


@dataclass(frozen=True, slots=True)
class VisibleAgent:
    """An agent that the user sees, and the user's role on it (None for an admin without a role)."""

    id: str
    role: RoleName | None


@dataclass(frozen=True, slots=True)
class ThreadReader:
    """A user who may read the streams of a thread."""

    user: Principal
    thread: ThreadAccess
    by_ticket: bool


async def see_agent(container: Container, user: Principal, agent_id: str) -> VisibleAgent:
    """The agent, if the user sees it. Raises `AgentNotFound`."""
    check_id(agent_id, AgentNotFound)
    return VisibleAgent(agent_id, await container.auth.agent_access(user.user_id, agent_id, is_admin=user.is_admin))


async def see_thread(container: Container, user: Principal, thread_id: str) -> ThreadAccess:
    """The user's roles on the thread and on its agent, if they see the thread. Raises `ThreadNotFound`."""
    check_id(thread_id, ThreadNotFound)
    return await container.auth.thread_access(user.user_id, thread_id, is_admin=user.is_admin)


def require_admin(user: Principal, message: str = "Only an admin may do this.") -> None:
    """Raises `PermissionDenied` with this message for a user who is no admin."""
    if not user.is_admin:
        raise PermissionDenied(message)
