"""The worst bodies of a route, made from its schema in openapi.yaml: everywhere as much as fits, and all of it wrong."""

from collections.abc import Iterator
from itertools import count
from typing import Any

from app.settings import KIB
from app.strict_json import MAX_VALUES

Schema = dict[str, Any]
LARGEST = 1024 * KIB - 1
# Wrong entries of lists: small ones, of which most fit.
ENTRIES = (b"0", b"[]", b"{}", b'""')


def worst_bodies(schema: Schema, components: dict[str, Schema]) -> Iterator[tuple[str, bytes]]:
    """Bodies, each with a name that says what is where. They are as large as a body may be, or have as many values."""
    for place, before, after in _places(schema, components, "body"):
        room = LARGEST - len(before) - len(after)
        for name, fill in _fills(room):
            yield f"{name} at {place}", before + fill + after


def _fills(room: int) -> Iterator[tuple[str, bytes]]:
    for entry in ENTRIES:
        most = (room - 2) // (len(entry) + 1)
        # The parser's bound is passed by a few, and just not.
        for entries in (most, min(most, MAX_VALUES // (1 if entry in (b"0", b'""') else 2) - 50)):
            yield f"{entries} times {entry.decode()}", b"[" + b",".join([entry] * entries) + b"]"
    for value in (b"0", b"{}"):
        for names in (_names(room, value, LARGEST), _names(room, value, MAX_VALUES // (1 if value == b"0" else 2) - 50)):
            yield f"names with {value.decode()}", names
    inner = b"[" + b",".join([b"0"] * 498) + b"]"
    yield "lists of lists", b"[" + b",".join([inner] * (MAX_VALUES // 500)) + b"]"
    yield "depth", b"[" * (room // 2) + b"]" * (room // 2)
    yield "depth again and again", b"[" + b",".join([b"[" * 28 + b"]" * 28] * (room // 57 - 1)) + b"]"
    yield "a long text", b'"' + b"x" * (room - 2) + b'"'
    yield "a text of quotes", b'"' + b'\\"' * (room // 2 - 1) + b'"'
    yield "digits", b"[" + b"9" * 19 + b"," + b",".join([b"9" * 18] * (room // 19 - 2)) + b"]"
    yield "many digits", b"9" * room
    yield "quotes", b'"' * room


def _names(room: int, value: bytes, most: int) -> bytes:
    """An object with so many names, or as many as there is room for."""
    entries, size = [], 2
    for number in count():
        entry = b'"%x":%s' % (number, value)
        size += len(entry) + 1
        if size > room or number >= most:
            return b"{" + b",".join(entries) + b"}"
        entries.append(entry)
    raise AssertionError


def _places(
    schema: Schema, components: dict[str, Schema], place: str, seen: frozenset[str] = frozenset()
) -> Iterator[tuple[str, bytes, bytes]]:
    """Every place of a value, with the bytes before and after it. In lists, the places of an only entry."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        if name not in seen:
            yield from _places(components[name], components, place, seen | {name})
        return
    if not {"anyOf", "oneOf"} & schema.keys():
        yield place, b"", b""
    for inner in [*schema.get("anyOf", []), *schema.get("oneOf", [])]:
        yield from _places(inner, components, place, seen)
    members = {name: inner for name, inner in schema.get("properties", {}).items() if "const" not in inner}
    for name, inner in members.items():
        needed = b"".join(
            b'"%s":%s,' % (other.encode(), _least(schema["properties"][other], components))
            for other in schema.get("required", [])
            if other != name
        )
        for deeper, before, after in _places(inner, components, f"{place}.{name}", seen):
            yield deeper, b'{%s"%s":%s' % (needed, name.encode(), before), after + b"}"
    if isinstance(schema.get("items"), dict):
        for deeper, before, after in _places(schema["items"], components, f"{place}[]", seen):
            if (before, after) != (b"", b""):  # what stands in the list itself is a fill of the list
                yield deeper, b"[" + before, after + b"]"


def _least(schema: Schema, components: dict[str, Schema]) -> bytes:
    """A small value for a member that must be there."""
    if "$ref" in schema:
        return _least(components[schema["$ref"].rsplit("/", 1)[-1]], components)
    if "const" in schema:
        return b'"%s"' % str(schema["const"]).encode()
    if "enum" in schema:
        return b'"%s"' % str(schema["enum"][0]).encode()
    return {"integer": b"1", "boolean": b"true", "array": b"[]", "object": b"{}"}.get(schema.get("type", ""), b'"x"')
