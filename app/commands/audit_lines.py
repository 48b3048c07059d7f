"""`ai-agents audit verify` and `ai-agents audit export`: whether the audit log holds; all of it as lines of JSON."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any

from sqlalchemy import Connection

from ai_agents.core import json
from ai_agents.core.audit_rows import AuditEntryRow
from ai_agents.store import audit, audit_chain
from ai_agents.store.audit_chain import Head, Verified
from ai_agents.store.database import Database

_PAGE = 500


def parse_head(text: str) -> Head:
    """A link as it is logged and printed, `NUMBER:HASH`. Raises `ValueError`."""
    number, _, found = text.partition(":")
    if len(found) != len(audit_chain.START) or int(number) < 1:
        raise ValueError("a head is NUMBER:HASH")
    return Head(int(number), found.lower())


def tell(found: Verified) -> str:
    """What `verify` found, in a sentence or two."""
    if found.fault is not None:
        return f"The audit log does not hold: {found.fault}."
    chain = f"{found.covered} entries in {found.head.number} batches hold"
    waiting = f", {found.waiting} entries wait for the next batch" if found.waiting else ""
    return f"{chain}{waiting}. The newest batch is {found.head.number}:{found.head.hash}"


async def export(database: Database) -> AsyncIterator[str]:
    """Every entry and every link, each as a line of JSON: a batch's entries, then its link; at the end what waits.

    An entry has what its hash is made of, and `actor_user_id` and `subject_user_id`, which it is not made of.
    What is added meanwhile may be missing. Raises `DatabaseUnavailable`.
    """
    last, shown = 0, set[str]()
    chained: int | None = None
    # Until nothing got its batch while the waiting entries were read: it would be in neither.
    while last != chained:
        chained = last
        async with aclosing(audit_chain.read_chain(database, after=last)) as chain:
            async for link, entries in chain:
                unshown = [row for row in entries if row["id"] not in shown]
                for row in await database.read(partial(_named, rows=unshown), long=True):
                    yield _line("entry", row)
                yield _line("batch", link)
                last = link["number"]
        last_id = ""
        while rows := await database.read(partial(_waiting, after_id=last_id), long=True):
            for row in rows:
                if row["id"] not in shown:
                    shown.add(row["id"])
                    yield _line("entry", row)
            last_id = rows[-1]["id"]


def _waiting(connection: Connection, after_id: str) -> list[dict[str, Any]]:
    return _named(connection, audit_chain.waiting(connection, after_id=after_id, limit=_PAGE))


def _named(connection: Connection, rows: Sequence[AuditEntryRow]) -> list[dict[str, Any]]:
    """The rows with the user ids of their people."""
    ids = {person for row in rows for person in (row["actor"], row["subject"]) if person is not None}
    users = audit.users_of(connection, ids)
    return [
        {
            **row,
            "actor_user_id": users.get(row["actor"] or ""),
            "subject_user_id": users.get(row["subject"] or ""),
        }
        for row in rows
    ]


def _line(kind: str, row: Mapping[str, Any]) -> str:
    return json.dumps({"type": kind, **row})
