"""How routes describe bodies, streams, headers and problems in the OpenAPI document, beside their response models."""

from collections import defaultdict
from typing import Any

from pydantic import BaseModel

from app import bodies, problems, uploads

Responses = dict[int | str, dict[str, Any]]
REF = "#/components/schemas/{model}"
# The codes of the problems that a route has because of what it takes.
USER = ("unauthorized", "rate_limited", "database_unavailable")
BODY = ("invalid_request", "unsupported_media_type")
PAGE = ("invalid_request", "invalid_cursor")
ONCE = ("invalid_idempotency_key", "idempotency_key_reused")
_EVERY_ROUTE = ("payload_too_large", "internal")
# What a stream answers, as the `content` of its response.
EVENTS: dict[str, Any] = {
    "text/event-stream": {
        "schema": {
            "type": "string",
            "description": "Server-sent events; the data of each is an `Event`.",
            "contentMediaType": "text/event-stream",
            "contentSchema": {"$ref": REF.format(model="Event")},
        }
    }
}
_HEADERS = {
    "Location": "Where it is.",
    "ETag": "Its version, for If-Match.",
    "Preference-Applied": "`respond-async`",
    "Content-Disposition": "`attachment`, and its name.",
}
UPLOAD = {
    "type": "object",
    "properties": {uploads.FIELD: {"type": "string", "format": "binary"}},
    "required": [uploads.FIELD],
    "additionalProperties": False,
}


def headers(*names: str) -> dict[str, Any]:
    """A response with these headers."""
    return {"headers": {name: {"description": _HEADERS[name], "schema": {"type": "string"}} for name in names}}


def failures(*codes: str) -> Responses:
    """The responses for problems with these codes, and with the codes that every route has."""
    by_status: defaultdict[int, dict[str, None]] = defaultdict(dict)
    for code in (*codes, *_EVERY_ROUTE):
        by_status[problems.STATUSES[code]][code] = None
    return {
        status: {
            "description": "Problem: " + ", ".join(f"`{code}`" for code in found),
            "content": {problems.MEDIA_TYPE: {"schema": {"$ref": REF.format(model="Problem")}}},
        }
        for status, found in sorted(by_status.items())
    }


def json_request(model: type[BaseModel]) -> dict[str, Any]:
    """The `openapi_extra` of a route that reads this model with `bodies.json_body` or `bodies.read_model`."""
    return _request(bodies.MEDIA_TYPE, {"$ref": REF.format(model=model.__name__)})


def file_request() -> dict[str, Any]:
    """The `openapi_extra` of a route that reads a file with `uploads.read_upload`."""
    return _request(uploads.MEDIA_TYPE, UPLOAD)


def _request(media_type: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {media_type: {"schema": schema}}}}
