"""Prepared statements give the same results as SQLAlchemy's own way, on both databases."""

from typing import Any

import pytest
from sqlalchemy import Connection, bindparam, event, insert, select, text, update

from ai_agents.core.exceptions import DatabaseUnavailable, InvalidRequest
from ai_agents.core.ids import new_id, utc_now
from ai_agents.store.database import Database
from ai_agents.store.models import AgentTable, AgentVersionTable
from ai_agents.store.statements import prepared, prepared_insert, send_together, together

_FIND = select(AgentTable).where(AgentTable.id == bindparam("agent_id"))
_RENAME = (
    update(AgentTable)
    .where(AgentTable.id == bindparam("agent_id"), AgentTable.deleted_at.is_(None))
    .values(name=bindparam("new_name"))
    .returning(AgentTable.id, AgentTable.name, AgentTable.created_at)
)
_OF_TWO_NAMES = (
    select(AgentTable.name).where(AgentTable.name.in_([bindparam("one"), bindparam("other")])).order_by(AgentTable.name)
)


def _agent(name: str) -> dict[str, Any]:
    now = utc_now()
    times = {"created_at": now, "updated_at": now, "deleted_at": None}
    return {"id": new_id(), "name": name, "version": 1, "spec": {"b": [1.5, None, "ü"], "a": {}}, **times}


@pytest.mark.parametrize(
    "prepare,insertion",
    [(prepared, prepared_insert(AgentTable)), (lambda statement: statement, insert(AgentTable))],
    ids=["prepared", "plain"],
)
async def test_prepared_statements_give_the_same_rows(database: Database, prepare: Any, insertion: Any) -> None:
    one, other = _agent("one"), _agent("other")
    del other["deleted_at"]

    def work(connection: Connection) -> tuple[Any, ...]:
        connection.execute(insertion, one)
        connection.execute(insertion, other)
        connection.execute(insertion, [_agent("third"), _agent("fourth")])
        renamed = connection.execute(prepare(_RENAME), {"agent_id": other["id"], "new_name": "zwei"}).one()
        none = connection.execute(prepare(_RENAME), {"agent_id": new_id(), "new_name": "x"}).one_or_none()
        names = connection.execute(prepare(_OF_TWO_NAMES), {"one": "one", "other": "zwei"}).scalars().all()
        return renamed, none, names, connection.execute(prepare(_FIND), {"agent_id": one["id"]}).mappings().one()

    renamed, none, names, found = await database.write(work)
    assert (renamed.id, renamed.name, renamed.created_at) == (other["id"], "zwei", other["created_at"])
    assert none is None
    assert names == ["one", "zwei"]
    assert dict(found) == one
    assert list(found["spec"]) == ["b", "a"]


async def test_a_prepared_statement_is_part_of_the_transaction(database: Database) -> None:
    statement = prepared_insert(AgentTable)
    agent = _agent("never")

    def work(connection: Connection) -> None:
        connection.execute(statement, agent)
        raise InvalidRequest

    with pytest.raises(InvalidRequest):
        await database.write(work)
    assert await database.read(lambda c: c.execute(_FIND, {"agent_id": agent["id"]}).one_or_none()) is None


async def test_an_error_of_the_driver_is_raised_as_the_librarys(database: Database) -> None:
    statement = prepared_insert(AgentTable)
    agent = _agent("twice")
    await database.write(lambda c: c.execute(statement, agent))
    with pytest.raises(Exception, match=r"(?i)unique") as raised:
        await database.write(lambda c: c.execute(statement, agent))
    assert type(raised.value).__module__ == "sqlalchemy.exc"
    with pytest.raises(InvalidRequest):
        await database.write(lambda c: c.execute(statement, _agent("\ud800")))
    await database.ping()


async def test_listeners_to_statements_hear_of_it(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    heard: list[str] = []

    def work(connection: Connection) -> None:
        event.listen(connection, "before_cursor_execute", lambda _c, _cursor, sql, *_: heard.append(sql))
        connection.execute(prepared(_FIND), {"agent_id": "x"})

    await database.read(work)
    await database.close()
    assert len(heard) == 1
    assert heard[0].startswith("SELECT")


async def test_a_list_of_values_that_grows_with_its_parameter_is_refused(database: Database) -> None:
    statement = prepared(select(AgentTable.id).where(AgentTable.name.in_(["a", "b"])))
    with pytest.raises(ValueError, match="literal"):
        await database.read(lambda c: c.execute(statement))


async def test_inserts_that_go_together_are_one_statement_on_postgresql(database: Database) -> None:
    agents, versions = prepared_insert(AgentTable), prepared_insert(AgentVersionTable)
    one, other, third = _agent("one"), _agent("other"), _agent("third")

    def version_of(agent: dict[str, Any]) -> dict[str, Any]:
        return {"agent_id": agent["id"], "version": 1, "spec": agent["spec"], "created_at": agent["created_at"]}

    def work(connection: Connection) -> list[str]:
        with together(connection):
            connection.execute(agents, [one, other])
            connection.execute(versions, version_of(one))
            # What reads sees them.
            assert connection.execute(prepared(_FIND), {"agent_id": other["id"]}).mappings().one() == other
            connection.execute(agents, third)
            send_together(connection)
            connection.execute(_RENAME, {"agent_id": third["id"], "new_name": "drei"})
            connection.execute(versions, version_of(third))
        return list(connection.execute(select(AgentTable.name).order_by(AgentTable.name)).scalars())

    assert await database.write(work) == ["drei", "one", "other"]
    found = await database.read(lambda c: c.execute(select(AgentVersionTable)).mappings().all())
    expected = [{**version_of(agent), "counted_for": None} for agent in (one, third)]
    assert sorted(map(dict, found), key=lambda row: row["agent_id"]) == expected
    if database.dialect == "postgresql":
        # The number of the statement that wrote a row, within its transaction.
        numbered = text("SELECT name, cmin::text FROM agents UNION ALL SELECT agent_id, cmin::text FROM agent_versions")
        numbers = dict(await database.read(lambda c: [tuple(row) for row in c.execute(numbered)]))
        assert numbers["one"] == numbers["other"] == numbers[one["id"]]
        assert len(set(numbers.values())) == 3


async def test_a_value_that_cannot_be_stored_is_refused_among_inserts_that_go_together(database: Database) -> None:
    agents = prepared_insert(AgentTable)

    def work(connection: Connection) -> None:
        with together(connection):
            connection.execute(agents, _agent("one"))
            connection.execute(agents, {**_agent("two"), "spec": {"no": object()}})

    with pytest.raises(InvalidRequest):
        await database.write(work)
    await database.write(lambda c: c.execute(agents, _agent("three")))
    names = await database.read(lambda c: c.execute(select(AgentTable.name)).scalars().all())
    assert names == ["three"]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_connection_that_is_lost_among_inserts_that_go_together_is_said_to_be_lost(database: Database) -> None:
    agents = prepared_insert(AgentTable)

    def work(connection: Connection) -> None:
        with together(connection):
            connection.execute(agents, _agent("one"))
            connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    with pytest.raises(DatabaseUnavailable):
        await database.write(work)
    await database.write(lambda c: c.execute(agents, _agent("two")))
    assert await database.read(lambda c: c.execute(select(AgentTable.name)).scalars().all()) == ["two"]
