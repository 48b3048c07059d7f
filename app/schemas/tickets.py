"""Tickets."""

from app.schemas.common import DateTime, Id, Read, Strict


class CreateTicket(Strict):
    """A ticket for one thread."""

    thread_id: Id


class TicketRead(Read):
    """A ticket. It is shown only in this answer."""

    ticket: str
    expires_at: DateTime
