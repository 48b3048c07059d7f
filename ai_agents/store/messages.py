"""Messages: what was said in a thread, who said it, and in which order."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal, cast

from sqlalchemy import Connection, Table, bindparam, func, not_, select, update

from ai_agents.core import json
from ai_agents.core.exceptions import MessageNotFound
from ai_agents.core.parts import part_to_stored, stored_to_public
from ai_agents.core.rows import Message, Money, Page, PublicPart
from ai_agents.core.search_words import fold
from ai_agents.core.table_rows import MessageRow
from ai_agents.core.types import MessageRole, MessageStatus, Part, Usage
from ai_agents.store import pages
from ai_agents.store.models import MessageFileTable, MessageTable, RunTable
from ai_agents.store.pages import MAX_SEQ
from ai_agents.store.statements import prepared, prepared_insert

Order = Literal["asc", "desc"]
_MESSAGES = cast(Table, MessageTable.__table__)
_INSERT = prepared_insert(MessageTable)
_LINK = prepared_insert(MessageFileTable)
# What is read of a message: all but its words, which are nearly as long as its text.
COLUMNS = tuple(column for column in _MESSAGES.c if column.name != "search")
_PLACE = prepared(
    update(_MESSAGES)
    .where(_MESSAGES.c.id == bindparam("message_id"))
    .values(seq=bindparam("new_seq"), status="completed")
    .returning(*COLUMNS)
)
_OF_THREAD = select(*COLUMNS).where(_MESSAGES.c.thread_id == bindparam("thread_id"))
_FIND = prepared(_OF_THREAD.where(_MESSAGES.c.id == bindparam("message_id")))
_LAST_ANSWER = prepared(
    select(*COLUMNS)
    .where(_MESSAGES.c.run_id == bindparam("run_id"), _MESSAGES.c.role == "assistant")
    .order_by(_MESSAGES.c.seq.desc())
    .limit(1)
)
_ASKED = _MESSAGES.alias()
_ANSWERS = prepared(
    select(*COLUMNS)
    .where(
        _MESSAGES.c.run_id == bindparam("run_id"),
        _MESSAGES.c.role == "assistant",
        _MESSAGES.c.seq > select(_ASKED.c.seq).where(_ASKED.c.id == bindparam("message_id")).scalar_subquery(),
    )
    .order_by(_MESSAGES.c.seq)
)
_PAGE = _OF_THREAD.limit(bindparam("count"))
_OLDEST_FIRST = prepared(_PAGE.where(_MESSAGES.c.seq > bindparam("seen")).order_by(_MESSAGES.c.seq))
_NEWEST_FIRST = prepared(_PAGE.where(_MESSAGES.c.seq < bindparam("seen")).order_by(_MESSAGES.c.seq.desc()))


def insert_message(
    connection: Connection,
    *,
    message_id: str,
    thread_id: str,
    run_id: str | None,
    seq: int | None,
    role: MessageRole,
    parts: Sequence[Part],
    created_at: str,
    status: MessageStatus = "completed",
    user_id: str | None = None,
    usage: Usage | None = None,
    cost: Money | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Message:
    """Write a message and return it as clients see it. `seq` is None for a queued message.

    The files that it refers to must exist.
    """
    stored = [part_to_stored(part) for part in parts]
    row: MessageRow = {
        "id": message_id,
        "thread_id": thread_id,
        "run_id": run_id,
        "seq": seq,
        "role": role,
        "parts": stored,
        "status": status,
        "user_id": user_id,
        "usage": None if usage is None else usage.to_dict(),
        "cost": cost,
        "metadata": dict(metadata or {}),
        "created_at": created_at,
        "refused": False,
        "superseded": False,
        "search": words_of(role, stored),
    }
    connection.execute(_INSERT, row)
    _link_files(connection, [(message_id, thread_id, stored)])
    return to_public(row)


def insert_messages(connection: Connection, rows: Sequence[MessageRow]) -> list[Message]:
    """Write whole rows of `messages` at once. Returns them as clients see them."""
    words = ("" if row["superseded"] else words_of(row["role"], row["parts"]) for row in rows)
    connection.execute(_INSERT, [{**row, "search": search} for row, search in zip(rows, words, strict=True)])
    _link_files(connection, ((row["id"], row["thread_id"], row["parts"]) for row in rows))
    return [to_public(row) for row in rows]


def words_of(role: MessageRole, stored: Iterable[Mapping[str, Any]]) -> str:
    """What a message is found by, of its stored parts: its text, where a person or a model wrote it."""
    return "" if role == "tool" else fold("".join(part["text"] for part in stored if part["type"] == "text"))


def _link_files(connection: Connection, messages: Iterable[tuple[str, str, Sequence[Mapping[str, Any]]]]) -> None:
    """Record which files messages refer to. A message is given as its id, its thread's id and its stored parts."""
    links = {
        (message_id, part["file_id"]): {"message_id": message_id, "file_id": part["file_id"], "thread_id": thread_id}
        for message_id, thread_id, parts in messages
        for part in parts
        if part["type"] == "file"
    }
    if links:
        connection.execute(_LINK, list(links.values()))


def place_message(connection: Connection, message_id: str, seq: int) -> Message:
    """Give a queued message its place in the history. Returns it as clients see it. Raises `MessageNotFound`."""
    row = connection.execute(_PLACE, {"message_id": message_id, "new_seq": seq}).mappings().one_or_none()
    if row is None:
        raise MessageNotFound
    return to_public(cast("MessageRow", row))


def refuse_run(connection: Connection, thread_id: str, run_id: str) -> None:
    """Leave a run's messages out of later requests, since the provider would always refuse them.

    So are the messages before them that no model has answered, or only with a refusal: they were in the same request,
    and any of them may be the cause. A run that has answered and went on with another message keeps what it answered.
    """
    messages, of_thread = _MESSAGES.c, _MESSAGES.c.thread_id == thread_id
    of_run = select(messages.seq, messages.role).where(messages.run_id == run_id, messages.seq > 0)
    own = connection.execute(of_run.order_by(messages.seq)).all()
    answered: Any = max(
        (before.seq for before, after in pairwise(own) if (before.role, after.role) == ("assistant", "user")),
        default=None,
    )
    if answered is None:
        refused = RunTable.__table__.c
        answered = (
            select(func.coalesce(func.max(messages.seq), 0))
            .select_from(_MESSAGES.outerjoin(RunTable.__table__, refused.id == messages.run_id))
            .where(of_thread, messages.role == "assistant", messages.seq < own[0].seq)
            .where(func.coalesce(refused.stop_reason, "") != "refusal")
            .scalar_subquery()
        )
    unanswered = of_thread, messages.seq > answered, not_(messages.superseded)
    connection.execute(update(_MESSAGES).where(*unanswered).values(refused=True))


def leave_out(connection: Connection, message_ids: Sequence[str]) -> None:
    """Leave these messages out of requests."""
    connection.execute(update(_MESSAGES).where(_MESSAGES.c.id.in_(message_ids)).values(refused=True))


def find_message(connection: Connection, thread_id: str, message_id: str) -> Message | None:
    """A message of this thread as clients see it."""
    row = connection.execute(_FIND, {"message_id": message_id, "thread_id": thread_id}).mappings().one_or_none()
    return None if row is None else to_public(cast("MessageRow", row))


def find_last_answer(connection: Connection, run_id: str) -> Message | None:
    """The assistant's last message of a run."""
    row = connection.execute(_LAST_ANSWER, {"run_id": run_id}).mappings().one_or_none()
    return None if row is None else to_public(cast("MessageRow", row))


def find_newest(connection: Connection, thread_id: str) -> Message | None:
    """The newest message of a thread's history that no retry has superseded."""
    c = _MESSAGES.c
    found = select(*COLUMNS).where(c.thread_id == thread_id, c.seq.is_not(None), not_(c.superseded))
    row = connection.execute(found.order_by(c.seq.desc()).limit(1)).mappings().one_or_none()
    return None if row is None else to_public(cast("MessageRow", row))


def list_of_run(connection: Connection, run_id: str) -> list[Message]:
    """The messages of a run in their order, without queued ones and those that a retry has superseded."""
    c = _MESSAGES.c
    found = select(*COLUMNS).where(c.run_id == run_id, c.seq.is_not(None), not_(c.superseded)).order_by(c.seq)
    return [to_public(row) for row in cast("list[MessageRow]", connection.execute(found).mappings().all())]


def supersede(connection: Connection, message_ids: Sequence[str]) -> None:
    """Leave these answers out of requests and searches."""
    values = {"superseded": True, "search": ""}
    connection.execute(update(_MESSAGES).where(_MESSAGES.c.id.in_(message_ids)).values(values))


def hand_to_run(connection: Connection, message_ids: Sequence[str], run_id: str, *, sendable: bool) -> list[Message]:
    """Let another run answer these messages; with `sendable` they are sent again that were refused. In their order."""
    values: dict[str, Any] = {"run_id": run_id, **({"refused": False} if sendable else {})}
    handed = update(_MESSAGES).where(_MESSAGES.c.id.in_(message_ids)).values(values).returning(*COLUMNS)
    rows = cast("list[MessageRow]", connection.execute(handed).mappings().all())
    return [to_public(row) for row in sorted(rows, key=lambda row: row["seq"] or 0)]


def find_answer_before(connection: Connection, thread_id: str, seq: int) -> str | None:
    """The id of the newest assistant's message before this `seq` that no retry has superseded."""
    c = _MESSAGES.c
    earlier = c.thread_id == thread_id, c.seq < seq, c.role == "assistant", not_(c.superseded)
    return connection.scalar(select(c.id).where(*earlier).order_by(c.seq.desc()).limit(1))


def find_last_of_run(connection: Connection, run_id: str, *, through_seq: int) -> str | None:
    """The id of a run's last message up to and including this `seq`."""
    c = _MESSAGES.c
    found = select(c.id).where(c.run_id == run_id, c.seq <= through_seq).order_by(c.seq.desc()).limit(1)
    return connection.scalar(found)


def find_answer(connection: Connection, run_id: str, message_id: str) -> Message | None:
    """The first answer of a run after this message: an assistant's message that calls no tools."""
    rows = connection.execute(_ANSWERS, {"run_id": run_id, "message_id": message_id}).mappings()
    answers = (row for row in rows if all(part["type"] != "tool_call" for part in row["parts"]))
    row = next(answers, None)
    return None if row is None else to_public(cast("MessageRow", row))


def list_messages(
    connection: Connection,
    thread_id: str,
    *,
    limit: int = 20,
    after: str | None = None,
    around: str | None = None,
    order: Order = "asc",
) -> Page[Message]:
    """A page of a thread's history, oldest first or with `order="desc"` newest first: `{"data", "next"}`.

    `around` is the id of a message in whose middle the page is, as far as there are messages on both sides. Queued
    messages are not part of it. Raises `InvalidCursor`, `MessageNotFound`.
    """
    if around is not None:
        return _list_around(connection, thread_id, around, limit=limit, order=order)
    end = 0 if order == "asc" else MAX_SEQ
    seen = end if after is None else pages.decode_number_cursor(after)
    rows = _rows_from(connection, thread_id, seen, count=limit + 1, order=order)
    return pages.to_page(rows, limit=limit, cursor=_cursor, to_dict=to_public)


def _list_around(connection: Connection, thread_id: str, message_id: str, *, limit: int, order: Order) -> Page[Message]:
    found = connection.execute(_FIND, {"message_id": message_id, "thread_id": thread_id}).mappings().one_or_none()
    if found is None or found["seq"] is None:
        raise MessageNotFound
    middle, others = cast("MessageRow", found), limit - 1
    seq = found["seq"]
    earlier = _rows_from(connection, thread_id, seq, count=limit, order="desc")
    later = _rows_from(connection, thread_id, seq, count=limit, order="asc")
    before = min(len(earlier), max(others // 2, others - len(later)))
    behind = min(len(later), others - before)
    rows = [*reversed(earlier[:before]), middle, *later[:behind]]
    goes_on = len(later) > behind if order == "asc" else len(earlier) > before
    if order == "desc":
        rows.reverse()
    return {"data": [to_public(row) for row in rows], "next": _cursor(rows[-1]) if goes_on else None}


def _rows_from(connection: Connection, thread_id: str, seen: int, *, count: int, order: Order) -> Sequence[MessageRow]:
    """The rows of a thread's history after or before the number `seen`, the nearest first."""
    statement = _OLDEST_FIRST if order == "asc" else _NEWEST_FIRST
    values = {"thread_id": thread_id, "seen": seen, "count": count}
    return cast("Sequence[MessageRow]", connection.execute(statement, values).mappings().all())


def _cursor(row: MessageRow) -> str:
    return pages.encode_cursor(row["seq"] or 0)


def to_public(row: MessageRow) -> Message:
    """The row of a message, as clients see it."""
    parts = [stored_to_public(part) for part in row["parts"]]
    message: Message = {
        "id": row["id"],
        "thread_id": row["thread_id"],
        "run_id": row["run_id"],
        "seq": row["seq"],
        "role": row["role"],
        "content": "".join(map(_text_of, parts)),
        "parts": parts,
        "status": row["status"],
        "user_id": row["user_id"],
        "usage": row["usage"],
        "cost": row["cost"],
        "metadata": row["metadata"],
        "created_at": row["created_at"],
    }
    if row["refused"]:
        message["refused"] = True
    if row["superseded"]:
        message["superseded"] = True
    return message


def _text_of(part: PublicPart) -> str:
    """What a part adds to the content: its text, or a tool's result."""
    match part["type"]:
        case "text":
            return part["text"]
        case "tool_result":
            result = part["result"]
            return result if isinstance(result, str) else json.dumps(result)
        case _:
            return ""


def get_message(connection: Connection, thread_id: str, message_id: str) -> Message:
    """One message of a thread, also a queued one. Raises `MessageNotFound`."""
    found = find_message(connection, thread_id, message_id)
    if found is None:
        raise MessageNotFound
    return found
