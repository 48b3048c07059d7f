"""How the statements of runs find their rows."""

from typing import Any, cast

from sqlalchemy import Connection, event, insert, text

from ai_agents.core.ids import new_id, utc_now
from ai_agents.core.table_rows import RunRow
from ai_agents.store import runs, thread_access
from ai_agents.store.agents import UncheckedAgents
from ai_agents.store.database import Database
from ai_agents.store.models import RunTable
from ai_agents.store.threads import ThreadStore


async def test_a_turn_looks_at_no_runs_of_others_that_are_under_way(
    postgresql_url: str,
) -> None:
    """Partial indexes of the runs under way are small, so a planner takes them for more than they are made for."""
    database = Database(postgresql_url)
    agent_id = (await UncheckedAgents(database).create("assistant"))["id"]
    thread_id = (await ThreadStore(database).create(agent_id))["id"]
    new = {"agent_id": agent_id, "agent_version": 1, "user_id": "ann", "attempt": 1, "user_message_id": "", "fence": 1}
    new |= {"cancel_requested": False, "created_at": utc_now(), "thread_id": thread_id, "status": "completed"}
    begun: dict[str, Any] = {**dict.fromkeys(RunTable.__table__.c.keys()), **new, "id": new_id()}
    own = runs.owned_run(cast("RunRow", begun), reset_seq=0)

    def fill(connection: Connection) -> None:
        connection.execute(insert(RunTable), [{**new, "id": new_id()} for _ in range(500)])
        connection.execute(text("ANALYZE runs"))

    def plans(connection: Connection) -> list[str]:
        seen: list[tuple[str, Any]] = []
        event.listen(connection, "before_cursor_execute", lambda _c, _k, sql, values, *_: seen.append((sql, values)))
        runs.update_unless_steered(connection, own, {"status": "completed"})
        runs.update_unowned(connection, own.id, ("queued",), {"status": "running"})
        thread_access.find_thread_roles(connection, "ann", thread_id)
        return [
            "\n".join(row[0] for row in connection.exec_driver_sql(f"EXPLAIN {sql}", values))
            for sql, values in seen.copy()
        ]

    await database.write(fill)
    ending, starting, admitting = await database.read(plans)
    assert "pk_runs" in ending
    assert "pk_runs" in starting
    assert "ix_runs_queue" in admitting
    assert not [each for each in (ending, starting, admitting) if "ix_runs_at_once" in each or "ix_runs_held" in each]
    await database.close()
