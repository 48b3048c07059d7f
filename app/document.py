"""The OpenAPI document as it is sent: built once, when it is first asked for, in a thread."""

import asyncio
import gzip
from functools import cache
from threading import Lock

import orjson
from fastapi import FastAPI, Request
from starlette.responses import Response

from app.responses import JSON


def serve_document(app: FastAPI) -> None:
    """Answer `GET /openapi.json`. FastAPI would write half a megabyte anew for each request, and not compress it."""
    lock = Lock()

    @cache
    def forms() -> tuple[bytes, bytes]:
        content = orjson.dumps(app.openapi())
        return content, gzip.compress(content, mtime=0)

    def read() -> tuple[bytes, bytes]:
        with lock:
            return forms()

    async def get_document(request: Request) -> Response:
        plain, compressed = await asyncio.to_thread(read)
        headers = {"vary": "accept-encoding"}
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return Response(plain, media_type=JSON, headers=headers)
        return Response(compressed, media_type=JSON, headers={**headers, "content-encoding": "gzip"})

    app.add_route("/openapi.json", get_document, include_in_schema=False)
