"""Reads values of a server's JSON, whatever types they have. Nothing here raises."""

from typing import Any

from ai_agents.core.json import dumps
from ai_agents.core.types import JsonObject
from ai_agents.providers.lines import clean_json

# More tokens than any call has; a greater figure is no count.
_MAX_COUNT = 2**53


def as_object(value: Any) -> JsonObject:
    """The value if it is an object, otherwise an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """The value if it is a list, otherwise an empty one."""
    return value if isinstance(value, list) else []


def as_objects(value: Any) -> list[JsonObject]:
    """The objects in a list; none where the value is no list."""
    return [item for item in as_list(value) if isinstance(item, dict)]


def as_text(value: Any) -> str:
    """The value if it is a text, a number as text, otherwise an empty text."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def as_count(value: Any) -> int | None:
    """A count such as `19`, `19.0` or `"19"`; None for what is none of these, since then the figure is unknown."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 16:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value <= _MAX_COUNT else None


def merge_counts(known: JsonObject, reported: Any) -> None:
    """Add the reported figures to those that are known. A later null or 0 does not replace an earlier figure."""
    for name, value in as_object(reported).items():
        if value or name not in known:
            known[name] = value


def storable(value: Any) -> Any:
    """The value as it can be stored and sent back, with unsafe characters cleaned; None where it cannot."""
    try:
        cleaned = clean_json(value)
        dumps(cleaned)
    except (TypeError, ValueError, RecursionError):
        return None
    return cleaned
