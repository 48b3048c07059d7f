"""Errors as answers. What a problem says, and its HTTP status, is in `ai_agents.core.problems`; of failed runs, too."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

import orjson
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ai_agents.core.exceptions import (
    AIAgentsError,
    BudgetExceeded,
    GuardrailBlocked,
    InvalidRequest,
    LogTrimmed,
    QuotaExceeded,
    ThreadBusy,
)
from ai_agents.core.problems import problem_with
from ai_agents.core.rows import Run
from ai_agents.core.types import JsonObject
from app.errors import MAX_ERRORS, MAX_LOC_PARTS, InvalidFields, RateLimited
from app.words import say

_CODES_OF_STATUSES = {404: "not_found", 405: "method_not_allowed", 413: "payload_too_large", 400: "invalid_request"}
# The `Retry-After` of errors that do not say when to try again.
_RETRY_AFTER_S = 1
MAX_NAME = 100
# Describing a mistake costs ten times as much as finding it, and pydantic describes all or none.
MAX_DESCRIBED = 2_000
# Members of a run's error that its problem repeats.
_RUN_ERROR_MEMBERS = ("guardrail", "stage", "budget", "limit", "resets_at")
MEDIA_TYPE = "application/problem+json"
# Where a request's scope has the door that it came to (`app/doors`), and the run that it has begun or repeats.
DOOR, ADMITTED = "door", "admitted"
# The clients of doors repeat requests by themselves; this tells them not to.
_NO_RETRY = {"x-should-retry": "false"}


class RefusesInItsForm(Protocol):
    """A door to which clients of another protocol come: it tells them of errors in the form that they read."""

    def refuse(self, told: JsonObject) -> Response:
        """The answer to a problem."""
        ...


class ProblemResponse(Response):
    """A problem as an answer; at a door, in the door's form."""

    def __init__(self, told: JsonObject, status: int) -> None:
        super().__init__(orjson.dumps(told), status, _headers(status), MEDIA_TYPE)
        self.told = told

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        door: RefusesInItsForm | None = scope.get(DOOR)
        if door is None:
            await super().__call__(scope, receive, send)
        else:
            await self.in_form_of(door, scope.get(ADMITTED))(scope, receive, send)

    def in_form_of(self, door: RefusesInItsForm, run: Run | None = None) -> Response:
        """The same as clients of the door read it, and with the run that the request has begun."""
        answer = door.refuse(self.told)
        for name, value in self.headers.items():
            answer.headers.setdefault(name, value)
        if run is not None:
            answer.headers.update(run_headers(run))
        if run is not None or self.told["code"] == "thread_busy":
            # What has been stored, or was refused for what goes on, is not to be sent again.
            answer.headers.update(_NO_RETRY)
        return answer


def run_headers(run: Run) -> dict[str, str]:
    """The headers by which the client of a door finds the thread and the run of its request."""
    return {"x-thread-id": run["thread_id"], "x-run-id": run["id"]}


def problem(code: str, detail: str, *, request_id: str, **members: Any) -> ProblemResponse:
    """The answer to an error with this code. `members` come after the standard members."""
    told = problem_with(code, detail)
    return ProblemResponse({**told, "request_id": request_id, **members}, told["status"])


def problem_of(error: AIAgentsError, *, request_id: str) -> Response:
    """The answer to a framework error."""
    response = problem(error.code, str(error), request_id=request_id, **_members(error))
    if error.retry_after_s is not None and response.status_code in (429, 503):
        response.headers["retry-after"] = str(max(1, round(error.retry_after_s)))
    if isinstance(error, RateLimited):
        response.headers.update(error.headers)
    if isinstance(error, QuotaExceeded) and error.retry_after_s is None:
        # Nothing of it ends by itself.
        del response.headers["retry-after"]
    return response


def problem_of_run(run: Mapping[str, Any], *, request_id: str) -> Response:
    """The answer to the message of a run that failed: the error that the run recorded, and the run's id."""
    error = run["error"] or {}
    code = str(error.get("code", "internal"))
    detail = str(error.get("detail") or "The run failed.")
    members = {name: error[name] for name in _RUN_ERROR_MEMBERS if name in error}
    response = problem(code, detail, request_id=request_id, run_id=run["id"], **members)
    if "resets_at" in error:
        left = datetime.fromisoformat(error["resets_at"]) - datetime.now(UTC)
        response.headers["retry-after"] = str(max(1, round(left.total_seconds())))
    return response


def problem_of_status(
    status: int, detail: str, *, request_id: str, headers: Mapping[str, str] | None = None
) -> Response:
    """The answer to what the web framework refuses itself: an unknown path, a wrong method."""
    code = _CODES_OF_STATUSES.get(status, "internal" if status >= 500 else "invalid_request")
    response = problem(code, detail, request_id=request_id)
    response.headers.update(headers or {})
    return response


def body_errors(error: ValidationError, body: object) -> list[JsonObject]:
    """The first errors that pydantic found in a body, as `{loc, msg}`; of a body with too many, only that it has."""
    if error.error_count() > MAX_DESCRIBED:
        return [{"loc": ["body"], "msg": f"has more than {MAX_DESCRIBED} mistakes"}]
    details = error.errors(include_url=False, include_input=False)
    return validation_errors([placed(each, body) for each in details[:MAX_ERRORS]], at=("body",))


def validation_errors(details: Sequence[ErrorDetails], *, at: tuple[str | int, ...] = ()) -> list[JsonObject]:
    """The first errors that pydantic found, as `{loc, msg}`. They never repeat the value that was sent."""
    return [{"loc": _loc((*at, *detail["loc"])), "msg": say(detail)} for detail in details[:MAX_ERRORS]]


def placed(detail: ErrorDetails, body: object) -> ErrorDetails:
    """The same with the place as the client wrote it: pydantic's has the names of a union's members in it, too."""
    loc: list[str | int] = []
    value = body
    for index, part in enumerate(detail["loc"]):
        is_index = isinstance(value, list) and isinstance(part, int) and part < len(value)
        if is_index or (isinstance(value, dict) and part in value):
            value = value[part]  # type: ignore[index]  # one of the two that were asked about
        elif detail["type"] != "missing" or index < len(detail["loc"]) - 1:
            continue
        loc.append(part)
    return {**detail, "loc": tuple(loc)}


def _loc(loc: tuple[str | int, ...]) -> list[str | int]:
    # The name of an unknown field comes from the client and can have any length.
    return [part if isinstance(part, int) else part[:MAX_NAME] for part in loc[:MAX_LOC_PARTS]]


def _members(error: AIAgentsError) -> JsonObject:
    match error:
        case InvalidFields():
            return {"errors": error.errors}
        case InvalidRequest() if error.loc:
            return {"errors": [{"loc": _loc(("body", *error.loc)), "msg": str(error)}]}
        case QuotaExceeded():
            return {"quota": error.quota, "used": error.used, "limit": error.limit}
        case ThreadBusy():
            return {"run_id": error.run_id}
        case BudgetExceeded():
            return {"budget": error.budget, "limit": error.limit, "resets_at": error.resets_at}
        case LogTrimmed():
            return {"trimmed_seq": error.trimmed_seq, "last_event_id": error.last_event_id}
        case GuardrailBlocked():
            return {"guardrail": error.guardrail, "stage": error.stage}
    return {}


def _headers(status: int) -> dict[str, str] | None:
    match status:
        case 401:
            return {"www-authenticate": "Bearer"}
        case 429 | 503:
            return {"retry-after": str(_RETRY_AFTER_S)}
    return None
