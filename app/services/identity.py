"""Who sends a request: API keys, the admin key and tickets."""

import hmac
from dataclasses import dataclass, field

from app.container import Container

# The user that owns what is made with the admin key.
ADMIN_ID = "admin"


@dataclass(frozen=True, slots=True)
class Principal:
    """The user who sends a request. `token` is the key or the ticket that identified them."""

    user_id: str
    is_admin: bool
    token: str = field(repr=False)
    key_id: str | None = None


async def authenticate(container: Container, token: str) -> Principal | None:
    """The user whose API key this is; None for a key that is unknown or has expired."""
    if hmac.compare_digest(token.encode(), container.admin_key):
        return Principal(ADMIN_ID, is_admin=True, token=token)
    found = await container.keys.authenticate(token)
    if found is None:
        return None
    return Principal(found["user_id"], is_admin=found["admin"], token=token, key_id=found["key_id"])


async def authenticate_ticket(container: Container, ticket: str, thread_id: str) -> Principal | None:
    """The user who got this ticket; None for a ticket that is unknown, has expired, or is for another thread."""
    found = await container.tickets.use(ticket)
    if found is None or found["thread_id"] != thread_id:
        return None
    return Principal(found["user_id"], is_admin=found["admin"], token=ticket)
