"""JSON Schemas of tools' arguments and agents' answers: compiled once, never fetched from anywhere, bounded in size
and depth.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any

import jsonschema_rs

from ai_agents.core import json
from ai_agents.core.exceptions import InvalidRequest
from ai_agents.core.types import JsonObject
from ai_agents.tools.schema_effort import Effort, TooMuch, measure

MAX_SCHEMA_BYTES = 64 * 1024
MAX_SCHEMA_DEPTH = 32
_REFERENCES = frozenset({"$ref", "$dynamicRef", "$recursiveRef"})
# Past this a pattern with backtracking gives up, which counts as not matching: about a millisecond.
_MAX_BACKTRACKS = 10_000
# While a pattern is compiled nothing else runs: a large one takes up to thirty milliseconds, any other half of one.
_MAX_PATTERNS = 256
_MAX_LARGE_PATTERNS = 8
_LARGE_PATTERN_BYTES = 64 * 1024
_MAX_PATTERN_BYTES = 4 * 1024 * 1024
# A model mends one thing or a few at a time; more would only fill its context.
_MAX_ERRORS = 3
_MAX_ERROR_CHARACTERS = 200
_COMPILED = 512


_TOO_MUCH = "it is nested too deep, or there is too much of it, to be held against the schema"


@dataclass(frozen=True, slots=True)
class _Schema:
    """A schema that is ready, and what it costs to hold something against it."""

    validator: jsonschema_rs.Validator
    effort: Effort

    def faults(self, value: Any) -> str:
        """What does not fit, as a part of a sentence; empty where all fits."""
        if not self.effort.allows(value):
            return _TOO_MUCH
        return "; ".join(_sentence(error) for error in islice(self.validator.iter_errors(value), _MAX_ERRORS))


class ArgumentsValidator:
    """Whether arguments fit a schema, and if not, why: one sentence for the model."""

    def __init__(self, schema: JsonObject) -> None:
        """Raises `InvalidRequest` for what is not a schema of an object, refers elsewhere, or is too large."""
        self._schema = _read(schema, "The schema of the tool's parameters", ("parameters",))

    def find_fault(self, arguments: JsonObject) -> str | None:
        """What does not fit, with its place in the arguments; None where all fits."""
        try:
            errors = self._schema.faults(arguments)
        except ValueError:  # lone surrogates, or nested deeper than anything that is meant
            return "The arguments cannot be read."
        return f"The arguments do not fit the tool's schema: {errors}." if errors else None


class OutputValidator:
    """Whether an answer is the JSON that a schema asks for, and if not, why: one sentence for model and client."""

    def __init__(self, schema: JsonObject) -> None:
        """Raises `InvalidRequest` as `ArgumentsValidator` does: every provider wants an object at the top."""
        self._schema = _read(schema, "The output schema", ("output_schema",))

    def find_fault(self, answer: str) -> str | None:
        """What is wrong with the answer; None where it fits."""
        try:
            errors = self._schema.faults(json.loads(answer))
        except ValueError:
            return "The answer is not JSON."
        return f"The answer does not fit the output schema: {errors}." if errors else None


def _read(schema: Any, subject: str, loc: tuple[str, ...]) -> _Schema:
    try:
        _check_shape(schema)
        text = json.dumps(schema)
        if len(text.encode()) > MAX_SCHEMA_BYTES:
            raise _Refused(f"is larger than {MAX_SCHEMA_BYTES} bytes")
        return _compiled(text)
    except TypeError as error:
        raise InvalidRequest(f"{subject} is not JSON.", loc=loc) from error
    except (_Refused, TooMuch) as error:
        raise InvalidRequest(f"{subject} {error}.", loc=loc) from error


class _Refused(Exception):
    """What is wrong with a schema, as the end of a sentence."""


def _check_shape(schema: Any) -> None:
    if not isinstance(schema, dict) or schema.get("type") != "object":
        raise _Refused('is not of type "object"')
    for key, value, depth in _walk(schema):
        if depth > MAX_SCHEMA_DEPTH:
            raise _Refused(f"is nested deeper than {MAX_SCHEMA_DEPTH} levels")
        if key in _REFERENCES and isinstance(value, str) and not value.startswith("#"):
            raise _Refused("refers to another document")
        if key == "$id" and isinstance(value, str) and depth > 1:
            raise _Refused("has a part that is a document of its own ($id)")


def _check_patterns(schema: JsonObject) -> None:
    patterns: set[str] = set()
    for key, value, _depth in _walk(schema):
        if key == "pattern" and isinstance(value, str):
            patterns.add(value)
        if key == "patternProperties" and isinstance(value, dict):
            patterns.update(value)
    if len(patterns) > _MAX_PATTERNS:
        raise _Refused(f"has more than {_MAX_PATTERNS} different patterns")
    large = 0
    for pattern in patterns:
        large += not _compiles(pattern, _LARGE_PATTERN_BYTES)
        if large > _MAX_LARGE_PATTERNS:
            raise _Refused(f"has more than {_MAX_LARGE_PATTERNS} large patterns: a repetition is as large as its count")


def _compiles(pattern: str, max_bytes: int) -> bool:
    """Whether it is a pattern that takes no more than this when it is compiled."""
    try:
        jsonschema_rs.validator_for({"pattern": pattern}, pattern_options=_options(max_bytes))
    except ValueError:
        return False
    return True


def _options(max_pattern_bytes: int) -> jsonschema_rs.FancyRegexOptions:
    return jsonschema_rs.FancyRegexOptions(backtrack_limit=_MAX_BACKTRACKS, size_limit=max_pattern_bytes)


def _walk(value: Any) -> Iterator[tuple[object, Any, int]]:
    """Every value within, with its key and depth; without recursion, and no deeper than one level too deep."""
    stack: list[tuple[object, Any, int]] = [(None, value, 0)]
    while stack:
        key, value, depth = stack.pop()
        yield key, value, depth
        if isinstance(value, dict):
            stack.extend((name, inner, depth + 1) for name, inner in value.items())
        elif isinstance(value, list | tuple):
            stack.extend((None, inner, depth + 1) for inner in value)


@lru_cache(_COMPILED)
def _compiled(text: str) -> _Schema:
    schema, options = json.loads(text), _options(_MAX_PATTERN_BYTES)
    _check_patterns(schema)
    effort = measure(schema)
    try:
        return _Schema(jsonschema_rs.validator_for(schema, offline=True, pattern_options=options), effort)
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        raise _Refused(f"is not a JSON Schema ({_cut(str(error).partition(chr(10))[0])})") from error


def _sentence(error: jsonschema_rs.ValidationError) -> str:
    place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.instance_path)
    return f"at {_cut('$' + place)}: {_cut(error.message)}"


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_ERROR_CHARACTERS else text[:_MAX_ERROR_CHARACTERS] + "…"
