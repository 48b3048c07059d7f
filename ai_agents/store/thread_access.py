"""What decides about a thread, read in one statement: the roles of a user, the agent, and the runs under way."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, ScalarSelect, and_, bindparam, func, literal_column, or_, select

from ai_agents.core.types import RoleName
from ai_agents.store.models import AgentTable, RunTable, ThreadTable
from ai_agents.store.ranks import best_rank, of_rank
from ai_agents.store.statements import prepared


@dataclass(frozen=True, slots=True)
class ThreadAccess:
    """A user's roles on a thread and on its agent, and the agent as it is now.

    `active_run_id` is the thread's run that is running, waiting for a person, or held until a process has room for it.
    `runs_at_once` are all runs of the user that are running or held, where they were asked for.
    """

    thread_id: str
    agent_id: str
    agent_version: int
    agent_deleted: bool
    thread_role: RoleName | None
    agent_role: RoleName | None
    active_run_id: str | None = None
    runs_at_once: int = 0


# Literals, as in the partial indexes. The second query is made only where the first finds nothing.
_ACTIVE_RUN = func.coalesce(
    select(RunTable.id)
    .where(
        RunTable.thread_id == ThreadTable.id,
        RunTable.status.in_((literal_column("'running'"), literal_column("'waiting'"))),
    )
    .scalar_subquery(),
    select(RunTable.id)
    .where(
        RunTable.thread_id == ThreadTable.id,
        RunTable.status == literal_column("'queued'"),
        # None is below 0. With `=`, PostgreSQL would look through all runs under way, in the index `ix_runs_at_once`.
        RunTable.queue_position <= literal_column("0"),
    )
    .scalar_subquery(),
)
# As in the partial index.
_AT_ONCE = or_(
    RunTable.status == literal_column("'running'"),
    and_(RunTable.status == literal_column("'queued'"), RunTable.queue_position == literal_column("0")),
)


def runs_at_once(user_id: ColumnElement[str]) -> ScalarSelect[int]:
    """How many of the user's runs are running, or held until a process has room for them."""
    return select(func.count()).select_from(RunTable).where(RunTable.user_id == user_id, _AT_ONCE).scalar_subquery()


_ACCESS = (
    select(
        ThreadTable.agent_id,
        AgentTable.version,
        AgentTable.deleted_at.is_not(None).label("agent_deleted"),
        best_rank("thread", ThreadTable.id).label("thread_rank"),
        best_rank("agent", ThreadTable.agent_id).label("agent_rank"),
        _ACTIVE_RUN.label("active_run_id"),
    )
    .join(AgentTable, AgentTable.id == ThreadTable.agent_id)
    .where(ThreadTable.id == bindparam("thread_id"))
)
_THREAD_ROLES = prepared(_ACCESS.add_columns(literal_column("0").label("runs_at_once")))
_THREAD_ROLES_AND_RUNS = prepared(_ACCESS.add_columns(runs_at_once(bindparam("user_id")).label("runs_at_once")))


def find_thread_roles(
    connection: Connection, user_id: str, thread_id: str, *, count_runs: bool = False
) -> ThreadAccess | None:
    """All that decides what a user may do with a thread, in one statement; None if there is no such thread.

    With `count_runs`, the user's runs that are under way are counted in it.
    """
    statement = _THREAD_ROLES_AND_RUNS if count_runs else _THREAD_ROLES
    row = connection.execute(statement, {"user_id": user_id, "thread_id": thread_id}).one_or_none()
    if row is None:
        return None
    return ThreadAccess(
        thread_id=thread_id,
        agent_id=row.agent_id,
        agent_version=row.version,
        agent_deleted=row.agent_deleted,
        thread_role=of_rank(row.thread_rank),
        agent_role=of_rank(row.agent_rank),
        active_run_id=row.active_run_id,
        runs_at_once=row.runs_at_once,
    )


def count_runs_at_once(connection: Connection, user_id: str) -> int:
    """The user's runs that are running, or held until a process has room for them."""
    return int(connection.scalar(select(runs_at_once(bindparam("user_id"))), {"user_id": user_id}) or 0)
