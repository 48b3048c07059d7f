"""Tickets: the right to read one thread's streams, as part of an address that a browser can open."""

from ai_agents.core.rows import Ticket
from app.container import Container
from app.schemas.access import CreateTicket
from app.services.access import see_thread
from app.services.identity import Principal


async def create_ticket(container: Container, user: Principal, body: CreateTicket) -> Ticket:
    """A ticket for a thread that the user may read. Raises `ThreadNotFound`."""
    found = await see_thread(container, user, body.thread_id)
    return await container.tickets.create(found.thread_id, user.user_id, admin=user.is_admin, key_id=user.key_id)
