"""A JSON Schema in a form that servers read: valid by draft 2020-12, and for some of them without references. Pure.

What fits the schema fits the clean one, which may allow more. Callers must not change it.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from ai_agents.core import json
from ai_agents.core.types import JsonObject
from ai_agents.providers.schema_merging import ANNOTATIONS, MAPS_OF_SCHEMAS, UNEVALUATED, both, types_of

_SCHEMAS = frozenset(
    {"items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames", *UNEVALUATED}
)
_LISTS_OF_SCHEMAS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_SCHEMA_WORDS = _SCHEMAS | _LISTS_OF_SCHEMAS | MAPS_OF_SCHEMAS
_MAY_BE_BOOLEAN = frozenset({"additionalProperties", *UNEVALUATED})
_DEFINITIONS = ("#/$defs/", "#/definitions/")
# Keywords of older drafts, and references whose target depends on who refers.
_DROPPED = frozenset(
    {"dependencies", "additionalItems", "$dynamicRef", "$recursiveRef", "$dynamicAnchor", "$recursiveAnchor"}
    | {"$vocabulary"}
)
# Keywords of a whole document, without meaning where references are replaced.
_OF_DOCUMENTS = frozenset({"$defs", "definitions", "$schema", "$id", "$anchor"})
_TYPES = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})
_OLD_DRAFT = re.compile(r"/draft-0([1-7])/")
# Keywords by the draft from which they count: they mean nothing in a schema that names an older one.
_SINCE = {
    6: ("const", "contains", "propertyNames"),
    7: ("if", "then", "else"),
    2019: ("dependentRequired", "dependentSchemas", "minContains", "maxContains", *UNEVALUATED),
    2020: ("prefixItems",),
}
# Schemas in one form of a schema. References that fan out can make more of a small one.
_MAX_SCHEMAS = 2_000


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_length(value: Any) -> bool:
    return _is_number(value) and value >= 0 and value == int(value)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _are_names(value: Any) -> bool:
    return _is_list(value) and all(map(_is_text, value)) and len(set(value)) == len(value)


def _are_dependencies(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_are_names, value.values()))


def _is_type(value: Any) -> bool:
    return value in _TYPES if _is_text(value) else _are_names(value) and bool(value) and set(value) <= _TYPES


def _is_official(value: Any) -> bool:
    return _is_text(value) and "json-schema.org" in value


def _is_id(value: Any) -> bool:
    return _is_text(value) and "#" not in value.rstrip("#")


def _is_positive(value: Any) -> bool:
    return _is_number(value) and value > 0


# What the value of a keyword has to be; others may have any value.
_VALUES: Mapping[str, Callable[[Any], bool]] = {
    "type": _is_type,
    "enum": _is_list,
    "required": _are_names,
    "dependentRequired": _are_dependencies,
    "multipleOf": _is_positive,
    "uniqueItems": _is_flag,
    "$id": _is_id,
    "examples": _is_list,
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _is_number),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minContains", "maxContains"), _is_length),
    **dict.fromkeys(("minProperties", "maxProperties"), _is_length),
    **dict.fromkeys(("title", "description", "format", "pattern", "$comment", "$ref", "$anchor"), _is_text),
    **dict.fromkeys(("contentEncoding", "contentMediaType"), _is_text),
    **dict.fromkeys(("deprecated", "readOnly", "writeOnly"), _is_flag),
}


class SchemaCleaner:
    """Cleans the parts of one schema.

    Schemas are objects, and lists have `items`. `inline`: references are replaced by what they lead to, and `allOf`,
    `oneOf` and `const` by simpler keywords. `exact_references`: nothing changes in the whole document, so that what a
    reference leads to stays as it is.
    """

    def __init__(self, root: JsonObject, *, inline: bool, exact_references: bool) -> None:
        self._root = root
        self._inline = inline
        self._exact_references = exact_references
        named = root.get("$schema")
        found = _OLD_DRAFT.search(named) if isinstance(named, str) else None
        # Before draft 2019-09 the keywords beside a reference count for nothing.
        self._is_old = found is not None
        draft = int(found[1]) if found else 2020
        self._unknown = {word for since, words in _SINCE.items() if draft < since for word in words}
        self._left = _MAX_SCHEMAS

    def clean(self, schema: Any, path: tuple[str, ...] = ()) -> tuple[JsonObject, bool]:
        """The clean schema, and whether it allows exactly what the schema does. `path` are the references so far."""
        if isinstance(schema, bool):
            return {}, schema
        if not isinstance(schema, dict):
            return {}, False
        self._left -= 1
        found: JsonObject = {}
        changed: set[str] = set()
        for word, value in self._modern(schema).items():
            kept, exact = self._clean_word(word, value, path)
            if kept is not _NOTHING:
                found[word] = kept
            if not exact:
                changed.add(word)
        if self._reduce(found, changed):
            changed.add("oneOf")
        if "$ref" in found:
            found, exact = self._refer(found, path)
            changed |= set() if exact else {"$ref"}
        if isinstance(schema.get("items"), list):
            changed.add("items")
        if changed:
            found = {word: value for word, value in found.items() if word not in UNEVALUATED}
        return found, not changed

    def target(self, reference: Any) -> Any:
        """What a reference leads to; None where it leads to nothing in this document."""
        if not isinstance(reference, str) or not reference.startswith("#"):
            return None
        if reference == "#":
            return self._root
        if not reference.startswith("#/"):
            return next((each for each in _objects(self._root) if each.get("$anchor") == reference[1:]), None)
        return json.at_pointer(self._root, unquote(reference[1:]))

    def beside_reference(self, schema: JsonObject) -> JsonObject:
        """What counts of the keywords beside a reference."""
        return {word: value for word, value in schema.items() if word != "$ref" and self._counts(word)}

    def _modern(self, schema: JsonObject) -> JsonObject:
        """The schema without keywords that its draft does not know, and its lists of `items` in the newest form."""
        modern = {word: value for word, value in schema.items() if word not in self._unknown}
        if isinstance(schema.get("items"), list):
            modern["prefixItems"] = modern.pop("items")
            if "additionalItems" in modern:
                modern["items"] = modern["additionalItems"]
        return modern

    def _counts(self, word: str) -> bool:
        return not self._is_old or word in ANNOTATIONS

    def _clean_word(self, word: str, value: Any, path: tuple[str, ...]) -> tuple[Any, bool]:
        """The value of a keyword, `_NOTHING` where it goes; and whether the keyword still means the same."""
        if word in _DROPPED:
            return _NOTHING, False
        if word == "$schema" or (self._inline and word in _OF_DOCUMENTS):
            # Where a schema changes, it takes the form of the newest draft.
            stays = word == "$schema" and not self._inline and self._exact_references and _is_official(value)
            return (value, True) if stays else (_NOTHING, True)
        if word in _SCHEMAS and isinstance(value, bool | dict):
            return (value, True) if isinstance(value, bool) and word in _MAY_BE_BOOLEAN else self.clean(value, path)
        if word in MAPS_OF_SCHEMAS and isinstance(value, dict):
            inner = {name: self.clean(each, path) for name, each in value.items()}
            return {name: each for name, (each, _) in inner.items()}, all(exact for _, exact in inner.values())
        if word in _LISTS_OF_SCHEMAS and isinstance(value, list) and value:
            items = [self.clean(each, path) for each in value]
            return [each for each, _ in items], all(exact for _, exact in items)
        check = _VALUES.get(word)
        is_good = word not in _SCHEMA_WORDS and (check is None or check(value))
        return (value, True) if is_good else (_NOTHING, False)

    def _reduce(self, found: JsonObject, changed: set[str]) -> bool:
        """Replace what would allow less, now that parts of it allow more; returns whether `oneOf` was replaced."""
        replaced = "oneOf" in found and (self._inline or "oneOf" in changed)
        if replaced:
            choices = found.pop("oneOf")
            found.setdefault("anyOf", choices)
        for word, others in (("not", ("not",)), ("if", ("if", "then", "else")), ("contains", ("maxContains",))):
            if word in changed:
                for each in others:
                    found.pop(each, None)
        if "array" in types_of(found):
            found.setdefault("items", {})
        if self._inline:
            self._simplify(found, changed)
        return replaced

    def _simplify(self, found: JsonObject, changed: set[str]) -> None:
        if "const" in found:
            value = found.pop("const")
            found.setdefault("enum", [value])
        for part in found.pop("allOf", ()):
            changed.add("allOf")
            merged = both(found, part)
            found.clear()
            found.update(merged)
        if "patternProperties" in found:
            # Servers that do not read it would take its properties for additional ones.
            changed.add("patternProperties")
            found.pop("additionalProperties", None)

    def _refer(self, found: JsonObject, path: tuple[str, ...]) -> tuple[JsonObject, bool]:
        """The schema with its reference, or with what that leads to."""
        reference = found["$ref"]
        beside = self.beside_reference(found)
        target = self.target(reference)
        # What leads to a changed top level would lead to an object alone.
        stays = self._exact_references if reference == "#" else _is_definition(reference) and target is not None
        if stays and not self._inline:
            return beside | {"$ref": reference}, self._exact_references
        if not isinstance(target, dict | bool) or reference in path or self._left <= 0:
            return beside, False
        inner, exact = self.clean(target, (*path, reference))
        if beside.keys() <= ANNOTATIONS:
            return inner | beside, exact
        return both(beside, inner), False


_NOTHING = object()


def _is_definition(reference: str) -> bool:
    return any(reference.startswith(start) and "/" not in reference[len(start) :] for start in _DEFINITIONS)


def _objects(value: Any) -> Iterator[JsonObject]:
    stack = [value]
    while stack:
        each = stack.pop()
        if isinstance(each, dict):
            yield each
            stack += each.values()
        elif isinstance(each, list):
            stack += each
