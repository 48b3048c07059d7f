"""The limits that admins set for single users."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from ai_agents.core.limits import OwnLimits
from ai_agents.store.clock import database_now
from ai_agents.store.user_tables import UserLimitsTable


@dataclass(frozen=True, slots=True)
class ChangedLimits:
    """Limits by user, and the time of the newest change among them (of the database's clock)."""

    users: Mapping[str, OwnLimits]
    newest: float


def set_limits(connection: Connection, user_id: str, limits: OwnLimits) -> None:
    """Let these be the limits of this user, in place of all that were set before."""
    into = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = into(UserLimitsTable).values(
        user_id=user_id, limits=dict(limits), changed_at=database_now(connection.dialect.name)
    )
    newer = {name: statement.excluded[name] for name in ("limits", "changed_at")}
    connection.execute(statement.on_conflict_do_update(index_elements=["user_id"], set_=newer))


def find_limits(connection: Connection, user_id: str) -> OwnLimits:
    """What was set for this user; empty where nothing was."""
    found = connection.scalar(select(UserLimitsTable.limits).where(UserLimitsTable.user_id == user_id))
    return cast("OwnLimits", found or {})


def list_changed(connection: Connection, since: float) -> ChangedLimits:
    """What was set after `since`."""
    table = UserLimitsTable
    found = connection.execute(select(table.user_id, table.limits, table.changed_at).where(table.changed_at > since))
    rows = found.all()
    return ChangedLimits(
        {row.user_id: row.limits for row in rows}, max((row.changed_at for row in rows), default=since)
    )
