"""What each code of a problem means to a client: when it comes, and what to do. docs/problems.md is made of it.

Markdown, links as seen from docs/. Statuses are in `ai_agents.core.problems`.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Words:
    """`again`: it makes sense to send the same request later. `members`: what this problem has beyond others."""

    when: str
    do: str
    again: bool = False
    members: tuple[str, ...] = ()


_RESENT = "Send it again, with the same `Idempotency-Key`"
PROBLEMS: Mapping[str, Words] = {
    "invalid_cursor": Words("`?after=` is no cursor of this list.", "Send `next` of a page of the same list."),
    "invalid_event_id": Words(
        "`Last-Event-ID` is an id that no event of this stream can have.",
        "Send the id of an event of this stream, or none: [resuming](streaming.md#resuming).",
    ),
    "invalid_idempotency_key": Words(
        "The `Idempotency-Key` is empty, too long, or has other characters.",
        "Send 1 to 255 visible ASCII characters.",
    ),
    "invalid_host": Words(
        "The request asks for a host that the service does not answer.",
        "Ask under a host of [`AI_AGENTS_HOSTS`](settings.md#the-process).",
    ),
    "unauthorized": Words(
        "There is no key, token, JWT or ticket, or it is wrong, deleted or expired; or there are two.",
        "Send one `Authorization: Bearer <key, token or JWT>`: [keys and users](access.md#keys-and-users).",
    ),
    "forbidden": Words(
        "You may see the thing, but not do this.", "Ask an owner for a [role](access.md#roles).", members=("run_id",)
    ),
    "not_found": Words("There is no such thing, or you may not see it.", "Look at the id, or ask an owner for a role."),
    "model_not_found": Words(
        "No agent that you may use has this id or name (at [OpenAI's doors](doors.md)).",
        "Name an agent of `GET /v1/models`.",
    ),
    "method_not_allowed": Words("The path has no such method.", "See the header `Allow`."),
    "request_timeout": Words(
        "The request's headers or its body came too slowly.",
        "Send them faster: [limits](operations.md#facing-the-internet).",
        again=True,
    ),
    "thread_busy": Words(
        "A run is under way in the thread.",
        "Wait for the run, or say with [`on_busy`](api.md#a-thread-that-is-busy) what should happen.",
        again=True,
        members=("run_id",),
    ),
    "approval_required": Words(
        "A call waits for a person (at the door of Chat Completions).",
        "[Decide on it](tools.md#calls-that-wait-for-a-person).",
        members=("thread_id", "run_id"),
    ),
    "run_cancelled": Words(
        "The run that you waited for was cancelled before it had any text.",
        "Nothing: its message stays in the history.",
        members=("run_id",),
    ),
    "agent_deleted": Words(
        "The thread's agent is deleted.", "Read the thread, and go on in a new one with another agent."
    ),
    "last_owner": Words("The last owner would be removed or demoted.", "Give another user the role `owner` first."),
    "conflict": Words("The state of the thing does not allow this.", "Read it again; `detail` says what it is."),
    "log_trimmed": Words(
        "Events that you ask for are kept no longer; the messages are.",
        "Read the messages, then stream the thread after `last_event_id`: "
        "[events that are gone](streaming.md#events-that-are-gone).",
        members=("trimmed_seq", "last_event_id"),
    ),
    "precondition_failed": Words(
        "The thing has changed since you read it: its version is not that of `If-Match`.",
        "Read it again, and decide again.",
    ),
    "payload_too_large": Words(
        "The body, the file or the headers are too large.", "Send less: [limits](limits.md#limits)."
    ),
    "unsupported_media_type": Words(
        "The body is no JSON, or the file of a type that is not taken.",
        "Send `Content-Type: application/json`, or a [file](attachments.md) of a type that is accepted.",
    ),
    "invalid_request": Words(
        "A field is missing, unknown, or has a value that is not allowed.",
        "See `errors`: where, and what should be there.",
        members=("errors",),
    ),
    "idempotency_key_reused": Words(
        "The `Idempotency-Key` was used for another request.", "Use a new key for a new request."
    ),
    "context_overflow": Words(
        "The message does not fit into the model's window, even alone.",
        "Send less, or choose a model with a larger window.",
        members=("run_id",),
    ),
    "guardrail_blocked": Words(
        "A [guardrail](guardrails.md) of the agent does not allow the text.",
        "Change the text: `guardrail` is the type of the guardrail, `stage` is `input` or `output`.",
        members=("guardrail", "stage", "run_id"),
    ),
    "tool_loop_limit": Words(
        "The model kept calling tools.",
        "Ask for less at once, or raise the agent's `tool_rounds`.",
        members=("run_id",),
    ),
    "rate_limited": Words(
        "You send too many requests, have too many streams open, or too much of yours waits.",
        "Try again after `Retry-After` seconds.",
        again=True,
    ),
    "queue_full": Words(
        "100 messages wait in the thread.", "Try again after `Retry-After` seconds, or in another thread.", again=True
    ),
    "quota_exceeded": Words(
        "You have as much of something as you may have: `quota` names the [limit](limits.md#limits).",
        "Delete something, or ask an admin. For `runs`, try again after `Retry-After` seconds.",
        again=True,
        members=("quota", "used", "limit"),
    ),
    "budget_exceeded": Words(
        "The day's [budget](limits.md#budgets) of the agent or the user has no room for the next model call.",
        "Wait until `resets_at`, or ask for a larger budget.",
        again=True,
        members=("budget", "limit", "resets_at", "run_id"),
    ),
    "provider_rate_limited": Words(
        "The provider asks the service to slow down, for longer than it waits by itself.",
        "Send the message again later, or give the agent `fallbacks`.",
        again=True,
        members=("run_id",),
    ),
    "internal": Words("The service has a bug, which it has logged.", "Give the operator the `request_id`."),
    "provider_rejected": Words(
        "The provider refuses the request: its key, the model's name, or the content.",
        "An editor of the agent sees why in the run's `upstream`.",
        members=("run_id",),
    ),
    "provider_error": Words(
        "The provider failed, or its answers do not fit the agent's `output_schema`.",
        "Send the message again later.",
        again=True,
        members=("run_id",),
    ),
    "provider_truncated": Words(
        "The provider's answer broke off, three times running.",
        "Send the message again later.",
        again=True,
        members=("run_id",),
    ),
    "provider_timeout": Words(
        "The provider was silent for too long, or the run made no progress.",
        "Send the message again later, or raise the agent's `timeout_s`.",
        again=True,
        members=("run_id",),
    ),
    "provider_not_configured": Words(
        "The agent's provider is unknown here, or has no key or no model.",
        "Choose another one of [`GET /providers`](providers.md), or set its key.",
        members=("run_id",),
    ),
    "run_interrupted": Words(
        "The run was lost several times because its process died.",
        "Send the message again; it stands in the history.",
        again=True,
        members=("run_id",),
    ),
    "overloaded": Words(
        "The service takes no more work now, or the storage of files or the issuer of JWTs does not answer.",
        f"{_RESENT}, after `Retry-After` seconds.",
        again=True,
    ),
    "database_unavailable": Words(
        "The database does not answer.", f"{_RESENT}, after `Retry-After` seconds.", again=True
    ),
    "storage_full": Words(
        "There is no room for it in the database or among the files. Nothing of it was kept.",
        "Send it again when an operator has made room.",
        again=True,
    ),
}
