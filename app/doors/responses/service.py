"""Responses: beginning one, going on with a run that waits for its client, and what is done with one later."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from sqlalchemy import Connection

from ai_agents.auth.roles import can, may_on_thread
from ai_agents.core.exceptions import AIAgentsError, Conflict, InvalidRequest, PermissionDenied, ThreadNotFound
from ai_agents.core.rows import Run, RunOverrides
from ai_agents.core.table_rows import RunKey
from ai_agents.core.types import FilePart, JsonObject, TextPart
from ai_agents.runner.outcomes import Started
from ai_agents.store import audit, idempotency, runs, threads
from ai_agents.store.thread_access import ThreadAccess
from ai_agents.streams.reader import StreamReader
from ai_agents.streams.rights import ReadRight
from app.authentication import StreamRight
from app.container import Container
from app.doors import messages
from app.doors.answers import Answers, Decided, find_waiting, give, require_all
from app.doors.files import FileKeeper
from app.doors.history import keep_history
from app.doors.openai_errors import schema_named_at
from app.doors.openai_models import find_agent
from app.doors.responses.call import Input, Overrides, conversation_of, read_input, read_overrides, to_asked
from app.doors.responses.conversation_items import ItemNotFound, find_message_of
from app.doors.responses.conversations import ConversationNotFound
from app.doors.responses.ids import ResponseId, approved_call_id, parse_conversation_id, parse_response_id
from app.doors.responses.places import Asked, Place, find_place
from app.doors.responses.reading import (
    ASKED,
    ResponseNotFound,
    StoredResponse,
    hide_response,
    read_response,
    read_waiting,
)
from app.doors.responses.resource import ResponseHead, to_resource
from app.doors.responses.schemas import CreateResponse, InputItem, MessageIn, ReferenceIn
from app.doors.responses.translator import ResponseFrames
from app.doors.threads import in_a_day, instructions_of
from app.services import runs as run_services
from app.services.identity import Principal, act_of, see_thread
from app.services.repeats import SentKey, find_remembered

# What a response repeats of its request, and its run has kept.
_KEPT_BY_RUN = {"tools", "instructions"}


# What the user says in a request that ends with the answers to calls that wait nowhere.
_GO_ON = TextPart("Go on.")


class NothingWaits(Conflict):
    """No call with this id waits for an answer."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A response under way. `started` is the admission of its run, None where its run was there before."""

    id: ResponseId
    run: Run
    right: ReadRight
    head: ResponseHead
    started: Started | None = None
    approved: Sequence[str] = ()

    def frames(self) -> ResponseFrames:
        """Its frames, before the first one."""
        return ResponseFrames(self.head, approved_calls=self.approved)


@dataclass(frozen=True, slots=True)
class _Ask:
    """What a request asks for."""

    body: CreateResponse
    overrides: Overrides
    sent: SentKey
    follow: bool


async def begin(container: Container, user: Principal, body: CreateResponse, *, sent: SentKey, follow: bool) -> Begun:
    """Begin what is asked for, or find what a request that this one repeats has begun.

    Raises what `messages.start` raises, `ResponseNotFound`, `ConversationNotFound`, `ModelNotFound`, `AmbiguousModel`,
    `OtherAgent`, `Conflict`.
    """
    if (repeated := await messages.find_repeated(container, user, sent)) is not None:
        return await _repeated(container, user, repeated)
    said = read_input(await _resolved(container, user, body.input))
    overrides = read_overrides(body, said)
    previous = None
    if body.previous_response_id is not None:
        previous = await find_response(container, user, body.previous_response_id)
    agent_id = None if body.model is None else await find_agent(container, user, body.model)
    if said.is_answer:
        if (found := await _find_answered(container, user, sent)) is not None:
            return found
        try:
            return await _answer(container, user, said, previous, conversation_of(body), sent=sent)
        except NothingWaits:
            if previous is not None or conversation_of(body) is not None or not said.is_whole or said.approvals:
                raise
        # All that was said is here, so that nothing need wait for it.
        said = replace(said, parts=(_GO_ON,))
    if not said.parts:
        raise InvalidRequest("The input ends with a message of the user, or with answers to calls.", loc=("input",))
    is_stateless = body.store is False and previous is None and conversation_of(body) is None
    expires_at = in_a_day() if is_stateless else None
    with schema_named_at("text", "format", "schema"):
        async with FileKeeper(container, user, expires_at=expires_at) as keeper:
            history = await keep_history(keeper, said.history)
            place = await find_place(
                container, user, Asked(previous, conversation_of(body), agent_id, history, expires_at)
            )
            try:
                parts = await keeper.keep(said.parts)
                return await _start(container, user, _Ask(body, overrides, sent, follow), place, parts)
            except AIAgentsError:
                if place.is_new:
                    # Nothing was said in it.
                    await container.conn.database.write(lambda c: threads.delete_thread(c, place.thread_id))
                raise


async def _resolved(container: Container, user: Principal, given: str | list[InputItem]) -> str | list[InputItem]:
    """The input with messages in the place of references to them. Others stay: no model needs them again.

    Raises `ItemNotFound`.
    """
    if isinstance(given, str):
        return given
    found: list[InputItem] = []
    for item in given:
        if not isinstance(item, ReferenceIn) or not item.id.startswith("msg_"):
            found.append(item)
            continue
        message = await container.conn.database.read(partial(find_message_of, item_id=item.id))
        if message is None:
            raise ItemNotFound
        try:
            await see_thread(container, user, message["thread_id"])
        except ThreadNotFound:
            raise ItemNotFound from None
        role: Literal["user", "assistant"] = "user" if message["role"] == "user" else "assistant"
        found.append(MessageIn(role=role, content=message["content"]))
    return found


async def _repeated(container: Container, user: Principal, repeated: Started) -> Begun:
    run = repeated.run
    first = ResponseId(run["id"])
    found = await container.conn.database.read(lambda c: read_response(c, run["thread_id"], first, is_fetched=False))
    return Begun(first, run, StreamRight(container, user, run["thread_id"]), found.head, repeated)


async def _start(
    container: Container, user: Principal, ask: _Ask, place: Place, parts: Sequence[TextPart | FilePart]
) -> Begun:
    asked, model = to_asked(ask.body, ask.overrides), ask.body.model or place.agent_id
    before, instructions = await instructions_of(container, user, place.agent_id, ask.overrides.instructions or None)
    kept: JsonObject = {name: value for name, value in asked.items() if name not in _KEPT_BY_RUN}
    right = StreamRight(container, user, place.thread_id)
    started = await messages.start(
        container,
        user,
        place.thread_id,
        [*before, *parts],
        sent=ask.sent,
        follow=ask.follow,
        right=right,
        metadata={ASKED: {"model": model, **kept}},
        client_tools=ask.overrides.tools,
        overrides=_overrides(ask.overrides, instructions),
    )
    first = ResponseId(started.run["id"])
    return Begun(first, started.run, right, ResponseHead(str(first), started.run["created_at"], model, asked), started)


def _overrides(asked: Overrides, instructions: str | None) -> RunOverrides | None:
    """What is asked for this run alone; None for nothing."""
    found: RunOverrides = {}
    if asked.settings:
        found["settings"] = asked.settings
    if asked.output_schema is not None:
        found["output_schema"] = asked.output_schema
    if instructions is not None:
        found["instructions"] = instructions
    return found or None


# Answers to calls.


async def _answer(
    container: Container,
    user: Principal,
    said: Input,
    previous: StoredResponse | None,
    conversation: str | None,
    *,
    sent: SentKey,
) -> Begun:
    """Give a run all that it waits for; the response that follows.

    Raises `ResponseNotFound`, `ConversationNotFound`, `InvalidRequest` unless each call that waits has one answer,
    `Conflict` where the calls do not wait any more, `PermissionDenied`, `GuardrailBlocked`.
    """
    database = container.conn.database
    asked_by = previous or await _find_waiting(container, user, said, conversation)
    run = asked_by.run
    if asked_by.waits_at is None:
        raise Conflict("This response does not wait for an answer.")
    next_id = ResponseId(run["id"], asked_by.waits_at.seq)
    following = await database.read(lambda c: read_response(c, run["thread_id"], next_id, is_fetched=False))
    if run["status"] != "waiting" or following.waits_at is not None:
        raise Conflict("These calls have been answered.")
    waiting = await find_waiting(container, run["thread_id"])
    if waiting is None or waiting.run_id != run["id"]:
        raise Conflict("These calls have been answered.")
    answers = Answers(
        {approved_call_id(each.approval_request_id): Decided(each.approve, each.reason) for each in said.approvals},
        {call_id: {"tool_call_id": call_id, "result": result} for call_id, result in said.outputs.items()},
    )
    require_all(waiting, answers, ("input",))
    await give(container, user, waiting, answers)
    told = {"response_id": str(next_id)}
    await database.write(
        lambda c: idempotency.remember(c, user.user_id, sent.key, sent.fingerprint, answer=told, within_s=sent.within_s)
    )
    return _following(container, user, following)


def _following(container: Container, user: Principal, found: StoredResponse) -> Begun:
    right = StreamRight(container, user, found.run["thread_id"])
    return Begun(found.id, found.run, right, found.head, approved=found.approved)


async def _find_answered(container: Container, user: Principal, sent: SentKey) -> Begun | None:
    """The response that this very request began with its answers before; None for a new request.

    Raises `IdempotencyKeyReused`, `RateLimited`, `ThreadNotFound`.
    """
    remembered = await find_remembered(container, user, sent)
    told = None if remembered is None or remembered.answer is None else remembered.answer.get("response_id")
    if (begun := parse_response_id(str(told))) is None:
        return None
    run = await messages.see_run(container, user, begun.run_id)
    return _following(
        container,
        user,
        await container.conn.database.read(lambda c: read_response(c, run["thread_id"], begun, is_fetched=False)),
    )


async def _find_waiting(container: Container, user: Principal, said: Input, conversation: str | None) -> StoredResponse:
    """The response whose calls these are: of the conversation, or of any thread of the user's."""
    calls = [*said.outputs, *(approved_call_id(each.approval_request_id) for each in said.approvals)]

    def find(connection: Connection) -> RunKey | None:
        return runs.find_waiting(connection, user.user_id, calls)

    found = await container.conn.database.read(find)
    if found is None:
        raise NothingWaits
    await see_thread(container, user, found["thread_id"])
    if conversation is not None and parse_conversation_id(conversation) != found["thread_id"]:
        raise ConversationNotFound
    return await container.conn.database.read(lambda c: read_waiting(c, found["thread_id"], found["id"]))


# Later.


async def find_response(container: Container, user: Principal, response_id: str) -> StoredResponse:
    """A stored response that the user may see. Raises `ResponseNotFound`."""
    found = parse_response_id(response_id)
    if found is None:
        raise ResponseNotFound
    thread_id = await container.conn.database.read(lambda c: runs.find_thread_id(c, found.run_id))
    if thread_id is None:
        raise ResponseNotFound
    try:
        seen = await see_thread(container, user, thread_id)
    except ThreadNotFound:
        raise ResponseNotFound from None
    sees_all = user.is_admin or can(seen.agent_role, "editor")
    return await container.conn.database.read(lambda c: read_response(c, thread_id, found, sees_instructions=sees_all))


def to_read(found: StoredResponse) -> JsonObject:
    """The response as it is now."""
    return to_resource(found.head, found.fold().state)


async def wait(container: Container, begun: Begun) -> JsonObject:
    """The response once it has ended. Raises `ThreadNotFound` where the right to read it was lost."""
    run = begun.run
    watched = container.conn.readers.rights.watch(begun.right)
    try:
        found = await _read(container, begun)
        if not found.is_whole:
            await container.runner.wait(run["thread_id"], run["id"])
            found = await _read(container, begun)
        if not await watched.stands():
            raise ThreadNotFound
    finally:
        watched.close()
    return to_resource(begun.head, found.fold().state)


async def now(container: Container, begun: Begun) -> JsonObject:
    """The response as it is now."""
    return to_resource(begun.head, (await _read(container, begun)).fold().state)


async def _read(container: Container, begun: Begun) -> StoredResponse:
    thread_id = begun.run["thread_id"]
    return await container.conn.database.read(lambda c: read_response(c, thread_id, begun.id, is_fetched=False))


async def follow(container: Container, begun: Begun) -> StreamReader:
    """A reader of its run from where it begins."""
    if begun.started is not None:
        return await messages.follow(container, begun.started, begun.right)
    return await read_part(container, begun.run, begun.id, begun.right)


async def read_part(container: Container, run: Run, part: ResponseId, right: ReadRight) -> StreamReader:
    """A reader of a run from where this part of it begins. Raises `ResponseNotFound`."""
    after = f"{part.after_seq}-0" if part.after_seq else None
    reader = await container.runner.read_run(run["thread_id"], run["id"], after=after, right=right)
    if reader is None:
        raise ResponseNotFound
    return reader


async def cancel(container: Container, user: Principal, found: StoredResponse) -> JsonObject:
    """End the run of a response that has not ended; the response after that. One that has ended stays as it is.

    Raises `PermissionDenied`.
    """
    run = found.run
    seen = await _require_editor(container, user, found)
    if not found.is_whole or (found.waits_at is not None and run["status"] == "waiting"):
        await run_services.cancel_run(container, user, seen, run["id"])
    return to_read(await container.conn.database.read(lambda c: read_response(c, run["thread_id"], found.id)))


async def delete(container: Container, user: Principal, found: StoredResponse) -> None:
    """Answer no request for the response any more. Raises `PermissionDenied`, `Conflict` for one that has not ended.

    What was said stays in its conversation, which is deleted for itself.
    """
    await _require_editor(container, user, found)
    if not found.is_whole:
        raise Conflict("This response has not ended. Cancel it first.")

    def hide(connection: Connection) -> None:
        hide_response(connection, found)
        audit.record(connection, act_of(user, "response.delete", "thread", found.run["thread_id"]))

    await container.conn.database.write(hide)


async def _require_editor(container: Container, user: Principal, found: StoredResponse) -> ThreadAccess:
    seen = await see_thread(container, user, found.run["thread_id"])
    if not user.is_admin and not may_on_thread("cancel", seen.thread_role):
        raise PermissionDenied("This takes editor on the thread.")
    return seen
