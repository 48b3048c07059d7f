"""Tickets: a right to read that a browser can carry in an address."""

from ai_agents.core.exceptions import ThreadNotFound
from ai_agents.core.rows import Ticket
from app.container import Container, Principal
from app.dependencies import check_id
from app.schemas.tickets import CreateTicket


async def create_ticket(services: Container, user: Principal, body: CreateTicket) -> Ticket:
    """A ticket for a thread that the user may read. Raises `ThreadNotFound`."""
    check_id(body.thread_id, ThreadNotFound)
    found = await services.auth.thread_access(user.user_id, body.thread_id, is_admin=user.is_admin)
    return await services.tickets.create(found.thread_id, user.user_id, admin=user.is_admin, key_id=user.key_id)
