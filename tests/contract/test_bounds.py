"""Everything that a client can send has a bound in openapi.yaml: lists, texts, numbers, and objects with free names."""

from collections.abc import Iterator
from typing import Any

import pytest

from app.main import create_app

NUMBER_BOUNDS = [{"minimum", "exclusiveMinimum"}, {"maximum", "exclusiveMaximum"}]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return create_app().openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        yield from ((f"{method.upper()} {path}", told) for method, told in methods.items())


def unbounded(schema: dict[str, Any], place: str, document: dict[str, Any], seen: frozenset[str]) -> Iterator[str]:
    """The places in a schema, and in what it refers to, where a value may be of any size."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        if name not in seen:
            yield from unbounded(document["components"]["schemas"][name], f"{place}:{name}", document, seen | {name})
        return
    kinds = schema.get("type")
    for kind in [kinds] if isinstance(kinds, str) else kinds or []:
        if not (has_bound(kind, schema) or {"enum", "const"} & schema.keys()):
            yield f"{place} ({kind})"
    for word in ("anyOf", "oneOf", "allOf"):
        for number, inner in enumerate(schema.get(word, [])):
            yield from unbounded(inner, f"{place}.{word}{number}", document, seen)
    for name, inner in schema.get("properties", {}).items():
        yield from unbounded(inner, f"{place}.{name}", document, seen)
    for word in ("items", "additionalProperties", "propertyNames"):
        if isinstance(schema.get(word), dict):
            typed = {"type": "string"} | schema[word] if word == "propertyNames" else schema[word]
            yield from unbounded(typed, f"{place}.{word}", document, seen)


def has_bound(kind: str, schema: dict[str, Any]) -> bool:
    match kind:
        case "array":
            return "maxItems" in schema
        case "string":
            return "maxLength" in schema or schema.get("format") == "binary"  # a file has its own bound
        case "integer" | "number":
            return all(bound & schema.keys() for bound in NUMBER_BOUNDS)
        case "object":
            # What is in a free object is bounded by the body, and by the bytes that its description tells of.
            return schema.get("additionalProperties") is False or "maxProperties" in schema
    return True


def test_every_body_is_bounded_in_each_of_its_parts(document: dict[str, Any]) -> None:
    found = [
        place
        for name, told in operations(document)
        for content in told.get("requestBody", {"content": {}})["content"].values()
        for place in unbounded(content["schema"], name, document, frozenset())
    ]

    assert found == []


def test_every_parameter_is_bounded(document: dict[str, Any]) -> None:
    parameters = [(name, each) for name, told in operations(document) for each in told.get("parameters", [])]

    found = [
        place
        for name, each in parameters
        for place in unbounded(each["schema"], f"{name} {each['in']} {each['name']}", document, frozenset())
    ]

    assert len(parameters) > 50
    assert found == []


def test_every_page_has_at_most_a_hundred_entries_unless_its_list_is_whole(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    pages = {name: schema["properties"]["data"] for name, schema in schemas.items() if name.endswith("Page")}
    whole = {"ToolPage", "ProviderPage", "ModelPage", "CredentialsPage"}  # they have no cursor: `next` is null

    assert set(pages) > whole
    assert {name: data.get("maxItems") for name, data in pages.items() if name not in whole} == dict.fromkeys(
        set(pages) - whole, 100
    )


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": {"type": "string", "maxLength": 1}},
        {"type": "object", "additionalProperties": False, "properties": {"a": {"type": "string"}}},
        {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0}, "maxProperties": 1},
        {"type": "object"},
        {"anyOf": [{"type": "null"}, {"type": "number", "exclusiveMinimum": 0}]},
        {"$ref": "#/components/schemas/LogEvent"},
    ],
)
def test_a_part_without_a_bound_is_found(document: dict[str, Any], schema: dict[str, Any]) -> None:
    assert list(unbounded(schema, "here", document, frozenset()))
