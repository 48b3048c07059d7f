"""What a search finds, as clients get it."""

from typing import NotRequired, TypedDict

from ai_agents.core.rows import Message


class Snippet(TypedDict):
    """A piece of a message's text; `marks` are `[start, end]` in its code points: what was asked for."""

    text: str
    marks: list[list[int]]


class ThreadName(TypedDict):
    """Which thread it is."""

    id: str
    title: str | None


class SearchHit(TypedDict):
    """A message that was found, its thread, and the piece of its text in which it was found."""

    message: Message
    thread: ThreadName
    snippet: Snippet


class SearchPage(TypedDict):
    """A page of what was found. `incomplete` is there, and True, where older messages were not searched."""

    data: list[SearchHit]
    next: str | None
    incomplete: NotRequired[bool]
