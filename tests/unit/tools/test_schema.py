"""Schemas of tools, servers and agents: those that take too long to apply are refused."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_agents.core.exceptions import InvalidRequest
from ai_agents.core.types import JsonObject
from ai_agents.tools.schema import ArgumentsValidator, OutputValidator


@pytest.mark.parametrize(
    "patterns,why",
    [
        ([rf"^a{number}$" for number in range(1000)], "different patterns"),
        ([rf"^[\w\W]{{{1000 + number}}}$" for number in range(100)], "large patterns"),
        ([r"^(\p{L}{100}){100}$"], "not a JSON Schema"),
    ],
)
def test_patterns_that_take_long_to_compile_are_refused(patterns: list[str], why: str) -> None:
    named = {f"p{number}": {"type": "string", "pattern": pattern} for number, pattern in enumerate(patterns)}
    in_names: dict[str, object] = {pattern: {} for pattern in patterns}
    for schema in ({"type": "object", "properties": named}, {"type": "object", "patternProperties": in_names}):
        with pytest.raises(InvalidRequest, match=why):
            ArgumentsValidator(schema)


def test_ordinary_patterns_are_accepted() -> None:
    patterns = [r"^\p{L}{1,50}$", "^.{0,500}$", r"^[\w.+-]+@[\w-]+\.[\w.-]+$"]
    patterns += [f"^{number}[a-f0-9]{{32}}$" for number in range(200)]
    named = {f"p{number}": {"type": "string", "pattern": pattern} for number, pattern in enumerate(patterns)}
    validator = ArgumentsValidator({"type": "object", "properties": named})
    assert validator.find_fault({"p0": "Ada", "p2": "ada@example.com"}) is None
    assert validator.find_fault({"p0": "1"}) is not None


def doubling(depth: int) -> JsonObject:
    """Each definition uses the next one twice."""
    defs: JsonObject = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(depth)}
    return {"type": "object", "allOf": [{"$ref": "#/$defs/d0"}], "$defs": defs | {f"d{depth}": {"type": "object"}}}


def chained(length: int) -> JsonObject:
    """A schema that refers to itself, one level deeper, over so many references."""
    defs: JsonObject = {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(length)}
    defs[f"d{length}"] = {"properties": {"a": {"$ref": "#/$defs/d0"}}}
    return {"type": "object", "$ref": "#/$defs/d0", "$defs": defs}


@pytest.mark.parametrize(
    "schema,why",
    [
        (doubling(25), "too many schemas"),
        (chained(1900), "references in a row"),
        ({"type": "object", "$ref": "#"}, "refers to itself"),
        ({"type": "object", "anyOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"not": {"$ref": "#"}}}}, "to itself"),
        ({"type": "object", "properties": {"a": {"$id": "http://x.example/"}}}, "a document of its own"),
        ({"type": "object", "$dynamicRef": "#a", "$dynamicAnchor": "a"}, "refers to itself"),
    ],
    ids=["doubling", "chained", "itself", "round", "document", "anchor"],
)  # fmt: skip
def test_a_schema_that_takes_too_long_to_apply_is_refused(schema: JsonObject, why: str) -> None:
    for kind in (ArgumentsValidator, OutputValidator):
        with pytest.raises(InvalidRequest, match=why):
            kind(schema)


NODE = {"$ref": "#/$defs/node"}
TREE: JsonObject = {
    "type": "object",
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "properties": {"value": {"type": "integer"}, "left": NODE, "right": NODE},
            "required": ["value"],
            "additionalProperties": False,
        }
    },
}  # fmt: skip
TWICE: JsonObject = {"type": "object", "properties": {"a": {"allOf": [{"$ref": "#"}, {"$ref": "#"}]}}}
ANY_JSON: JsonObject = {
    "type": "object",
    "additionalProperties": {"$ref": "#/$defs/json"},
    "$defs": {
        "json": {
            "anyOf": [
                {"type": ["string", "number", "boolean", "null"]},
                {"type": "array", "items": {"$ref": "#/$defs/json"}},
                {"type": "object", "additionalProperties": {"$ref": "#/$defs/json"}},
            ]
        }
    },
}


# Each name of a member is held against 2,000 schemas.
NAMES: JsonObject = {
    "type": "object",
    "propertyNames": {"$ref": "#/$defs/d0"},
    "$defs": {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(9)} | {"d9": {"type": "string"}},
}


def nested(depth: int, **inner: object) -> JsonObject:
    value: JsonObject = dict(inner)
    for _ in range(depth - 1):
        value = {"a": value, **inner}
    return value


@pytest.mark.parametrize(
    "schema,value,fits",
    [
        (TREE, {"value": 1, "left": {"value": 2, "left": {"value": 3}}, "right": {"value": 4}}, True),
        (TREE, {"value": 1, "left": {"value": "2"}}, False),
        (ANY_JSON, {"rows": [{"n": number, "tags": ["a", "b"]} for number in range(1000)]}, True),
        (ANY_JSON, nested(40), True),
        (ANY_JSON, nested(65), False),
        (TWICE, nested(12), True),
        (TWICE, nested(60), False),
        (chained(20), nested(60), True),
        (chained(20), nested(200), False),
        (NAMES, {f"n{number}": 1 for number in range(5)}, True),
        (NAMES, {f"n{number}": 1 for number in range(500)}, False),
    ],
    ids=[
        "tree",
        "wrong_tree",
        "json",
        "deep",
        "too_deep",
        "twice",
        "twice_too_deep",
        "chained",
        "chained_too_deep",
        "names",
        "too_many_names",
    ],
)
def test_values_are_validated_unless_that_takes_too_long(schema: JsonObject, value: JsonObject, fits: bool) -> None:
    assert (ArgumentsValidator(schema).find_fault(value) is None) is fits
    assert (OutputValidator(schema).find_fault(json.dumps(value)) is None) is fits


@given(st.recursive(
    st.sampled_from([{}, {"type": "object"}, {"$ref": "#/$defs/a"}, {"$ref": "#"}, True]),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda each: {"allOf": each}),
        st.dictionaries(st.sampled_from("abc"), inner, max_size=3).map(lambda each: {"properties": each}),
        inner.map(lambda each: {"additionalProperties": each}), inner.map(lambda each: {"items": each}),
        inner.map(lambda each: {"not": each}), inner.map(lambda each: {"patternProperties": {"a": each}}),
    ),
    max_leaves=12,
), st.data())  # fmt: skip
def test_no_validation_takes_long(inner: object, data: st.DataObject) -> None:
    schema = {
        "type": "object",
        "allOf": [inner],
        "$defs": {"a": data.draw(st.sampled_from([inner, {}, {"items": inner}]))},
    }
    try:
        validator = ArgumentsValidator(schema)
    except InvalidRequest:
        return
    for depth in (3, 12, 30, 63):
        began = time.process_time()
        validator.find_fault(nested(depth, b=1, c=[[]]))
        assert time.process_time() - began < 5
