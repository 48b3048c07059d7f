"""Conversations: threads under another name. One without a first response has no agent yet, and so no thread.

Until then it is a foreign id, whose facts are what its client said. Its thread gets the same id.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from ai_agents.core.exceptions import NotFound, QuotaExceeded, ThreadNotFound
from ai_agents.core.ids import new_id, seconds_of_id
from ai_agents.core import json
from ai_agents.core.types import JsonObject
from ai_agents.store import foreign_ids, threads as stored_threads
from ai_agents.store.foreign_ids import ForeignId
from ai_agents.store.roles import ThreadAccess
from app.container import Container
from app.doors.responses.ids import conversation_id, parse_conversation_id
from app.schemas.threads import UpdateThread
from app.services import threads
from app.services.identity import Principal, see_thread

DOOR = "responses"
# Conversations of a user in which nothing was answered yet.
MAX_WITHOUT_THREAD = 1000


class ConversationNotFound(NotFound):
    """There is no such conversation."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation that the user sees: with its thread, or with what was said of it before there is one."""

    thread_id: str
    seen: ThreadAccess | None
    metadata: Mapping[str, Any]

    def to_read(self) -> JsonObject:
        """The conversation as clients read it. Values of metadata are texts here."""
        return {
            "id": conversation_id(self.thread_id),
            "object": "conversation",
            "created_at": seconds_of_id(self.thread_id),
            "metadata": {
                name: value if isinstance(value, str) else json.dumps(value) for name, value in self.metadata.items()
            },
        }


async def find_conversation(container: Container, user: Principal, given_id: str) -> Conversation:
    """The conversation. Raises `ConversationNotFound`."""
    thread_id = parse_conversation_id(given_id)
    if thread_id is None:
        raise ConversationNotFound
    try:
        seen = await see_thread(container, user, thread_id)
    except ThreadNotFound:
        found = await container.conn.database.read(lambda c: foreign_ids.find(c, key_of(user, thread_id)))
        if found is None or found.facts is None:
            raise ConversationNotFound from None
        return Conversation(thread_id, None, found.facts["metadata"])
    thread = await container.threads.get(thread_id)
    return Conversation(thread_id, seen, thread["metadata"])


async def create(container: Container, user: Principal, metadata: Mapping[str, str]) -> Conversation:
    """A new conversation without a thread. Raises `QuotaExceeded`."""
    thread_id = new_id()

    def keep(connection: Connection) -> None:
        used = foreign_ids.count_without_thread(connection, user.user_id, DOOR)
        if used >= MAX_WITHOUT_THREAD:
            raise QuotaExceeded("threads", used=used, limit=MAX_WITHOUT_THREAD)
        foreign_ids.note(connection, key_of(user, thread_id), {"metadata": dict(metadata)})

    await container.conn.database.write(keep)
    return Conversation(thread_id, None, metadata)


async def update(
    container: Container, user: Principal, found: Conversation, metadata: Mapping[str, str]
) -> Conversation:
    """Replace the metadata. Raises `PermissionDenied`."""
    if found.seen is None:
        facts = {"metadata": dict(metadata)}
        await container.conn.database.write(lambda c: foreign_ids.note(c, key_of(user, found.thread_id), facts))
    else:
        changes = UpdateThread(metadata=dict(metadata))
        await threads.update_thread(container, user, found.seen, changes, versions=None)
    return Conversation(found.thread_id, found.seen, metadata)


async def delete(container: Container, user: Principal, found: Conversation) -> None:
    """Delete the conversation, with all that was said. Raises `PermissionDenied`."""
    if found.seen is None:
        await container.conn.database.write(lambda c: foreign_ids.forget(c, key_of(user, found.thread_id)))
    else:
        await threads.delete_thread(container, user, found.seen, versions=None)


def key_of(user: Principal, thread_id: str) -> ForeignId:
    """What a conversation without a thread is kept under."""
    return ForeignId(user.user_id, DOOR, conversation_id(thread_id))
