"""Answers: dicts as JSON, which the models that describe them do not validate, and files as downloads."""

import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any
from urllib.parse import quote

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

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


_NOT_PLAIN = re.compile(r"[^A-Za-z0-9 ._()+-]")


class Download(Response):
    """The content of a file in chunks. If the first chunk cannot be read, the answer is a problem."""

    def __init__(self, file: Mapping[str, Any], chunks: AsyncGenerator[bytes]) -> None:
        super().__init__(
            media_type=file["media_type"],
            headers={
                "content-disposition": disposition(file["filename"]),
                "content-length": str(file["size_bytes"]),
                "x-content-type-options": "nosniff",
                "content-security-policy": "default-src 'none'; sandbox",
                "cache-control": "private, no-cache",
            },
        )
        self._chunks = chunks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        async with aclosing(self._chunks) as chunks:
            first = await anext(chunks, b"")
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": first, "more_body": True})
            async for chunk in chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})


def disposition(filename: str) -> str:
    """`attachment` with the filename as ASCII for old clients, and as UTF-8 (RFC 6266)."""
    plain = _NOT_PLAIN.sub("_", filename)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"
