"""Where a message is said: in the thread of a conversation or of a previous response, in a fork of it, in a new one."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from ai_agents.core.exceptions import InvalidRequest
from ai_agents.store import foreign_ids, messages
from ai_agents.store import threads as stored_threads
from ai_agents.store.foreign_ids import OtherAgent
from ai_agents.store.pages import MAX_SEQ
from app.container import Container
from app.doors.responses.conversations import Conversation, add_messages, find_conversation, key_of
from app.doors.responses.reading import StoredResponse
from app.doors.threads import PastMessage, judge_history, make_thread, require_agent
from app.services import threads
from app.services.identity import Principal, see_thread


@dataclass(frozen=True, slots=True)
class Place:
    """A thread, and its agent. `is_new`: it was made for this message."""

    thread_id: str
    agent_id: str
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request says of its place: a previous response or a conversation, an agent, and what was said before."""

    previous: StoredResponse | None
    conversation: str | None
    agent_id: str | None
    history: Sequence[PastMessage] = ()
    expires_at: str | None = None


async def find_place(container: Container, user: Principal, asked: Asked) -> Place:
    """Where the new message is said; there the history stands.

    Raises `ConversationNotFound`, `OtherAgent`, `ThreadBusy`, and what making a thread raises.
    """
    if asked.previous is not None:
        place = await _after_response(container, user, asked.previous)
    elif asked.conversation is not None:
        found = await find_conversation(container, user, asked.conversation)
        if found.seen is None:
            return await _begin_conversation(container, user, found, asked)
        place = Place(found.thread_id, found.seen.agent_id)
    else:
        agent_id = _agent_of(asked)
        thread_id = await make_thread(container, user, agent_id, asked.history, expires_at=asked.expires_at)
        return Place(thread_id, agent_id, is_new=True)
    if asked.agent_id not in (None, place.agent_id):
        raise OtherAgent
    if asked.history:
        seen = await see_thread(container, user, place.thread_id)
        await add_messages(container, user, seen, asked.history)
    return place


def _agent_of(asked: Asked) -> str:
    if asked.agent_id is None:
        raise InvalidRequest("Name an agent.", loc=("model",))
    return asked.agent_id


async def _begin_conversation(container: Container, user: Principal, found: Conversation, asked: Asked) -> Place:
    """Give a conversation its thread, under the conversation's id."""
    agent_id = _agent_of(asked)
    await require_agent(container, user, agent_id)
    judged = await judge_history(container, user, agent_id, [*found.history(), *asked.history])
    limits = container.limits.of(user.user_id, is_admin=user.is_admin)
    key = key_of(user, found.thread_id)

    def make(connection: Connection) -> str:
        # Of two first responses at once, one makes the thread.
        foreign_ids.hold(connection, key)
        foreign_ids.forget(connection, key)
        if (other := stored_threads.find_agent_id(connection, found.thread_id)) is not None:
            return other
        stored_threads.create_thread(
            connection,
            agent_id,
            metadata=found.metadata,
            messages=judged.messages,
            known_files=judged.files,
            owner_id=user.user_id,
            limits=limits,
            thread_id=found.thread_id,
        )
        judged.record(connection, found.thread_id)
        return agent_id

    async with container.user_locks.hold(user.user_id):
        if await container.conn.database.write(make, long=True) != agent_id:
            raise OtherAgent
    return Place(found.thread_id, agent_id)


async def _after_response(container: Container, user: Principal, previous: StoredResponse) -> Place:
    """In the thread of the response where it is the last, else in a fork that ends with it.

    Raises `PermissionDenied`, `AgentDeleted`, `QuotaExceeded`.
    """
    run = previous.run
    seen = await see_thread(container, user, run["thread_id"])

    def find_end(connection: Connection) -> str | None:
        """The last message of the response; None where no message of the thread is later."""
        if not previous.is_whole:
            return None  # the thread is busy
        newest = messages.list_messages(connection, run["thread_id"], limit=1, order="desc")["data"]
        if previous.trimmed is not None:
            # It is told no longer where in its run it ended: it ends with the run.
            end = messages.find_last_of_run(connection, run["id"], through_seq=MAX_SEQ)
            return end if newest and newest[0]["id"] != end else None
        last_seq = previous.rows[-1].seq
        if newest and (newest[0]["seq"] or 0) > last_seq:
            return messages.find_last_of_run(connection, run["id"], through_seq=last_seq)
        return None

    if (end := await container.conn.database.read(find_end)) is None:
        return Place(run["thread_id"], run["agent_id"])
    forked = await threads.fork_thread(container, user, seen, end)
    return Place(forked["id"], forked["agent_id"], is_new=True)
