"""What of a message is compared and counted in a search: its column of words, on both databases alike."""

from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import ColumnElement, Float, Integer, Table, and_, func, literal, literal_column
from sqlalchemy import cast as sql_cast

from ai_agents.core.search_words import SearchQuery
from ai_agents.store.models import MessageTable

# What counts for the order.
_MOST_SCORED = 8
_MESSAGES = cast(Table, MessageTable.__table__).c


def fits(query: SearchQuery, dialect: str) -> ColumnElement[bool]:
    """Whether a message in a history has all that is asked for."""
    find = func.instr if dialect == "sqlite" else func.strpos
    has = [find(_MESSAGES.search, phrase) > 0 for phrase in query.phrases]
    has_not = [find(_MESSAGES.search, phrase) == 0 for phrase in query.excluded]
    return and_(_MESSAGES.seq.is_not(None), *has, *has_not)


def score(phrases: Sequence[str], dialect: str) -> ColumnElement[int]:
    """How well a message fits, in millionths: how often it has each phrase, for its length.

    This is BM25 (k1 1.2, b 0.75, a mean of 600 characters) without the rarity of the words, which would tell of the
    messages of others.
    """
    # PostgreSQL knows the bytes of a text, and has to count its characters.
    in_bytes = dialect == "postgresql"
    size = func.octet_length if in_bytes else func.length
    length = sql_cast(size(_MESSAGES.search), Float)
    found: ColumnElement[Any] = literal(0.0)
    for phrase in phrases[:_MOST_SCORED]:
        left = size(func.replace(_MESSAGES.search, phrase, literal_column("''")))
        often = (length - left) / len(phrase.encode() if in_bytes else phrase)
        found = found + often / (often + 0.3 + length * (0.9 / 600))
    return sql_cast(found * 1_000_000, Integer)
