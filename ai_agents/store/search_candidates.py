"""Which messages fit a search: in few threads they are looked through, in many an index says where the words are.

On SQLite that is FTS5, which is read from the newest message on until there is enough. PostgreSQL's GIN knows no order,
and has the messages of all tenants, so of very many threads the newest are looked through first, for as long as that
is the quickest way to a thousand hits (`search_costs`).
"""

import time
from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Select,
    String,
    Table,
    Text,
    any_,
    column,
    func,
    literal,
    literal_column,
    select,
    table,
    union_all,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects.postgresql import ARRAY, TSQUERY
from sqlalchemy.exc import DBAPIError

from ai_agents.core.search_words import SearchQuery
from ai_agents.store import search_costs, search_index
from ai_agents.store.models import MessageTable
from ai_agents.store.search_matching import fits, score
from ai_agents.store.search_threads import Piece, Search, ThreadReader

# Of the messages that fit, so many are put in order: the newest, of very many threads those of the newest.
MOST_FOUND = 1_000
# Up to so many threads with so many rows in their logs are looked through at once, which takes up to 50 ms. FTS5 has to
# go through the messages of all others to find a thousand of one's own, so on SQLite more are looked through.
FEW_THREADS = 1_000
FEW_ROWS = {"postgresql": 4_000, "sqlite": 16_000}
# Of further threads, so many rows at once.
_MORE_ROWS = 10_000
# What the index is given, and looking through; after an index that took too long, half of it.
_INDEX_MS = 2_000
_LOOK_FOR_S = 2.0
# What an index is asked for. All that is asked is compared with what it finds.
_MOST_PHRASES, _MOST_WORDS = 16, 32
_CANCELLED = "57014"
# PostgreSQL is to ask the index first, and for each message that fits whether one may read it; and it is to cut down
# what the index names before it reads messages, whatever it takes the number of threads for.
_BY_KEYS = {"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off"}
_BY_BITMAPS = {"random_page_cost": "10000"}
# Bitmaps of a million messages.
_MEMORY = {"work_mem": "32MB"}
# What is changed until the transaction ends, besides `statement_timeout`.
SETTINGS = (*_BY_KEYS, *_BY_BITMAPS, *_MEMORY)
_MESSAGES = cast(Table, MessageTable.__table__).c
# The expression of the index.
_WORDS = func.array_to_tsvector(func.string_to_array(func.btrim(_MESSAGES.search), literal_column("'  '")))
_FTS = table("message_search", column("rowid", Integer))
_NUMBERS = table("message_search_rows", column("id", Integer), column("message_id", Text))

# A message's score and id: the higher, the better.
Hit = tuple[int, str]


def find(connection: Connection, asked: Search) -> tuple[list[Hit], bool]:
    """The messages that fit, in no order, and whether there are no more, or as many as are looked for."""
    reader = ThreadReader(connection, asked)
    piece = reader.take(threads=FEW_THREADS, rows=FEW_ROWS[connection.dialect.name])
    if piece.is_last:
        return _execute(connection, _newest(_in_threads(connection, asked.query, piece.threads))), reader.is_indexed
    if connection.dialect.name == "sqlite":
        return _execute(connection, _from_fts(asked)), reader.is_indexed
    hits, is_whole = _Many(connection, asked, reader).find(piece)
    return hits, is_whole and reader.is_indexed


class _Many:
    """A search in very many threads, on PostgreSQL."""

    def __init__(self, connection: Connection, asked: Search, reader: ThreadReader) -> None:
        self._connection = connection
        self._asked = asked
        self._reader = reader
        words = {word for phrase in asked.query.phrases for word in phrase.split()}
        self._words = sorted(words, key=len, reverse=True)[:_MOST_WORDS]
        self._costs = search_costs.estimate(connection, asked, self._words)

    def find(self, newest: Piece) -> tuple[list[Hit], bool]:
        """The hits, and whether they are all, or a thousand. The first threads have been read."""
        if not self._costs.is_rare:
            return self._look_through(newest, may_ask=True)
        indexed = self._ask_index(of_own=False)
        return self._look_through(newest, may_ask=False) if indexed is None else (indexed, True)

    def _look_through(self, piece: Piece, *, may_ask: bool) -> tuple[list[Hit], bool]:
        """Look through the newest threads until the index is quicker, if it may be asked."""
        hits: list[Hit] = []
        threads = rows = 0
        until = time.monotonic() + _LOOK_FOR_S
        while True:
            statement = _in_threads(self._connection, self._asked.query, piece.threads)
            hits += _execute(self._connection, _of_newest_threads(statement, MOST_FOUND - len(hits)))
            threads, rows, missing = threads + len(piece.threads), rows + piece.rows, MOST_FOUND - len(hits)
            if piece.is_last or not missing:
                return hits, True
            of_own = self._costs.way_of_index(missing=missing, hits=len(hits), rows=rows, threads=threads)
            if may_ask and of_own is not None:
                if (indexed := self._ask_index(of_own=of_own)) is not None:
                    return indexed, True
                may_ask, until = False, time.monotonic() + _LOOK_FOR_S / 2
            if time.monotonic() > until:
                return hits, False
            # As many as are likely to have what is missing, and a quarter more.
            likely = missing * rows * 5 // (4 * max(len(hits), 1))
            piece = self._reader.take(rows=min(_MORE_ROWS, likely))

    def _ask_index(self, *, of_own: bool) -> list[Hit] | None:
        """What the index finds, with `of_own` cut down to one's own threads first; None where that takes too long."""
        settings = {"statement_timeout": str(_INDEX_MS)} | _MEMORY
        settings |= (_BY_KEYS if of_own or self._costs.is_rare else {}) | (_BY_BITMAPS if of_own else {})
        try:
            with self._connection.begin_nested():
                set_for_now(self._connection, **settings)
                return _execute(self._connection, self._from_tsvector(of_own=of_own))
        except DBAPIError as error:
            if was_cancelled(error):
                return None
            raise

    def _from_tsvector(self, *, of_own: bool) -> Select[Any]:
        wanted: ColumnElement[Any] = sql_cast(
            sql_cast(literal(" & ".join(f"'{word}'" for word in self._words)), Text), TSQUERY
        )
        user_id = self._asked.user_id
        conditions = []
        if of_own and user_id is not None:
            own = func.array(self._asked.readable(user_id).scalar_subquery(), type_=ARRAY(String))
            conditions.append(_MESSAGES.thread_id == any_(own))
            # It takes an unknown query for one that names many messages.
            wanted = select(wanted).scalar_subquery()
        # As in the partial index.
        conditions += [_MESSAGES.search != literal_column("''"), _WORDS.op("@@")(wanted)]
        columns = _MESSAGES.id, _MESSAGES.thread_id, score(self._asked.query.phrases, "postgresql").label("score")
        # With an offset it is executed by itself: who may read a message is asked of what fits alone.
        found = select(*columns).where(*conditions, fits(self._asked.query, "postgresql")).offset(0).subquery()
        statement = select(found.c.id, found.c.score).where(found.c.thread_id.in_(self._asked.threads()))
        return statement.order_by(found.c.thread_id.desc(), found.c.id.desc()).limit(MOST_FOUND)


def set_for_now(connection: Connection, **settings: str) -> None:
    """Change settings of PostgreSQL until the transaction ends, or its savepoint is rolled back."""
    connection.execute(select(*(func.set_config(name, value, True) for name, value in settings.items())))


def was_cancelled(error: DBAPIError) -> bool:
    """Whether a statement took longer than its `statement_timeout`."""
    return getattr(error.orig, "sqlstate", None) == _CANCELLED


def _execute(connection: Connection, statement: Select[Any]) -> list[Hit]:
    return [(found, message_id) for message_id, found in connection.execute(statement)]


def _columns(query: SearchQuery, dialect: str) -> Select[Any]:
    return select(_MESSAGES.id, score(query.phrases, dialect).label("score"))


def _in_threads(connection: Connection, query: SearchQuery, threads: Sequence[str]) -> Select[Any]:
    dialect = connection.dialect.name
    among: Any = threads
    if dialect == "postgresql":
        # One parameter, however many they are.
        among = select(func.unnest(literal(list(threads), ARRAY(String))))
    return _columns(query, dialect).where(_MESSAGES.thread_id.in_(among), fits(query, dialect))


def _newest(statement: Select[Any]) -> Select[Any]:
    return statement.order_by(_MESSAGES.id.desc()).limit(MOST_FOUND)


def _of_newest_threads(statement: Select[Any], limit: int) -> Select[Any]:
    # With an offset, PostgreSQL does not read all messages in this order to find the few that are missing.
    found = statement.add_columns(_MESSAGES.thread_id).offset(0).subquery()
    return select(found.c.id, found.c.score).order_by(found.c.thread_id.desc(), found.c.id.desc()).limit(limit)


def _from_fts(asked: Search) -> Select[Any]:
    """What FTS5 finds, read from the newest on until there is enough, and what is not in it yet."""
    phrases = sorted(asked.query.phrases, key=len, reverse=True)[:_MOST_PHRASES]
    wanted = " ".join(f'"{" ".join(phrase.split()[:_MOST_WORDS])}"' for phrase in phrases)
    numbered = _NUMBERS.c.id == _FTS.c.rowid
    match = literal_column("message_search").op("MATCH")(wanted)
    # Without the sign SQLite would go through all messages of these threads, and ask FTS5 for each.
    of_threads = literal_column("+messages.thread_id", Text).in_(asked.threads())
    that_fit = fits(asked.query, "sqlite"), of_threads
    of_number = _MESSAGES.id == _NUMBERS.c.message_id
    in_fts = (
        _columns(asked.query, "sqlite")
        .select_from(_FTS.join(_NUMBERS, numbered).join(MessageTable, of_number))
        .where(match, *that_fit)
        .order_by(_FTS.c.rowid.desc())
        .limit(MOST_FOUND)
    )
    row = literal_column("messages.rowid", Integer)
    not_yet = (
        _columns(asked.query, "sqlite")
        .where(row > literal_column(search_index.FED, Integer), *that_fit)
        .order_by(row.desc())
        .limit(MOST_FOUND)
    )
    both = union_all(*(select(each.subquery()) for each in (in_fts, not_yet))).subquery()
    return select(both.c.id, both.c.score)
