"""Idempotency keys in requests: which routes take them, and requests over the limit that may still be repeated ones."""

from typing import Annotated

from fastapi import Depends, Header, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from ai_agents.store import idempotency
from app.errors import RateLimited
from app.services.repeats import SentKey

# The error of a request over the limit that is answered only if it is a repeated one.
REFUSAL = "refusal_unless_repeated"


async def idempotency_key(
    key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            json_schema_extra={"minLength": 1, "maxLength": idempotency.MAX_KEY, "pattern": "^[!-~]+$"},
            description="Makes a repeated request answer as the first one did.",
        ),
    ] = None,
) -> str | None:
    """The idempotency key of the request. Raises `InvalidIdempotencyKey`."""
    return None if key is None else idempotency.checked_key(key)


IdempotencyKey = Annotated[str | None, Depends(idempotency_key)]


def may_be_repeated(request: Request) -> bool:
    """Whether the request has an idempotency key, and its route takes one."""
    route = request.scope.get("route")
    return "idempotency-key" in request.headers and isinstance(route, APIRoute) and _takes_key(route.dependant)


def _takes_key(dependant: Dependant) -> bool:
    return any(each.call is idempotency_key or _takes_key(each) for each in dependant.dependencies)


def sent_key(request: Request, key: str | None, fingerprint: str) -> SentKey | None:
    """The key of the request with the fingerprint of what it asks for; None for a request without a key."""
    refusal: RateLimited | None = request.scope.get(REFUSAL)
    return None if key is None else SentKey(key, fingerprint, refusal)
