"""Answers made of dicts. They are not validated or serialised by the models that describe them."""

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.responses import Response

JSON = "application/json"


class JsonResponse(Response):
    """A dict as JSON."""

    media_type = JSON

    def render(self, content: Any) -> bytes:
        """The body's bytes."""
        return orjson.dumps(content)


def created(resource: Mapping[str, Any], location: str, tag: str | None = None) -> JsonResponse:
    """201, with the address of the new thing, and its ETag if it has versions."""
    headers = {"location": location} | ({} if tag is None else {"etag": tag})
    return JsonResponse(resource, 201, headers=headers)


def versioned(resource: Mapping[str, Any], version: int) -> JsonResponse:
    """200, with the ETag that `If-Match` takes."""
    return JsonResponse(resource, headers={"etag": etag(version)})


def etag(version: int) -> str:
    """A strong entity tag: the version number in quotes."""
    return f'"{version}"'


def no_content() -> Response:
    """204."""
    return Response(status_code=204)
