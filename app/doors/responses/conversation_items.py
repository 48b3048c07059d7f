"""The items of a conversation: what the messages of its thread are in this protocol, page by page."""

from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import Connection, String, Table, select
from sqlalchemy import cast as sql_cast

from ai_agents.core.exceptions import InvalidCursor, NotFound
from ai_agents.core.rows import Message
from ai_agents.core.types import JsonObject
from ai_agents.store import messages, pages
from ai_agents.store.models import MessageTable, RunTable
from app.doors.responses.ids import call_of_item, message_of_item
from app.doors.responses.items import message_items
from app.doors.responses.lists import ItemsAsked, to_page

_MESSAGES = cast(Table, MessageTable.__table__)
_RUNS = cast(Table, RunTable.__table__)
_PAGE = 100


class ItemNotFound(NotFound):
    """There is no such item in this conversation."""


def list_items(connection: Connection, thread_id: str, asked: ItemsAsked) -> JsonObject:
    """A page of the items of a thread. Raises `InvalidCursor`."""
    order, limit = asked["order"], asked["limit"]
    seen: int | None = None
    skip_to = asked["after"]
    if skip_to is not None:
        found = _find_message(connection, thread_id, skip_to)
        if found is None:
            raise InvalidCursor
        seen = (found["seq"] or 0) + (-1 if order == "asc" else 1)
    items: list[JsonObject] = []
    while len(items) <= limit:
        after = None if seen is None else pages.encode_cursor(seen)
        page = messages.list_messages(connection, thread_id, limit=_PAGE, after=after, order=order)
        new = _items_of(connection, page["data"], reverse=order == "desc")
        if skip_to is not None:
            places = [n for n, item in enumerate(new) if item["id"] == skip_to]
            if not places:
                raise InvalidCursor
            new, skip_to = new[places[0] + 1 :], None
        items += new
        if page["next"] is None:
            break
        seen = page["data"][-1]["seq"]
    return to_page(items[:limit], has_more=len(items) > limit)


def get_item(connection: Connection, thread_id: str, item_id: str) -> JsonObject:
    """An item of a thread. Raises `ItemNotFound`."""
    found = _find_message(connection, thread_id, item_id)
    for item in () if found is None else _items_of(connection, [found], reverse=False):
        if item["id"] == item_id:
            return item
    raise ItemNotFound


def find_message_of(connection: Connection, item_id: str) -> Message | None:
    """The message of any thread that an item is of; None for other items."""
    message_id = message_of_item(item_id)
    if message_id is None:
        return None
    thread_id = connection.scalar(select(_MESSAGES.c.thread_id).where(_MESSAGES.c.id == message_id))
    return None if thread_id is None else messages.find_message(connection, thread_id, message_id)


def _find_message(connection: Connection, thread_id: str, item_id: str) -> Message | None:
    """The message that an item is of, or a part of."""
    if (message_id := message_of_item(item_id)) is not None:
        found = messages.find_message(connection, thread_id, message_id)
        return None if found is None or found["seq"] is None else found
    if (call := call_of_item(item_id)) is None:
        return None
    prefix, call_id = call
    role = "tool" if prefix == "fco" else "assistant"
    # Call ids are ours, and have no character that JSON or LIKE reads in another way but `_`, which fits itself.
    has_call = sql_cast(_MESSAGES.c.parts, String).like(f'%"{call_id}"%')
    statement = select(_MESSAGES.c.id).where(_MESSAGES.c.thread_id == thread_id, _MESSAGES.c.role == role, has_call)
    message_id = connection.scalar(statement.order_by(_MESSAGES.c.seq.desc()).limit(1))
    return None if message_id is None else messages.find_message(connection, thread_id, message_id)


def _items_of(connection: Connection, found: Sequence[Message], *, reverse: bool) -> list[JsonObject]:
    """The items of these messages, in their order, or with `reverse` the last item of each first."""
    run_ids = {each["run_id"] for each in found if each["run_id"] is not None}
    by_client = _client_calls(connection, found, run_ids)
    results = _results(connection, found, run_ids)
    items: list[JsonObject] = []
    for message in found:
        its = message_items(message, by_client, results)
        items += reversed(its) if reverse else its
    return items


def _client_calls(connection: Connection, found: Sequence[Message], run_ids: set[str]) -> set[str]:
    """The calls in these messages that a client made: those of its own tools, and those that it told of itself."""
    tools: dict[str, set[str]] = {}
    statement = select(_RUNS.c.id, _RUNS.c.client_tools).where(
        _RUNS.c.id.in_(run_ids), _RUNS.c.client_tools.is_not(None)
    )
    for row in connection.execute(statement) if run_ids else ():
        tools[row.id] = {tool["name"] for tool in row.client_tools}
    return {
        part["tool_call_id"]
        for message in found
        for part in message["parts"]
        if (part["type"] == "tool_call" or part["type"] == "tool_result")
        and (message["run_id"] is None or part["name"] in tools.get(message["run_id"], ()))
    }


def _results(connection: Connection, found: Sequence[Message], run_ids: set[str]) -> dict[str, Any]:
    """The results of the calls in these messages, by the calls' ids."""
    if not any(part["type"] == "tool_call" for message in found for part in message["parts"]):
        return {}
    statement = select(_MESSAGES.c.parts).where(_MESSAGES.c.run_id.in_(run_ids), _MESSAGES.c.role == "tool")
    return {
        part["tool_call_id"]: part
        for parts in connection.scalars(statement)
        for part in parts
        if part["type"] == "tool_result"
    }
