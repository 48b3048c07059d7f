"""Makes up a value that fits a JSON Schema, for a stand-in that answers without a model."""

from typing import Any

from ai_agents.core.types import JsonObject

# No schema that has a finite example needs more.
_MAX_DEPTH = 16
_OPTIONAL_DEPTH = 4
_MAX_VALUES = 1_000
_MAX_CHARACTERS = 10_000
_OF_FORMATS = {
    "date-time": "2026-01-01T00:00:00Z",
    "date": "2026-01-01",
    "time": "00:00:00Z",
    "duration": "P1D",
    "email": "someone@example.org",
    "hostname": "example.org",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
    "uri": "https://example.org/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def example_of(schema: JsonObject, text: str) -> Any:
    """A simple value that fits the schema, as far as its keywords tell. Free strings are `text`."""
    return _Example(schema, text).value(schema, 0)


class _Example:
    """Makes one value, within a limit: a small schema can require a very large value."""

    def __init__(self, root: JsonObject, text: str) -> None:
        self._root = root
        self._text = text
        self._left = _MAX_VALUES

    def value(self, schema: Any, depth: int) -> Any:
        """A value that fits this part of the schema."""
        self._left -= 1
        if not isinstance(schema, dict) or depth > _MAX_DEPTH or self._left < 0:
            return None
        if "$ref" in schema:
            return self.value(_resolved(schema["$ref"], self._root), depth + 1)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return schema["enum"][0]
        for word in ("anyOf", "oneOf", "allOf"):
            variant = next(iter(schema.get(word) or ()), None)
            if isinstance(variant, dict):
                return self.value(schema | {word: None} | variant, depth + 1)
        return self._of_type(schema, depth)

    def _of_type(self, schema: JsonObject, depth: int) -> Any:
        kind = schema.get("type")
        match kind[0] if isinstance(kind, list) else kind:
            case "string":
                return _string(schema, self._text)
            case "integer" | "number":
                return _number(schema)
            case "boolean":
                return True
            case "array":
                item = self.value(schema.get("items"), depth + 1)
                return [item] * min(schema.get("minItems", 0 if item is None else 1), _MAX_VALUES)
            case "object":
                return self._object(schema, depth)
        return None

    def _object(self, schema: JsonObject, depth: int) -> JsonObject:
        properties = schema.get("properties") or {}
        names = dict.fromkeys([*(properties if depth < _OPTIONAL_DEPTH else ()), *(schema.get("required") or ())])
        return {name: self.value(properties.get(name), depth + 1) for name in names}


def _string(schema: JsonObject, text: str) -> str:
    if schema.get("format") in _OF_FORMATS:
        return _OF_FORMATS[schema["format"]]
    text = text.ljust(min(schema.get("minLength", 0), _MAX_CHARACTERS), ".")
    return text[: schema.get("maxLength", len(text))]


def _number(schema: JsonObject) -> Any:
    step = schema.get("multipleOf") or 1
    least = schema.get("minimum", schema.get("exclusiveMinimum"))
    most = schema.get("maximum", schema.get("exclusiveMaximum"))
    start = least if least is not None else most if most is not None and most < 0 else 0
    number = -(-start // step) * step
    if number == schema.get("exclusiveMinimum"):
        number += step
    if number == schema.get("exclusiveMaximum"):
        number -= step
    return number


def _resolved(reference: Any, root: JsonObject) -> Any:
    value: Any = root
    for step in str(reference).removeprefix("#").strip("/").split("/"):
        if step:
            value = value.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(value, dict) else None
    return value
