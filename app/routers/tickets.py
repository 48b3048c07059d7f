"""Tickets for browsers' event streams."""

from typing import Annotated

from fastapi import APIRouter
from starlette.responses import Response

from app.bodies import json_body
from app.dependencies import AppContainer, User
from app.described import BODY, USER, failures, json_request
from app.responses import JsonResponse
from app.schemas.access import CreateTicket
from app.schemas.answers import TicketRead
from app.services import tickets

router = APIRouter(tags=["events"])


@router.post(
    "/tickets",
    status_code=201,
    response_model=TicketRead,
    response_description="The ticket. It is shown only in this answer.",
    responses=failures(*USER, *BODY, "not_found"),
    openapi_extra=json_request(CreateTicket),
)
async def create_ticket(
    user: User, container: AppContainer, body: Annotated[CreateTicket, json_body(CreateTicket)]
) -> Response:
    """Create a ticket that reads one thread's streams, as `?ticket=` in the address of an EventSource.

    It is valid for 10 minutes. Each use, and an open stream, extends it, up to 24 hours in all.
    """
    return JsonResponse(await tickets.create_ticket(container, user, body), 201)
