"""Threads: conversations with an agent."""

from typing import Annotated, Any, Literal

from pydantic import Field

from app.schemas.common import ContentIn, DateTime, Id, Line, LongText, Metadata, Read, ReadPage, Strict


class InitialMessage(Strict):
    """A message that the thread starts with."""

    role: Literal["user", "assistant"]
    content: ContentIn
    metadata: Metadata = {}


class CreateThread(Strict):
    """A conversation with this agent, empty or with some history."""

    agent_id: Id
    title: Line | None = None
    summary: LongText | None = None
    metadata: Metadata = {}
    messages: Annotated[list[InitialMessage], Field(max_length=1000)] = []


class UpdateThread(Strict):
    """Fields that are left out stay."""

    title: Line | None = None
    summary: LongText | None = None
    metadata: Metadata = {}


class ForkThread(Strict):
    """The last message of the history that the new thread gets."""

    message_id: Id


class ThreadRead(Read):
    """A conversation."""

    id: Id
    agent_id: Id
    title: str | None
    summary: str | None
    metadata: dict[str, Any]
    created_at: DateTime
    updated_at: DateTime


class ThreadPage(ReadPage[ThreadRead]):
    """Threads, newest first."""
