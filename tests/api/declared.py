"""Real answers against openapi.yaml: every client of the API tests checks each answer that it gets.

It also checks that no browser or proxy may keep the JSON: it may be a user's, or a secret.
"""

import re
from functools import cache
from typing import Any

import httpx
import jsonschema_rs

from app.main import create_app
from app.problems import MEDIA_TYPE as PROBLEM

JSON_TYPES = ("application/json", PROBLEM)


@cache
def document() -> dict[str, Any]:
    """The OpenAPI document of the service."""
    return create_app().openapi()


@cache
def validator_of(reference: str) -> Any:
    """A validator for a component of the document."""
    return jsonschema_rs.validator_for({"$ref": reference, "components": document()["components"]})


@cache
def _patterns() -> list[tuple[re.Pattern[str], dict[str, Any]]]:
    paths = document()["paths"].items()
    return [(re.compile(re.sub(r"{\w+}", "[^/]+", path)), operations) for path, operations in sorted(paths)]


async def check_answer(response: httpx.Response) -> None:
    """Assert that the operation declares the status, the media type and the JSON of its answer."""
    # As it was sent: an encoded slash parts nothing.
    method, path = response.request.method.lower(), response.request.url.raw_path.decode().partition("?")[0]
    operation = next((each for pattern, each in _patterns() if pattern.fullmatch(path)), {}).get(method)
    media_type = response.headers.get("content-type", "").partition(";")[0]
    if media_type in JSON_TYPES and not path.endswith("/content"):  # a file has rules of its own
        assert response.headers.get_list("cache-control") == ["no-store"], f"{method} {path} may be kept"
    if operation is None:
        reference = "#/components/schemas/Problem" if media_type == PROBLEM else None
    else:
        answer = operation["responses"].get(str(response.status_code))
        assert answer is not None, f"{method} {path} does not declare {response.status_code}"
        content = answer.get("content", {})
        assert media_type in content or not (content or media_type), f"{method} {path} does not declare {media_type}"
        reference = content.get(media_type, {}).get("schema", {}).get("$ref")
    if reference is not None and media_type in JSON_TYPES:
        await response.aread()
        check_json(reference, response.json())


def check_event(data: dict[str, Any]) -> None:
    """Assert that the data of a server-sent event fits the schema of its type."""
    check_json("#/components/schemas/Event", data)


def check_hint(data: dict[str, Any]) -> None:
    """The same of an event of `GET /events`."""
    check_json("#/components/schemas/Hint", data)


def check_json(reference: str, value: Any) -> None:
    """Assert that a value fits a component of the document."""
    errors = [f"{list(error.instance_path)}: {error.message}" for error in validator_of(reference).iter_errors(value)]
    assert not errors, f"not a {reference}: {errors[:3]} in {value}"
