"""The chain over the audit log: each link is a batch of entries, with a hash of them and of the link before.

Transactions commit in another order than they begin, so a link covers what is committed when it is made, and an entry
that is committed late is in the next one. No transaction that adds an entry waits for the chain. One process makes a
link at a time: it holds the row of the periodic task.

What the chain shows, and what it cannot show, is in SECURITY.md: the hashes have no key, so that only a copy of the
newest hash in another place (each link is a line of the log) tells a chain that was made anew, or that lost its end.
"""

import hashlib
from collections import defaultdict
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import cast

from sqlalchemy import Connection, func, insert, or_, select, update

from ai_agents.core import json
from ai_agents.core.audit_rows import AuditBatchRow, AuditEntryRow
from ai_agents.core.ids import utc_now
from ai_agents.core.rows import only
from ai_agents.store import processes
from ai_agents.store.audit import pseudonym
from ai_agents.store.audit_tables import AuditBatchTable, AuditEntryTable, AuditPersonTable
from ai_agents.store.database import Database

TASK = "audit_chain"
# Hashing so many entries takes some 10 ms.
BATCH_ENTRIES = 1000
# Before the first link.
START = "0" * 64
# What an entry's hash is made of: all but the batch, which is set later.
_HASHED = tuple(name for name in AuditEntryRow.__annotations__ if name != "batch")
_PAGE = 200


@dataclass(frozen=True, slots=True)
class Head:
    """A link of the chain, by its number and hash."""

    number: int
    hash: str


@dataclass(frozen=True, slots=True)
class Verified:
    """What verifying the chain found: its newest link, how many entries it covers, and how many wait for the next link.

    `fault` says what does not hold, first of all; None where everything does. Then `number` is the batch, or None where
    it is no batch.
    """

    head: Head
    covered: int
    waiting: int
    fault: str | None = None
    number: int | None = None


def entry_line(row: AuditEntryRow) -> str:
    """The line of JSON that stands for an entry in the digest of its batch."""
    return json.dumps_sorted({name: row[name] for name in _HASHED})  # type: ignore[literal-required]  # its own keys


def digest_of(rows: Sequence[AuditEntryRow]) -> str:
    """The digest of a batch's entries, in the order of their ids."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(entry_line(row).encode() + b"\n")
    return digest.hexdigest()


def link_hash(row: AuditBatchRow) -> str:
    """The hash of a link."""
    hashed = [row["number"], row["created_at"], row["entries"], row["digest"], row["previous"]]
    return hashlib.sha256(json.dumps(hashed).encode()).hexdigest()


def has_waiting(connection: Connection) -> bool:
    """Whether there are entries that no link covers."""
    return connection.scalar(select(AuditEntryTable.id).where(AuditEntryTable.batch.is_(None)).limit(1)) is not None


def extend(connection: Connection, *, every_s: float) -> AuditBatchRow | None:
    """Add a link over the entries that wait, oldest first; None where there are none, or another process is doing it.

    Of all processes that ask, one does it every `every_s` seconds; at once again where more entries wait than fit.
    """
    if not processes.claim_periodic_task(connection, TASK, every_s=every_s):
        return None
    rows = waiting(connection, limit=BATCH_ENTRIES)
    if not rows:
        return None
    last = _newest(connection)
    link: AuditBatchRow = {
        "number": last.number + 1,
        "created_at": utc_now(),
        "entries": len(rows),
        "digest": digest_of(rows),
        "previous": last.hash,
        "hash": "",
    }
    link["hash"] = link_hash(link)
    connection.execute(insert(AuditBatchTable), link)
    covered = AuditEntryTable.id.in_([row["id"] for row in rows])
    connection.execute(update(AuditEntryTable).where(covered).values(batch=link["number"]))
    if len(rows) == BATCH_ENTRIES:
        processes.make_due(connection, TASK)
    return link


def _newest(connection: Connection) -> Head:
    newest = select(AuditBatchTable.number, AuditBatchTable.hash).order_by(AuditBatchTable.number.desc()).limit(1)
    row = connection.execute(newest).one_or_none()
    return Head(0, START) if row is None else Head(row.number, row.hash)


def waiting(connection: Connection, *, after_id: str = "", limit: int) -> list[AuditEntryRow]:
    """Entries that no link covers, by id."""
    table = AuditEntryTable
    found = select(table.__table__).where(table.batch.is_(None), table.id > after_id).order_by(table.id).limit(limit)
    return [only(AuditEntryRow, row) for row in connection.execute(found).mappings()]


def _links(connection: Connection, *, after: int) -> list[AuditBatchRow]:
    """The next links after this number."""
    table = AuditBatchTable
    found = select(table.__table__).where(table.number > after).order_by(table.number).limit(_PAGE)
    return [only(AuditBatchRow, row) for row in connection.execute(found).mappings()]


def _entries(connection: Connection, first: int, last: int, limit: int) -> list[AuditEntryRow]:
    """The entries of these links, by link and id."""
    table = AuditEntryTable
    found = select(table.__table__).where(table.batch.between(first, last)).order_by(table.batch, table.id).limit(limit)
    return [only(AuditEntryRow, row) for row in connection.execute(found).mappings()]


async def read_chain(
    database: Database, *, after: int = 0
) -> AsyncGenerator[tuple[AuditBatchRow, list[AuditEntryRow]]]:
    """Each link after this number, with its entries by id. Few entries are in a link, so many links are read at once.

    Raises `DatabaseUnavailable`.
    """
    while found := await database.read(partial(_links, after=after), long=True):
        for group in _groups(found):
            first, last = group[0]["number"], group[-1]["number"]
            # More than that were added by other means. Some of them are enough to tell.
            limit = sum(min(link["entries"], BATCH_ENTRIES) for link in group) + BATCH_ENTRIES
            rows = await database.read(partial(_entries, first=first, last=last, limit=limit), long=True)
            of_link: defaultdict[int | None, list[AuditEntryRow]] = defaultdict(list)
            for row in rows:
                of_link[row["batch"]].append(row)
            for link in group:
                yield link, of_link[link["number"]]
        after = found[-1]["number"]


def _groups(found: Sequence[AuditBatchRow]) -> Iterator[list[AuditBatchRow]]:
    """The links in their order, so many together as have few entries."""
    group: list[AuditBatchRow] = []
    for link in found:
        if group and sum(each["entries"] for each in (*group, link)) > BATCH_ENTRIES:
            yield group
            group = []
        group.append(link)
    if group:
        yield group


async def verify(database: Database, heads: Sequence[Head] = ()) -> Verified:
    """Whether the log is as it was written, as far as the chain tells. `heads` are links that were noted before.

    It stops at the first batch that does not hold. Raises `DatabaseUnavailable`.
    """
    expected = {head.number: head.hash for head in heads}
    last, covered = Head(0, START), 0
    async with aclosing(read_chain(database)) as chain:
        async for link, rows in chain:
            fault = _fault_of(link, rows, last, expected.pop(link["number"], None))
            if fault is not None:
                return Verified(last, covered, 0, fault, last.number + 1)
            last, covered = Head(link["number"], link["hash"]), covered + len(rows)
    left = await database.read(_count_waiting, long=True)
    for number in sorted(expected):
        return Verified(last, covered, left, f"the chain ends before batch {number}, which there was", last.number + 1)
    stray = await database.read(lambda c: _stray(c, last.number), long=True)
    if stray is not None:
        return Verified(last, covered, left, f"there are entries of batch {stray}, but no such batch", last.number + 1)
    stranger = await _find_stranger(database)
    fault = None if stranger is None else f"the pseudonym {stranger} stands for another user than it was made for"
    return Verified(last, covered, left, fault)


def _fault_of(link: AuditBatchRow, rows: Sequence[AuditEntryRow], last: Head, noted: str | None) -> str | None:
    number = last.number + 1
    if link["number"] != number:
        return f"batch {number} is missing"
    if link["previous"] != last.hash:
        return f"batch {number} does not follow the one before it"
    if link_hash(link) != link["hash"]:
        return f"batch {number} itself was changed"
    if len(rows) != link["entries"]:
        return f"batch {number} was made of {link['entries']} entries and has {len(rows)}"
    if digest_of(rows) != link["digest"]:
        return f"entries of batch {number} were changed or exchanged"
    if noted is not None and noted != link["hash"]:
        return f"batch {number} is not the one that was noted: the chain was made anew"
    return None


def _count_waiting(connection: Connection) -> int:
    counted = select(func.count()).select_from(AuditEntryTable).where(AuditEntryTable.batch.is_(None))
    return int(connection.execute(counted).scalar_one())


def _stray(connection: Connection, last: int) -> int | None:
    """The batch of an entry that belongs to no link."""
    number = AuditEntryTable.batch
    return cast("int | None", connection.scalar(select(number).where(or_(number > last, number < 1)).limit(1)))


async def _find_stranger(database: Database) -> str | None:
    """A pseudonym that does not fit the user that it is said to stand for."""
    after = ""
    while people := await database.read(partial(_people, after=after), long=True):
        for pseudonym_, user_id, salt in people:
            erased = user_id is None and salt is None
            if not erased and (user_id is None or salt is None or pseudonym(salt, user_id) != pseudonym_):
                return pseudonym_
        after = people[-1][0]
    return None


def _people(connection: Connection, after: str) -> list[tuple[str, str | None, str | None]]:
    person = AuditPersonTable
    found = select(person.id, person.user_id, person.salt).where(person.id > after).order_by(person.id)
    return [(row.id, row.user_id, row.salt) for row in connection.execute(found.limit(BATCH_ENTRIES))]
