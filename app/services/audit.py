"""The audit log, as admins read it. What writes to it stands beside what it tells of."""

from ai_agents.core.audit_rows import AuditAction, AuditEntry, AuditResource
from ai_agents.core.ids import format_time
from ai_agents.core.rows import Page
from app.container import Container
from app.services.identity import PageArguments, Principal, note_admin, require_admin
from app.services.times import parse_time


async def list_entries(
    container: Container,
    user: Principal,
    page: PageArguments,
    *,
    actor: str | None,
    action: AuditAction | None,
    exclude: AuditAction | None,
    resource_type: AuditResource | None,
    resource_id: str | None,
    since: str | None,
    until: str | None,
) -> Page[AuditEntry]:
    """A page of the audit log, newest first. Reading it is in it, too.

    Raises `PermissionDenied`, `InvalidCursor`, `InvalidFields` for a bad time.
    """
    require_admin(user)
    await note_admin(container, user, "audit")
    return await container.audit_log.list(
        actor=actor,
        action=action,
        exclude=exclude,
        resource_type=resource_type,
        resource_id=resource_id,
        since=None if since is None else format_time(parse_time("since", since)),
        until=None if until is None else format_time(parse_time("until", until)),
        **page,
    )
