"""Cross-origin requests: browsers let pages of the origins that the operator has named call the service."""

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

_METHODS = ("GET", "POST", "PATCH", "DELETE")
_ACCEPTED = ("authorization", "content-type", "idempotency-key", "if-match", "last-event-id", "prefer", "x-request-id")
_EXPOSED = ("content-disposition", "etag", "location", "ratelimit", "ratelimit-policy", "retry-after", "x-request-id")
# How long browsers may keep the answer to a preflight request.
_PREFLIGHT_S = 7200


def allow_origins(app: FastAPI, origins: list[str]) -> None:
    """Let pages of these origins call every route and read every answer, problems too.

    Cookies are never accepted: each request carries a key or a ticket.
    """
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=_METHODS,
            allow_headers=_ACCEPTED,
            expose_headers=_EXPOSED,
            max_age=_PREFLIGHT_S,
        )
