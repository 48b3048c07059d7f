"""Searching messages: in threads that one may read, best first.

Of more than a thousand messages that fit, the newest thousand are put in order, so that every search ends soon; on
PostgreSQL those of the newest threads, where one has very many. How well a message fits depends on that message alone:
nothing is told of messages that one may not read, and an order stays the same from page to page.
"""

import sqlite3
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DBAPIError

from ai_agents.core.exceptions import InvalidRequest
from ai_agents.core.search_rows import SearchHit, SearchPage, ThreadName
from ai_agents.core.search_words import SearchQuery, snippet
from ai_agents.core.table_rows import MessageRow
from ai_agents.store import pages, search_candidates
from ai_agents.store.messages import COLUMNS, to_public
from ai_agents.store.models import MessageTable, ThreadTable
from ai_agents.store.search_threads import Search

# A statement that takes longer is given up: others want the processor, too. SQLite looks at the time after so many of
# its steps.
_TIMEOUT_MS = 2_000
_STEPS = 10_000
_TOO_LONG = "The search takes too long: ask for rarer words, or in one thread or agent."


@dataclass(frozen=True, slots=True)
class Found:
    """A message with the thread's title, before its snippet is made."""

    row: MessageRow
    title: str | None

    def to_hit(self, query: SearchQuery) -> SearchHit:
        """The message as clients see it."""
        message = to_public(self.row)
        thread: ThreadName = {"id": message["thread_id"], "title": self.title}
        return {"message": message, "thread": thread, "snippet": snippet(message["content"], query)}


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The messages of a page, and the cursor of the next one."""

    found: list[Found]
    next: str | None
    incomplete: bool

    def to_page(self, query: SearchQuery) -> SearchPage:
        """The page with snippets. It may take a tenth of a second for a hundred long messages."""
        page: SearchPage = {"data": [each.to_hit(query) for each in self.found], "next": self.next}
        return page | {"incomplete": True} if self.incomplete else page


def search(connection: Connection, asked: Search, *, limit: int = 20, after: str | None = None) -> SearchResult:
    """A page of the messages that fit, best first, among equals the newest first.

    Raises `InvalidCursor`, and `InvalidRequest` where it takes too long.
    """
    before = None if after is None else pages.decode_score_cursor(after)
    if connection.dialect.name == "sqlite":
        with _given_up_in_time(connection):
            return _search(connection, asked, limit=limit, before=before)
    settings = {"statement_timeout": str(_TIMEOUT_MS), "jit": "off", "plan_cache_mode": "force_custom_plan"}
    joins = connection.in_nested_transaction()
    was: dict[str, str] = {}
    if joins:
        changed = (*settings, *search_candidates.SETTINGS)
        now = select(*(func.current_setting(name).label(name) for name in changed))
        was = {str(name): value for name, value in connection.execute(now).mappings().one().items()}
    search_candidates.set_for_now(connection, **settings)
    try:
        result = _search(connection, asked, limit=limit, before=before)
    except DBAPIError as error:
        if search_candidates.was_cancelled(error):
            raise InvalidRequest(_TOO_LONG, loc=("q",)) from error
        raise
    if joins:
        # The caller's transaction goes on.
        search_candidates.set_for_now(connection, **was)
    return result


@contextmanager
def _given_up_in_time(connection: Connection) -> Generator[None]:
    """Within the block SQLite gives up what takes too long. Raises `InvalidRequest` then."""
    driver: Any = connection.connection.driver_connection
    until = time.monotonic() + _TIMEOUT_MS / 1000
    driver.set_progress_handler(lambda: time.monotonic() > until, _STEPS)
    try:
        yield
    except DBAPIError as error:
        if getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
            raise InvalidRequest(_TOO_LONG, loc=("q",)) from error
        raise
    finally:
        driver.set_progress_handler(None, 0)


def _search(connection: Connection, asked: Search, *, limit: int, before: tuple[int, str] | None) -> SearchResult:
    hits, is_whole = search_candidates.find(connection, asked)
    ranked = sorted((hit for hit in hits if before is None or hit < before), reverse=True)
    shown = ranked[:limit]
    ids = [found_id for _, found_id in shown]
    wanted = select(*COLUMNS, ThreadTable.title).join(ThreadTable).where(MessageTable.id.in_(ids))
    rows = {row["id"]: row for row in connection.execute(wanted).mappings()} if ids else {}
    # On PostgreSQL a thread may be gone since.
    found = [Found(cast("MessageRow", row), row["title"]) for found_id in ids if (row := rows.get(found_id))]
    following = pages.encode_cursor("search", *shown[-1]) if len(ranked) > limit else None
    return SearchResult(found, following, not is_whole)
