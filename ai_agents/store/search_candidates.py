"""Which messages fit a search: in few threads they are looked through, otherwise an index says where the words are.

On PostgreSQL a word that others use all the time makes its index slow, whether or not one's own messages have it. So
the newest threads are looked through first. Where they have little, the index is asked, for a moment; where it takes
longer, more threads are looked through, for a second at most.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    Connection,
    Float,
    Integer,
    Select,
    Table,
    Text,
    and_,
    column,
    func,
    literal,
    literal_column,
    select,
    table,
    union_all,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlalchemy.exc import DBAPIError

from ai_agents.core.scopes import AgentScope
from ai_agents.core.search_words import SearchQuery
from ai_agents.store import search_index, visibility
from ai_agents.store.models import MessageTable, ThreadTable

# Of the messages that fit, so many are put in order: the newest.
MOST_FOUND = 1_000
# Up to so many threads with so many rows in their logs are looked through at once, which takes up to 100 ms.
FEW_THREADS = 1_000
FEW_ROWS = 4_000
# With so many hits in the newest threads, a word is one that the user uses often.
_OFTEN = 100
_INDEX_MS = 300
_LOOK_FOR_S = 1.0
# What an index is asked for. All that is asked is compared with what it finds.
_MOST_PHRASES, _MOST_WORDS = 16, 32
# What counts for the order.
_MOST_SCORED = 8
_CANCELLED = "57014"
_MESSAGES = cast(Table, MessageTable.__table__).c
_THREADS = cast(Table, ThreadTable.__table__).c
# The expression of the index.
_WORDS = func.array_to_tsvector(func.string_to_array(func.btrim(_MESSAGES.search), literal_column("'  '")))
_FTS = table("message_search", column("rowid", Integer))
_NUMBERS = table("message_search_rows", column("id", Integer), column("message_id", Text))

# A message's score and id: the higher, the better.
Hit = tuple[int, str]
# Threads, whether they are the last, and whether all messages are indexed.
_Piece = tuple[list[str], bool, bool]


@dataclass(frozen=True, slots=True)
class Search:
    """What is asked for. `user_id` None: in all threads; otherwise see `MessageStore.search`."""

    query: SearchQuery
    user_id: str | None
    thread_id: str | None = None
    agent_id: str | None = None
    within: AgentScope | None = None
    shared: bool = False

    def threads(self) -> tuple[ColumnElement[bool], ...]:
        """What is true of the threads that are searched."""
        # As in lists, no temporary ones.
        found: list[ColumnElement[bool]] = [_THREADS.expires_at.is_(None)]
        if self.user_id is not None:
            found.append(_THREADS.id.in_(visibility.resources_of("thread", self.user_id, shared=self.shared)))
        if self.thread_id is not None:
            found.append(_THREADS.id == self.thread_id)
        if self.agent_id is not None:
            found.append(_THREADS.agent_id == self.agent_id)
        if self.within is not None:
            found.append(_THREADS.agent_id.in_(self.within.agents))
        return tuple(found)


def find(connection: Connection, asked: Search) -> tuple[list[Hit], bool]:
    """The messages that fit, in no order, and whether there are no more, or as many as are looked for."""
    pieces = _pieces(connection, asked)
    threads, is_last, is_indexed = next(pieces)
    hits, is_whole = _find(connection, asked, pieces, threads, is_last=is_last)
    return hits, is_whole and is_indexed


def _find(
    connection: Connection, asked: Search, pieces: Iterator[_Piece], threads: list[str], *, is_last: bool
) -> tuple[list[Hit], bool]:
    if connection.dialect.name == "sqlite" and not is_last:
        return _execute(connection, _from_fts(asked)), True
    hits = _look_through(connection, asked.query, threads)
    if is_last or len(hits) == MOST_FOUND:
        return hits, True
    if len(hits) < _OFTEN and (indexed := _ask_index(connection, asked)) is not None:
        return indexed, True
    until = time.monotonic() + _LOOK_FOR_S
    for more, is_end, _ in pieces:
        hits += _look_through(connection, asked.query, more, limit=MOST_FOUND - len(hits))
        if is_end or len(hits) == MOST_FOUND:
            break
        if time.monotonic() > until:
            return hits, False
    return hits, True


def set_for_now(connection: Connection, **settings: str) -> None:
    """Change settings of PostgreSQL until the transaction ends, or its savepoint is rolled back."""
    connection.execute(select(*(func.set_config(name, value, True) for name, value in settings.items())))


def was_cancelled(error: DBAPIError) -> bool:
    """Whether a statement took longer than its `statement_timeout`."""
    return getattr(error.orig, "sqlstate", None) == _CANCELLED


def _pieces(connection: Connection, asked: Search) -> Iterator[_Piece]:
    """All threads that are searched, few at a time, the newest first."""
    before: str | None = None
    while True:
        statement = select(_THREADS.id, _THREADS.last_seq, search_index.INCOMPLETE).where(*asked.threads())
        if before is not None:
            statement = statement.where(_THREADS.id < before)
        rows = connection.execute(statement.order_by(_THREADS.id.desc()).limit(FEW_THREADS + 1)).all()
        threads: list[str] = []
        count = 0
        for row in rows[:FEW_THREADS]:
            count += row.last_seq
            if threads and count > FEW_ROWS:
                break
            threads.append(row.id)
        is_last = len(threads) == len(rows)
        yield threads, is_last, not any(row.incomplete for row in rows)
        if is_last:
            return
        before = threads[-1]


def _look_through(
    connection: Connection, query: SearchQuery, threads: Sequence[str], *, limit: int = MOST_FOUND
) -> list[Hit]:
    if not threads:
        return []
    fits = _MESSAGES.thread_id.in_(threads), _fits(query, connection.dialect.name)
    return _execute(connection, _newest(_columns(query, connection.dialect.name).where(*fits), limit))


def _ask_index(connection: Connection, asked: Search) -> list[Hit] | None:
    """What PostgreSQL's index finds; None where that takes too long."""
    was = connection.scalar(select(func.current_setting("statement_timeout")))
    try:
        with connection.begin_nested():
            set_for_now(connection, statement_timeout=str(_INDEX_MS))
            hits = _execute(connection, _from_tsvector(asked))
            set_for_now(connection, statement_timeout=str(was))
    except DBAPIError as error:
        if was_cancelled(error):
            return None
        raise
    return hits


def _execute(connection: Connection, statement: Select[Any]) -> list[Hit]:
    return [(score, message_id) for message_id, score in connection.execute(statement)]


def _columns(query: SearchQuery, dialect: str) -> Select[Any]:
    return select(_MESSAGES.id, _score(query.phrases, dialect).label("score"))


def _fits(query: SearchQuery, dialect: str) -> ColumnElement[bool]:
    """Whether a message in a history has all that is asked for."""
    find = func.instr if dialect == "sqlite" else func.strpos
    has = [find(_MESSAGES.search, phrase) > 0 for phrase in query.phrases]
    has_not = [find(_MESSAGES.search, phrase) == 0 for phrase in query.excluded]
    return and_(_MESSAGES.seq.is_not(None), *has, *has_not)


def _from_tsvector(asked: Search) -> Select[Any]:
    words = sorted({word for phrase in asked.query.phrases for word in phrase.split()}, key=len, reverse=True)
    wanted = " & ".join(f"'{word}'" for word in words[:_MOST_WORDS])
    indexed = _WORDS.op("@@")(sql_cast(sql_cast(literal(wanted), Text), TSQUERY))
    # As in the partial index.
    has_words = _MESSAGES.search != literal_column("''")
    of_threads = MessageTable.thread_id.in_(_threads_of(asked))
    fits = _fits(asked.query, "postgresql")
    return _newest(_columns(asked.query, "postgresql").where(has_words, indexed, of_threads, fits))


def _from_fts(asked: Search) -> Select[Any]:
    """What FTS5 finds, read from the newest on until there is enough, and what is not in it yet."""
    phrases = sorted(asked.query.phrases, key=len, reverse=True)[:_MOST_PHRASES]
    wanted = " ".join(f'"{" ".join(phrase.split()[:_MOST_WORDS])}"' for phrase in phrases)
    numbered = _NUMBERS.c.id == _FTS.c.rowid
    match = literal_column("message_search").op("MATCH")(wanted)
    # Without the sign SQLite would go through all messages of these threads, and ask FTS5 for each.
    of_threads = literal_column("+messages.thread_id", Text).in_(_threads_of(asked))
    fits = _fits(asked.query, "sqlite"), of_threads
    of_number = _MESSAGES.id == _NUMBERS.c.message_id
    in_fts = (
        _columns(asked.query, "sqlite")
        .select_from(_FTS.join(_NUMBERS, numbered).join(MessageTable, of_number))
        .where(match, *fits)
        .order_by(_FTS.c.rowid.desc())
        .limit(MOST_FOUND)
    )
    row = literal_column("messages.rowid", Integer)
    not_yet = (
        _columns(asked.query, "sqlite")
        .where(row > literal_column(search_index.FED, Integer), *fits)
        .order_by(row.desc())
        .limit(MOST_FOUND)
    )
    both = union_all(*(select(each.subquery()) for each in (in_fts, not_yet))).subquery()
    return select(both.c.id, both.c.score)


def _threads_of(asked: Search) -> Select[str]:
    return select(ThreadTable.id).where(*asked.threads())


def _newest(statement: Select[Any], limit: int = MOST_FOUND) -> Select[Any]:
    return statement.order_by(_MESSAGES.id.desc()).limit(limit)


def _score(phrases: Sequence[str], dialect: str) -> ColumnElement[int]:
    """How well a message fits, in millionths: how often it has each phrase, for its length.

    This is BM25 (k1 1.2, b 0.75, a mean of 600 characters) without the rarity of the words, which would tell of the
    messages of others.
    """
    # PostgreSQL knows the bytes of a text, and has to count its characters.
    in_bytes = dialect == "postgresql"
    size = func.octet_length if in_bytes else func.length
    length = sql_cast(size(_MESSAGES.search), Float)
    score: ColumnElement[Any] = literal(0.0)
    for phrase in phrases[:_MOST_SCORED]:
        left = size(func.replace(_MESSAGES.search, phrase, literal_column("''")))
        often = (length - left) / len(phrase.encode() if in_bytes else phrase)
        score = score + often / (often + 0.3 + length * (0.9 / 600))
    return sql_cast(score * 1_000_000, Integer)
