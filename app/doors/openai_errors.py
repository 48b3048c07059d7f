"""Errors in the form of OpenAI's API, which several doors speak.

`{"error": {"message", "type", "param", "code"}}`, all four always there. The SDKs tell errors apart by status alone.
Source: openai 3.57.0 and openai npm 6, `_client.py`/`client.ts` (2026-11).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from ai_agents.core.exceptions import InvalidRequest, NotFound
from ai_agents.core.problems import STATUSES
from ai_agents.core.types import JsonObject
from app.openapi import ErrorForm
from app.responses import JsonResponse

# Codes that these clients know under another name.
_CODES = {"context_overflow": "context_length_exceeded"}
_PARAMS = {"model_not_found": "model"}
# What OpenAI answers with 400.
_BAD_REQUESTS = {"invalid_request", "guardrail_blocked", "context_overflow", "conflict"}
_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
# Of a problem, what the error says in its own members, or not at all.
_STANDARD = {"type", "title", "status", "detail", "code", "request_id", "errors"}
ErrorType = Literal[
    "invalid_request_error", "authentication_error", "permission_error", "rate_limit_error", "server_error"
]


@contextmanager
def schema_named_at(*loc: str) -> Iterator[None]:
    """A mistake in the schema of the answer is told at this place, where the client's request has it."""
    try:
        yield
    except InvalidRequest as error:
        if error.loc[:2] != ("overrides", "output_schema"):
            raise
        raise InvalidRequest(str(error), loc=(*loc, *error.loc[2:])) from error


class ModelNotFound(NotFound):
    """There is no such model here, or you may not use it. `GET /v1/models` lists yours."""

    code = "model_not_found"


class AmbiguousModel(InvalidRequest):
    """Several agents have this name. Name one by its id."""


class OpenAIErrorDetail(BaseModel):
    """What went wrong. Some errors have more members, such as `thread_id` and `run_id`."""

    model_config = ConfigDict(extra="allow")

    message: str
    type: ErrorType
    param: str | None = Field(description="The field of the request that is meant.")
    code: str = Field(description="A stable word.")


class OpenAIError(BaseModel):
    """An error as OpenAI's clients read it."""

    model_config = ConfigDict(extra="forbid")

    error: OpenAIErrorDetail


def status_of(code: str) -> int:
    """The HTTP status of an error with this code."""
    return 400 if code in _BAD_REQUESTS else STATUSES.get(code, 500)


def error_object(told: JsonObject) -> JsonObject:
    """A problem as `{"error": …}`."""
    code = told["code"]
    status = _status(told)
    kind = "server_error" if status >= 500 else _TYPES.get(status, "invalid_request_error")
    more = {name: value for name, value in told.items() if name not in _STANDARD}
    error = {
        "message": told["detail"],
        "type": kind,
        "param": _PARAMS.get(code) or _param(told.get("errors") or ()),
        "code": _CODES.get(code, code),
    }
    return {"error": error | more}


def refusal(told: JsonObject) -> Response:
    """The answer to a problem."""
    return JsonResponse(error_object(told), _status(told))


def _status(told: JsonObject) -> int:
    """The problem's own, where it has not that of its code."""
    code, status = told["code"], int(told["status"])
    return status_of(code) if status == STATUSES.get(code) else status


def _param(errors: Sequence[JsonObject]) -> str | None:
    """Where the first mistake is, as `messages[0].content`."""
    if not errors:
        return None
    found = ""
    for part in errors[0]["loc"][1:]:
        found += f"[{part}]" if isinstance(part, int) else f".{part}" if found else str(part)
    return found or None


FORM = ErrorForm({"model": OpenAIError}, status_of)
