"""JSON of strangers: strict, and bounded before objects are made of it.

What a parser makes of a body costs more than its bytes: half a million empty lists in 1 MiB stop the process for a
third of a second, and so do half a million mistakes. So values are counted in the bytes first.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import orjson

from app.errors import InvalidFields

# Parsing, checking and refusing so many values takes about 20 ms. An agent or a thread at all its other limits has
# less than half of them.
MAX_VALUES = 25_000
# A value has a name and a text at most, and each of them two quotes.
_MAX_QUOTES = 4 * MAX_VALUES
# A value and what parts it from the next one.
_SHORTEST = 2
# Matches bodies that may hold what orjson accepts and the contract does not: a NUL, an integer beyond 64 bits. Rare.
_SUSPICIOUS = re.compile(rb"\\u0000|[0-9]{19}")


def parse_json(raw: bytes, *, max_depth: int) -> Any:
    """Strict JSON: no NaN, no NUL, no lone surrogate, no integer beyond 64 bits, not nested deeper than `max_depth`.

    Raises `InvalidFields`, which never repeats the value, also for more than `MAX_VALUES` values.
    """
    if len(raw) > _SHORTEST * MAX_VALUES and _has_too_many_values(raw):
        raise _unreadable(f"has more than {MAX_VALUES} values")
    if not raw:
        raise _unreadable("is empty; JSON is needed")
    try:
        value = orjson.loads(raw)
        if _SUSPICIOUS.search(raw):
            # The slow parser: orjson reads an integer that is too long as a float.
            json.loads(raw, parse_int=_integer)
            _refuse_nul(value)
    except ValueError as error:
        reason = _say_where(error) if isinstance(error, json.JSONDecodeError) else str(error)
        raise _unreadable(f"is not JSON that is read here: {reason}") from None
    except RecursionError:
        raise _unreadable(f"is nested deeper than {max_depth} levels") from None
    if raw.count(b"{") + raw.count(b"[") > max_depth and _is_deeper(value, max_depth):
        raise _unreadable(f"is nested deeper than {max_depth} levels")
    return value


def _say_where(error: json.JSONDecodeError) -> str:
    """What the parser found, and where, without the text that is there."""
    return f"{error.msg}, at line {error.lineno}, column {error.colno}"


def _has_too_many_values(raw: bytes) -> bool:
    """Whether a parser would make more values of it than `MAX_VALUES`. An empty list or object counts as two.

    Every value but the first follows a comma, or begins a list or an object. Those within texts do not count.
    """
    plain = raw.replace(rb"\\", b"").replace(rb"\"", b"")
    if plain.count(b'"') > _MAX_QUOTES:
        return True
    outside = b"".join(plain.split(b'"')[::2])
    return outside.count(b",") + outside.count(b"[") + outside.count(b"{") >= MAX_VALUES


def _integer(digits: str) -> int:
    if len(digits) > 20 or not -(2**63) <= int(digits) < 2**63:
        raise ValueError("an integer does not fit in 64 bits")
    return int(digits)


def _refuse_nul(value: Any) -> None:
    for item in walk(value):
        if isinstance(item, str) and "\0" in item:
            raise ValueError("a text contains a NUL character")


def walk(value: Any) -> Iterator[Any]:
    """Every value and every key, without recursion."""
    left = [value]
    while left:
        item = left.pop()
        yield item
        if isinstance(item, dict):
            left.extend(item)
            left.extend(item.values())
        elif isinstance(item, list):
            left.extend(item)


def _is_deeper(value: Any, max_depth: int) -> bool:
    level = [value]
    for _ in range(max_depth + 1):
        level = [item for item in level if isinstance(item, dict | list)]
        if not level:
            return False
        level = [child for item in level for child in (item.values() if isinstance(item, dict) else item)]
    return True


def _unreadable(message: str) -> InvalidFields:
    return InvalidFields([{"loc": ["body"], "msg": message}])
