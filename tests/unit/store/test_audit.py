"""The audit log: rows that stay, pseudonyms that can be emptied, and a chain that tells of changes."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, delete, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from ai_agents.core.exceptions import AIAgentsError
from ai_agents.store import audit, audit_chain
from ai_agents.store.audit import Act
from ai_agents.store.audit_chain import Head, Verified
from ai_agents.store.audit_tables import AuditBatchTable, AuditEntryTable, AuditPersonTable
from ai_agents.store.database import Database
from app.commands.audit_lines import export

TABLES = ("audit_entries", "audit_batches")


async def add(database: Database, *names: str, actor: str = "ann") -> None:
    """An entry for each name of a tool."""
    for name in names:
        await database.write(lambda c, name=name: audit.record(c, Act("tool.create", actor, "tool", name)))  # type: ignore[misc]


async def chain(database: Database) -> int:
    """Make a link; how many entries it has."""
    link = await database.write(lambda c: audit_chain.extend(c, every_s=0))
    return 0 if link is None else link["entries"]


async def read_all(database: Database, statement: Any) -> list[dict[str, Any]]:
    """The rows that a statement finds."""
    return await database.read(lambda c: [dict(row) for row in c.execute(statement).mappings()])


async def tamper(database: Database, *statements: Any) -> None:
    """Change the log as the owner of the database can."""

    def change(connection: Connection) -> None:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL session_replication_role = replica"))
        else:
            found = (
                select(text("name"), text("tbl_name"))
                .select_from(text("sqlite_master"))
                .where(text("type = 'trigger'"))
            )
            for name, table in connection.execute(found).all():
                if table in TABLES:
                    connection.execute(text(f"DROP TRIGGER {name}"))
        for statement in statements:
            connection.execute(statement)

    await database.write(change)


async def test_the_database_refuses_to_change_or_delete_what_was_written(database: Database) -> None:
    await add(database, "a")
    await chain(database)
    await add(database, "b")
    refused = [
        update(AuditEntryTable).values(count=2),
        update(AuditEntryTable).where(AuditEntryTable.batch.is_(None)).values(details={"a": 1}),
        update(AuditEntryTable).where(AuditEntryTable.batch.is_not(None)).values(batch=2),
        delete(AuditEntryTable),
        update(AuditBatchTable).values(hash="0"),
        delete(AuditBatchTable),
        *([text(f"TRUNCATE {name}") for name in TABLES] if database.dialect == "postgresql" else []),
    ]

    for statement in refused:
        with pytest.raises((DBAPIError, AIAgentsError)):
            await database.write(lambda c, statement=statement: c.execute(statement))  # type: ignore[misc]

    assert (await audit_chain.verify(database)).fault is None
    assert await chain(database) == 1


async def test_an_entry_names_users_by_pseudonyms_that_erasure_empties(database: Database) -> None:
    given = Act("role.assign", "ann", "agent", "a-1", subject_id="bob", details={"role": "editor"}, request_id="r/ann")
    await database.write(lambda c: audit.record(c, given, Act("user.erase", "root", "user", subject_id="bob")))
    await add(database, "x")
    page = await database.read(lambda c: audit.list_entries(c, actor="ann"))
    first = page["data"][1]
    assert first["actor"] is not None
    assert first["subject"] is not None
    assert [first["actor"]["user_id"], first["subject"]["user_id"]] == ["ann", "bob"]
    assert first["request_id"] == audit.shown_request_id("r/ann") != "r/ann"
    assert audit.shown_request_id("01890a5d-ac96-774b-bcce-b302099a8057") == "01890a5d-ac96-774b-bcce-b302099a8057"
    pseudonym = first["actor"]["id"]
    erased = await database.read(lambda c: audit.list_entries(c, resource_type="user", resource_id="bob"))
    assert [each["action"] for each in erased["data"]] == ["user.erase"]

    assert await database.write(lambda c: audit.forget(c, "ann"))
    await chain(database)

    assert (await database.read(lambda c: audit.list_entries(c, actor="ann")))["data"] == []
    kept = await database.read(lambda c: audit.list_entries(c, actor=pseudonym))
    assert [each["actor"] for each in kept["data"]] == [{"id": pseudonym, "user_id": None}] * 2
    assert "ann" not in "".join([line async for line in export(database)])
    assert (await audit_chain.verify(database)).fault is None
    # The same name later is another person.
    await add(database, "y")
    again = await database.read(lambda c: audit.list_entries(c, actor="ann"))
    assert len(again["data"]) == 1
    assert again["data"][0]["actor"] != {"id": pseudonym, "user_id": "ann"}


async def test_a_page_of_entries_is_filtered_and_followed_by_the_next(database: Database) -> None:
    await add(database, "a", "b", "c")
    await add(database, "a", actor="bob")

    def names(**filters: Any) -> Callable[[Connection], list[str | None]]:
        return lambda c: [each["resource_id"] for each in audit.list_entries(c, **filters)["data"]]

    assert await database.read(names()) == ["a", "c", "b", "a"]
    assert await database.read(names(actor="bob")) == ["a"]
    assert await database.read(names(resource_type="tool", resource_id="b")) == ["b"]
    assert await database.read(names(action="tool.delete")) == []
    page = await database.read(lambda c: audit.list_entries(c, limit=3))
    assert await database.read(names(limit=3, after=page["next"])) == ["a"]
    middle = page["data"][1]["created_at"]
    assert await database.read(names(since=middle)) == ["a", "c"]
    assert await database.read(names(until=middle)) == ["b", "a"]


async def test_an_entry_that_is_committed_late_is_in_the_next_batch(postgresql_url: str) -> None:
    database, slow = Database(postgresql_url), Database(postgresql_url)
    async with slow.transaction():
        await add(slow, "begun first", actor="slow")
        await add(database, "committed first", actor="quick")
        assert await chain(database) == 1
        assert await chain(database) == 0
    assert await chain(database) == 1

    found = await database.read(audit.list_entries)
    assert [(each["resource_id"], each["batch"]) for each in found["data"]] == [
        ("committed first", 1),
        ("begun first", 2),
    ]
    assert (await audit_chain.verify(database)).fault is None
    await database.close()
    await slow.close()


async def test_one_process_at_a_time_makes_a_link(database: Database, database_url: str) -> None:
    others = [Database(database_url) for _ in range(3)]
    await add(database, *map(str, range(30)))

    links = await asyncio.gather(*(each.write(lambda c: audit_chain.extend(c, every_s=60)) for each in others * 2))

    assert [link["entries"] for link in links if link is not None] == [30]
    assert (await audit_chain.verify(database)).head.number == 1
    for each in others:
        await each.close()


async def test_more_entries_than_a_batch_holds_are_due_at_once_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_chain, "BATCH_ENTRIES", 2)
    await add(database, "a", "b", "c", "d", "e")
    made = [await database.write(lambda c: audit_chain.extend(c, every_s=60)) for _ in range(4)]

    assert [link and link["entries"] for link in made] == [2, 2, 1, None]


async def test_one_salt_in_the_place_of_another_does_not_make_another_user(database: Database) -> None:
    await add(database, "a")
    await chain(database)
    await database.write(lambda c: c.execute(update(AuditPersonTable).values(user_id="bob")))

    found = await audit_chain.verify(database)

    assert found.fault is not None
    assert "stands for another user" in found.fault


def _third(values: dict[str, Any]) -> list[Any]:
    return [update(AuditEntryTable).where(AuditEntryTable.resource_id == "c").values(values)]


def _exchanged() -> list[Any]:
    of = AuditEntryTable.resource_id
    return [
        update(AuditEntryTable).where(of == "c").values(resource_id="tmp"),
        update(AuditEntryTable).where(of == "d").values(resource_id="c"),
        update(AuditEntryTable).where(of == "tmp").values(resource_id="d"),
    ]


def _inserted() -> list[Any]:
    row = {"id": "00000000-0000-7000-8000-000000000000", "created_at": "2026-01-01T00:00:00.000000Z", "count": 1}
    row |= {"action": "tool.create", "outcome": "done", "details": {}, "batch": 2}
    return [insert(AuditEntryTable).values(row)]


def _without(number: int) -> list[Any]:
    return [
        delete(AuditEntryTable).where(AuditEntryTable.batch == number),
        delete(AuditBatchTable).where(AuditBatchTable.number == number),
    ]


@pytest.mark.parametrize(
    "statements, fault",
    [
        (_exchanged(), "entries of batch 2 were changed"),
        (_third({"batch": 1}), "batch 1 was made of 2 entries and has 3"),
        (
            [delete(AuditEntryTable).where(AuditEntryTable.resource_id == "c")],
            "batch 2 was made of 2 entries and has 1",
        ),
        (_inserted(), "batch 2 was made of 2 entries and has 3"),
        (_without(2), "batch 2 is missing"),
        (
            [update(AuditBatchTable).where(AuditBatchTable.number == 2).values(previous="0" * 64)],
            "batch 2 does not follow",
        ),
        (
            [delete(AuditBatchTable).where(AuditBatchTable.number == 3)],
            "there are entries of batch 3, but no such batch",
        ),
    ],
    ids=["exchanged", "moved", "removed", "added", "link", "order", "tail"],
)
async def test_the_chain_names_the_first_batch_that_does_not_hold(
    sqlite_url: str, statements: list[Any], fault: str
) -> None:
    database = Database(sqlite_url)
    for pair in ("ab", "cd", "ef"):
        await add(database, *pair)
        await chain(database)
    assert (await audit_chain.verify(database)).fault is None
    await tamper(database, *statements)

    found = await audit_chain.verify(database)

    assert found.fault is not None
    assert found.fault.startswith(fault)
    await database.close()


async def test_a_change_of_any_value_is_found(sqlite_url: str) -> None:
    """Each column of entries and batches, one after the other. A new column that no hash covers fails."""
    database = Database(sqlite_url)
    for pair in ("ab", "cd", "ef"):
        await add(database, *pair)
        await chain(database)
    await tamper(database)
    missed = []
    for table, one in (
        (AuditEntryTable, AuditEntryTable.resource_id == "c"),
        (AuditBatchTable, AuditBatchTable.number == 2),
    ):
        for column in table.__table__.columns:
            before = (await read_all(database, select(column).where(one)))[0][column.name]
            found = {"details": {"a": 1}, "created_at": "2026-01-01T00:00:00.000000Z"}.get(column.name)
            changed = found or (before + 7 if isinstance(before, int) else f"{before}x")
            whole = await read_all(database, select(table.__table__))
            await tamper(database, update(table).where(one).values({column.key: changed}))
            if (await audit_chain.verify(database)).fault is None:
                missed.append(f"{table.__tablename__}.{column.name}")
            await tamper(database, delete(table), *(insert(table).values(row) for row in whole))
    assert missed == []
    assert (await audit_chain.verify(database)).fault is None
    await database.close()


async def test_a_head_that_was_noted_shows_a_cut_end_and_a_chain_that_was_made_anew(database: Database) -> None:
    for pair in ("ab", "cd", "ef"):
        await add(database, *pair)
        await chain(database)
    whole = await audit_chain.verify(database)
    assert whole == Verified(whole.head, 6, 0)
    await add(database, "g")

    await tamper(database, *_without(3))
    assert (await audit_chain.verify(database)).fault is None, "nothing in the database tells of it"
    cut = await audit_chain.verify(database, [whole.head])
    assert cut.fault == "the chain ends before batch 3, which there was"

    await chain(database)
    anew = await audit_chain.verify(database, [Head(3, whole.head.hash)])
    assert anew.fault == "batch 3 is not the one that was noted: the chain was made anew"


async def test_the_export_has_every_entry_once_and_what_its_hashes_are_made_of(database: Database) -> None:
    await add(database, "a", "b")
    await chain(database)
    await add(database, "c")

    lines = [json.loads(line) async for line in export(database)]

    assert [(each["type"], each.get("resource_id")) for each in lines] == [
        ("entry", "a"),
        ("entry", "b"),
        ("batch", None),
        ("entry", "c"),
    ]
    assert {each["actor_user_id"] for each in lines if each["type"] == "entry"} == {"ann"}
    link = lines[2]
    assert audit_chain.digest_of(lines[:2]) == link["digest"]
    assert audit_chain.link_hash(link) == link["hash"]


async def test_a_user_of_the_database_with_rights_on_rows_alone_adds_and_chains_and_changes_nothing(
    postgresql_url: str,
) -> None:
    owner = Database(postgresql_url)
    name = f"rows_{owner.url.database}"
    made = (
        f"CREATE ROLE {name} LOGIN",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {name}",
    )
    await owner.write(lambda c: [c.execute(text(statement)) for statement in made])
    service = Database(owner.url.set(username=name).render_as_string(hide_password=False))
    try:
        await add(service, "a")
        assert await chain(service) == 1
        for refused in (
            "SET session_replication_role = replica",
            "ALTER TABLE audit_entries DISABLE TRIGGER ALL",
            "DROP TRIGGER audit_entries_stay ON audit_entries",
            "TRUNCATE audit_entries",
            "DELETE FROM audit_entries",
            "UPDATE audit_batches SET hash = ''",
        ):
            with pytest.raises((DBAPIError, AIAgentsError)):
                await service.write(lambda c, refused=refused: c.execute(text(refused)))  # type: ignore[misc]
        assert (await audit_chain.verify(service)).covered == 1
    finally:
        await service.close()
        await owner.write(lambda c: [c.execute(text(f"{verb} {name}")) for verb in ("DROP OWNED BY", "DROP ROLE")])
        await owner.close()
