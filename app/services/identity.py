"""Users of requests, what they see, and checks of ids, versions and rights that many use cases share."""

from dataclasses import dataclass, field
from typing import Literal, TypedDict

from ai_agents.core.audit_rows import AuditAction, AuditDetails, AuditOutcome, AuditResource
from ai_agents.core.exceptions import AgentNotFound, NotFound, PermissionDenied, PreconditionFailed, ThreadNotFound
from ai_agents.core.ids import is_id
from ai_agents.core.scopes import AgentScope, Reach
from ai_agents.core.types import RoleName
from ai_agents.store.audit import Act
from ai_agents.store.thread_access import ThreadAccess
from app.container import Container

# How a request says who sends it.
Credential = Literal["key", "token", "jwt", "ticket"]
_READING = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """What the audit log tells of a request: its id, and its operation as openapi.yaml names it."""

    id: str | None = None
    method: str = "GET"
    operation: str | None = None

    @property
    def changes(self) -> bool:
        """Whether it may change something."""
        return self.method not in _READING


@dataclass(frozen=True, slots=True)
class Principal:
    """The user who sends a request. `token` is the secret that identified them, of the kind `sent`.

    `key_id` is the key or token, or the one that made the ticket. `ask_at` is when a stream that stays open has to ask
    again for its right, in seconds since 1970: when the key or JWT ends, or the ticket has to be extended. None: never.
    `within` are the only agents that a token is for. `is_former`: the secret is one that the key had before: it ends
    at `ask_at`, and so does all that it makes. `hangs_on` are the subjects of `store.revocations` with which the secret
    may be lost.
    """

    user_id: str
    is_admin: bool
    token: str = field(repr=False)
    sent: Credential = "key"
    key_id: str | None = None
    is_former: bool = False
    ask_at: float | None = None
    within: AgentScope | None = None
    hangs_on: frozenset[str] = frozenset()
    request: RequestFacts = RequestFacts()

    @property
    def reach(self) -> Reach:
        """What every question for a right of this user is asked with: `f(user.user_id, …, **user.reach)`."""
        return {"is_admin": self.is_admin, "within": self.within}


class PageArguments(TypedDict):
    """Which part of a list is asked for, as the `list` methods of the stores take it."""

    limit: int
    after: str | None


def act_of(
    user: Principal,
    action: AuditAction,
    resource_type: AuditResource | None = None,
    resource_id: str | None = None,
    *,
    outcome: AuditOutcome = "done",
    subject_id: str | None = None,
    details: AuditDetails | None = None,
) -> Act:
    """What the audit log is told of something that this request does. `details` are words of ours, never a person's."""
    return Act(
        action,
        user.user_id,
        resource_type,
        resource_id,
        key_id=user.key_id,
        operation=user.request.operation,
        outcome=outcome,
        subject_id=subject_id,
        request_id=user.request.id,
        details=details or {},
    )


async def note_admin(
    container: Container, user: Principal, resource_type: AuditResource, resource_id: str | None = None
) -> None:
    """Tell the audit log that an admin uses what others have; without an id, all of this kind.

    What may change something is told before it is done. Raises `DatabaseUnavailable`.
    """
    if resource_type == "user":
        act = act_of(user, "access", "user", subject_id=resource_id)
    else:
        act = act_of(user, "access", resource_type, resource_id)
    if user.request.changes:
        await container.audit.note_change(act)
    else:
        container.audit.note(act)


async def whose(container: Container, user: Principal, resource_type: AuditResource) -> str | None:
    """Whose things a list shows: the user's; None for an admin, who sees those of all, which the audit log is told."""
    if not user.is_admin:
        return user.user_id
    await note_admin(container, user, resource_type)
    return None


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
    if role is None:
        await note_admin(container, user, "agent", agent_id)
    return VisibleAgent(agent_id, role)


async def see_thread(container: Container, user: Principal, thread_id: str) -> ThreadAccess:
    """The user's roles on the thread and on its agent, if they see the thread. Raises `ThreadNotFound`."""
    check_id(thread_id, ThreadNotFound)
    found = await container.auth.thread_access(user.user_id, thread_id, **user.reach)
    if found.thread_role is None:
        await note_admin(container, user, "thread", thread_id)
    return found


def require_admin(user: Principal, message: str = "Only an admin may do this.") -> None:
    """Raises `PermissionDenied` with this message for a user who is no admin."""
    if not user.is_admin:
        raise PermissionDenied(message)
