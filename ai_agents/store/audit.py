"""The audit log: what was done, by which user, to what. Entries are added in the transaction of what they tell of.

An entry holds pseudonyms, ids, and words and numbers of ours: never a text that a person wrote.
"""

import hashlib
import re
import secrets
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from sqlalchemy import ColumnElement, Connection, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import aliased

from ai_agents.core.audit_rows import (
    AuditAction,
    AuditDetails,
    AuditEntry,
    AuditEntryRow,
    AuditOutcome,
    AuditResource,
    Person,
)
from ai_agents.core.ids import new_id, utc_now
from ai_agents.core.rows import Page, only
from ai_agents.store import pages
from ai_agents.store.audit_tables import AuditEntryTable, AuditPersonTable
from ai_agents.store.database import Store, reading

# Ids that programs make. Others could be a person's words, and are kept as a hash.
_MADE_ID = re.compile(r"[0-9A-Fa-f-]{1,64}")
_AT_ONCE = 500
_ACTOR = aliased(AuditPersonTable, name="actors")
_SUBJECT = aliased(AuditPersonTable, name="subjects")


@dataclass(frozen=True, slots=True)
class Act:
    """Something that a user did. `actor_id` and `subject_id` are user ids, whose pseudonyms are written.

    A resource of type `user` is its subject and has no id here. `actor_id` is None for what the service or an operator
    at the command line does, and where the user is not known. Without `at` it happens now.
    """

    action: AuditAction
    actor_id: str | None
    resource_type: AuditResource | None = None
    resource_id: str | None = None
    key_id: str | None = None
    operation: str | None = None
    outcome: AuditOutcome = "done"
    subject_id: str | None = None
    count: int = 1
    request_id: str | None = None
    details: AuditDetails = field(default_factory=dict)
    at: str | None = None


def record(connection: Connection, *acts: Act) -> None:
    """Add entries, with this transaction, of which it is the last step.

    A user's first entry holds up other entries of this user until the transaction ends: one that waited for a lock
    after it could wait for ever.
    """
    named = {name for act in acts for name in (act.actor_id, act.subject_id) if name is not None}
    people = _pseudonyms(connection, named)
    now = utc_now()
    rows: list[AuditEntryRow] = [
        {
            "id": new_id(),
            "created_at": act.at or now,
            "actor": None if act.actor_id is None else people[act.actor_id],
            "key_id": act.key_id,
            "action": act.action,
            "operation": act.operation,
            "outcome": act.outcome,
            "resource_type": act.resource_type,
            "resource_id": _resource_id(act, people),
            "subject": None if act.subject_id is None else people[act.subject_id],
            "count": act.count,
            "request_id": shown_request_id(act.request_id),
            "details": dict(act.details),
            "batch": None,
        }
        for act in acts
    ]
    if rows:
        connection.execute(insert(AuditEntryTable), rows)


def _resource_id(act: Act, people: Mapping[str, str]) -> str | None:
    if act.resource_type == "user" and act.subject_id is not None:
        return people[act.subject_id]
    return act.resource_id


def shown_request_id(request_id: str | None) -> str | None:
    """The id of a request as entries have it: one that a program made, or the hash of any other."""
    if request_id is None or _MADE_ID.fullmatch(request_id):
        return request_id
    return "sha256:" + hashlib.sha256(request_id.encode()).hexdigest()[:32]


def pseudonym(salt: str, user_id: str) -> str:
    """The pseudonym of a user with this salt."""
    return hashlib.sha256(f"{salt}:{user_id}".encode()).hexdigest()[:32]


def _pseudonyms(connection: Connection, user_ids: Iterable[str]) -> dict[str, str]:
    """The pseudonym of each user; users without one get it."""
    wanted = sorted(user_ids)
    found = _known(connection, wanted)
    missing = [user_id for user_id in wanted if user_id not in found]
    if not missing:
        return found
    rows = []
    for user_id in missing:
        salt = secrets.token_hex(16)
        rows.append({"id": pseudonym(salt, user_id), "user_id": user_id, "salt": salt})
    on = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    # Another transaction may add the same user: then this one waits for it, and uses its pseudonym.
    connection.execute(on(AuditPersonTable).on_conflict_do_nothing(), rows)
    return _known(connection, wanted)


def users_of(connection: Connection, people: Collection[str]) -> dict[str, str | None]:
    """The user behind each pseudonym; None for an erased one."""
    found: dict[str, str | None] = {}
    ids = sorted(people)
    for first in range(0, len(ids), _AT_ONCE):
        some = AuditPersonTable.id.in_(ids[first : first + _AT_ONCE])
        found |= {
            row.id: row.user_id
            for row in connection.execute(select(AuditPersonTable.id, AuditPersonTable.user_id).where(some))
        }
    return found


def known_users(connection: Connection, user_ids: Collection[str]) -> set[str]:
    """Those of the users who have a pseudonym."""
    return set(_known(connection, sorted(user_ids)))


def _known(connection: Connection, user_ids: list[str]) -> dict[str, str]:
    if not user_ids:
        return {}
    known = select(AuditPersonTable.user_id, AuditPersonTable.id).where(AuditPersonTable.user_id.in_(user_ids))
    return {row.user_id: row.id for row in connection.execute(known)}


def forget(connection: Connection, user_id: str) -> bool:
    """Empty what says which user a pseudonym stands for. Returns whether there was one."""
    person = update(AuditPersonTable).where(AuditPersonTable.user_id == user_id)
    return bool(connection.execute(person.values(user_id=None, salt=None)).rowcount)


def list_entries(
    connection: Connection,
    *,
    actor: str | None = None,
    action: AuditAction | None = None,
    exclude: AuditAction | None = None,
    resource_type: AuditResource | None = None,
    resource_id: str | None = None,
    since: str | None = None,
    until: str | None = None,
    limit: int = 20,
    after: str | None = None,
) -> Page[AuditEntry]:
    """A page of entries, newest first: `{"data", "next"}`.

    `exclude` leaves out one action. `actor` is a user id or a pseudonym, and so is the `resource_id` of a user.
    `since` is included, `until` is not. Raises `InvalidCursor`.
    """
    entry = AuditEntryTable
    statement = (
        select(entry.__table__, _ACTOR.user_id.label("actor_user_id"), _SUBJECT.user_id.label("subject_user_id"))
        .outerjoin(_ACTOR, _ACTOR.id == entry.actor)
        .outerjoin(_SUBJECT, _SUBJECT.id == entry.subject)
    )
    if actor is not None:
        statement = statement.where(_is_person(connection, entry.actor, actor))
    if resource_id is not None:
        statement = statement.where(
            _is_person(connection, entry.resource_id, resource_id)
            if resource_type == "user"
            else entry.resource_id == resource_id
        )
    filters = (
        None if action is None else entry.action == action,
        None if exclude is None else entry.action != exclude,
        None if resource_type is None else entry.resource_type == resource_type,
        None if since is None else entry.created_at >= since,
        None if until is None else entry.created_at < until,
    )
    statement = statement.where(*(each for each in filters if each is not None))
    return pages.newest_first(connection, statement, entry, limit=limit, after=after, to_dict=to_public)


def _is_person(connection: Connection, column: Any, person: str) -> ColumnElement[bool]:
    known = _known(connection, [person])
    return cast("ColumnElement[bool]", column.in_([person, *known.values()]))


def to_public(row: Mapping[Any, Any]) -> AuditEntry:
    """A row with the user ids of its two people, as admins read it."""
    found = {name: row[name] for name in AuditEntryRow.__annotations__}
    for role in ("actor", "subject"):
        if row[role] is not None:
            person: Person = {"id": row[role], "user_id": row[f"{role}_user_id"]}
            found[role] = person
    return only(AuditEntry, found)


class AuditStore(Store):
    """The audit log, as admins read it."""

    list = reading(list_entries, long=True)
