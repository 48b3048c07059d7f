"""Pages of other origins: a browser lets them call the service if the operator has named their origin."""

import re

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

ANY = "*"
_ORIGIN = re.compile(r"https?://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?")
_METHODS = ("GET", "POST", "PATCH", "DELETE")
_TAKEN = ("authorization", "content-type", "idempotency-key", "if-match", "last-event-id", "prefer", "x-request-id")
_SHOWN = ("content-disposition", "etag", "location", "ratelimit", "ratelimit-policy", "retry-after", "x-request-id")
# Browsers keep an answer to "may I" for so long, or for less.
_KEPT_S = 7200


def read_origins(text: str) -> list[str]:
    """The origins that are named, with commas between them. Raises ValueError for what no browser would send."""
    origins = [each.strip() for each in text.split(",") if each.strip()]
    for origin in origins:
        if origin != ANY and not _ORIGIN.fullmatch(origin):
            raise ValueError(f"{origin!r} is no origin, which is like https://example.com in small letters")
    return origins


def let_in(app: FastAPI, origins: list[str]) -> None:
    """Let pages of these origins call everything, and see every answer, problems too; without any, nothing changes.

    Credentials of the browser's own, cookies, are never taken: whoever calls has a key or a ticket.
    """
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=_METHODS,
            allow_headers=_TAKEN,
            expose_headers=_SHOWN,
            max_age=_KEPT_S,
        )
