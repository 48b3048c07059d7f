"""Threads: conversations with an agent."""

from typing import Annotated, Any, Literal

from pydantic import Field

from app.schemas.common import Content, Id, Line, LongText, Metadata, Page, Read, Strict, Timestamp


class InitialMessage(Strict):
    """A message to start from."""

    role: Literal["user", "assistant"]
    content: Content
    metadata: Metadata = {}


class CreateThread(Strict):
    """A conversation with this agent, empty or with some history."""

    agent_id: Id
    title: Line | None = None
    summary: LongText | None = None
    metadata: Metadata = {}
    messages: Annotated[list[InitialMessage], Field(max_length=1000)] = []


class UpdateThread(Strict):
    """What is left out stays."""

    title: Line | None = None
    summary: LongText | None = None
    metadata: Metadata = {}


class ForkThread(Strict):
    """Up to which message the new thread has the old one's history."""

    message_id: Id


class ThreadRead(Read):
    """A conversation."""

    id: Id
    agent_id: Id
    title: str | None
    summary: str | None
    metadata: dict[str, Any]
    created_at: Timestamp
    updated_at: Timestamp


class ThreadPage(Page[ThreadRead]):
    """Threads, newest first."""
