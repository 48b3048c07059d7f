"""What a run of an AG-UI client begins: a run of ours, the rest of one that waits, or a look at the conversation."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from ai_agents.core import json
from ai_agents.core.exceptions import Conflict, IdempotencyKeyReused, InvalidRequest
from ai_agents.core.rows import Message, Run
from ai_agents.core.types import JsonObject
from ai_agents.runner.sending import MessageOptions
from ai_agents.store import pages, runs, thread_log
from ai_agents.store.foreign_ids import OtherAgent
from ai_agents.store.messages import find_answer_before, list_messages
from ai_agents.store.pages import MAX_SEQ
from ai_agents.streams.cursor import parse_event_id
from app.authentication import StreamRight
from app.container import Container
from app.doors import messages
from app.doors.ag_ui.history import OWN_ID, to_messages
from app.doors.ag_ui.reading import Ask, read_ask
from app.doors.ag_ui.schemas import RunAgentInput
from app.doors.answers import answer_all, find_waiting
from app.doors.begun import Begun, find_begun
from app.doors.files import FileKeeper
from app.doors.threads import find_thread, instructions_of, require_agent, thread_for
from app.services.identity import Principal, see_thread
from app.services.repeats import SentKey

DOOR = "ag-ui"
# Of a conversation's end, what a client is shown that does not have it.
MOST_SHOWN = 1_000


@dataclass(frozen=True, slots=True)
class Opened:
    """What the client sees: which run (None: none), and the `messages` before it. `shows` says to tell of these."""

    begun: Begun | None
    messages: Sequence[JsonObject]
    shows: bool


@dataclass(frozen=True, slots=True)
class _Request:
    """A request for a run of this agent, what it asks for, and by what it is known again."""

    user: Principal
    agent_id: str
    body: RunAgentInput
    ask: Ask
    sent: SentKey


async def open_run(container: Container, user: Principal, agent_id: str, body: RunAgentInput) -> Opened:
    """Begin what the client asks for, or find what it has begun.

    Raises `AgentNotFound`, `OtherAgent`, `InvalidRequest`, `Conflict` for answers to calls that do not wait, and what
    `AgentRunner.start` raises.
    """
    ask = read_ask(body)
    request = _Request(user, agent_id, body, ask, SentKey(_key(agent_id, body), ask.fingerprint))
    try:
        if (repeated := await find_begun(container, user, request.sent)) is not None:
            return await _shown(container, repeated)
    except IdempotencyKeyReused:
        # A client that lost the stream may have a part of the answer among its messages.
        if ask.parts or ask.answers.decisions:
            raise
    if not ask.parts:
        return await _go_on(container, request)
    if ask.answers.decisions:
        raise InvalidRequest("Answer what waits first, and send the new message with the next run.", loc=("messages",))
    begun = await _start(container, request)
    if begun.started is not None and begun.started.replayed:
        return await _shown(container, begun)
    return await _with_copy(container, begun, body)


def _key(agent_id: str, body: RunAgentInput) -> str:
    """By what a run of the client is known again. No key of a client of our own routes has a space in it."""
    names = json.dumps([agent_id, body.thread_id, body.run_id])
    return f"ag-ui {hashlib.sha256(names.encode()).hexdigest()}"


def _own_copy(body: RunAgentInput) -> list[JsonObject]:
    return [each.model_dump(by_alias=True, exclude_none=True) for each in body.messages]


# A new message.


async def _start(container: Container, request: _Request) -> Begun:
    user, ask = request.user, request.ask
    said, instructions = await instructions_of(container, user, request.agent_id, ask.instructions)
    options: MessageOptions = {"overrides": None if instructions is None else {"instructions": instructions}}
    if ask.message_id:
        options["metadata"] = {OWN_ID: ask.message_id}
    if ask.tools:
        options["client_tools"] = ask.tools
    async with FileKeeper(container, user) as keeper:
        thread_id = await thread_for(container, user, DOOR, request.body.thread_id, request.agent_id)
        started = await messages.start(
            container,
            user,
            thread_id,
            [*said, *await keeper.keep(ask.parts)],
            sent=request.sent,
            follow=True,
            right=StreamRight(container, user, thread_id),
            **options,
        )
    return Begun(started.run, started=started)


async def _with_copy(container: Container, begun: Begun, body: RunAgentInput) -> Opened:
    """With what the client has, unless it lacks the last answer: then with what there is."""
    message = None if begun.started is None else begun.started.user_message
    seq = message["seq"] if message is not None else None
    thread_id = begun.run["thread_id"]
    last = await container.conn.database.read(lambda c: find_answer_before(c, thread_id, seq or MAX_SEQ))
    if last is None or any(each.id == last for each in body.messages):
        return Opened(begun, _own_copy(body), shows=False)
    return await _shown(container, begun)


# Answers to calls that wait.


async def _go_on(container: Container, request: _Request) -> Opened:
    """Answer what waits in the conversation, or look at it."""
    await require_agent(container, request.user, request.agent_id)
    thread_id = await _find_thread(container, request)
    waiting = None if thread_id is None else await find_waiting(container, thread_id)
    answers = request.ask.answers
    if waiting is not None and waiting.is_answered_by(answers):
        begun = await answer_all(container, request.user, waiting, answers, sent=request.sent, loc=("resume",))
        # A result belongs to a call that the stream has told of: the history does.
        return await _shown(container, begun)
    if answers.decisions:
        raise Conflict("No call with this id waits for an answer.")
    return Opened(None, [], shows=True) if thread_id is None else await _look(container, thread_id)


async def _find_thread(container: Container, request: _Request) -> str | None:
    place = await find_thread(container, request.user, DOOR, request.body.thread_id)
    if place is None:
        return None
    await see_thread(container, request.user, place.thread_id)
    if place.agent_id != request.agent_id:
        raise OtherAgent
    return place.thread_id


# What there is.


async def _look(container: Container, thread_id: str) -> Opened:
    """The conversation as it is; where a run is under way or waits, from the last wait that is over."""

    def find(connection: Connection) -> tuple[Run | None, str | None, list[Message]]:
        row = runs.find_active(connection, thread_id)
        if row is None:
            return None, None, _history(connection, thread_id, None)
        run = runs.to_public(row)
        over = thread_log.waits_of_run(connection, run["id"])
        if run["status"] == "waiting":
            over = over[:-1]
        after = f"{over[-1]}-0" if over else None
        return run, after, _history(connection, run, after)

    run, after, shown = await container.conn.database.read(find, long=True)
    begun = None if run is None else Begun(run, after=after)
    return Opened(begun, to_messages(shown), shows=True)


async def _shown(container: Container, begun: Begun) -> Opened:
    shown = await container.conn.database.read(lambda c: _history(c, begun.run, begun.after), long=True)
    return Opened(begun, to_messages(shown), shows=True)


def _history(connection: Connection, of: Run | str, after: str | None) -> list[Message]:
    """The last messages of a thread (by its id), or before what is shown of a run: its events `after` this one."""
    if isinstance(of, str):
        found = list_messages(connection, of, limit=MOST_SHOWN, order="desc")
    else:
        end = parse_event_id(after)[0] if after else thread_log.first_of_run(connection, of["thread_id"], of["id"])
        before = None if not end else pages.encode_cursor(end + 1)
        found = list_messages(connection, of["thread_id"], limit=MOST_SHOWN, after=before, order="desc")
    return list(reversed(found["data"]))
