"""Threads: beginning, changing, forking and ending them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from ai_agents.auth.files import Loc
from ai_agents.auth.roles import ThreadAccess, ThreadAction, may_on_thread
from ai_agents.core.exceptions import AgentNotFound, PermissionDenied
from ai_agents.core.ids import is_id
from ai_agents.core.rows import Agent, Page, Thread
from ai_agents.core.types import FilePart, TextPart
from ai_agents.guardrails.base import Finding
from ai_agents.runner.recording import trigger_entries
from ai_agents.store import thread_log
from ai_agents.store import threads as store
from app.container import Container, Principal
from app.dependencies import PageOf, check_id
from app.schemas.common import from_parts, to_parts
from app.schemas.threads import CreateThread, InitialMessage, UpdateThread
from app.services.files import known_files
from app.services.preconditions import check_version


@dataclass(frozen=True, slots=True)
class JudgedThread:
    """A thread as the agent's guardrails let it begin: files by their ids, and what was found."""

    body: CreateThread
    files: Mapping[str, FilePart] = field(default_factory=dict)
    triggers: tuple[Finding, ...] = ()


async def judged_beginning(
    services: Container, user: Principal, body: CreateThread, *, key: str | None
) -> JudgedThread:
    """What a thread begins with, as the agent's guardrails let it in. Raises `GuardrailBlocked`, `InvalidRequest`.

    It is not looked at again where the same request was made before. Raises `AgentNotFound`, too.
    """
    if not (body.messages or body.summary) or (key is not None and await services.is_repeated(user, key)):
        return JudgedThread(body)
    check_id(body.agent_id, AgentNotFound)
    await services.auth.agent_access(user.user_id, body.agent_id, "start_thread", is_admin=user.is_admin)
    agent = await services.agents.get(body.agent_id)
    if not agent["guardrails"]:
        return JudgedThread(body)
    messages: list[InitialMessage] = []
    files: dict[str, FilePart] = {}
    triggers: dict[Finding, None] = {}
    for number, message in enumerate(body.messages):
        parts = await known_files(services, user, _places(message, number))
        judged = await services.runner.judge_input(agent, parts, user_id=user.user_id)
        messages.append(message.model_copy(update={"content": from_parts(judged.parts)}))
        files |= judged.files
        triggers |= dict.fromkeys(judged.triggers)
    summary = body.summary
    if summary:
        summary, found = await _judged_text(services, user, agent, summary)
        triggers |= dict.fromkeys(found)
    seen = body.model_copy(update={"messages": messages, "summary": summary})
    return JudgedThread(seen, files, tuple(triggers))


async def _judged_text(
    services: Container, user: Principal, agent: Agent, text: str
) -> tuple[str, tuple[Finding, ...]]:
    judged = await services.runner.judge_input(agent, [TextPart(text)], user_id=user.user_id)
    (part,) = judged.parts
    assert isinstance(part, TextPart)  # noqa: S101  # it was one
    return part.text, judged.triggers


def _places(message: InitialMessage, number: int) -> list[tuple[TextPart | FilePart, Loc]]:
    """The parts of a message, each with its place in the request."""
    return [
        (part, ("messages", number, "content", index, "file_id"))
        for index, part in enumerate(to_parts(message.content))
    ]


async def create_thread(services: Container, user: Principal, judged: JudgedThread) -> Thread:
    """A new thread, owned by the user. Raises `AgentNotFound` where he may not see the agent, `InvalidRequest`."""
    body = judged.body
    check_id(body.agent_id, AgentNotFound)
    await services.auth.agent_access(user.user_id, body.agent_id, "start_thread", is_admin=user.is_admin)
    places = [place for number, message in enumerate(body.messages) for place in _places(message, number)]
    await known_files(services, user, places)
    messages = [
        {"role": message.role, "content": [part.model_dump() for part in message.content], "metadata": message.metadata}
        for message in body.messages
    ]

    def create(connection: Connection) -> Thread:
        thread = store.create_thread(
            connection,
            body.agent_id,
            title=body.title,
            summary=body.summary,
            metadata=body.metadata,
            messages=messages,
            known_files=judged.files,
            owner_id=user.user_id,
        )
        return _tell(connection, thread, judged.triggers)

    return await services.conn.database.write(create)


def _tell(connection: Connection, thread: Thread, triggers: Sequence[Finding]) -> Thread:
    """Write down what guardrails found in what somebody gave the thread; the thread as it is then."""
    if not triggers:
        return thread
    thread_log.append(connection, thread["id"], *trigger_entries(None, triggers))
    return store.get_thread(connection, thread["id"])


async def list_threads(services: Container, user: Principal, page: PageOf, *, agent_id: str | None) -> Page[Thread]:
    """The threads that the user may see, those with this agent; an admin sees all."""
    if agent_id is not None and not is_id(agent_id):
        return {"data": [], "next": None}
    owner = None if user.is_admin else user.user_id
    return await services.threads.list(owner, agent_id=agent_id, **page.arguments())


async def update_thread(
    services: Container, user: Principal, thread: ThreadAccess, body: UpdateThread, *, versions: frozenset[int] | None
) -> tuple[Thread, int]:
    """The thread, changed, and its version. Raises `PermissionDenied`, `PreconditionFailed`, `ThreadNotFound`."""
    _require(user, thread, "update")
    changes: dict[str, Any] = body.model_dump(include=body.model_fields_set)
    triggers: tuple[Finding, ...] = ()
    if changes.get("summary") and (agent := await services.agents.find(thread.agent_id)) is not None:
        changes["summary"], triggers = await _judged_text(services, user, agent, changes["summary"])

    def change(connection: Connection) -> tuple[Thread, int]:
        expected = None
        if versions is not None:
            thread_log.lock(connection, thread.thread_id)
            _, expected = store.get_with_version(connection, thread.thread_id)
            check_version(versions, expected)
        changed, version = store.update_thread(connection, thread.thread_id, changes, expected_version=expected)
        return _tell(connection, changed, triggers), version

    return await services.conn.database.write(change)


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


async def fork_thread(services: Container, user: Principal, thread: ThreadAccess, message_id: str) -> Thread:
    """A new thread of the user's with the history up to a message.

    Raises `PermissionDenied`, `MessageNotFound`, `AgentDeleted`.
    """
    _require(user, thread, "fork")
    return await services.threads.fork(thread.thread_id, message_id, owner_id=user.user_id)


def _require(user: Principal, thread: ThreadAccess, action: ThreadAction) -> None:
    if not user.is_admin and not may_on_thread(action, thread.thread_role, thread.agent_role):
        raise PermissionDenied(f"Your roles on the thread and its agent do not allow to {action} it.")
