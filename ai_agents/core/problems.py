"""What an error looks like to clients: a problem (RFC 9457), the same in an answer, an event and a run.

`STATUSES` has every code of the contract. Statuses are HTTP's, because the RFC says so.
"""

from collections.abc import Mapping
from http import HTTPStatus

from ai_agents.core.exceptions import AIAgentsError, BudgetExceeded, GuardrailBlocked
from ai_agents.core.rows import Problem

STATUSES: Mapping[str, int] = {
    "invalid_request": 422,
    "not_found": 404,
    "unauthorized": 401,
    "forbidden": 403,
    "precondition_failed": 412,
    "invalid_cursor": 400,
    "invalid_event_id": 400,
    "invalid_idempotency_key": 400,
    "log_trimmed": 410,
    "invalid_host": 400,
    "method_not_allowed": 405,
    "request_timeout": 408,
    "payload_too_large": 413,
    "unsupported_media_type": 415,
    "rate_limited": 429,
    "queue_full": 429,
    "budget_exceeded": 429,
    "quota_exceeded": 429,
    "thread_busy": 409,
    "last_owner": 409,
    "agent_deleted": 409,
    "run_cancelled": 409,
    "conflict": 409,
    "idempotency_key_reused": 422,
    "guardrail_blocked": 422,
    "context_overflow": 422,
    "tool_loop_limit": 422,
    "provider_rate_limited": 429,
    "provider_rejected": 502,
    "provider_error": 502,
    "provider_truncated": 502,
    "provider_timeout": 504,
    "provider_not_configured": 503,
    "run_interrupted": 503,
    "overloaded": 503,
    "database_unavailable": 503,
    "storage_full": 507,
    "internal": 500,
    # At the doors alone.
    "model_not_found": 404,
    "approval_required": 409,
}
_TITLES: Mapping[int, str] = {413: "Payload Too Large", 422: "Unprocessable Content"}


def problem_with(code: str, detail: str) -> Problem:
    """The problem with this code; one that the contract does not know has status 500."""
    status = STATUSES.get(code, 500)
    title = _TITLES.get(status) or HTTPStatus(status).phrase
    return {"type": "about:blank", "title": title, "status": status, "detail": detail, "code": code}


def problem_of(error: AIAgentsError) -> Problem:
    """What a run that failed says of its error."""
    problem = problem_with(error.code, str(error))
    if isinstance(error, GuardrailBlocked):
        problem["guardrail"], problem["stage"] = error.guardrail, error.stage
    if isinstance(error, BudgetExceeded):
        problem["budget"], problem["limit"], problem["resets_at"] = error.budget, error.limit, error.resets_at
    return problem
