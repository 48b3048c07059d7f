"""What the API says of a wrong value is said in words of people, for every schema of a request."""

from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError

from app.dependencies import JsonBody
from app.main import ROUTERS, create_app
from app.problems import body_errors
from app.words import PATTERNS
from tests.api.service import settings_for

# What pydantic says itself.
FOREIGN = ("Input should", "String should", "Value error", "Unable to", "Field required", "pattern", "^", "valid dict")
WRONG: list[Any] = [None, 1, -1, 1.5, 10**30, 1e308, True, "", "ä \x00", "x" * 200_000, [], [1], ["", ""], {}, {"a": 1}]


def patterns_in(schema: Any) -> set[str]:
    """The patterns anywhere in a schema."""
    if isinstance(schema, list):
        return set().union(*map(patterns_in, schema))
    if not isinstance(schema, dict):
        return set()
    own = {schema["pattern"]} if isinstance(schema.get("pattern"), str) else set()
    return own.union(*map(patterns_in, schema.values()))


def models_of_bodies() -> list[type[BaseModel]]:
    """The models of all bodies."""
    routes = [route for module in ROUTERS for route in module.router.routes if isinstance(route, APIRoute)]
    calls = [each.call for route in routes for each in route.dependant.dependencies]
    return list(dict.fromkeys(call.model for call in calls if isinstance(call, JsonBody)))


def test_every_pattern_of_the_api_has_a_sentence() -> None:
    described = patterns_in(create_app().openapi())

    assert described - PATTERNS.keys() == set()


@pytest.mark.parametrize("model", models_of_bodies(), ids=lambda model: model.__name__)
def test_no_field_of_a_body_is_refused_in_the_words_of_the_validator(model: type[BaseModel], tmp_path: Path) -> None:
    settings = settings_for("sqlite://", tmp_path)
    said: set[str] = set()
    for field in model.model_fields:
        for value in WRONG:
            try:
                model.model_validate({field: value}, context=settings)
            except ValidationError as error:
                said |= {str(each["msg"]) for each in body_errors(error, {field: value})}

    assert said
    assert [each for each in said if any(foreign in each for foreign in FOREIGN)] == []
