"""Tickets."""

from app.schemas.common import Id, Read, Strict, Timestamp


class CreateTicket(Strict):
    """A ticket for one thread."""

    thread_id: Id


class TicketRead(Read):
    """A ticket, which is shown this once."""

    ticket: str
    expires_at: Timestamp
