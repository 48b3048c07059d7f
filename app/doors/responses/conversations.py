"""Conversations: threads under another name. One without a first response has no agent yet, and so no thread.

Until then it is a foreign id, whose facts are what its client said. Its thread gets the same id.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection

from ai_agents.auth.runs import require_to_send
from ai_agents.core import json
from ai_agents.core.exceptions import InvalidRequest, NotFound, QuotaExceeded, ThreadNotFound
from ai_agents.core.ids import new_id, new_tool_call_id, seconds_of_id
from ai_agents.core.types import JsonObject, Loc
from ai_agents.store import foreign_ids, initial_messages
from ai_agents.store.foreign_ids import ForeignId
from ai_agents.store.thread_access import ThreadAccess
from app.container import Container
from app.doors.files import Media
from app.doors.responses import conversation_items
from app.doors.responses.call import read_history
from app.doors.responses.conversation_items import ItemNotFound
from app.doors.responses.ids import (
    call_item_id,
    conversation_id,
    message_of_item,
    parse_conversation_id,
    text_item_id,
)
from app.doors.responses.items import text_part
from app.doors.responses.lists import ItemsAsked, page_of, to_page
from app.doors.responses.schemas import (
    CreateConversation,
    FunctionCallIn,
    FunctionOutputIn,
    InputItem,
    MessageIn,
)
from app.doors.threads import PastMessage, judge_history
from app.schemas.threads import UpdateThread
from app.services import threads
from app.services.identity import Principal, see_thread

DOOR = "responses"
# Conversations of a user in which nothing was answered yet.
MAX_WITHOUT_THREAD = 1000
# Of what is said in one of them.
MAX_FACTS_BYTES = 256 * 1024
_ITEM: TypeAdapter[InputItem] = TypeAdapter(InputItem)


class ConversationNotFound(NotFound):
    """There is no such conversation."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation that the user sees: with its thread, or with what was said of it before there is one."""

    thread_id: str
    seen: ThreadAccess | None
    metadata: Mapping[str, Any]
    items: Sequence[JsonObject] = ()

    def history(self) -> list[PastMessage]:
        """What was said before there was a thread."""
        parsed = [_ITEM.validate_python(each) for each in self.items]
        found = []
        for said in read_history(parsed, ("items",)):
            number = said.loc[1]
            parts = [part for part in said.parts if not isinstance(part, Media)]  # none was let in
            message_id = message_of_item(self.items[int(number)]["id"])
            found.append(PastMessage(said.role, parts, said.loc, message_id))
        return found

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
        if found is None or found.facts is None or found.facts.get("agents") != _agents_of(user):
            raise ConversationNotFound from None
        return Conversation(thread_id, None, found.facts["metadata"], found.facts["items"])
    thread = await container.threads.get(thread_id)
    return Conversation(thread_id, seen, thread["metadata"])


async def create(container: Container, user: Principal, body: CreateConversation) -> JsonObject:
    """A new conversation without a thread, as clients read it. Raises `QuotaExceeded`, `InvalidRequest`."""
    thread_id, metadata = new_id(), body.metadata or {}
    facts = _facts(user, metadata, _to_stored(body.items or ()))
    _require_small(facts)

    def keep(connection: Connection) -> None:
        used = foreign_ids.count_without_thread(connection, user.user_id, DOOR)
        if used >= MAX_WITHOUT_THREAD:
            raise QuotaExceeded("threads", used=used, limit=MAX_WITHOUT_THREAD)
        foreign_ids.note(connection, key_of(user, thread_id), facts)

    await container.conn.database.write(keep)
    return Conversation(thread_id, None, metadata).to_read()


async def update(
    container: Container, user: Principal, found: Conversation, metadata: Mapping[str, str]
) -> Conversation:
    """Replace the metadata. Raises `PermissionDenied`."""
    if found.seen is None:
        facts = _facts(user, metadata, found.items)
        await container.conn.database.write(lambda c: foreign_ids.note(c, key_of(user, found.thread_id), facts))
    else:
        changes = UpdateThread(metadata=dict(metadata))
        await threads.update_thread(container, user, found.seen, changes, versions=None)
    return Conversation(found.thread_id, found.seen, metadata, found.items)


async def delete(container: Container, user: Principal, found: Conversation) -> None:
    """Delete the conversation, with all that was said. Raises `PermissionDenied`."""
    if found.seen is None:
        await container.conn.database.write(lambda c: foreign_ids.forget(c, key_of(user, found.thread_id)))
    else:
        await threads.delete_thread(container, user, found.seen, versions=None)


def _facts(user: Principal, metadata: Mapping[str, Any], items: Sequence[JsonObject]) -> JsonObject:
    """What is kept of a conversation without a thread."""
    return {"metadata": dict(metadata), "items": list(items), "agents": _agents_of(user)}


def _agents_of(user: Principal) -> list[str] | None:
    """The agents that the user's token names; None for other secrets. What one token makes, no other sees."""
    return None if user.within is None else sorted(user.within.agents)


def key_of(user: Principal, thread_id: str) -> ForeignId:
    """What a conversation without a thread is kept under."""
    return ForeignId(user.user_id, DOOR, conversation_id(thread_id))


# Items.


async def list_items(container: Container, found: Conversation, asked: ItemsAsked) -> JsonObject:
    """A page of the items. Raises `InvalidCursor`."""
    if found.seen is None:
        return page_of(found.items, asked)
    return await container.conn.database.read(
        lambda c: conversation_items.list_items(c, found.thread_id, asked), long=True
    )


async def get_item(container: Container, found: Conversation, item_id: str) -> JsonObject:
    """An item. Raises `ItemNotFound`."""
    if found.seen is not None:
        return await container.conn.database.read(
            lambda c: conversation_items.get_item(c, found.thread_id, item_id), long=True
        )
    for item in found.items:
        if item["id"] == item_id:
            return item
    raise ItemNotFound


async def add_items(
    container: Container, user: Principal, found: Conversation, items: Sequence[InputItem]
) -> JsonObject:
    """Add items, without an answer; the new items as a page.

    Raises `PermissionDenied`, `ThreadBusy`, `GuardrailBlocked`, `QuotaExceeded`, `InvalidRequest`.
    """
    new = _to_stored(items)
    if found.seen is None:
        facts = _facts(user, found.metadata, [*found.items, *new])
        _require_small(facts)
        await container.conn.database.write(lambda c: foreign_ids.note(c, key_of(user, found.thread_id), facts))
    else:
        history = Conversation(found.thread_id, None, {}, new).history()
        await add_messages(container, user, found.seen, history)
    return to_page(new, has_more=False)


async def add_messages(
    container: Container, user: Principal, seen: ThreadAccess, history: Sequence[PastMessage]
) -> None:
    """Add messages to a thread, without an answer, as its agent's guardrails let them in.

    Raises `PermissionDenied`, `ThreadBusy`, `GuardrailBlocked`, `QuotaExceeded`, `AgentDeleted`.
    """
    require_to_send(seen, is_admin=user.is_admin)
    judged = await judge_history(container, user, seen.agent_id, history)
    limits = container.limits.of(user.user_id, is_admin=user.is_admin)

    def add(connection: Connection) -> None:
        initial_messages.append(
            connection,
            seen.thread_id,
            judged.messages,
            user_id=user.user_id,
            known_files=judged.files,
            limits=limits,
        )
        judged.record(connection, seen.thread_id)

    await container.conn.database.write(add)


def _to_stored(items: Sequence[InputItem]) -> list[JsonObject]:
    """Items as they are kept until there is a thread, and as they are shown. Raises `InvalidRequest`."""
    return [_to_item(item, ("items", n)) for n, item in enumerate(items)]


def _to_item(item: InputItem, loc: Loc) -> JsonObject:
    match item:
        case MessageIn():
            content = (
                [{"type": "input_text", "text": item.content}]
                if isinstance(item.content, str)
                else [part.model_dump() for part in item.content]
            )
            if any(part["type"] in ("input_image", "input_file") for part in content):
                raise InvalidRequest("Files are taken with a response alone.", loc=loc)
            if item.role == "assistant":
                content = [text_part(str(part.get("text") or part.get("refusal") or "")) for part in content]
            elif item.role != "user":
                raise InvalidRequest("What is said to the agent itself are `instructions` of a response.", loc=loc)
            item_id = text_item_id(new_id(), 0)
            return {"type": "message", "id": item_id, "role": item.role, "status": "completed", "content": content}
        case FunctionCallIn() | FunctionOutputIn():
            if not isinstance(item, FunctionCallIn) and not isinstance(item.output, str):
                raise InvalidRequest("The answer to a call is text.", loc=(*loc, "output"))
            prefix = "fc" if isinstance(item, FunctionCallIn) else "fco"
            return {**item.model_dump(), "id": call_item_id(prefix, new_tool_call_id()), "status": "completed"}
    raise InvalidRequest("Items are messages, function calls and their outputs.", loc=loc)


def _require_small(facts: JsonObject) -> None:
    if len(json.dumps(facts)) > MAX_FACTS_BYTES:
        text = f"Before its first response a conversation has at most {MAX_FACTS_BYTES} bytes."
        raise InvalidRequest(text, loc=("items",))
