"""The audit log."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from ai_agents.core.audit_rows import AuditAction, AuditResource
from app.authentication import AppContainer, User
from app.dependencies import Paging
from app.openapi import PAGE, USER, failures
from app.responses import JsonResponse
from app.schemas.answers.audit import AuditPage
from app.services import audit
from app.strict_routes import StrictRoute

router = APIRouter(route_class=StrictRoute)


@router.get(
    "/audit",
    tags=["audit"],
    response_model=AuditPage,
    response_description="Entries.",
    responses=failures(*USER, *PAGE, "forbidden"),
)
async def list_audit(
    user: User,
    container: AppContainer,
    page: Paging,
    actor: Annotated[
        str | None, Query(max_length=255, description="Who did it: a user id, or the pseudonym of a user.")
    ] = None,
    action: Annotated[AuditAction | None, Query(description="What was done.")] = None,
    exclude: Annotated[
        AuditAction | None, Query(description="All but this; `access` leaves out what was only looked at.")
    ] = None,
    resource_type: Annotated[AuditResource | None, Query(description="The kind of what it was done to.")] = None,
    resource_id: Annotated[
        str | None,
        Query(max_length=255, description="Its id; the name of a tool or provider; a user's id or pseudonym."),
    ] = None,
    since: Annotated[
        str | None, Query(max_length=40, description="A day, or a time with its zone. It is included.")
    ] = None,
    until: Annotated[
        str | None, Query(max_length=40, description="A day, or a time with its zone. It is not included.")
    ] = None,
) -> Response:
    """Who did what to which resource, newest first.

    An admin's use of what others have, and refusals, are counted: `count` requests of one minute are one or two
    entries, written within seconds. Everything else is an entry as soon as it is done.
    """
    found = await audit.list_entries(
        container,
        user,
        page,
        actor=actor,
        action=action,
        exclude=exclude,
        resource_type=resource_type,
        resource_id=resource_id,
        since=since,
        until=until,
    )
    return JsonResponse(found)
