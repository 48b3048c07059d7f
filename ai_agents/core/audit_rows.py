"""Rows of the audit log, as admins read them and as the tables have them. Times are RFC 3339 in UTC."""

from collections.abc import Mapping
from typing import Literal, TypedDict

AuditAction = Literal[
    # A route was used: an admin with things of others, or a user without the right to what they see (`denied`).
    "access",
    "agent.delete",
    # At the command line, as are exports, imports and restores.
    "backup",
    "credentials.delete",
    "credentials.put",
    "export",
    "file.delete",
    "import",
    "key.create",
    "key.delete",
    "key.rotate",
    "limits.change",
    "provider.change",
    "provider.create",
    "provider.delete",
    "response.delete",
    "restore",
    "retention.remove",
    "role.assign",
    "role.remove",
    # A request whose key, token or ticket was not valid.
    "sign_in",
    "thread.delete",
    "token.create",
    "token.delete",
    "tool.approve",
    "tool.change",
    "tool.create",
    "tool.delete",
    "user.erase",
    "user.erased",
    "webhook.change",
    "webhook.create",
    "webhook.delete",
    "webhook.retry",
]
AuditOutcome = Literal["done", "denied"]
AuditResource = Literal[
    "agent",
    "audit",
    "file",
    "job",
    "key",
    "provider",
    "role",
    "thread",
    "token",
    "tool",
    "usage",
    "user",
    "webhook",
]
# Words, numbers and flags of ours; never what a person wrote.
AuditDetails = Mapping[str, str | int | float | bool | None]


class Person(TypedDict):
    """A user by pseudonym. `user_id` is null when the user was erased."""

    id: str
    user_id: str | None


class AuditEntry(TypedDict):
    """What was done, by which user, to what. `count` requests of one minute may be one entry, with facts of the first.

    `subject` is the user whose role, key or data it is. `batch` is the link of the chain that covers the entry; null
    for the newest.
    """

    id: str
    created_at: str
    actor: Person | None
    key_id: str | None
    action: AuditAction
    operation: str | None
    outcome: AuditOutcome
    resource_type: AuditResource | None
    resource_id: str | None
    subject: Person | None
    count: int
    request_id: str | None
    details: dict[str, str | int | float | bool | None]
    batch: int | None


class AuditEntryRow(TypedDict):
    """Every column of an entry; see `store.audit_tables.AuditEntryTable`."""

    id: str
    created_at: str
    actor: str | None
    key_id: str | None
    action: AuditAction
    operation: str | None
    outcome: AuditOutcome
    resource_type: AuditResource | None
    resource_id: str | None
    subject: str | None
    count: int
    request_id: str | None
    details: dict[str, str | int | float | bool | None]
    batch: int | None


class AuditBatchRow(TypedDict):
    """Every column of a batch; see `store.audit_tables.AuditBatchTable`."""

    number: int
    created_at: str
    entries: int
    digest: str
    previous: str
    hash: str
