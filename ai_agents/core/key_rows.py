"""API keys, tokens and tickets, as clients see them and as requests are known by them. Times are RFC 3339 in UTC."""

from typing import TypedDict


class Key(TypedDict):
    """An API key without its secret."""

    id: str
    user_id: str
    name: str
    prefix: str
    admin: bool
    created_at: str
    expires_at: str | None


class NewKey(Key):
    """An API key with its secret as `key`, which is shown this once."""

    key: str


class KeyHolder(TypedDict):
    """Who a valid API key or token belongs to, and until when it is valid (None: without end).

    `is_former`: by a secret that the key had before, and that ends. `parent_id` is the key that made a token (None: it
    is a key), and `agents` are the only ones that a token is for
    (None: it is for all).
    """

    user_id: str
    admin: bool
    key_id: str
    valid_until: str | None
    is_former: bool
    is_token: bool
    parent_id: str | None
    agents: list[str] | None


class NewToken(TypedDict):
    """A token, with itself as `token`, which is shown this once. `agents` are the only ones that it is for."""

    id: str
    token: str
    user_id: str
    agents: list[str] | None
    created_at: str
    expires_at: str


class Ticket(TypedDict):
    """A new ticket, which is shown this once."""

    ticket: str
    expires_at: str


class TicketHolder(TypedDict):
    """Who a valid ticket belongs to, and the thread that it lets them read; None: it is for hints about all threads.

    `key_id` is the key or token that made it; `parent_id` and `agents` are those of a token, see `KeyHolder`. `use_by`
    is when the ticket has to be used again, to be extended, or where it is as old as it may become, when it ends.
    """

    id: str
    user_id: str
    admin: bool
    thread_id: str | None
    key_id: str | None
    parent_id: str | None
    agents: list[str] | None
    use_by: str
