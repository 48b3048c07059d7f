"""What those who follow many threads are told of one. Times are RFC 3339 in UTC."""

from typing import TypedDict


class ThreadActivity(TypedDict):
    """A thread in which something happened. `waiting`: its run waits, for a person or for a tool of the client."""

    id: str
    title: str | None
    last_activity_at: str
    running: bool
    waiting: bool
