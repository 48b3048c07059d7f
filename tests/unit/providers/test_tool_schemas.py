"""The parameters of tools in the forms that providers accept."""

from typing import Any, get_args

import jsonschema_rs
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ai_agents.core.types import JsonObject, ModelRequest, ToolDefinition
from ai_agents.providers.tool_schemas import Family, parameters_form, tools_without_form, with_tool_forms
from tests.fakes.rules_schemas import check_anthropic_schema, check_ollama_schema, check_openai_schema
from tests.support.examples import examples

FAMILIES: tuple[Family, ...] = get_args(Family)
CHECKS = {
    "anthropic": check_anthropic_schema,
    "openai": check_openai_schema,
    "ollama": check_ollama_schema,
    # Its own check is of what remains of the form: `tests/fakes/rules_gemini.py`.
    "gemini": check_ollama_schema,
}
STRING, INTEGER = {"type": "string"}, {"type": "integer"}


def an_object(*required: str, **properties: Any) -> JsonObject:
    return {"type": "object", "properties": properties} | ({"required": [*required]} if required else {})


def form(schema: Any, family: Family = "openai") -> JsonObject:
    found = parameters_form(schema, family)
    assert found is not None
    return found[0]


def remark(schema: Any, family: Family = "openai") -> str:
    found = parameters_form(schema, family)
    assert found is not None
    return found[1]


def is_valid(schema: Any, value: Any) -> bool:
    return jsonschema_rs.validator_for(schema).is_valid(value)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "schema",
    [
        an_object("a", a=STRING, b={"type": ["integer", "null"], "minimum": 1}) | {"additionalProperties": False},
        an_object(a={"type": "array", "items": STRING}, b={"anyOf": [STRING, {"type": "null"}], "description": "B."}),
        an_object(a=an_object(b={"enum": ["x", "y"]})) | {"description": "Some."},
    ],
)
def test_a_schema_that_every_provider_accepts_stays_as_it_is(family: Family, schema: JsonObject) -> None:
    assert parameters_form(schema, family) == (schema, "")
    assert list(form(schema, family)) == list(schema)


@pytest.mark.parametrize("family", ["anthropic", "openai"])
def test_references_and_nested_alternatives_stay_where_they_are_read(family: Family) -> None:
    schema = an_object(node={"$ref": "#/$defs/node"}, either={"oneOf": [STRING, INTEGER]}) | {
        "$defs": {"node": an_object(next={"$ref": "#/$defs/node"})}
    }
    old = an_object(node={"$ref": "#/definitions/node"}) | {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "definitions": {"node": an_object(next={"$ref": "#"})},
    }

    assert parameters_form(schema, family) == (schema, "")
    assert parameters_form(old, family) == (old, "")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("schema", [None, True, {}, {"type": "object"}, {"type": ["object", "null"]}])
def test_an_object_of_anything_is_one_with_properties(family: Family, schema: Any) -> None:
    assert parameters_form(schema, family) == ({"type": "object", "properties": {}}, "")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "schema",
    [
        False,
        {"type": "array"},
        {"type": ["string", "null"]},
        {"allOf": [{"type": "string"}]},
        {"anyOf": [False, {"type": "null"}]},
        {"$ref": "#/$defs/text", "$defs": {"text": STRING}},
        [],
        "object",
        7,
        {"type": "object", "properties": {1: {}}},
    ],
)
def test_a_tool_whose_arguments_cannot_be_an_object_is_left_out(family: Family, schema: Any) -> None:
    tools = (ToolDefinition("odd", "", schema), ToolDefinition("plain", "", an_object(a=STRING)))
    request = ModelRequest("m", (), tools=tools)

    assert parameters_form(schema, family) is None
    assert with_tool_forms(request, family).tools == tools[1:]
    assert [(notice["code"], notice["tool"]) for notice in tools_without_form(request, family)] == [
        ("tool_left_out", "odd")
    ]


def test_a_request_whose_tools_fit_is_the_same_request() -> None:
    request = ModelRequest("m", (), tools=(ToolDefinition("plain", "Does it.", an_object(a=STRING)),))

    assert with_tool_forms(request, "openai") is request


@pytest.mark.parametrize("family", FAMILIES)
def test_alternatives_at_the_top_become_one_object(family: Family) -> None:
    schema = {
        "oneOf": [
            an_object("kind", "city", kind={"const": "city"}, city=STRING) | {"additionalProperties": False},
            an_object("kind", "code", kind={"const": "code"}, code=INTEGER) | {"additionalProperties": False},
        ]
    }

    assert form(schema, family) == {
        "type": "object",
        "properties": {"kind": {"enum": ["city", "code"]}, "city": STRING, "code": INTEGER},
        "required": ["kind"],
        "additionalProperties": False,
    }
    assert '"oneOf":[' in remark(schema, family)


def test_an_alternative_that_allows_more_leaves_a_property_open() -> None:
    schema = {"anyOf": [an_object(a=STRING | {"description": "A."}), an_object(b=INTEGER)]}

    assert form(schema)["properties"] == {"a": {"description": "A."}, "b": {}}


@pytest.mark.parametrize("family", FAMILIES)
def test_alternatives_of_what_is_required_leave_the_properties(family: Family) -> None:
    schema = an_object(a=STRING, b=INTEGER) | {"anyOf": [{"required": ["a"]}, {"required": ["b"]}]}

    assert form(schema, family) == an_object(a=STRING, b=INTEGER)
    assert '"required":["a"]' in remark(schema, family)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_must_fit_together_is_one_object(family: Family) -> None:
    parts = [{"$ref": "#/$defs/base"}, an_object("b", b=INTEGER)]
    schema = {"allOf": parts, "$defs": {"base": an_object("a", a=STRING)}}

    found = form(schema, family)

    assert (found["type"], found["properties"], found["required"]) == (
        "object",
        {"a": STRING, "b": INTEGER},
        ["a", "b"],
    )
    assert remark(schema, family) == ""


@pytest.mark.parametrize("family", FAMILIES)
def test_a_reference_at_the_top_is_followed(family: Family) -> None:
    schema = {"$ref": "#/definitions/node", "definitions": {"node": an_object("a", a=STRING)}}
    loop = {"$ref": "#/$defs/loop", "$defs": {"loop": {"$ref": "#/$defs/loop"}}}

    assert form(schema, family)["properties"] == {"a": STRING}
    assert form(schema, family)["required"] == ["a"]
    assert form(loop, family)["properties"] == {}
    assert form({"$ref": "#/nowhere"}, family)["properties"] == {}


@pytest.mark.parametrize("family", ["ollama", "gemini"])
def test_references_are_replaced_where_they_are_not_read(family: Family) -> None:
    schema = an_object(at={"$ref": "#/$defs/place", "description": "Where."}) | {
        "$defs": {"place": an_object(city=STRING, near={"$ref": "#/$defs/place"})}
    }

    place = form(schema, family)["properties"]["at"]

    assert place["description"] == "Where."
    assert place["properties"]["city"] == STRING
    assert "$ref" not in str(form(schema, family))


def test_references_that_fan_out_are_replaced_quickly() -> None:
    fan = {f"d{n}": an_object(a={"$ref": f"#/$defs/d{n + 1}"}, b={"$ref": f"#/$defs/d{n + 1}"}) for n in range(40)}
    schema = an_object(a={"$ref": "#/$defs/d0"}) | {"$defs": fan | {"d40": STRING}}

    assert len(str(form(schema, "ollama"))) < 500_000


@pytest.mark.parametrize("family", FAMILIES)
def test_a_very_deep_schema_is_left_out_or_kept(family: Family) -> None:
    schema: JsonObject = {"type": "object"}
    for _ in range(900):
        schema = an_object(a=schema)

    found = parameters_form(schema, family)

    assert found is None or found[0] == schema


def test_anthropics_keys_are_told_in_words() -> None:
    schema = an_object("$top", "a", **{"$top": INTEGER, "filter[id]": STRING, "a": STRING})
    tool = ToolDefinition("list", "Lists.", schema | {"additionalProperties": False})

    (told,) = with_tool_forms(ModelRequest("m", (), tools=(tool,)), "anthropic").tools

    assert told.parameters == an_object("a", a=STRING)
    assert told.description.startswith("Lists.\n\n")
    assert '"$top":{"type":"integer"}' in told.description
    assert '["$top"]' in told.description
    assert form(schema, "openai") == schema


@pytest.mark.parametrize(
    "family, inner, expected",
    [
        ("openai", {"type": "array"}, {"type": "array", "items": {}}),
        ("openai", {"type": ["array", "null"]}, {"type": ["array", "null"], "items": {}}),
        ("anthropic", {"type": "array"}, {"type": "array", "items": {}}),
        ("openai", True, {}),
        ("anthropic", False, {}),
        ("ollama", {"const": 7}, {"enum": [7]}),
        ("gemini", {"oneOf": [STRING, INTEGER]}, {"anyOf": [STRING, INTEGER]}),
        ("gemini", {"allOf": [STRING, {"minLength": 2}]}, {"type": "string", "minLength": 2}),
        ("anthropic", {"type": "array", "items": [STRING]}, {"type": "array", "prefixItems": [STRING], "items": {}}),
        ("anthropic", {"minimum": 3, "exclusiveMinimum": True}, {"minimum": 3}),
        ("anthropic", {"type": "any", "description": 7, "enum": "x", "required": True}, {}),
        ("anthropic", {"oneOf": [STRING, {"type": "date"}]}, {"anyOf": [STRING, {}]}),
        ("anthropic", {"not": {"type": "date"}}, {}),
        ("anthropic", {"not": {"type": "string"}}, {"not": {"type": "string"}}),
    ],
)
def test_a_property_has_a_form(family: Family, inner: Any, expected: Any) -> None:
    assert form(an_object(a=inner), family)["properties"]["a"] == expected


NAMES = st.sampled_from(["a", "b", "$top", "filter[id]", "x" * 70])
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from([None, True, 0, 1, 2.5, -1, "", "x", "xx", [], {}]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=2),
    max_leaves=4,
)
POINTERS = ["#", "#/$defs/a", "#/$defs/b", "#/properties/a", "#/nowhere", "#/anyOf/0", "#/definitions/a", "other.json"]


KINDS = st.sampled_from(["object", "array", "string", "integer", "number", "boolean", "null"])
SMALL = st.sampled_from([True, False, {}, STRING, INTEGER, {"type": "array"}, {"type": "null"}, {"const": "x"}])


def words(inner: st.SearchStrategy[Any]) -> dict[str, st.SearchStrategy[Any]]:
    """The keywords of JSON Schema with values that they can have."""
    several, named = st.lists(inner, min_size=1, max_size=3), st.dictionaries(NAMES, inner, max_size=3)
    required = st.lists(NAMES, unique=True, max_size=2)
    return {
        "type": KINDS | st.lists(KINDS, min_size=1, max_size=3, unique=True),
        "properties": named,
        "required": required,
        "patternProperties": st.dictionaries(st.sampled_from(["^a", "x"]), inner, max_size=1),
        "dependentRequired": st.dictionaries(NAMES, required, max_size=1),
        "dependentSchemas": st.dictionaries(NAMES, inner, max_size=1),
        "enum": st.lists(VALUES, min_size=1, max_size=3),
        "const": VALUES,
        "$ref": st.sampled_from(["#", "#/$defs/a", "#/$defs/b", "#/$defs/a/properties/a", "#/definitions/c"]),
        "description": st.sampled_from(["", "About."]),
        "x-more": VALUES,
        **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), several),
        **dict.fromkeys(("additionalProperties", "propertyNames", "unevaluatedProperties"), inner),
        **dict.fromkeys(("items", "contains", "unevaluatedItems", "not", "if", "then", "else"), inner),
        **dict.fromkeys(("minContains", "maxContains", "minProperties", "minLength", "maxItems"), st.integers(0, 2)),
        **dict.fromkeys(("minimum", "exclusiveMaximum"), st.integers(-1, 2)),
    }


@st.composite
def schemas(draw: st.DrawFn, depth: int) -> Any:
    """A schema with a few keywords, some of which go together."""
    if depth == 0:
        return draw(SMALL)
    known = words(schemas(depth - 1))
    usual = draw(st.sampled_from([(), ("properties",), ("properties", "required", "type"), ("if", "then")]))
    chosen = dict.fromkeys([*usual, *draw(st.lists(st.sampled_from(sorted(known)), max_size=3))])
    return {word: draw(known[word]) for word in chosen}


@st.composite
def tool_schemas(draw: st.DrawFn) -> JsonObject:
    """A schema of arguments with definitions."""
    found: JsonObject = draw(schemas(3))
    if draw(st.booleans()):
        found["type"] = "object"
    definitions = {"a": an_object(a=draw(schemas(1))), "b": draw(schemas(2))}
    drafts = [{}, {"$schema": "http://json-schema.org/draft-07/schema#"}]
    return draw(st.sampled_from(drafts)) | found | {"$defs": definitions, "definitions": {"c": draw(schemas(1))}}


@given(tool_schemas(), st.lists(st.dictionaries(NAMES, VALUES, max_size=3), min_size=5, max_size=30))
@examples(300)
def test_any_form_is_accepted_and_accepts_what_the_tool_accepts(schema: JsonObject, values: list[JsonObject]) -> None:
    try:
        own = jsonschema_rs.validator_for(schema, offline=True)
    except (ValueError, jsonschema_rs.ReferencingError):
        assume(False)
    fitting = [value for value in [{}, *values] if own.is_valid(value)]
    for family in FAMILIES:
        found = parameters_form(schema, family)
        assert found is not None or not fitting
        if found is not None:
            CHECKS[family]("tool", found[0])
            rendered = jsonschema_rs.validator_for(found[0], offline=True)
            assert all(rendered.is_valid(value) for value in fitting)


ODD_WORDS = st.sampled_from(
    [
        "type",
        "properties",
        "items",
        "anyOf",
        "oneOf",
        "allOf",
        "required",
        "$ref",
        "$defs",
        "enum",
        "minimum",
        "description",
    ]
)


@given(st.recursive(VALUES, lambda inner: st.dictionaries(ODD_WORDS, inner, max_size=4), max_leaves=12))
@examples(300)
def test_what_is_no_schema_has_a_form_or_none(schema: Any) -> None:
    for family in FAMILIES:
        found = parameters_form(schema, family)
        if found is not None:
            CHECKS[family]("tool", found[0])
