"""Lists in pages. A cursor holds the keys of the last item of a page, so that every page costs the same.

To clients a cursor is opaque. One that was not made here is refused.
"""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, Select, tuple_

from ai_agents.core import json
from ai_agents.core.exceptions import InvalidCursor
from ai_agents.core.ids import format_time, is_id
from ai_agents.core.rows import Page
from ai_agents.store.models import Base

Row = Mapping[Any, Any]
RowT = TypeVar("RowT", bound=Row)
ItemT = TypeVar("ItemT")
# Most cursors have less than a hundred characters. Those of users hold an id of up to 255, in UTF-8 and base 64.
MAX_CURSOR = 1_500
MAX_SEQ = 2**31 - 1


def encode_cursor(*keys: str | int) -> str:
    """The cursor of an item with these keys."""
    return base64.urlsafe_b64encode(json.dumps(keys).encode()).decode().rstrip("=")


def decode_time_cursor(cursor: str, *order: str) -> tuple[str, str]:
    """The time and id in a cursor, which begins with the name of its order, if it has one. Raises `InvalidCursor`."""
    match _decode(cursor):
        case [*named, str(time), str(id)] if named == [*order] and _is_time(time) and is_id(id):
            return time, id
        case _:
            raise InvalidCursor


def decode_call_cursor(cursor: str) -> tuple[str, str, str]:
    """The time, the run's id and the call's id in a cursor. Raises `InvalidCursor`."""
    match _decode(cursor):
        case [str(time), str(run_id), str(call_id)] if _is_time(time) and is_id(run_id) and "\0" not in call_id:
            return time, run_id, call_id
        case _:
            raise InvalidCursor


def decode_number_cursor(cursor: str) -> int:
    """The number (a `seq`, a version) in a cursor. Raises `InvalidCursor`."""
    keys = _decode(cursor)
    if len(keys) == 1 and type(keys[0]) is int and 0 <= keys[0] <= MAX_SEQ:
        return keys[0]
    raise InvalidCursor


def decode_score_cursor(cursor: str) -> tuple[int, str]:
    """The score and id in the cursor of a search. Raises `InvalidCursor`."""
    match _decode(cursor):
        case ["search", int(score), str(id)] if type(score) is int and 0 <= score <= MAX_SEQ and is_id(id):
            return score, id
        case _:
            raise InvalidCursor


def decode_text_cursor(cursor: str) -> str:
    """The text (a user's id) in a cursor. Raises `InvalidCursor`."""
    match _decode(cursor):
        case [str(text)] if "\0" not in text:
            return text
        case _:
            raise InvalidCursor


def to_page(
    rows: Sequence[RowT], *, limit: int, cursor: Callable[[RowT], str], to_dict: Callable[[RowT], ItemT]
) -> Page[ItemT]:
    """A page of rows. The query asked for one more than `limit`: that row says that there is a next page."""
    shown = rows[:limit]
    return {"data": [to_dict(row) for row in shown], "next": cursor(shown[-1]) if len(rows) > limit else None}


def newest_first(
    connection: Connection,
    statement: Select[*tuple[Any, ...]],
    table: type[Base],
    *,
    limit: int,
    after: str | None,
    to_dict: Callable[[Any], ItemT],
) -> Page[ItemT]:
    """A page of the statement's rows, newest first. The table has `created_at` and `id`. Raises `InvalidCursor`."""
    keys = table.__table__.c["created_at"], table.__table__.c["id"]
    if after is not None:
        statement = statement.where(tuple_(*keys) < decode_time_cursor(after))
    rows = connection.execute(statement.order_by(*(key.desc() for key in keys)).limit(limit + 1)).mappings().all()
    return to_page(rows, limit=limit, cursor=lambda row: encode_cursor(row["created_at"], row["id"]), to_dict=to_dict)


def _decode(cursor: str) -> list[Any]:
    if not 0 < len(cursor) <= MAX_CURSOR or not cursor.isascii():
        raise InvalidCursor
    try:
        found = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError) as error:
        raise InvalidCursor from error
    if not isinstance(found, list) or encode_cursor(*found) != cursor:
        raise InvalidCursor
    return found


def _is_time(text: str) -> bool:
    try:
        return format_time(datetime.fromisoformat(text)) == text
    except (ValueError, OverflowError):
        return False
