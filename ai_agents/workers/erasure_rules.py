"""What the erasure of a user does with each table. `RULES` is the whole list, and the erasure works through it.

A table that holds a user id or free text needs a rule that names those columns. A test compares `RULES` with the
tables.
"""

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, Text, cast, delete, exists, or_, select, update

from ai_agents.core import json
from ai_agents.core.ids import utc_now
from ai_agents.core.types import LogRow
from ai_agents.store import (
    access_tables,
    audit_tables,
    budget_tables,
    credential_tables,
    door_tables,
    feedback_tables,
    job_tables,
    models,
    provider_tables,
    thread_log,
    totals,
    user_tables,
    webhook_tables,
)

ERASED = "[erased]"
_ERASED_PARTS = [{"type": "text", "text": ERASED}]


@dataclass(frozen=True, slots=True)
class UserInThread:
    """A user in a thread that another user owns. `file_ids` are all files that the user uploaded."""

    user_id: str
    thread_id: str
    file_ids: frozenset[str]


Count = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ErasureRule:
    """What the erasure does with one table.

    `columns` are all columns that hold a user id, free text or JSON. With `deleted_as`, the user's own rows are deleted
    and counted in the receipt under that name. `redact` changes rows of other users that name the user, and
    `redact_thread` rows of one thread that others own. `otherwise` says what happens to columns that these leave.
    """

    table: type[models.Base]
    columns: Set[str]
    otherwise: str = ""
    deleted_as: str | None = None
    redact: Callable[[Connection, str], Count] | None = None
    redact_thread: Callable[[Connection, UserInThread], Count] | None = None

    def delete_own(self, connection: Connection, user_id: str) -> Count:
        """Delete the user's rows, if the rule says so; how many there were."""
        if self.deleted_as is None:
            return {}
        table = self.table.__table__
        deleted = connection.execute(delete(self.table).where(table.c["user_id"] == user_id)).rowcount
        return {self.deleted_as: deleted}


def files_of(connection: Connection, user_id: str) -> list[str]:
    """Ids of the files that the user uploaded."""
    found = select(models.FileTable.id).where(models.FileTable.user_id == user_id).order_by(models.FileTable.id)
    return list(connection.execute(found).scalars())


def is_touched_by(user_id: str) -> ColumnElement[bool]:
    """Whether the user wrote a message, or one of the user's files is attached to it."""
    attached = exists().where(
        models.MessageFileTable.message_id == models.MessageTable.id,
        models.MessageFileTable.file_id == models.FileTable.id,
        models.FileTable.user_id == user_id,
    )
    return or_(models.MessageTable.user_id == user_id, attached)


def _redact_messages(connection: Connection, user: UserInThread) -> Count:
    found = select(models.MessageTable.id, models.MessageTable.user_id, models.MessageTable.parts).where(
        models.MessageTable.thread_id == user.thread_id, is_touched_by(user.user_id)
    )
    rows = connection.execute(found).all()
    for row in rows:
        links = delete(models.MessageFileTable).where(models.MessageFileTable.message_id == row.id)
        if row.user_id == user.user_id:
            values: dict[str, Any] = {"parts": _erased_parts(row.parts), "user_id": None, "meta": {}, "search": ""}
        else:
            values = {"parts": _without_files(row.parts, user.file_ids)}
            links = links.where(models.MessageFileTable.file_id.in_(user.file_ids))
        connection.execute(update(models.MessageTable).where(models.MessageTable.id == row.id).values(values))
        connection.execute(links)
    return {"messages_redacted": len(rows)}


def _erased_parts(parts: list[Any]) -> list[Any]:
    """What is left of a message. The result that the user's client gave of a call still answers the call."""
    results = [part for part in parts if part.get("type") == "tool_result"]
    return [{**part, "result": ERASED} for part in results] or _ERASED_PARTS


def _redact_runs(connection: Connection, user: UserInThread) -> Count:
    own = (models.RunTable.thread_id == user.thread_id, models.RunTable.user_id == user.user_id)
    # What a provider said of its failure may quote the message. What came with the message is theirs.
    values = {"upstream": None, "client_tools": None, "overrides": None}
    redacted = update(models.RunTable).where(*own).values({"user_id": ERASED, **values})
    joined = (models.RunTable.thread_id == user.thread_id, models.RunTable.sender_id == user.user_id)
    connection.execute(update(models.RunTable).where(*joined).values({"sender_id": ERASED, **values}))
    _redact_steered(connection, user)
    return {"runs_redacted": connection.execute(redacted).rowcount}


def _redact_steered(connection: Connection, user: UserInThread) -> None:
    """Take the user out of the messages that wait to join runs of the thread, or waited when these ended."""
    table = models.RunTable
    waited = table.thread_id == user.thread_id, table.steered.is_not(None)
    for row in connection.execute(select(table.id, table.steered).where(*waited)).all():
        redacted = [
            {**each, "user_id": None, "client_tools": None, "overrides": None}
            if each["user_id"] == user.user_id
            else each
            for each in row.steered
        ]
        connection.execute(update(table).where(table.id == row.id).values(steered=redacted))


def _delete_summaries(connection: Connection, user: UserInThread) -> Count:
    of_thread = models.SummaryTable.thread_id == user.thread_id
    return {"summaries": connection.execute(delete(models.SummaryTable).where(of_thread)).rowcount}


def _redact_log(connection: Connection, user: UserInThread) -> Count:
    found = select(models.ThreadEventTable.__table__).where(models.ThreadEventTable.thread_id == user.thread_id)
    for row in connection.execute(found).mappings().all():
        event = json.loads(row["data"])
        redacted = redacted_json(event, user.user_id, user.file_ids)
        if redacted != event:
            thread_log.rewrite(connection, LogRow(**row), json.dumps(redacted))
    return {}


def _remove_generated_title(connection: Connection, user: UserInThread) -> Count:
    """Remove a title that a model made of the messages, and mark the thread as changed."""
    this = update(models.ThreadTable).where(models.ThreadTable.id == user.thread_id)
    connection.execute(this.where(models.ThreadTable.title_by == "job").values(title=None, title_by=None))
    connection.execute(this.values(version=models.ThreadTable.version + 1, updated_at=utc_now()))
    return {}


def _redact_answers(connection: Connection, user_id: str) -> Count:
    """Take the user out of the answers that are kept for other users' repeated requests."""
    kept = models.IdempotencyKeyTable
    named = cast(kept.answer, Text).contains(json.dumps(user_id), autoescape=True)
    found = select(kept.user_id, kept.key, kept.answer).where(named)
    for row in connection.execute(found).all():
        one = (kept.user_id == row.user_id, kept.key == row.key)
        redacted = redacted_json(row.answer, user_id, frozenset())
        connection.execute(update(kept).where(*one).values(answer=redacted))
    return {}


def _count_for_no_user(
    table: type[models.ThreadTable | models.AgentVersionTable], connection: Connection, user_id: str
) -> Count:
    connection.execute(update(table).where(table.counted_for == user_id).values(counted_for=totals.NO_USER))
    return {}


def _delete_totals(connection: Connection, user_id: str) -> Count:
    """Nothing that a receipt would tell of: the things that were counted are in it."""
    table = user_tables.UserTotalsTable
    connection.execute(delete(table).where(table.user_id == user_id))
    return {}


def redacted_json(value: Any, user_id: str, file_ids: frozenset[str]) -> Any:
    """An event or answer without what the user wrote: messages, runs, and what a thread tells of it."""
    if isinstance(value, list):
        return [redacted_json(item, user_id, file_ids) for item in _without_files(value, file_ids)]
    if not isinstance(value, dict):
        return value
    found = {name: redacted_json(item, user_id, file_ids) for name, item in value.items()}
    if found.get("user_id") == user_id:
        found["user_id"] = None if "parts" in found else ERASED
        found.pop("overrides", None)
        if "tool_call_id" in found:
            found["result"] = ERASED
        if "parts" in found:
            found |= {"parts": _ERASED_PARTS, "content": ERASED, "metadata": {}}
    for derived in ("summary", "title", "preview"):
        if isinstance(found.get(derived), str) and ("covers_through_seq" in found or "agent_id" in found):
            found[derived] = ERASED
    return found


def _without_files(parts: list[Any], file_ids: frozenset[str]) -> list[Any]:
    return [_ERASED_PARTS[0] if isinstance(part, dict) and part.get("file_id") in file_ids else part for part in parts]


def _delete_budget_days(connection: Connection, user_id: str) -> Count:
    days = budget_tables.BudgetDayTable
    connection.execute(delete(days).where(days.kind == "user", days.subject_id == user_id))
    return {}


def _delete_budget_claims(connection: Connection, user_id: str) -> Count:
    claims = budget_tables.BudgetClaimTable
    connection.execute(delete(claims).where(claims.kind == "user", claims.subject_id == user_id))
    return {}


_WITH_THREAD = "A thread without another owner is deleted whole; in other threads"
# The erasure applies the rules in this order.
RULES: tuple[ErasureRule, ...] = (
    # Before the keys, which take with them what they made.
    ErasureRule(webhook_tables.WebhookTable, {"user_id", "url", "events", "sealed_secret"}, deleted_as="webhooks"),
    ErasureRule(access_tables.ApiKeyTable, {"user_id", "name", "old_secrets", "agents"}, deleted_as="keys"),
    ErasureRule(access_tables.TicketTable, {"user_id"}, deleted_as="tickets"),
    ErasureRule(
        models.IdempotencyKeyTable, {"user_id", "key", "answer"}, deleted_as="idempotency_keys", redact=_redact_answers
    ),
    ErasureRule(provider_tables.ModelCallTable, {"user_id", "provider", "model"}, deleted_as="model_calls"),
    ErasureRule(
        models.MessageTable,
        {"user_id", "parts", "metadata", "usage", "cost", "search"},
        f"{_WITH_THREAD} what the agents answered stays.",
        redact_thread=_redact_messages,
    ),
    ErasureRule(
        models.RunTable,
        {
            "user_id",
            "sender_id",
            "steered",
            "usage",
            "cost",
            "error",
            "notices",
            "upstream",
            "client_tools",
            "overrides",
        },
        f"{_WITH_THREAD} figures, ids and reasons stay; they quote no message.",
        redact_thread=_redact_runs,
    ),
    ErasureRule(models.SummaryTable, {"text"}, redact_thread=_delete_summaries),
    ErasureRule(models.ThreadEventTable, {"data"}, redact_thread=_redact_log),
    ErasureRule(
        models.ToolCallTable,
        {"part", "approval"},
        f"{_WITH_THREAD} what the agents did stays, and why others approved it.",
    ),
    ErasureRule(
        models.ThreadTable,
        {"title", "metadata", "counted_for", "summary_misses"},
        f"{_WITH_THREAD} a title and metadata that a person wrote stay: they are the owners'. Misses are numbers.",
        redact=partial(_count_for_no_user, models.ThreadTable),
        redact_thread=_remove_generated_title,
    ),
    ErasureRule(models.AgentTable, {"name", "spec"}, "Deleted, or emptied where threads of others need it."),
    ErasureRule(
        models.AgentVersionTable,
        {"spec", "counted_for"},
        "As its agent.",
        redact=partial(_count_for_no_user, models.AgentVersionTable),
    ),
    ErasureRule(
        models.FileTable, {"user_id", "filename", "media_type", "facts"}, "Deleted one by one with their bytes."
    ),
    ErasureRule(
        job_tables.JobTable, {"error", "payload", "result"}, "The user id is removed from the erasure's own jobs."
    ),
    ErasureRule(models.AdminToolTable, {"spec", "sealed_headers", "listing", "approved"}, "Tools are the service's."),
    ErasureRule(
        provider_tables.ProviderTable,
        {"base_url", "sealed_secrets", "default_model", "quirks"},
        "Providers are the service's.",
    ),
    ErasureRule(provider_tables.LearnedQuirksTable, {"model", "quirks"}, "Names of models, and what they do not take."),
    ErasureRule(provider_tables.TokenRatioTable, {"model"}, "Names of models and figures."),
    ErasureRule(budget_tables.BudgetDayTable, {"subject_id"}, redact=_delete_budget_days),
    ErasureRule(budget_tables.BudgetClaimTable, {"subject_id"}, redact=_delete_budget_claims),
    ErasureRule(access_tables.RoleAssignmentTable, {"user_id"}, deleted_as="roles"),
    ErasureRule(credential_tables.ToolCredentialsTable, {"user_id", "sealed_headers"}, deleted_as="credentials"),
    ErasureRule(feedback_tables.FeedbackTable, {"user_id", "comment"}, deleted_as="feedback"),
    ErasureRule(door_tables.ForeignIdTable, {"user_id", "facts"}, deleted_as="foreign_ids"),
    ErasureRule(user_tables.UserTotalsTable, {"user_id"}, redact=_delete_totals),
    ErasureRule(user_tables.UserLimitsTable, {"user_id", "limits"}, deleted_as="limits"),
    ErasureRule(
        audit_tables.AuditPersonTable,
        {"user_id"},
        "Emptied with the last step: only the pseudonym is left of the user.",
    ),
    ErasureRule(audit_tables.AuditEntryTable, {"details"}, "Entries stay. They hold pseudonyms, and words of ours."),
)
