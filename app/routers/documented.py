"""What routes say of their answers for the OpenAPI document; nothing is made from the models that are named here."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from app.problems import MEDIA_TYPE, STATUSES

Responses = dict[int | str, dict[str, Any]]
JSON = "application/json"
EVENTS = "text/event-stream"
# Every model that an answer is described by; the document holds their schemas.
READ_MODELS: set[type[BaseModel]] = set()
_EVENTS_SCHEMA = {
    "type": "string",
    "description": "Server-sent events; the data of each is an `Event`.",
    "contentMediaType": EVENTS,
    "contentSchema": {"$ref": "#/components/schemas/Event"},
}
_HEADERS: Mapping[str, Any] = {
    "Location": {"description": "Where it is.", "schema": {"type": "string"}},
    "ETag": {"description": "Its version, for If-Match.", "schema": {"type": "string"}},
    "Preference-Applied": {"description": "`respond-async`", "schema": {"type": "string"}},
}


def answer(
    status: int, model: type[BaseModel] | None, description: str, *, headers: tuple[str, ...] = (), events: bool = False
) -> Responses:
    """An answer with this model as JSON, or as events where asked for; with neither it has no body."""
    content: dict[str, Any] = {}
    if model is not None:
        READ_MODELS.add(model)
        content[JSON] = {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}
    if events:
        content[EVENTS] = {"schema": _EVENTS_SCHEMA}
    found: dict[str, Any] = {"description": description}
    if content:
        found["content"] = content
    if headers:
        found["headers"] = {name: _HEADERS[name] for name in headers}
    return {status: found}


def download(description: str) -> Responses:
    """An answer that is a file."""
    return {
        200: {
            "description": description,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
            "headers": {
                "Content-Disposition": {"description": "`attachment`, and its name.", "schema": {"type": "string"}}
            },
        }
    }


def problems(*codes: str) -> Responses:
    """The problems with these codes, by their statuses."""
    by_status: defaultdict[int, list[str]] = defaultdict(list)
    for code in codes:
        by_status[STATUSES[code]].append(code)
    return {
        status: {
            "description": "Problem: " + ", ".join(f"`{code}`" for code in found),
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status, found in sorted(by_status.items())
    }
