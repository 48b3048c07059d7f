"""Examples in the OpenAPI document: of bodies, answers, streams and problems. A test holds them to their schemas."""

import re
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from ai_agents.core import exceptions
from ai_agents.core.exceptions import AIAgentsError
from ai_agents.core.problems import problem_with
from app.examples.requests import OTHER_REQUESTS, REQUESTS
from app.examples.things import ANSWERS, FEED, OTHER_ANSWERS, REQUEST_ID, STREAM
from app.problems import MEDIA_TYPE as PROBLEM
from app.responses import JSON

_STREAMS: Mapping[str, str] = {"#/components/schemas/Event": STREAM, "#/components/schemas/Hint": FEED}
_ERRORS = [error for error in vars(exceptions).values() if isinstance(error, type) and issubclass(error, AIAgentsError)]
# By code. Of several errors the most general one speaks, which has the fewest above itself.
_SENTENCES: Mapping[str, str] = {
    error.code: (error.__doc__ or "").partition("\n")[0]
    for error in sorted(_ERRORS, key=lambda error: len(error.__mro__), reverse=True)
}
_CODE = re.compile(r"`(\w+)`")


def add_examples(document: dict[str, Any]) -> None:
    """Give each body and answer of the document an example, where there is one."""
    schemas = document["components"]["schemas"]
    told: set[str] = set()
    for path in document["paths"].values():
        for operation in path.values():
            for content in operation.get("requestBody", {}).get("content", {}).values():
                name = operation["operationId"]
                example = OTHER_REQUESTS.get(name) or REQUESTS.get(_name_of(content["schema"]))
                if example is not None:
                    content["example"] = deepcopy(example)
            for status, answer in operation["responses"].items():
                other = OTHER_ANSWERS.get(operation["operationId"]) if status < "300" else None
                for media_type, content in answer.get("content", {}).items():
                    if media_type == PROBLEM:
                        codes = _CODE.findall(answer["description"])
                        content["examples"] = {code: {"$ref": f"#/components/examples/{code}"} for code in codes}
                        told.update(codes)
                    else:
                        _add(media_type, content, other or _answer(content["schema"], schemas))
    document["components"]["examples"] = {code: _problem(code) for code in sorted(told)}


def _add(media_type: str, content: dict[str, Any], example: Any) -> None:
    told = content["schema"].get("contentSchema", {}).get("$ref", "")
    if media_type == JSON and example is not None:
        content["example"] = deepcopy(example)
    elif told in _STREAMS:
        content["example"] = _STREAMS[told]


def _answer(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    """The example of a schema; of a page one with one item."""
    name = _name_of(schema)
    if name in ANSWERS:
        return ANSWERS[name]
    members = schemas.get(name, {}).get("properties", {})
    item = ANSWERS.get(_name_of(members.get("data", {}).get("items", {})))
    if item is None:
        return None
    others = {"next": None, "object": "list", "listed_at": "2026-01-31T12:00:00.000000Z"}
    return {"data": [item]} | {member: value for member, value in others.items() if member in members}


def _name_of(schema: Mapping[str, Any]) -> str:
    """The name of a schema, or of the first of some; of one without a name its title."""
    found = schema.get("$ref") or next((each.get("$ref") for each in schema.get("anyOf", ())), None)
    return str(found).rpartition("/")[2] if found else str(schema.get("title", ""))


def _problem(code: str) -> dict[str, Any]:
    """What is answered with this code, with the sentence of one of its errors."""
    problem: dict[str, Any] = {**problem_with(code, _SENTENCES.get(code, "")), "request_id": REQUEST_ID}
    problem["detail"] = problem["detail"] or problem["title"]
    if code == "invalid_request":
        problem |= {
            "detail": "body.name: is required",
            "errors": [{"loc": ["body", "name"], "msg": "is required"}],
        }
    return {"summary": f"`{code}`", "value": problem}
