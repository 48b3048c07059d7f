"""openapi.yaml against the application, and the application's routes against what it says of them."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi.routing import APIRoute

from ai_agents.core import exceptions
from ai_agents.core.exceptions import AIAgentsError
from app import errors as app_errors
from app.main import ROUTERS, create_app
from app.openapi import build_document, find_body
from app.problems import MEDIA_TYPE, STATUSES
from app.uploads import TAKES_FILE

ROOT = Path(__file__).resolve().parents[2]
OPEN = {"/livez", "/readyz"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return build_document(create_app())


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, told) for path, methods in document["paths"].items() for method, told in methods.items()]


def test_the_file_is_what_the_code_says(document: dict[str, Any]) -> None:
    kept = yaml.safe_load((ROOT / "openapi.yaml").read_text())

    assert kept == document, "run `make openapi`"


def test_every_route_is_told_of_under_its_functions_name(document: dict[str, Any]) -> None:
    routes = [route for module in ROUTERS for route in module.router.routes if isinstance(route, APIRoute)]

    told = {(path, method.upper()): each["operationId"] for path, method, each in operations(document)}

    assert told == {(route.path, method): route.endpoint.__name__ for route in routes for method in route.methods or ()}
    assert len(set(told.values())) == len(told)


def test_the_version_is_one_that_all_tools_read(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    assert "itemSchema" not in str(document)


def test_every_error_is_told_of_as_a_problem(document: dict[str, Any]) -> None:
    for path, method, told in operations(document):
        answers = told["responses"]
        errors = {status: answer for status, answer in answers.items() if int(status) >= 400}
        assert all(list(answer["content"]) == [MEDIA_TYPE] for answer in errors.values()), (path, method)
        assert {"413", "500"} <= set(errors), (path, method)
        if path not in OPEN:
            assert {"401", "503"} <= set(errors), (path, method)
            assert told["security"][0] == {"bearer": []}, (path, method)
        if "{" in path:
            assert "404" in errors, (path, method)
        if "requestBody" in told:
            assert {"415", "422"} <= set(errors), (path, method)


def test_every_answer_that_succeeds_has_a_form(document: dict[str, Any]) -> None:
    for path, method, told in operations(document):
        for status, answer in told["responses"].items():
            if status in ("200", "201", "202"):
                assert answer["content"], (path, method, status)
                assert answer["description"] not in ("", "Successful Response"), (path, method, status)


def test_every_parameter_of_a_path_is_told_of(document: dict[str, Any]) -> None:
    for path, method, told in operations(document):
        named = {each["name"] for each in told.get("parameters", []) if each["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)}", path)), (path, method)


def test_every_body_is_told_of(document: dict[str, Any]) -> None:
    for module in ROUTERS:
        for route in module.router.routes:
            assert isinstance(route, APIRoute)
            model = find_body(route)
            for method in route.methods or ():
                told = document["paths"][route.path][method.lower()]
                takes_file = hasattr(route.endpoint, TAKES_FILE)
                assert ("requestBody" in told) == (model is not None or takes_file), route.path


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    def references(value: Any) -> list[str]:
        if isinstance(value, dict):
            own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
            return own + [found for each in value.values() for found in references(each)]
        return [found for each in value for found in references(each)] if isinstance(value, list) else []

    schemas = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    used = set(references(document))

    assert used <= schemas
    assert schemas - used == set()


def errors() -> list[type[AIAgentsError]]:
    places = (exceptions, app_errors)
    found = [each for place in places for each in vars(place).values() if isinstance(each, type)]
    return sorted({each for each in found if issubclass(each, AIAgentsError)}, key=lambda each: each.__name__)


@pytest.mark.parametrize("error", errors(), ids=lambda error: error.__name__)
def test_every_error_of_the_framework_has_a_status(error: type[AIAgentsError]) -> None:
    assert error.code in STATUSES


def test_the_codes_are_those_of_the_contract() -> None:
    assert {code: STATUSES[code] for code in ("invalid_request", "thread_busy", "queue_full", "provider_timeout")} == {
        "invalid_request": 422,
        "thread_busy": 409,
        "queue_full": 429,
        "provider_timeout": 504,
    }
    assert all(400 <= status < 600 for status in STATUSES.values())
