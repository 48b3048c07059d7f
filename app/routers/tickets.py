"""Tickets for browsers' event streams."""

from typing import Annotated

from fastapi import APIRouter
from starlette.responses import Response

from app.bodies import json_body
from app.dependencies import AppContainer, User
from app.responses import JsonResponse
from app.routers.documented import answer
from app.schemas.tickets import CreateTicket, TicketRead
from app.services import tickets

router = APIRouter(tags=["events"])


@router.post("/tickets", status_code=201, responses=answer(201, TicketRead, "The ticket, shown this once."))
async def create_ticket(
    user: User, container: AppContainer, body: Annotated[CreateTicket, json_body(CreateTicket)]
) -> Response:
    """Make a ticket that reads one thread's streams, as `?ticket=` in the address of an EventSource.

    It is good for 10 minutes; each use, and an open stream, extends it, to 24 hours at most.
    """
    return JsonResponse(await tickets.create_ticket(container, user, body), 201)
