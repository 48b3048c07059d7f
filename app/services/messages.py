"""Messages: sending one runs the agent."""

from collections.abc import Sequence
from typing import Literal, cast

from sqlalchemy import Connection

from ai_agents.core.exceptions import MessageNotFound, RequestError, RunNotFound, ThreadNotFound
from ai_agents.core.rows import Message, Page, Run, RunOverrides, SeenMessage
from ai_agents.core.types import ToolDefinition
from ai_agents.runner.outcomes import RunResult, Started
from ai_agents.store import messages as stored
from ai_agents.store.feedback import own_feedback
from ai_agents.store.thread_access import ThreadAccess
from ai_agents.streams.reader import StreamReader
from ai_agents.streams.rights import ReadRight
from app.container import Container
from app.errors import invalid_query
from app.schemas.common import to_parts
from app.schemas.threads import CreateMessage, Overrides
from app.services.agents import check_api, check_provider
from app.services.files import note_files
from app.services.identity import PageArguments, Principal, check_id, see_thread
from app.services.repeats import SentKey


async def start_run(
    container: Container,
    user: Principal,
    thread_id: str,
    body: CreateMessage,
    *,
    sent: SentKey | None,
    follow: bool,
    right: ReadRight,
) -> Started:
    """Store the message and start its run, with the client's tools where it brings some.

    Raises what `AgentRunner.start` raises, and `InvalidRequest`.
    """
    if user.is_admin:
        # Tells the audit log where it is the thread of others. The admission looks again, for all users.
        await see_thread(container, user, thread_id)
        in_text = (part.file_id for part in body.content if part.type == "file")
        await note_files(container, user, (*body.attachments, *in_text))
    return await container.runner.start(
        thread_id,
        user.user_id,
        to_parts(body.content),
        attachments=body.attachments,
        metadata=body.metadata,
        on_busy=body.on_busy,
        idempotency_key=None if sent is None else sent.key,
        fingerprint="" if sent is None else sent.fingerprint,
        **user.reach,
        key_id=user.key_id,
        overrides=await _overrides(container, user, body.overrides),
        client_tools=[ToolDefinition(tool.name, tool.description, tool.parameters) for tool in body.tools],
        follow=follow,
        right=right,
    )


async def _overrides(container: Container, user: Principal, given: Overrides | None) -> RunOverrides | None:
    """What the message says otherwise than its agent.

    Raises `InvalidRequest` for a provider that the user may not use, and for an API that it does not have.
    """
    if given is None:
        return None
    if given.provider is not None:
        await check_provider(container, user, given.provider, "overrides", "provider")
        if given.settings is not None:
            check_api(container, given.provider, given.settings, "overrides")
    said = {name: value for name, value in given.model_dump(exclude={"settings"}).items() if value is not None}
    if given.settings is not None and (settings := given.settings.model_dump(exclude_none=True)):
        said["settings"] = settings
    return cast("RunOverrides", said) or None


async def start_retry(
    container: Container,
    user: Principal,
    thread_id: str,
    run_id: str,
    *,
    sent: SentKey | None,
    follow: bool,
    right: ReadRight,
) -> Started:
    """Begin a new run on the message of the thread's last run. Raises what `AgentRunner.start_retry` raises."""
    return await container.runner.start_retry(
        thread_id,
        check_id(run_id, RunNotFound),
        user.user_id,
        idempotency_key=None if sent is None else sent.key,
        fingerprint="" if sent is None else sent.fingerprint,
        **user.reach,
        key_id=user.key_id,
        follow=follow,
        right=right,
    )


async def error_for(container: Container, user: Principal, thread_id: str, error: RequestError) -> RequestError:
    """The answer to a refused message: the error, or `ThreadNotFound` if the user does not see the thread.

    The thread is looked up only for refused messages: the transaction that admits a message does it anyway.
    """
    if await container.auth.may_see(user.user_id, "thread", thread_id, **user.reach):
        return error
    return ThreadNotFound()


async def follow_run(
    container: Container, started: Started, right: ReadRight, *, after: str | None
) -> StreamReader | None:
    """A stream of the run's events from its first, as long as there is the right to read them.

    One that is asked for again goes on `after` an event id; None where that was the last event. What a new message's
    request says of earlier events is of another run. Raises `InvalidEventId`.
    """
    run = started.run
    if started.replayed and after:
        return await container.runner.read_run(run["thread_id"], run["id"], after=after, right=right)
    return await container.runner.read_started(started, right=right)


async def wait_for_answer(container: Container, started: Started, right: ReadRight) -> RunResult:
    """The message's answer, or its run where that has ended or waits for an approval.

    Raises `ThreadNotFound` if the right was lost.
    """
    watched = container.conn.readers.rights.watch(right)
    try:
        result = await container.runner.wait_for_answer(started)
        if not await watched.stands():
            raise ThreadNotFound
        return result
    finally:
        watched.close()


async def wait_for_run(container: Container, run: Run, right: ReadRight) -> RunResult:
    """The run where it has ended or waits. Raises `ThreadNotFound` if the right was lost."""
    watched = container.conn.readers.rights.watch(right)
    try:
        result = await container.runner.wait(run["thread_id"], run["id"])
        if not await watched.stands():
            raise ThreadNotFound
        return result
    finally:
        watched.close()


async def list_messages(
    container: Container,
    user: Principal,
    thread: ThreadAccess,
    page: PageArguments,
    *,
    around: str | None,
    order: Literal["asc", "desc"],
) -> Page[SeenMessage]:
    """The history of a thread, or the page of it `around` a message, with what the user thinks of the answers.

    Raises `InvalidCursor`, `InvalidFields`, `MessageNotFound`.
    """
    if around is not None:
        if page["after"] is not None:
            raise invalid_query("around", "A page is either around a message or after another page.")
        check_id(around, MessageNotFound)

    def read(connection: Connection) -> Page[SeenMessage]:
        found = stored.list_messages(connection, thread.thread_id, **page, around=around, order=order)
        return {"data": _seen(connection, user, found["data"]), "next": found["next"]}

    return await container.conn.database.read(read, long=True)


async def get_message(container: Container, user: Principal, thread: ThreadAccess, message_id: str) -> SeenMessage:
    """A message of the thread, with what the user thinks of it. Raises `MessageNotFound`."""
    check_id(message_id, MessageNotFound)

    def read(connection: Connection) -> SeenMessage:
        (message,) = _seen(connection, user, [stored.get_message(connection, thread.thread_id, message_id)])
        return message

    return await container.conn.database.read(read)


def _seen(connection: Connection, user: Principal, found: Sequence[Message]) -> list[SeenMessage]:
    answers = [message["id"] for message in found if message["role"] == "assistant"]
    given = own_feedback(connection, user.user_id, answers)
    return [
        {**message, "feedback": given[message["id"]]} if message["id"] in given else cast("SeenMessage", message)
        for message in found
    ]
