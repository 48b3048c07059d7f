"""Every error of the framework. The branch says what a caller does next.

AIAgentsError
├── RequestError                    change the request, then try again
│   ├── InvalidRequest
│   │   └── UnsupportedAttachment · PackageMissing
│   ├── NotFound
│   │   ├── AgentNotFound · ThreadNotFound · MessageNotFound · RunNotFound · RoleNotFound
│   │   ├── KeyNotFound · TokenNotFound · FileNotFound · ToolNotFound · ToolCallNotFound · JobNotFound
│   │   └── ProviderNotFound · WebhookNotFound · DeliveryNotFound
│   ├── Conflict
│   │   └── ThreadBusy · LastOwner · AgentDeleted
│   ├── PermissionDenied · PreconditionFailed
│   ├── InvalidCursor · InvalidEventId · LogTrimmed · InvalidIdempotencyKey · IdempotencyKeyReused
│   ├── FileTooLarge · UnsupportedFile
│   ├── GuardrailBlocked · ContextOverflow
│   └── QueueFull · TooManyAtOnce · QuotaExceeded · BudgetExceeded   may work later without a change
├── RunError                        the run ended without an answer
│   ├── RunCancelled · RunInterrupted · RunTimeout · RunWaiting · ToolLoopLimit
│   └── ProviderError
│       ├── ProviderRateLimited · ProviderTimeout · ProviderNotConfigured · InvalidOutput
│       ├── ProviderTruncated
│       │   └── UnknownFinishReason
│       └── ProviderRejected
│           └── ContextExceeded
└── Unavailable                     try again later
    ├── Overloaded · SecondProcess
    ├── DatabaseUnavailable
    │   └── DatabaseBusy · DatabaseFull
    └── StorageUnavailable
        └── BlobMissing · StorageFull

Facts about an error are fields; `code` is the stable word of the HTTP contract. What a model is told about a failed
tool is another type: `tools.base.ToolError`.
"""

from typing import ClassVar

from ai_agents.core.limits import LimitName
from ai_agents.core.rows import Problem, Upstream
from ai_agents.core.types import BudgetLimit, BudgetOf, Usage


class AIAgentsError(Exception):
    """Root of the tree. The message is a sentence that may be shown to a client."""

    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str = "", *, retry_after_s: float | None = None) -> None:
        super().__init__(message or self.__doc__ or self.code)
        self.retry_after_s = retry_after_s


class RequestError(AIAgentsError):
    """The request cannot be served as it is."""

    code = "invalid_request"


class InvalidRequest(RequestError):
    """A field has a value that is not allowed."""

    def __init__(self, message: str = "", *, loc: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.loc = loc


class UnsupportedAttachment(InvalidRequest):
    """The model cannot take this file."""


class PackageMissing(InvalidRequest):
    """A package that this needs is not installed."""


class FileTooLarge(RequestError):
    """The file is larger than it may be."""

    code = "payload_too_large"


class UnsupportedFile(RequestError):
    """The file is of a kind that is not taken here."""

    code = "unsupported_media_type"


class NotFound(RequestError):
    """There is no such thing, or this user may not see it."""

    code = "not_found"


class AgentNotFound(NotFound):
    """There is no such agent."""


class ThreadNotFound(NotFound):
    """There is no such thread, or the user has no role on it."""


class MessageNotFound(NotFound):
    """There is no such message."""


class RunNotFound(NotFound):
    """There is no such run."""


class RoleNotFound(NotFound):
    """There is no such role."""


class KeyNotFound(NotFound):
    """There is no such API key."""


class TokenNotFound(NotFound):
    """There is no such token."""


class WebhookNotFound(NotFound):
    """There is no such webhook."""


class DeliveryNotFound(NotFound):
    """There is no such delivery of the webhook."""


class FileNotFound(NotFound):
    """There is no such file."""


class ToolNotFound(NotFound):
    """There is no such tool."""


class ProviderNotFound(NotFound):
    """There is no such provider."""


class ToolCallNotFound(NotFound):
    """There is no such tool call."""


class JobNotFound(NotFound):
    """There is no such job."""


class PermissionDenied(RequestError):
    """The user may see this but not do it. `resource` is its type and id, where the request's path does not say so."""

    code = "forbidden"

    def __init__(self, message: str = "", *, resource: tuple[str, str] | None = None) -> None:
        super().__init__(message)
        self.resource = resource


class PreconditionFailed(RequestError):
    """The thing has changed since it was read."""

    code = "precondition_failed"


class InvalidCursor(RequestError):
    """The cursor was not made by this list."""

    code = "invalid_cursor"


class InvalidEventId(RequestError):
    """The event id was not made by this stream."""

    code = "invalid_event_id"


class LogTrimmed(RequestError):
    """Events that were asked for are kept no longer. `trimmed_seq` is the number of the last one that is gone.

    `last_event_id` is the id of the thread's stream after which all events are there.
    """

    code = "log_trimmed"

    def __init__(self, trimmed_seq: int) -> None:
        self.trimmed_seq = trimmed_seq
        self.last_event_id = f"{trimmed_seq}-0"
        super().__init__(
            f"The events of this thread up to number {trimmed_seq} are kept no longer. "
            f"Read its messages, and follow the thread after the event {self.last_event_id}."
        )


class InvalidIdempotencyKey(RequestError):
    """An Idempotency-Key is 1 to 255 visible ASCII characters."""

    code = "invalid_idempotency_key"


class IdempotencyKeyReused(RequestError):
    """The Idempotency-Key was used for another request."""

    code = "idempotency_key_reused"


class Conflict(RequestError):
    """The thing is in a state that does not allow this."""

    code = "conflict"


class ThreadBusy(Conflict):
    """A run is under way in the thread."""

    code = "thread_busy"

    def __init__(self, message: str = "", *, run_id: str) -> None:
        super().__init__(message)
        self.run_id = run_id


class LastOwner(Conflict):
    """The last owner can be neither removed nor demoted."""

    code = "last_owner"


class AgentDeleted(Conflict):
    """The thread's agent is deleted; the thread can be read but not continued."""

    code = "agent_deleted"


class QueueFull(RequestError):
    """Too many messages wait in the thread."""

    code = "queue_full"
    retryable = True


class TooManyAtOnce(RequestError):
    """Too much that this user has asked for waits already."""

    code = "rate_limited"
    retryable = True


class QuotaExceeded(RequestError):
    """The user has as much of something as they may have.

    `quota` is the name of the limit, `used` what the user had before. What ends by itself has `retry_after_s`.
    """

    code = "quota_exceeded"
    retryable = True

    def __init__(self, quota: LimitName, *, used: int, limit: int, retry_after_s: float | None = None) -> None:
        super().__init__(
            f"The limit {quota} of this user is {limit}, and {used} are in use.", retry_after_s=retry_after_s
        )
        self.quota = quota
        self.used = used
        self.limit = limit


class BudgetExceeded(RequestError):
    """The next model call would pass a budget. `limit` says which one, of the agent or of the user."""

    code = "budget_exceeded"

    def __init__(
        self,
        message: str = "",
        *,
        budget: BudgetOf,
        limit: BudgetLimit,
        resets_at: str,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        self.budget: BudgetOf = budget
        self.limit: BudgetLimit = limit
        self.resets_at = resets_at


class GuardrailBlocked(RequestError):
    """A guardrail refused the text."""

    code = "guardrail_blocked"

    def __init__(self, message: str = "", *, guardrail: str, stage: str) -> None:
        super().__init__(message)
        self.guardrail = guardrail
        self.stage = stage


class ContextOverflow(RequestError):
    """The conversation does not fit the model's window."""

    code = "context_overflow"


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
    """The provider failed. `provider` is its name; an instance may be `retryable` where its class is not.

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


class Unavailable(AIAgentsError):
    """Try again later."""

    code = "overloaded"
    retryable = True


class DatabaseUnavailable(Unavailable):
    """The database does not answer."""

    code = "database_unavailable"


class DatabaseBusy(DatabaseUnavailable):
    """Too much waits for the database."""

    code = "overloaded"


class DatabaseFull(DatabaseUnavailable):
    """The disk of the database is full."""

    code = "storage_full"


class StorageUnavailable(Unavailable):
    """The storage of files does not answer."""


class BlobMissing(StorageUnavailable):
    """The file's content is not in the storage of this process."""


class StorageFull(StorageUnavailable):
    """The storage of files is full."""

    code = "storage_full"


class Overloaded(Unavailable):
    """This process takes no more work now."""


class SecondProcess(Unavailable):
    """Another process already runs agents on this database, and there is no Redis between them."""


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
