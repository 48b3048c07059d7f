"""Cursors: those of a list lead to its next page, all others are refused."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_agents.core import json
from ai_agents.core.exceptions import InvalidCursor
from ai_agents.core.ids import new_id, utc_now
from ai_agents.core.rows import Page
from ai_agents.store import pages


def _encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def test_a_cursor_gives_back_what_it_was_made_of() -> None:
    now, some_id = utc_now(), new_id()
    assert pages.decode_time_cursor(pages.encode_cursor(now, some_id)) == (now, some_id)
    assert pages.decode_number_cursor(pages.encode_cursor(17)) == 17


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "nonsense",
        "%%%",
        "ü",
        "A" * 10_000,
        _encoded("{}"),
        _encoded("null"),
        _encoded("[]"),
        _encoded("[1.5]"),
        _encoded("[true]"),
        _encoded("[-1]"),
        _encoded("[2147483648]"),
        _encoded("[ 1]"),
        _encoded('["2026-01-01T00:00:00.000000Z"]'),
        _encoded('["2026-13-01T00:00:00.000000Z","019349d0-0000-7000-8000-000000000000"]'),
        _encoded('["yesterday","019349d0-0000-7000-8000-000000000000"]'),
        _encoded('["2026-01-01T00:00:00.000000Z","019349D0-0000-7000-8000-000000000000"]'),
        _encoded('["2026-01-01T00:00:00.000000Z","x"]'),
        pages.encode_cursor(17) + "=",
        pages.encode_cursor(17) + "\n",
    ],
)
def test_a_cursor_that_no_list_gave_out_is_refused(cursor: str) -> None:
    for decode in (pages.decode_time_cursor, pages.decode_number_cursor):
        with pytest.raises(InvalidCursor):
            decode(cursor)


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused(cursor: str) -> None:
    for decode in (pages.decode_time_cursor, pages.decode_number_cursor):
        with pytest.raises(InvalidCursor):
            decode(cursor)


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists, max_leaves=5))
def test_any_json_is_read_or_refused(value: object) -> None:
    for decode in (pages.decode_time_cursor, pages.decode_number_cursor):
        with pytest.raises(InvalidCursor):
            decode(_encoded(json.dumps(value)))


def test_a_page_says_that_there_is_a_next_only_where_there_is() -> None:
    rows = [{"n": 1}, {"n": 2}, {"n": 3}]

    def page(limit: int) -> Page[dict[str, int]]:
        return pages.to_page(rows[: limit + 1], limit=limit, cursor=lambda row: f"after {row['n']}", to_dict=dict)

    assert page(2) == {"data": [{"n": 1}, {"n": 2}], "next": "after 2"}
    assert page(3) == {"data": rows, "next": None}
    assert pages.to_page([], limit=3, cursor=str, to_dict=dict) == {"data": [], "next": None}
