"""Errors whose request has to be changed before it is tried again, or is refused for a while."""

from ai_agents.core.exceptions.base import AIAgentsError
from ai_agents.core.limits import LimitName
from ai_agents.core.types import BudgetLimit, BudgetOf


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
    """The user may see this but not do it.

    `resource` is its type and id, where the request's path does not say so.
    """

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
    """Events that were asked for are kept no longer.

    `trimmed_seq` is the number of the last one that is gone. `last_event_id` is the id of the thread's
    stream after which all events are there.
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
    """The next model call would pass a budget.

    `budget` says whose, the agent's or the user's; `limit` which one.
    """

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
