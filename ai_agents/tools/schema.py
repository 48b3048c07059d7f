"""JSON Schemas of tools' arguments and agents' answers: compiled once, never fetched from anywhere, and bounded.

Schemas and values come from strangers, and a validator does what a schema says. A few lines can make it look at one
place of a value a million times, or follow references until the stack of the process ends. So what the validator has
to do is counted first: once for each part of a new schema, and then for each value.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any
from urllib.parse import unquote

import jsonschema_rs

from ai_agents.core import json
from ai_agents.core.byte_cache import cached
from ai_agents.core.exceptions import InvalidRequest
from ai_agents.core.types import JsonObject

MAX_SCHEMA_BYTES = 64 * 1024
_MAX_SCHEMA_DEPTH = 32
_MAX_VALUE_DEPTH = 64
# Schemas that lead to one another in the same place of a value. Each takes up stack.
_MAX_CHAIN = 64
# Counting so much work takes 0.2 s; validating what was counted takes less, but for patterns that backtrack.
_MAX_WORK = 10_000_000
_MAX_WORK_OF_PARTS = 4_000_000
_WORK_OF_SCHEMA, _WORK_OF_PATTERN, _WORK_OF_BACKTRACKING = 50, 20, 5_000
# A pattern that looks around or back may read a text again and again.
_BACKTRACKS = re.compile(r"\(\?<?[=!]|\(\?>|\\[1-9k]|[+*?}]\+")
# A pattern gives up after so much backtracking, about a millisecond, and does not match.
_MAX_BACKTRACKS = 10_000
# Compiling the patterns of a schema holds the interpreter: 4 ms for 1 MiB of large ones, 0.3 ms for any other.
_MAX_PATTERNS = 256
_LARGE_PATTERN_BYTES = 64 * 1024
_SIZES_OF_LARGE = (256 * 1024, 1024 * 1024, 4 * 1024 * 1024)
_MAX_PATTERN_BYTES = _SIZES_OF_LARGE[-1]
_MAX_LARGE_BYTES = 8 * 1024 * 1024
# What a schema with as many and as large patterns as are allowed takes when it is compiled.
_MAX_SCHEMA_MEMORY = _MAX_PATTERNS * _LARGE_PATTERN_BYTES + 2 * _MAX_LARGE_BYTES
# A model corrects one error or a few at a time.
_MAX_ERRORS = 3
_NO_JSON = "The answer is not JSON."
_MAX_ERROR_CHARACTERS = 200
# Of all compiled schemas in memory.
_MAX_COMPILED_BYTES = 64 * 1024 * 1024
# A compiled schema takes up to 24 bytes for each of its text, measured with jsonschema-rs 0.60.3.
_BYTES_PER_CHARACTER = 32
_REFERENCES = frozenset({"$ref", "$dynamicRef", "$recursiveRef"})


class ArgumentsValidator:
    """Validates arguments against a schema; an error is one sentence for the model."""

    def __init__(self, schema: JsonObject) -> None:
        """Raises `InvalidRequest` for what is not a schema of an object, refers elsewhere, or is too large."""
        self._schema = _read(schema, "The schema of the tool's parameters", ("parameters",))

    @property
    def cost(self) -> float:
        """How much it takes of what one schema may take at most, in time and memory: at most about 1."""
        return max(self._schema.work / _MAX_WORK_OF_PARTS, self._schema.size_bytes / _MAX_SCHEMA_MEMORY)

    def find_fault(self, arguments: JsonObject) -> str | None:
        """Return what does not fit, with its place in the arguments; None if all fits."""
        try:
            errors, _ = self._schema.faults(arguments)
        except ValueError:  # lone surrogates, or nested very deep
            return "The arguments cannot be read."
        return f"The arguments do not fit the tool's schema: {errors}." if errors else None


@dataclass(frozen=True, slots=True)
class OutputFault:
    """What is wrong with an answer: `told` to the model, with the values, and by the `broken` parts of the schema."""

    told: str
    broken: str


class OutputValidator:
    """Validates an answer against a schema."""

    def __init__(self, schema: JsonObject) -> None:
        """Raises `InvalidRequest` as `ArgumentsValidator` does: every provider wants an object at the top."""
        self._schema = _read(schema, "The output schema", ("output_schema",))

    def find_fault(self, answer: str) -> OutputFault | None:
        """Return what is wrong with the answer; None if it fits."""
        try:
            errors, rules = self._schema.faults(json.loads(answer))
        except ValueError:
            return OutputFault(_NO_JSON, _NO_JSON)
        if not errors:
            return None
        return OutputFault(
            f"The answer does not fit the output schema: {errors}.",
            f"The answer does not fit the output schema: it breaks {rules}.",
        )


def declared_properties(schema: JsonObject) -> set[str]:
    """The names of the properties that a valid schema of an object declares, by itself and by what applies to it."""
    compiled = _read(schema, "The schema of the tool's parameters", ("parameters",))
    return compiled.declared_properties()


class _RefusedSchema(Exception):
    """Raised for a schema that is refused. Its text is the end of a sentence."""


class _CompiledSchema:
    """A schema that is compiled once and used for many values.

    The work of the validator is counted by applying each schema as the validator does, without looking at the result.
    Alternatives count as if all of them were tried, and a pattern of names as if it matched every name.
    """

    def __init__(self, schema: JsonObject) -> None:
        """Raises `_RefusedSchema`."""
        self.size_bytes = _check_patterns(schema) + _BYTES_PER_CHARACTER * len(json.dumps(schema))
        self._root, parts, names = schema, list(_objects(schema)), ("$anchor", "$dynamicAnchor")
        self._anchors = {part[name]: part for part in parts for name in names if isinstance(part.get(name), str)}
        # What each part does wherever it is applied.
        self.work = self._count([(part, {}) for part in parts], _MAX_WORK_OF_PARTS)
        options = _pattern_options(_MAX_PATTERN_BYTES)
        try:
            self._validator = jsonschema_rs.validator_for(schema, offline=True, pattern_options=options)
        except (ValueError, jsonschema_rs.ReferencingError) as error:
            raise _RefusedSchema(f"is not a JSON Schema ({_cut(str(error).partition(chr(10))[0])})") from error

    def faults(self, value: Any) -> tuple[str, str]:
        """Return what does not fit, and which rules of the schema it breaks, both as parts of a sentence.

        Both are empty if all fits. Raises ValueError.
        """
        try:
            self._count([(self._root, value)], _MAX_WORK)
        except _RefusedSchema:
            return (
                "it is nested too deep, or there is too much of it, to be held against the schema",
                "the limits of size",
            )
        errors = list(islice(self._validator.iter_errors(value), _MAX_ERRORS))
        rules = (_cut("/" + "/".join(map(str, error.schema_path))) for error in errors)
        return "; ".join(map(_sentence, errors)), "; ".join(rules)

    def declared_properties(self) -> set[str]:
        """Return the names in `properties` of the schema, and of all schemas that it applies to the same value."""
        names: set[str] = set()
        value: JsonObject = {}
        stack, seen = [self._root], set()
        while stack:
            schema = stack.pop()
            if id(schema) in seen:
                continue
            seen.add(id(schema))
            if isinstance(given := schema.get("properties"), dict):
                names |= given.keys()
            applied = self._applied(schema, value)
            stack += [inner for inner, place in applied if place is value and isinstance(inner, dict)]
        return names

    def _count(self, pairs: Iterable[tuple[Any, Any]], limit: int) -> int:
        """What each schema does to the value beside it. Raises `_RefusedSchema`, also for more than `limit`."""
        work = 0
        stack = [(schema, value, 0, 0) for schema, value in pairs]
        while stack:
            schema, value, depth, chain = stack.pop()
            work += _work_of(schema, value)
            if work > limit:
                raise _RefusedSchema("applies too many schemas and patterns")
            if chain > _MAX_CHAIN:
                raise _RefusedSchema(f"refers to itself, or has more than {_MAX_CHAIN} references in a row")
            if depth >= _MAX_VALUE_DEPTH:
                raise _RefusedSchema("is applied to a value that is nested too deep")
            for inner, place in self._applied(schema, value):
                if isinstance(inner, dict):
                    stack.append((inner, place, depth, chain + 1) if place is value else (inner, place, depth + 1, 0))
        return work

    def _applied(self, schema: JsonObject, value: Any) -> Iterator[tuple[Any, Any]]:
        """Yield what a schema applies: other schemas to the same value, to members of an object, to items of a list."""
        for keyword, given in schema.items():
            match keyword:
                case "$ref" | "$dynamicRef" | "$recursiveRef":
                    yield self._target(given), value
                case "not" | "if" | "then" | "else" | "allOf" | "anyOf" | "oneOf":
                    yield from ((inner, value) for inner in _listed(given))
                case "dependentSchemas" | "dependencies" if isinstance(given, dict):
                    yield from ((inner, value) for inner in given.values())
                case "properties" if isinstance(given, dict) and isinstance(value, dict):
                    yield from ((given[name], value[name]) for name in given.keys() & value.keys())
                case "patternProperties" if isinstance(given, dict) and isinstance(value, dict):
                    yield from ((inner, member) for inner in given.values() for member in value.values())
                case "additionalProperties" | "unevaluatedProperties" if isinstance(value, dict):
                    named = schema.get("properties") if keyword == "additionalProperties" else None
                    yield from ((given, member) for name, member in value.items() if name not in (named or ()))
                case "propertyNames" if isinstance(value, dict):
                    yield from ((given, name) for name in value)
                case "items" | "prefixItems" | "additionalItems" | "contains" | "unevaluatedItems":
                    if isinstance(value, list | tuple):
                        yield from ((inner, item) for inner in _listed(given) for item in value)

    def _target(self, reference: Any) -> Any:
        """Return what a reference leads to; None if there is nothing, which is left to the validator."""
        pointer = unquote(reference.removeprefix("#")) if isinstance(reference, str) else "?"
        if not pointer.startswith("/"):
            return self._anchors.get(pointer) if pointer else self._root
        return json.at_pointer(self._root, pointer)


def _work_of(schema: JsonObject, value: Any) -> int:
    named = schema.get("patternProperties")
    patterns = [schema.get("pattern"), *(named if isinstance(named, dict) else ())]
    work = _WORK_OF_SCHEMA + (len(value) if isinstance(value, dict | list | tuple) else 0)
    for pattern in patterns:
        if isinstance(pattern, str):
            work += _WORK_OF_BACKTRACKING if _BACKTRACKS.search(pattern) else _WORK_OF_PATTERN
    return work


def _listed(given: Any) -> list[Any]:
    return given if isinstance(given, list) else [given]


def _read(schema: Any, subject: str, loc: tuple[str, ...]) -> _CompiledSchema:
    try:
        _check_shape(schema)
        text = json.dumps(schema)
        if len(text.encode()) > MAX_SCHEMA_BYTES:
            raise _RefusedSchema(f"is larger than {MAX_SCHEMA_BYTES} bytes")
        return _compiled(text)
    except TypeError as error:
        raise InvalidRequest(f"{subject} is not JSON.", loc=loc) from error
    except _RefusedSchema as error:
        raise InvalidRequest(f"{subject} {error}.", loc=loc) from error


@cached(_MAX_COMPILED_BYTES, lambda compiled: compiled.size_bytes)
def _compiled(text: str) -> _CompiledSchema:
    return _CompiledSchema(json.loads(text))


def _check_shape(schema: Any) -> None:
    if not isinstance(schema, dict) or schema.get("type") != "object":
        raise _RefusedSchema('is not of type "object"')
    for key, value, depth in _walk(schema):
        if depth > _MAX_SCHEMA_DEPTH:
            raise _RefusedSchema(f"is nested deeper than {_MAX_SCHEMA_DEPTH} levels")
        if key in _REFERENCES and isinstance(value, str) and not value.startswith("#"):
            raise _RefusedSchema("refers to another document")
        if key == "$id" and isinstance(value, str) and depth > 1:
            raise _RefusedSchema("has a part that is a document of its own ($id)")


def _check_patterns(schema: JsonObject) -> int:
    """The most bytes that the patterns of a schema take when they are compiled. Raises `_RefusedSchema`."""
    patterns: set[str] = set()
    for part in _objects(schema):
        if isinstance(pattern := part.get("pattern"), str):
            patterns.add(pattern)
        if isinstance(named := part.get("patternProperties"), dict):
            patterns.update(named)
    if len(patterns) > _MAX_PATTERNS:
        raise _RefusedSchema(f"has more than {_MAX_PATTERNS} different patterns")
    large = 0
    for pattern in patterns:
        if not _compiles(pattern, _LARGE_PATTERN_BYTES):
            # One that is no pattern, or larger than any may be, is refused when the schema is compiled.
            large += next((size for size in _SIZES_OF_LARGE if _compiles(pattern, size)), _MAX_PATTERN_BYTES)
        if large > _MAX_LARGE_BYTES:
            raise _RefusedSchema("has too many large patterns: a repetition is as large as its count")
    # Searches keep states beside a program, in as much memory.
    return len(patterns) * _LARGE_PATTERN_BYTES + 2 * large


def _compiles(pattern: str, max_bytes: int) -> bool:
    """Return whether it is a pattern that takes no more than this when it is compiled."""
    try:
        jsonschema_rs.validator_for({"pattern": pattern}, pattern_options=_pattern_options(max_bytes))
    except ValueError:
        return False
    return True


def _pattern_options(max_bytes: int) -> jsonschema_rs.FancyRegexOptions:
    return jsonschema_rs.FancyRegexOptions(backtrack_limit=_MAX_BACKTRACKS, size_limit=max_bytes)


def _walk(value: Any) -> Iterator[tuple[object, Any, int]]:
    """Yield every value within, with its key and depth; without recursion, and no deeper than one level too deep."""
    stack: list[tuple[object, Any, int]] = [(None, value, 0)]
    while stack:
        key, value, depth = stack.pop()
        yield key, value, depth
        if isinstance(value, dict):
            stack.extend((name, inner, depth + 1) for name, inner in value.items())
        elif isinstance(value, list | tuple):
            stack.extend((None, inner, depth + 1) for inner in value)


def _objects(schema: JsonObject) -> Iterator[JsonObject]:
    return (value for _key, value, _depth in _walk(schema) if isinstance(value, dict))


def _sentence(error: jsonschema_rs.ValidationError) -> str:
    place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.instance_path)
    return f"at {_cut('$' + place)}: {_cut(error.message)}"


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_ERROR_CHARACTERS else text[:_MAX_ERROR_CHARACTERS] + "…"
