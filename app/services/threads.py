"""Threads: beginning, changing, forking and ending them."""

from typing import Any

from sqlalchemy import Connection

from ai_agents.auth.files import Loc
from ai_agents.auth.roles import ThreadAccess, ThreadAction, may_on_thread
from ai_agents.core.exceptions import AgentNotFound, PermissionDenied
from ai_agents.core.ids import is_id
from ai_agents.core.types import FilePart, JsonObject, TextPart
from ai_agents.store import thread_log
from ai_agents.store import threads as store
from app.container import Container, Principal
from app.dependencies import PageOf, check_id
from app.schemas.common import TextPartIn, to_parts
from app.schemas.threads import CreateThread, InitialMessage, UpdateThread
from app.services.files import check_files
from app.services.preconditions import check_version


async def judged_beginning(
    services: Container, user: Principal, body: CreateThread, *, key: str | None
) -> CreateThread:
    """What a thread begins with, as the agent's guardrails let it in. Raises `GuardrailBlocked`.

    It is not looked at again where the same request was made before. Raises `AgentNotFound`, too.
    """
    if not (body.messages or body.summary) or (key is not None and await services.is_repeated(user, key)):
        return body
    check_id(body.agent_id, AgentNotFound)
    await services.auth.agent_access(user.user_id, body.agent_id, "start_thread", is_admin=user.is_admin)
    agent = await services.agents.get(body.agent_id)
    if not agent["guardrails"]:
        return body
    messages = [await _judged_message(services, user, agent, message) for message in body.messages]
    summary = body.summary and (await services.runner.judge_input(agent, [body.summary], user_id=user.user_id))[0]
    return body.model_copy(update={"messages": messages, "summary": summary})


async def _judged_message(
    services: Container, user: Principal, agent: JsonObject, message: InitialMessage
) -> InitialMessage:
    texts = [part for part in message.content if isinstance(part, TextPartIn)]
    judged = iter(await services.runner.judge_input(agent, [part.text for part in texts], user_id=user.user_id))
    content = [
        part.model_copy(update={"text": next(judged)}) if isinstance(part, TextPartIn) else part
        for part in message.content
    ]
    return message.model_copy(update={"content": content})


async def create_thread(services: Container, user: Principal, body: CreateThread) -> JsonObject:
    """A new thread, owned by the user. Raises `AgentNotFound` where he may not see the agent, `InvalidRequest`."""
    check_id(body.agent_id, AgentNotFound)
    await services.auth.agent_access(user.user_id, body.agent_id, "start_thread", is_admin=user.is_admin)
    parts: list[tuple[TextPart | FilePart, Loc]] = [
        (part, ("messages", number, "content", index, "file_id"))
        for number, message in enumerate(body.messages)
        for index, part in enumerate(to_parts(message.content))
    ]
    await check_files(services, user, parts)
    messages = [
        {"role": message.role, "content": [part.model_dump() for part in message.content], "metadata": message.metadata}
        for message in body.messages
    ]
    return await services.threads.create(
        body.agent_id,
        title=body.title,
        summary=body.summary,
        metadata=body.metadata,
        messages=messages,
        owner_id=user.user_id,
    )


async def list_threads(services: Container, user: Principal, page: PageOf, *, agent_id: str | None) -> JsonObject:
    """The threads that the user may see, those with this agent; an admin sees all."""
    if agent_id is not None and not is_id(agent_id):
        return {"data": [], "next": None}
    owner = None if user.is_admin else user.user_id
    return await services.threads.list(owner, agent_id=agent_id, **page.arguments())


async def update_thread(
    services: Container, user: Principal, thread: ThreadAccess, body: UpdateThread, *, versions: frozenset[int] | None
) -> tuple[JsonObject, int]:
    """The thread, changed, and its version. Raises `PermissionDenied`, `PreconditionFailed`, `ThreadNotFound`."""
    _require(user, thread, "update")
    changes: dict[str, Any] = body.model_dump(include=body.model_fields_set)
    if changes.get("summary") and (agent := await services.agents.find(thread.agent_id)) is not None:
        (changes["summary"],) = await services.runner.judge_input(agent, [changes["summary"]], user_id=user.user_id)
    expected = None
    if versions is not None:
        _, expected = await services.threads.get_with_version(thread.thread_id)
        check_version(versions, expected)
    return await services.threads.update_with_version(thread.thread_id, changes, expected_version=expected)


async def delete_thread(
    services: Container, user: Principal, thread: ThreadAccess, *, versions: frozenset[int] | None
) -> None:
    """Delete it with all that is in it. Raises `PermissionDenied`, `PreconditionFailed`, `ThreadNotFound`."""
    _require(user, thread, "delete")

    def delete(connection: Connection) -> None:
        if versions is not None:
            thread_log.lock(connection, thread.thread_id)
            check_version(versions, store.get_with_version(connection, thread.thread_id)[1])
        store.delete_thread(connection, thread.thread_id)

    await services.conn.database.write(delete)


async def fork_thread(services: Container, user: Principal, thread: ThreadAccess, message_id: str) -> JsonObject:
    """A new thread of the user's with the history up to a message.

    Raises `PermissionDenied`, `MessageNotFound`, `AgentDeleted`.
    """
    _require(user, thread, "fork")
    return await services.threads.fork(thread.thread_id, message_id, owner_id=user.user_id)


def _require(user: Principal, thread: ThreadAccess, action: ThreadAction) -> None:
    if not user.is_admin and not may_on_thread(action, thread.thread_role, thread.agent_role):
        raise PermissionDenied(f"Your roles on the thread and its agent do not allow to {action} it.")
