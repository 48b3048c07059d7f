"""Errors of the service itself, beside those of the framework. `app/problems.py` says how they are answered."""

from collections.abc import Mapping, Sequence

from ai_agents.core.exceptions import AIAgentsError, InvalidRequest, RequestError, Unavailable
from ai_agents.core.types import JsonObject

# A body can hold a hundred thousand mistakes; the first of them are enough.
MAX_ERRORS = 50
MAX_LOC_PARTS = 32


class CannotStart(AIAgentsError):
    """A setting, a file or a port does not let the program start. The message is for the operator who started it."""


class Unauthorized(RequestError):
    """An API key is needed: `Authorization: Bearer <key>`."""

    code = "unauthorized"


class IssuerUnavailable(Unavailable):
    """The issuer of JWTs does not answer, and its keys are not known."""


class PayloadTooLarge(RequestError):
    """The request is larger than it may be."""

    code = "payload_too_large"


class UnsupportedMediaType(RequestError):
    """Only JSON is read here: send `Content-Type: application/json`."""

    code = "unsupported_media_type"


class RateLimited(RequestError):
    """Too many requests. `headers` say which limit it was."""

    code = "rate_limited"
    retryable = True

    def __init__(
        self, message: str, *, retry_after_s: float | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        self.headers = dict(headers or {})


class InvalidFields(InvalidRequest):
    """The request is not as it should be. Each of `errors` is `{loc, msg}`: where, and what should be there."""

    def __init__(self, errors: Sequence[JsonObject]) -> None:
        first, more = errors[0], len(errors) - 1
        where = ".".join(map(str, first["loc"]))
        super().__init__(f"{where}: {first['msg']}" + (f" (and {more} more)" if more else ""))
        self.errors = list(errors)


def invalid_query(name: str, message: str) -> InvalidFields:
    """The error of one query parameter."""
    return InvalidFields([{"loc": ["query", name], "msg": message}])
