"""openapi.yaml against the application, and the routes of the application against openapi.yaml."""

import re
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from fastapi.routing import APIRoute

from ai_agents.attachments.kinds import DOCX, IMAGES, PDF, TEXTS
from ai_agents.core import exceptions
from ai_agents.core.events import TERMINAL_EVENTS, EventType, HintType, LastingEventType
from ai_agents.core.exceptions import AIAgentsError
from ai_agents.core.problems import STATUSES, problem_with
from app import errors as app_errors
from app.dependencies import JsonBody
from app.doors.listed import door_at
from app.doors.mcp.router import MESSAGE
from app.main import ROUTERS, create_app
from app.openapi import UPLOAD
from app.problems import MEDIA_TYPE

ROOT = Path(__file__).resolve().parents[2]
OPEN = {"/livez", "/readyz"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return create_app().openapi()


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, told) for path, methods in document["paths"].items() for method, told in methods.items()]


def test_the_file_is_what_the_code_says(document: dict[str, Any]) -> None:
    kept = yaml.safe_load((ROOT / "openapi.yaml").read_text())

    assert kept == document, "run `make openapi`"


def test_every_route_is_told_of_under_its_functions_name(document: dict[str, Any]) -> None:
    routes = [route for module in ROUTERS for route in module.router.routes if isinstance(route, APIRoute)]

    told = {(path, method.upper()): each["operationId"] for path, method, each in operations(document)}

    assert told == {
        (route.path_format, method): route.endpoint.__name__ for route in routes for method in route.methods or ()
    }
    assert len(set(told.values())) == len(told)


def test_the_version_is_one_that_all_tools_read(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    assert "itemSchema" not in str(document)


def test_every_error_is_told_of_as_a_problem(document: dict[str, Any]) -> None:
    for path, method, told in operations(document):
        answers = told["responses"]
        errors = {status: answer for status, answer in answers.items() if int(status) >= 400}
        door = door_at(path)
        form = MEDIA_TYPE if door is None else door.refuse(dict(problem_with("internal", "It failed."))).media_type
        assert all(list(answer["content"]) == [form] for answer in errors.values()), (path, method)
        assert {"413", "500"} <= set(errors), (path, method)
        if path not in OPEN:
            assert {"401", "503"} <= set(errors), (path, method)
            assert told["security"][0] == {"bearer": []}, (path, method)
        if "{" in path:
            assert "404" in errors, (path, method)
        wrong = problem_with("invalid_request", "It is wrong.")
        invalid = "422" if door is None else str(door.refuse(dict(wrong)).status_code)
        if "requestBody" in told:
            assert {"415", invalid} <= set(errors), (path, method)
        parameters = {each["name"] for each in told.get("parameters", []) if each["in"] in ("query", "header")}
        if parameters - {"If-Match", "Prefer", "Idempotency-Key", "Last-Event-ID"}:
            assert invalid in errors, (path, method)
        if "after" in parameters:
            assert "`invalid_cursor`" in errors["400"]["description"], (path, method)
        if "Idempotency-Key" in parameters:
            assert "`invalid_idempotency_key`" in errors["400"]["description"], (path, method)
            assert "`idempotency_key_reused`" in errors["422"]["description"], (path, method)


def test_every_answer_that_succeeds_has_a_form(document: dict[str, Any]) -> None:
    for path, method, told in operations(document):
        for status, answer in told["responses"].items():
            if status in ("200", "201", "202"):
                # Of MCP, what is only taken has no body.
                assert ("content" in answer) is ((path, status) != ("/mcp", "202")), (path, method, status)
                assert answer["description"] not in ("", "Successful Response"), (path, method, status)


def test_every_parameter_of_a_path_is_told_of(document: dict[str, Any]) -> None:
    for path, method, told in operations(document):
        named = {each["name"] for each in told.get("parameters", []) if each["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)}", path)), (path, method)


# These routes read their body in their function, not in a dependency.
READ_LATER: dict[str, dict[str, Any]] = {
    "create_message": {"$ref": "#/components/schemas/CreateMessage"},
    "create_file": UPLOAD,
    "retry_run": {"$ref": "#/components/schemas/RetryRun"},
    "call_mcp": MESSAGE,
}


def body_read_by(route: APIRoute) -> dict[str, Any] | None:
    """The schema of the body that the route's dependencies read."""
    calls = [each.call for each in route.dependant.dependencies]
    models = [call.model for call in calls if isinstance(call, JsonBody)]
    return {"$ref": f"#/components/schemas/{models[0].__name__}"} if models else READ_LATER.get(route.name)


def test_every_body_is_told_of(document: dict[str, Any]) -> None:
    for module in ROUTERS:
        for route in module.router.routes:
            assert isinstance(route, APIRoute)
            for method in route.methods or ():
                told = document["paths"][route.path_format][method.lower()].get("requestBody", {"content": {}})
                schemas = [each["schema"] for each in told["content"].values()]
                assert schemas == [body for body in [body_read_by(route)] if body is not None], route.path_format


def test_every_event_has_a_model_that_says_its_type(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    told = schemas["Event"]["discriminator"]["mapping"]

    types = {name: schemas[reference.rsplit("/", 1)[-1]]["properties"]["type"] for name, reference in told.items()}

    assert {name: kind["const"] for name, kind in types.items()} == {name: name for name in get_args(EventType)}
    assert {each["$ref"] for each in schemas["Event"]["oneOf"]} == set(told.values())
    assert set(schemas["Event"]["x-terminal"]) == TERMINAL_EVENTS
    hints = schemas["Hint"]["discriminator"]["mapping"]
    assert set(hints) == set(get_args(HintType))
    assert set(schemas["LogEvent"]["properties"]["type"]["enum"]) == set(get_args(LastingEventType))


def test_streams_downloads_and_figures_say_their_media_types(document: dict[str, Any]) -> None:
    paths = document["paths"]
    answered = {
        name: set(paths[path]["get"]["responses"]["200"]["content"])
        for name, path in {
            "run": "/threads/{thread_id}/runs/{run_id}/events",
            "thread": "/threads/{thread_id}/events",
            "file": "/files/{file_id}/content",
            "metrics": "/metrics",
        }.items()
    }

    assert answered == {
        "run": {"text/event-stream"},
        "thread": {"text/event-stream", "application/json"},
        "file": {*IMAGES, PDF, DOCX, *TEXTS},
        "metrics": {"text/plain"},
    }


def test_a_way_to_prefer_an_answer_is_a_parameter(document: dict[str, Any]) -> None:
    told = document["paths"]["/threads/{thread_id}/messages"]["post"]["parameters"]

    assert ("header", "Prefer") in {(each["in"], each["name"]) for each in told}


def test_the_document_holds_the_codes_that_have_a_status(document: dict[str, Any]) -> None:
    assert set(document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]) == set(STATUSES)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    def references(value: Any) -> list[str]:
        if isinstance(value, dict):
            own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
            return own + [found for each in value.values() for found in references(each)]
        return [found for each in value for found in references(each)] if isinstance(value, list) else []

    schemas = {
        f"#/components/{kind}/{name}" for kind in ("schemas", "examples") for name in document["components"][kind]
    }
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
