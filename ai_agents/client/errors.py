"""What goes wrong for a client of the service.

AIAgentsError
├── ServiceProblem          the service refused the request, or the run failed; `code` says why
├── ServiceUnreachable      it did not answer for as long as the client is patient
└── RunWaiting              the run waits for a person, or for a tool of the client
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, cast

import httpx2

from ai_agents.core.events import Event
from ai_agents.core.exceptions import AIAgentsError

# Statuses with which a proxy says that the service is away for a moment.
_AWAY = frozenset({502, 503, 504})


class FieldError(TypedDict):
    """What is wrong with one field of a request; `loc` leads to it."""

    loc: list[str | int]
    msg: str


class ServiceProblem(AIAgentsError):
    """The service refused a request, or a run failed (RFC 9457).

    `code` is a stable word to decide by, `unknown` where the answer was no problem of the service, and the message a
    sentence for people. `errors` are the fields of the request that are wrong. `problem` has all members, also those
    that only some codes have, such as `run_id` or `resets_at`. `retry_after_s` is None where trying again is no use.
    """

    def __init__(self, problem: Mapping[str, Any], *, retry_after_s: float | None = None) -> None:
        self.detail = str(problem.get("detail", ""))
        super().__init__(self.detail, retry_after_s=retry_after_s)
        self.code = str(problem.get("code", "unknown"))  # type: ignore[misc]  # the service says it, not the class
        self.status = int(problem.get("status", 500))
        self.request_id: str | None = problem.get("request_id")
        self.errors = cast("Sequence[FieldError]", problem.get("errors", ()))
        self.problem = problem


class ServiceUnreachable(AIAgentsError):
    """The service does not answer, or its answer was lost. Whether it has done what was asked is not known."""


class RunWaiting(AIAgentsError):
    """The run waits: for a person's decision on its `approvals`, or for results of its `client_calls`."""

    def __init__(self, event: Event) -> None:
        super().__init__()
        self.event = event
        self.thread_id = event.thread_id
        self.run_id = str(event.run_id)
        self.approvals: Sequence[Mapping[str, Any]] = event.data["approvals"]
        self.client_calls: Sequence[Mapping[str, Any]] = event.data["client_calls"]


async def problem_in(response: httpx2.Response) -> ServiceProblem | None:
    """The problem that the response is, None for a success. Reads the response. The service redirects nothing."""
    if response.is_success:
        return None
    await response.aread()
    seconds = response.headers.get("retry-after", "")
    retry_after_s = float(seconds) if seconds.isdecimal() else None
    if response.headers.get("content-type", "").startswith("application/problem+json"):
        return ServiceProblem(response.json(), retry_after_s=retry_after_s)
    # Not the service has answered, but something before it.
    if response.status_code in _AWAY:
        retry_after_s = retry_after_s or 0.0
    said = {"status": response.status_code, "detail": f"HTTP {response.status_code} {response.reason_phrase}"}
    return ServiceProblem(said, retry_after_s=retry_after_s)
