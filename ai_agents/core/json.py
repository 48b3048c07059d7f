"""JSON, fast enough for streams, and text that every database and client accepts."""

import re
from typing import Any

import orjson

# Surrogates that do not stand for a byte in `surrogateescape`.
_NO_BYTE = re.compile("[\ud800-\udc7f\udd00-\udfff]")


def dumps(value: Any) -> str:
    """One line of JSON. Raises TypeError for values that are not JSON: integers beyond 64 bits, lone surrogates …"""
    return orjson.dumps(value).decode()


def loads(text: str | bytes) -> Any:
    """The value. Raises ValueError for anything that is not strict JSON."""
    return orjson.loads(text)


def at_pointer(document: Any, pointer: str) -> Any:
    """What a JSON Pointer (`/a/0/b`, RFC 6901) leads to; None where it leads to nothing."""
    found = document
    for step in pointer[1:].split("/"):
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict):
            found = found.get(name)
        elif isinstance(found, list) and name.isdigit() and int(name) < len(found):
            found = found[int(name)]
        else:
            return None
    return found


def clean_text(text: str) -> str:
    """The text with U+FFFD in place of NUL and lone surrogates, which PostgreSQL and UTF-8 refuse.

    Surrogates that stand for bytes (`surrogateescape`) are read as the UTF-8 that they make up together.
    """
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")  # joins pairs
        text = _NO_BYTE.sub("\ufffd", text)
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return text


def dumps_sorted(value: Any) -> str:
    """One line of JSON with sorted keys: equal values give equal lines."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
