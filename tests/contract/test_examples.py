"""The examples of openapi.yaml: every operation has some, and each fits its schema."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from app.main import create_app

# A file that was uploaded as JSON is any JSON.
ANY_JSON = {("get_file_content", "application/json")}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return create_app().openapi()


def contents(document: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str, str, dict[str, Any]]]:
    """Each operation with what it takes and answers: status (of a body `body`), media type, what is told."""
    for path in document["paths"].values():
        for operation in path.values():
            parts = [("body", operation.get("requestBody", {})), *operation["responses"].items()]
            for status, part in parts:
                for media_type, content in part.get("content", {}).items():
                    yield operation, status, media_type, content


def test_each_body_and_each_answer_has_an_example(document: dict[str, Any]) -> None:
    without = {
        (operation["operationId"], media_type)
        for operation, status, media_type, content in contents(document)
        if media_type == "application/json" and (status < "300" or status == "body")
        if "example" not in content
    }

    assert without == ANY_JSON


def test_each_example_fits_its_schema(document: dict[str, Any]) -> None:
    components = document["components"]
    wrong = []
    seen = set()
    for operation, status, media_type, content in contents(document):
        named = [components["examples"][name]["value"] for name in content.get("examples", ())]
        examples = named + ([content["example"]] if "example" in content else [])
        # Operations share the problems that they answer with: each is looked at once.
        same = json.dumps([content.get("schema"), examples])
        if examples and same not in seen:
            seen.add(same)
            validator = jsonschema_rs.validator_for({**content["schema"], "components": components})
            wrong += [
                (operation["operationId"], status, media_type, error.message)
                for example in examples
                for error in validator.iter_errors(example)
            ]

    assert wrong == []


def test_each_operation_is_told_of_in_a_sentence_and_belongs_to_a_part_that_is_told_of(
    document: dict[str, Any],
) -> None:
    parts = {tag["name"] for tag in document["tags"] if tag["description"]}
    for operation, *_ in contents(document):
        assert operation["tags"][0] in parts
        # Not the function's name in other letters, as FastAPI would have it.
        assert operation["summary"] != operation["operationId"].replace("_", " ").title()
        assert 5 <= len(operation["summary"]) <= 120, operation["summary"]
    assert all(scheme["description"] for scheme in document["components"]["securitySchemes"].values())
