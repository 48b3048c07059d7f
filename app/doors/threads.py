"""Which thread the client of a door means."""

from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import Connection

from ai_agents.core.exceptions import ThreadNotFound
from ai_agents.core.ids import is_id
from ai_agents.store import foreign_ids, threads
from ai_agents.store.foreign_ids import ForeignId, OtherAgent
from app.container import Container
from app.services.identity import Principal, note_admin, see_thread


@dataclass(frozen=True, slots=True)
class Place:
    """A thread, and its agent."""

    thread_id: str
    agent_id: str


async def find_thread(container: Container, user: Principal, door: str, foreign_id: str) -> Place | None:
    """The thread that the user means by this id at this door: one that they see, or one that is known under it.

    None where there is none (yet). A thread that the user may not see is none. Whether the user may (still) see a
    known one is asked where something is done with it.
    """
    if is_id(foreign_id):
        with suppress(ThreadNotFound):
            seen = await see_thread(container, user, foreign_id)
            return Place(seen.thread_id, seen.agent_id)
    key = ForeignId(user.user_id, door, foreign_id)
    found = await container.conn.database.read(lambda c: foreign_ids.find(c, key))
    if found is None or found.thread_id is None or found.agent_id is None:
        return None
    return Place(found.thread_id, found.agent_id)


async def thread_for(container: Container, user: Principal, door: str, foreign_id: str, agent_id: str) -> str:
    """The id of the thread that the user means by this id at this door; a new one with the agent where there is none.

    Two first requests with the same id make one thread. Raises `OtherAgent` for a thread of another agent,
    `AgentNotFound`, `QuotaExceeded`.
    """
    known = await find_thread(container, user, door, foreign_id)
    if known is not None:
        if known.agent_id != agent_id:
            raise OtherAgent
        return known.thread_id
    await require_agent(container, user, agent_id)
    limits = container.limits.of(user.user_id, is_admin=user.is_admin)
    key = ForeignId(user.user_id, door, foreign_id)

    def make(connection: Connection) -> str:
        return threads.create_thread(connection, agent_id, owner_id=user.user_id, limits=limits)["id"]

    async with container.user_locks.hold(user.user_id):
        return await container.conn.database.write(lambda c: foreign_ids.thread_of(c, key, agent_id, lambda: make(c)))


async def require_agent(container: Container, user: Principal, agent_id: str) -> None:
    """Raises `AgentNotFound` unless the user may talk to the agent."""
    role = await container.auth.agent_access(user.user_id, agent_id, "start_thread", **user.reach)
    if role is None:
        await note_admin(container, user, "agent", agent_id)
