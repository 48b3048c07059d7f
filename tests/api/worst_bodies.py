"""The worst bodies of a route, made from its schema: everywhere as much as fits, and all of it wrong."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from app.settings.values import KIB
from app.strict_json import MAX_VALUES

Schema = dict[str, Any]
LARGEST = 1024 * KIB - 1
# Wrong entries of lists: small ones, of which most fit.
ENTRIES = (b"0", b"[]", b"{}", b'""')


def worst_bodies(schema: Schema, components: dict[str, Schema]) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Functions that make a body, each with a name that says what is where.

    A body is as large as it may be, or has as many values as it may have.
    """
    for place, before, after in _places(schema, components, "body"):
        room = LARGEST - len(before) - len(after)
        for name, fill in FILLS.items():
            yield f"{name} at {place}", partial(_body, before, fill, room, after)


def _body(before: bytes, fill: Callable[[int], bytes], room: int, after: bytes) -> bytes:
    return before + fill(room) + after


def _list(entry: bytes, most: int, room: int) -> bytes:
    entries = min(most, (room - 2) // (len(entry) + 1))
    return b"[" + b",".join([entry] * entries) + b"]"


def _object(value: bytes, most: int, room: int) -> bytes:
    named: list[bytes] = []
    size = 2
    while len(named) < most and size < room:
        named.append(b'"%x":%s' % (len(named), value))
        size += len(named[-1]) + 1
    return b"{" + b",".join(named if size <= room else named[:-1]) + b"}"


# What is in a place, made for so many bytes of room. An empty list or object counts as two values.
FILLS: dict[str, Callable[[int], bytes]] = {
    **{f"as many {entry.decode()} as fit": partial(_list, entry, LARGEST) for entry in ENTRIES},
    **{f"many {entry.decode()}": partial(_list, entry, MAX_VALUES // 2 - 50) for entry in ENTRIES},
    "many more 0": partial(_list, b"0", MAX_VALUES - 50),
    "as many names as fit": partial(_object, b"0", LARGEST),
    "many names": partial(_object, b"0", MAX_VALUES - 50),
    "many names of {}": partial(_object, b"{}", MAX_VALUES // 2 - 50),
    "lists of lists": partial(_list, _list(b"0", 498, LARGEST), MAX_VALUES // 500),
    "depth": lambda room: b"[" * (room // 2) + b"]" * (room // 2),
    "depth again and again": partial(_list, b"[" * 28 + b"]" * 28, LARGEST),
    "a long text": lambda room: b'"' + b"x" * (room - 2) + b'"',
    "a text of quotes": lambda room: b'"' + b'\\"' * (room // 2 - 1) + b'"',
    "integers of 18 digits": partial(_list, b"9" * 18, LARGEST),
    "integers of 19 digits": partial(_list, b"1" * 19, MAX_VALUES - 50),
    "a number of all digits": lambda room: b"9" * room,
    "quotes": lambda room: b'"' * room,
}


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
