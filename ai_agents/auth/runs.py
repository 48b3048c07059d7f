"""The right to run. It is asked for when a message is accepted, and again when its run begins after a wait."""

from sqlalchemy import Connection

from ai_agents.auth.roles import may_send
from ai_agents.core.exceptions import AgentDeleted, PermissionDenied, ThreadNotFound
from ai_agents.store import keys
from ai_agents.store.runs import OwnedRun
from ai_agents.store.thread_access import ThreadAccess, find_thread_roles


def require_to_send(found: ThreadAccess, *, is_admin: bool) -> None:
    """Raises `PermissionDenied` for a user with these roles who may not send to the thread, and `AgentDeleted`."""
    if not is_admin and not may_send(found.thread_role, found.agent_role):
        raise PermissionDenied("Sending needs editor on the thread and user on its agent.")
    if found.agent_deleted:
        raise AgentDeleted


def require_to_begin(connection: Connection, run: OwnedRun) -> None:
    """Raises `PermissionDenied` unless the run's user may still send to the thread, and has still the key of then.

    A key that has only expired meanwhile was good when the message was accepted. Raises `AgentDeleted`, and
    `ThreadNotFound` for a run that was deleted with its thread.
    """
    found = find_thread_roles(connection, run.user_id, run.thread_id)
    if found is None:
        raise ThreadNotFound
    if run.key_id is not None and not keys.exists(connection, run.key_id):
        raise PermissionDenied("The key with which this message was sent was deleted before its run began.")
    if not run.by_admin and not may_send(found.thread_role, found.agent_role):
        raise PermissionDenied("The sender of this message lost the right to send it before its run began.")
    if found.agent_deleted:
        raise AgentDeleted
