"""Errors with which a run ends, those of providers among them."""

from ai_agents.core.exceptions.base import AIAgentsError
from ai_agents.core.exceptions.requests import (
    AgentDeleted,
    BudgetExceeded,
    ContextOverflow,
    GuardrailBlocked,
    PermissionDenied,
)
from ai_agents.core.rows import Problem, Upstream
from ai_agents.core.types import Usage


class RunError(AIAgentsError):
    """The run ended without an answer."""

    code = "run_interrupted"


class RunCancelled(RunError):
    """The run was cancelled before it said anything."""

    code = "run_cancelled"


class RunWaiting(RunError):
    """The run waits for a person to approve a tool call, or for results of the client's tools."""

    code = "approval_required"

    def __init__(self, message: str = "", *, thread_id: str, run_id: str) -> None:
        super().__init__(message)
        self.thread_id = thread_id
        self.run_id = run_id


class RunInterrupted(RunError):
    """The run was lost with its process too often and was given up."""

    code = "run_interrupted"


class RunTimeout(RunError):
    """The run made no progress for longer than it may."""

    code = "provider_timeout"


class ToolLoopLimit(RunError):
    """The model kept calling tools."""

    code = "tool_loop_limit"


class ProviderError(RunError):
    """The provider failed.

    `provider` is its name; an instance may be `retryable` where its class is not.
    `usage` is what it reported of the call's tokens before it failed, None where it reported nothing. `upstream` is
    what the server said, for those who may know it, and `word` its code of the error. `parameter` is the part of the
    request that a refusal names, `cause` what the error of the connection said, without secrets.
    """

    code = "provider_error"
    cause: str | None = None
    upstream: Upstream | None = None
    word: str | None = None
    parameter: str | None = None

    def __init__(
        self,
        message: str = "",
        *,
        provider: str = "",
        retryable: bool | None = None,
        retry_after_s: float | None = None,
        usage: Usage | None = None,
    ) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        self.provider = provider
        self.usage = usage
        if retryable is not None:
            self.retryable = retryable  # type: ignore[misc]  # the class has the default, an instance may differ

    @property
    def reason(self) -> str:
        """Why an answer was void, as one word: the `reason` of `run.retrying`."""
        return self.code


class ProviderRateLimited(ProviderError):
    """The provider asks us to slow down."""

    code = "provider_rate_limited"
    retryable = True


class ProviderRejected(ProviderError):
    """The provider refuses the request: key, model or content.

    `about_content`: it refuses what is said in the request, and would again. None: `providers.refusals` tells it from
    what the server said.
    """

    code = "provider_rejected"
    about_content: bool | None = None


class ContextExceeded(ProviderRejected):
    """The provider finds the request longer than its model's window."""

    code = "context_overflow"


class ProviderTimeout(ProviderError):
    """The provider was silent for too long."""

    code = "provider_timeout"
    retryable = True


class ProviderTruncated(ProviderError):
    """The provider's stream ended too early."""

    code = "provider_truncated"
    retryable = True


class UnknownFinishReason(ProviderTruncated):
    """The provider ended its answer for a reason that is not known."""

    def __init__(self, message: str = "", *, provider: str = "", finish_reason: str = "") -> None:
        super().__init__(message, provider=provider)
        self.finish_reason = finish_reason


class ProviderNotConfigured(ProviderError):
    """The provider is unknown here, or has no key or model."""

    code = "provider_not_configured"


class InvalidOutput(ProviderError):
    """The model's answer does not fit the agent's output schema.

    Its text holds nothing of the answer or the schema, since all readers of the thread see it. `broken` says which part
    of the schema the answer breaks, for those who may see `upstream`.
    """

    retryable = True

    def __init__(self, message: str = "", *, broken: str | None = None, usage: Usage | None = None) -> None:
        super().__init__(message or "The model's answers do not fit the agent's output schema.", usage=usage)
        if broken is not None:
            self.upstream = {"status": None, "message": broken}

    @property
    def reason(self) -> str:
        return "invalid_output"


_BY_CODE: dict[str, type[RunError]] = {
    kind.code: kind
    for kind in (
        RunCancelled,
        RunInterrupted,
        ToolLoopLimit,
        ProviderError,
        ProviderRateLimited,
        ProviderRejected,
        ProviderTimeout,
        ProviderTruncated,
        ProviderNotConfigured,
    )
}


def run_error(problem: Problem) -> AIAgentsError:
    """The error that a run failed with, from the problem that is stored with it; a `RunError` for any other code."""
    kind = _BY_CODE.get(problem["code"])
    if kind is not None:
        return kind(problem["detail"])
    if problem["code"] == ContextOverflow.code:
        return ContextOverflow(problem["detail"])
    if problem["code"] == PermissionDenied.code:
        return PermissionDenied(problem["detail"])
    if problem["code"] == AgentDeleted.code:
        return AgentDeleted(problem["detail"])
    if problem["code"] == BudgetExceeded.code:
        return BudgetExceeded(
            problem["detail"], budget=problem["budget"], limit=problem["limit"], resets_at=problem["resets_at"]
        )
    if problem["code"] == GuardrailBlocked.code:
        return GuardrailBlocked(problem["detail"], guardrail=problem["guardrail"], stage=problem["stage"])
    return RunError(problem["detail"])
