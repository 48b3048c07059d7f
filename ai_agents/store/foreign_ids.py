"""Foreign ids: what clients of other protocols call a thread, kept for (user, door, id)."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from sqlalchemy import Connection, Table, and_, bindparam, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from ai_agents.core.exceptions import Conflict
from ai_agents.core.ids import utc_now
from ai_agents.core.types import JsonObject
from ai_agents.store.door_tables import ForeignIdTable

_IDS = cast(Table, ForeignIdTable.__table__)
_IS = and_(
    _IDS.c.user_id == bindparam("b_user"), _IDS.c.door == bindparam("b_door"), _IDS.c.digest == bindparam("b_digest")
)
_FIND = select(_IDS.c.agent_id, _IDS.c.thread_id, _IDS.c.facts).where(_IS)


class OtherAgent(Conflict):
    """This conversation is with another agent."""


@dataclass(frozen=True, slots=True)
class ForeignId:
    """A client's own id of a conversation, any text: a user's, at one door."""

    user_id: str
    door: str
    text: str

    @property
    def digest(self) -> str:
        """64 hex digits."""
        return hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of a foreign id: its agent and its thread, once there are any, and what was said of it before."""

    agent_id: str | None
    thread_id: str | None
    facts: JsonObject | None = None


def find(connection: Connection, foreign_id: ForeignId) -> Found | None:
    """What is known of the id; None for one that is new."""
    row = connection.execute(_FIND, _key(foreign_id)).one_or_none()
    return None if row is None else Found(row.agent_id, row.thread_id, row.facts)


def hold(connection: Connection, foreign_id: ForeignId) -> Found:
    """What is known of the id, which is kept from now on. Others that hold it wait until this transaction ends."""
    into = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    key = {"user_id": foreign_id.user_id, "door": foreign_id.door, "digest": foreign_id.digest}
    statement = into(_IDS).values({**key, "created_at": utc_now()})
    # Changes nothing, but waits for a transaction with the same id, locks its row and returns it.
    held = statement.on_conflict_do_update(index_elements=list(key), set_={"door": statement.excluded.door})
    row = connection.execute(held.returning(_IDS.c.agent_id, _IDS.c.thread_id, _IDS.c.facts)).one()
    return Found(row.agent_id, row.thread_id, row.facts)


def thread_of(connection: Connection, foreign_id: ForeignId, agent_id: str, make: Callable[[], str]) -> str:
    """The thread that the id stands for. Where there is none yet, `make` makes one with the agent, and returns its id.

    Two requests with the same id make one thread. Raises `OtherAgent` for an id that is known for another agent.
    """
    found = hold(connection, foreign_id)
    if found.agent_id not in (None, agent_id):
        raise OtherAgent
    if found.thread_id is not None:
        return found.thread_id
    thread_id = make()
    named = update(_IDS).where(_IS).values(agent_id=agent_id, thread_id=thread_id)
    connection.execute(named, _key(foreign_id))
    return thread_id


def note(connection: Connection, foreign_id: ForeignId, facts: JsonObject) -> None:
    """Keep the id, and what its client says of it before there is a thread, in the place of what was said earlier."""
    hold(connection, foreign_id)
    connection.execute(update(_IDS).where(_IS).values(facts=facts), _key(foreign_id))


def count_without_thread(connection: Connection, user_id: str, door: str) -> int:
    """How many ids of the user at this door have no thread."""
    mine = (_IDS.c.user_id == user_id, _IDS.c.door == door, _IDS.c.thread_id.is_(None))
    return connection.scalar(select(func.count()).select_from(_IDS).where(*mine)) or 0


def forget(connection: Connection, foreign_id: ForeignId) -> None:
    """Forget the id. Its thread stays."""
    connection.execute(delete(_IDS).where(_IS), _key(foreign_id))


def _key(foreign_id: ForeignId) -> dict[str, str]:
    return {"b_user": foreign_id.user_id, "b_door": foreign_id.door, "b_digest": foreign_id.digest}
