"""Output schemas in the forms that providers accept. Pure.

A provider enforces only a part of JSON Schema and refuses the rest. The schema that it is sent may allow less than the
agent's own, but always some valid answer. The answer itself is checked against the agent's schema afterwards.

Sources, read 2026-11-22: https://platform.claude.com/docs/en/build-with-claude/structured-outputs ("JSON Schema
limitations"), https://developers.openai.com/api/docs/guides/structured-outputs ("Supported schemas").
"""

from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from typing import Any

from ai_agents.core.byte_cache import cached, size_of_json
from ai_agents.core.json import dumps, loads
from ai_agents.core.types import JsonObject

# OpenAI requires a name for each schema.
SCHEMA_NAME = "answer"
_INSTRUCTION = (
    "Give your final answer as one JSON value that fits the following JSON Schema, and nothing else: "
    "no words around it, no code fence.\n{}"
)
_DEFINITIONS = ("$defs", "definitions")
_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})
_STRICT_KEYWORDS = frozenset(
    {"type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf", "$ref", "description"}
    | {"title", "pattern", "format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
    | {"minItems", "maxItems", *_DEFINITIONS}
)
_MAX_STRICT_DEPTH = 10
_MAX_STRICT_PROPERTIES = 5000
# Anthropic accepts these as they are. Keywords that only bound a value go into the description.
_KEPT_KEYWORDS = ("type", "enum", "const", "title", "default")
_BOUNDS = frozenset(
    {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "pattern"}
    | {"minItems", "maxItems", "uniqueItems", "format"}
)
_HARMLESS = frozenset({"$schema", "$id", "$comment", "examples", "deprecated", "readOnly", "writeOnly"})
_READ = frozenset({"properties", "required", "additionalProperties", "items", "anyOf", "oneOf", "description"})
_MAX_OPTIONAL = 24
_MAX_UNIONS = 16
_MAX_DEFINITIONS = 100
# Each request needs its schema, and the schema of an agent seldom changes.
_KEPT_BYTES = 16 * 1024 * 1024


def schema_instruction(system: str | None, schema: JsonObject) -> str:
    """The system prompt, with a request for an answer that fits the schema: for APIs that do not enforce schemas."""
    wish = _INSTRUCTION.format(dumps(schema))
    return f"{system}\n\n{wish}" if system and system.strip() else wish


def is_strict(schema: JsonObject) -> bool:
    """Whether OpenAI's strict mode accepts the schema: every object is closed, every property required."""
    return _is_strict(dumps(schema))


def narrowed(schema: JsonObject) -> JsonObject | None:
    """The schema in the form that Anthropic enforces; None where there is none. Callers must not change it."""
    return _narrowed(dumps(schema))


@cached(_KEPT_BYTES, size_of_json)
def _is_strict(text: str) -> bool:
    schema, properties = loads(text), 0
    for inner, depth in _schemas(schema):
        if not isinstance(inner, dict) or inner.keys() - _STRICT_KEYWORDS or depth > _MAX_STRICT_DEPTH:
            return False
        named = inner.get("properties") or {}
        properties += len(named)
        if "object" in _types(inner):
            closed = inner.get("additionalProperties") is False
            if not closed or set(inner.get("required") or ()) != set(named):
                return False
        if "format" in inner and inner["format"] not in _FORMATS:
            return False
        if not inner.keys() & {"type", "enum", "const", "anyOf", "$ref"}:
            return False
    return properties <= _MAX_STRICT_PROPERTIES


@cached(_KEPT_BYTES, size_of_json)
def _narrowed(text: str) -> JsonObject | None:
    try:
        return _Narrowing(loads(text)).result
    except _NotEnforceable:
        return None


class _NotEnforceable(Exception):
    """The schema has no form that the provider enforces."""


class _Narrowing:
    """Narrows one schema, and counts what the API limits: optional properties and unions."""

    def __init__(self, schema: JsonObject) -> None:
        self._optional = 0
        self._unions = 0
        _refuse_recursion(schema)
        self.result = self._narrow({word: inner for word, inner in schema.items() if word not in _DEFINITIONS})
        for word in _DEFINITIONS:
            if word in schema:
                self.result[word] = {name: self._narrow(inner) for name, inner in (schema.get(word) or {}).items()}
        if self._optional > _MAX_OPTIONAL or self._unions > _MAX_UNIONS:
            raise _NotEnforceable

    def _narrow(self, schema: Any) -> JsonObject:
        if not isinstance(schema, dict):
            raise _NotEnforceable
        if "$ref" in schema:
            if schema.keys() - {"$ref", "description", "title"}:
                raise _NotEnforceable
            return {"$ref": schema["$ref"]}
        if schema.keys() - _READ - _BOUNDS - _HARMLESS - set(_KEPT_KEYWORDS):
            raise _NotEnforceable
        found = {word: schema[word] for word in _KEPT_KEYWORDS if word in schema}
        self._describe(schema, found)
        for word in ("anyOf", "oneOf"):
            if word in schema:
                self._unions += 1
                found["anyOf"] = [self._narrow(each) for each in schema[word]]
        if "object" in _types(schema) or "properties" in schema:
            self._close(schema, found)
        if "items" in schema:
            found["items"] = self._narrow(schema["items"])
        if len(_types(schema)) > 1:
            self._unions += 1
        if not found.keys() & {"type", "enum", "const", "anyOf"} or {"anyOf", "properties"} <= found.keys():
            raise _NotEnforceable
        return found

    def _close(self, schema: JsonObject, found: JsonObject) -> None:
        """Close an object: it has its named properties and no others."""
        properties, required = schema.get("properties") or {}, schema.get("required") or []
        is_map = not properties and schema.get("additionalProperties") is not False
        if is_map or set(required) - properties.keys():
            raise _NotEnforceable
        self._optional += len(properties) - len(required)
        found["properties"] = {name: self._narrow(inner) for name, inner in properties.items()}
        found["required"] = required
        found["additionalProperties"] = False

    @staticmethod
    def _describe(schema: JsonObject, found: JsonObject) -> None:
        bounds = {word: schema[word] for word in sorted(_BOUNDS & schema.keys())}
        if bounds.get("format") in _FORMATS:
            found["format"] = bounds.pop("format")
        if bounds.get("minItems") in {0, 1}:
            found["minItems"] = bounds.pop("minItems")
        said = [text for text in (schema.get("description"), dumps(bounds) if bounds else "") if text]
        if said:
            found["description"] = "\n".join(said)


def _refuse_recursion(schema: JsonObject) -> None:
    """Raises `_NotEnforceable` where a definition refers to itself, or a reference is to an unknown definition."""
    definitions = {
        f"#/{word}/{name}": inner for word in _DEFINITIONS for name, inner in (schema.get(word) or {}).items()
    }
    references = {name: set(_references(inner)) for name, inner in definitions.items()}
    if len(references) > _MAX_DEFINITIONS or set(_references(schema)) - references.keys():
        raise _NotEnforceable
    try:
        TopologicalSorter(references).prepare()
    except CycleError:
        raise _NotEnforceable from None


def _references(schema: Any) -> Iterator[Any]:
    return (inner["$ref"] for inner, _ in _schemas(schema) if isinstance(inner, dict) and "$ref" in inner)


def _types(schema: JsonObject) -> list[Any]:
    found = schema.get("type")
    return found if isinstance(found, list) else [] if found is None else [found]


def _schemas(schema: Any) -> Iterator[tuple[Any, int]]:
    """The schema and all schemas inside it, each with its depth. References are not followed."""
    stack: list[tuple[Any, int]] = [(schema, 0)]
    while stack:
        inner, depth = stack.pop()
        yield inner, depth
        if not isinstance(inner, dict):
            continue
        stack += [
            (each, depth + 1) for word in ("properties", *_DEFINITIONS) for _, each in (inner.get(word) or {}).items()
        ]
        stack += [(each, depth + 1) for word in ("anyOf", "oneOf", "allOf") for each in inner.get(word) or ()]
        stack += [(inner[word], depth + 1) for word in ("items", "not", "if", "then", "else") if word in inner]
