"""Output schemas in the forms that providers enforce."""

from typing import Any

import pytest

from ai_agents.providers.schemas import is_strict, narrowed, schema_instruction

NAME = {"type": "string"}
CLOSED = {"type": "object", "properties": {"name": NAME}, "required": ["name"], "additionalProperties": False}


def an_object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": [*properties]}


def test_objects_are_closed_and_bounds_go_into_the_description() -> None:
    schema = an_object(age={"type": ["integer", "null"], "minimum": 0, "description": "In years."}, name=NAME)

    assert narrowed(schema) == {
        "type": "object",
        "properties": {
            "age": {"type": ["integer", "null"], "description": 'In years.\n{"minimum":0}'},
            "name": {"type": "string"},
        },
        "required": ["age", "name"],
        "additionalProperties": False,
    }


def test_a_schema_that_fits_already_stays_as_it_is() -> None:
    schema = CLOSED | {
        "properties": {
            "name": {"enum": ["a", "b"]},
            "when": {"type": "string", "format": "date"},
            "list": {"type": "array", "items": {"$ref": "#/$defs/item"}, "minItems": 1},
            "either": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        },
        "$defs": {"item": CLOSED},
    }

    assert narrowed(schema) == schema


@pytest.mark.parametrize(
    "inner",
    [
        {"$ref": "#/$defs/loop"},
        {"$ref": "#/$defs/nowhere"},
        {"type": "object"},
        {"type": "object", "additionalProperties": {"type": "string"}},
        {"type": "object", "patternProperties": {"^a": {}}},
        {"type": "object", "properties": {"a": {}}},
        {"type": "object", "properties": {"a": NAME}, "required": ["b"]},
        {"not": {"type": "string"}},
        {"allOf": [CLOSED]},
        {"anyOf": [NAME], "type": "object", "properties": {"a": NAME}},
        {"type": "array", "items": [NAME]},
        True,
    ],
)
def test_a_schema_that_cannot_be_enforced_has_no_form(inner: Any) -> None:
    assert narrowed(an_object(value=inner) | {"$defs": {"loop": an_object(again={"$ref": "#/$defs/loop"})}}) is None
    assert narrowed(an_object(value=inner)) is None


def test_a_schema_with_too_many_choices_has_no_form() -> None:
    optional = {f"p{number}": NAME for number in range(30)}

    assert narrowed({"type": "object", "properties": optional}) is None
    assert narrowed({"type": "object", "properties": optional, "required": [*optional]}) is not None


def test_references_that_fan_out_are_refused_quickly() -> None:
    definitions = {
        f"d{number}": an_object(a={"$ref": f"#/$defs/d{number + 1}"}, b={"$ref": f"#/$defs/d{number + 1}"})
        for number in range(1000)
    }

    assert narrowed(an_object(a={"$ref": "#/$defs/d0"}) | {"$defs": definitions | {"d1000": NAME}}) is None


@pytest.mark.parametrize(
    "schema, strict",
    [
        (CLOSED, True),
        (CLOSED | {"properties": {"name": CLOSED}}, True),
        (CLOSED | {"properties": {"name": {"type": ["string", "null"], "pattern": "^a", "format": "date"}}}, True),
        (an_object(name=NAME), False),
        (CLOSED | {"required": []}, False),
        (CLOSED | {"properties": {"name": {"type": "string", "minLength": 3}}}, False),
        (CLOSED | {"properties": {"name": {"type": "string", "format": "uri"}}}, False),
        (CLOSED | {"properties": {"name": {}}}, False),
        (CLOSED | {"properties": {"name": True}}, False),
        (CLOSED | {"allOf": [CLOSED]}, False),
    ],
)
def test_a_schema_is_strict_where_openai_enforces_it(schema: dict[str, Any], strict: bool) -> None:
    assert is_strict(schema) is strict


def test_the_request_for_a_schema_stands_after_the_system_prompt() -> None:
    assert schema_instruction("Be brief.", CLOSED).startswith("Be brief.\n\nGive your final answer as one JSON")
    assert schema_instruction(None, CLOSED).endswith('"additionalProperties":false}')
