"""Where a message is said: in the thread of a conversation or of a previous response, in a fork of it, in a new one."""

from dataclasses import dataclass

from sqlalchemy import Connection

from ai_agents.core.exceptions import InvalidRequest, NotFound, ThreadNotFound
from ai_agents.store import messages
from ai_agents.store import threads as stored_threads
from ai_agents.store.foreign_ids import OtherAgent
from app.container import Container
from app.doors.responses.call import Input
from app.doors.responses.ids import parse_conversation_id
from app.doors.responses.reading import StoredResponse
from app.doors.threads import require_agent
from app.services import threads
from app.services.identity import Principal, see_thread


class ConversationNotFound(NotFound):
    """There is no such conversation."""


@dataclass(frozen=True, slots=True)
class Place:
    """A thread, and its agent. `is_new`: it was made for this message."""

    thread_id: str
    agent_id: str
    is_new: bool = False


async def find_place(
    container: Container,
    user: Principal,
    said: Input,
    *,
    previous: StoredResponse | None,
    conversation: str | None,
    agent_id: str | None,
) -> Place:
    """Where the new message is said. Raises `ConversationNotFound`, `OtherAgent`, and what making a thread raises."""
    if not said.parts:
        raise InvalidRequest("The input ends with a message of the user, or with answers to calls.", loc=("input",))
    if previous is not None:
        place = await _after_response(container, user, previous)
    elif conversation is not None:
        place = await _in_conversation(container, user, conversation)
    elif agent_id is None:
        raise InvalidRequest("Name an agent.", loc=("model",))
    else:
        return await _new_thread(container, user, agent_id)
    if agent_id not in (None, place.agent_id):
        raise OtherAgent
    return place


async def _in_conversation(container: Container, user: Principal, conversation: str) -> Place:
    thread_id = parse_conversation_id(conversation)
    if thread_id is None:
        raise ConversationNotFound
    try:
        seen = await see_thread(container, user, thread_id)
    except ThreadNotFound:
        raise ConversationNotFound from None
    return Place(thread_id, seen.agent_id)


async def _new_thread(container: Container, user: Principal, agent_id: str) -> Place:
    await require_agent(container, user, agent_id)
    limits = container.limits.of(user.user_id, is_admin=user.is_admin)
    async with container.user_locks.hold(user.user_id):
        thread = await container.conn.database.write(
            lambda c: stored_threads.create_thread(c, agent_id, owner_id=user.user_id, limits=limits)
        )
    return Place(thread["id"], agent_id, is_new=True)


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
        last_seq = previous.rows[-1].seq
        newest = messages.list_messages(connection, run["thread_id"], limit=1, order="desc")["data"]
        if newest and (newest[0]["seq"] or 0) > last_seq:
            return messages.find_last_of_run(connection, run["id"], through_seq=last_seq)
        return None

    if (end := await container.conn.database.read(find_end)) is None:
        return Place(run["thread_id"], run["agent_id"])
    forked = await threads.fork_thread(container, user, seen, end)
    return Place(forked["id"], forked["agent_id"], is_new=True)
