"""Threads: making, reading, changing, forking and deleting them, and what a model would be sent of one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import orjson
from sqlalchemy import Connection

from ai_agents.auth.roles import ThreadAction, may_on_thread, seen_threads
from ai_agents.core.context_rows import ContextView
from ai_agents.core.exceptions import AgentNotFound, InvalidRequest, MessageNotFound, PermissionDenied
from ai_agents.core.ids import is_id
from ai_agents.core.rows import Agent, Page, SeenThread, Thread, ThreadChanges
from ai_agents.core.types import FilePart, Loc, TextPart, ThreadOrder
from ai_agents.guardrails.base import Finding
from ai_agents.runner.recording import finding_entries
from ai_agents.store import audit, thread_lists, thread_log, threads
from ai_agents.store.pages import decode_time_cursor
from ai_agents.store.thread_access import ThreadAccess
from app.container import Container
from app.errors import invalid_query
from app.schemas.common import from_parts, to_parts
from app.schemas.threads import CreateThread, InitialMessage, UpdateThread
from app.services.files import known_files
from app.services.identity import (
    PageArguments,
    Principal,
    act_of,
    check_id,
    check_version,
    note_admin,
    require_admin,
    whose,
)


@dataclass(frozen=True, slots=True)
class JudgedThread:
    """The request for a thread after the agent's guardrails: files by their ids, and what the guardrails found."""

    body: CreateThread
    files: Mapping[str, FilePart] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


async def judge_thread(container: Container, user: Principal, body: CreateThread) -> JudgedThread:
    """The initial messages and the summary after the agent's guardrails.

    Raises `GuardrailBlocked`, `InvalidRequest`, `AgentNotFound`.
    """
    if not (body.messages or body.summary):
        return JudgedThread(body)
    check_id(body.agent_id, AgentNotFound)
    await container.auth.agent_access(user.user_id, body.agent_id, "start_thread", **user.reach)
    agent = await container.agents.get(body.agent_id)
    if not agent["guardrails"]:
        return JudgedThread(body)
    messages: list[InitialMessage] = []
    files: dict[str, FilePart] = {}
    findings: dict[Finding, None] = {}
    for number, message in enumerate(body.messages):
        parts = await known_files(container, user, _located_parts(message, number))
        judged = await container.runner.judge_input(agent, parts, user_id=user.user_id, is_admin=user.is_admin)
        messages.append(message.model_copy(update={"content": from_parts(judged.parts)}))
        files |= judged.files
        findings |= dict.fromkeys(judged.findings)
    summary = body.summary
    if summary:
        summary, found = await _judged_text(container, user, agent, summary)
        findings |= dict.fromkeys(found)
    seen = body.model_copy(update={"messages": messages, "summary": summary})
    return JudgedThread(seen, files, tuple(findings))


async def _judged_text(
    container: Container, user: Principal, agent: Agent, text: str
) -> tuple[str, tuple[Finding, ...]]:
    judged = await container.runner.judge_input(agent, [TextPart(text)], user_id=user.user_id, is_admin=user.is_admin)
    (part,) = judged.parts
    assert isinstance(part, TextPart)  # noqa: S101  # guardrails change the text of a part, never its type
    return part.text, judged.findings


def _located_parts(message: InitialMessage, number: int) -> list[tuple[TextPart | FilePart, Loc]]:
    """The parts of a message, each with its location in the request."""
    return [
        (part, ("messages", number, "content", index, "file_id"))
        for index, part in enumerate(to_parts(message.content))
    ]


async def create_thread(container: Container, user: Principal, judged: JudgedThread) -> SeenThread:
    """A new thread, owned by the user.

    Raises `InvalidRequest`, `QuotaExceeded`, and `AgentNotFound` if they do not see the agent.
    """
    body = judged.body
    check_id(body.agent_id, AgentNotFound)
    role = await container.auth.agent_access(user.user_id, body.agent_id, "start_thread", **user.reach)
    if role is None:
        await note_admin(container, user, "agent", body.agent_id)
    parts = [part for number, message in enumerate(body.messages) for part in _located_parts(message, number)]
    await known_files(container, user, parts)
    messages = [
        {"role": message.role, "content": [part.model_dump() for part in message.content], "metadata": message.metadata}
        for message in body.messages
    ]

    limits = container.limits.of(user.user_id, is_admin=user.is_admin)

    def create(connection: Connection) -> Thread:
        thread = threads.create_thread(
            connection,
            body.agent_id,
            title=body.title,
            summary=body.summary,
            metadata=body.metadata,
            messages=messages,
            known_files=judged.files,
            owner_id=user.user_id,
            limits=limits,
        )
        return _record_findings(connection, thread, judged.findings)

    made = await container.conn.database.write(create, long=True)
    return {**made, "role": "owner", "agent_role": role}


def _record_findings(connection: Connection, thread: Thread, findings: Sequence[Finding]) -> Thread:
    """Record in the thread's log what guardrails found; the thread after that."""
    if not findings:
        return thread
    thread_log.append(connection, thread["id"], *finding_entries(None, findings))
    return threads.get_thread(connection, thread["id"])


async def list_threads(
    container: Container,
    user: Principal,
    page: PageArguments,
    *,
    agent_id: str | None,
    user_id: str | None,
    q: str | None,
    metadata: Sequence[tuple[str, str]],
    shared: bool,
    order: ThreadOrder,
) -> Page[SeenThread]:
    """The threads that the user sees, in this order, newest first; an admin sees all, or those of `user_id`.

    Raises `InvalidCursor`, and `PermissionDenied` for others who name another user.
    """
    if user_id not in (None, user.user_id):
        require_admin(user, "Only an admin lists the threads of another user.")
    if agent_id is not None and not is_id(agent_id):
        if page["after"] is not None:
            decode_time_cursor(page["after"])  # a bad one is refused all the same
        return {"data": [], "next": None}
    owner = await whose(container, user, "thread")

    def read(connection: Connection) -> Page[SeenThread]:
        found = thread_lists.list_threads(
            connection,
            user_id or owner,
            agent_id=agent_id,
            q=q,
            metadata=metadata,
            within=user.within,
            shared=shared,
            order=order,
            **page,
        )
        seen = seen_threads(connection, user.user_id, found["data"], within=user.within)
        return {"data": seen, "next": found["next"]}

    return await container.conn.database.read(read, long=True)


async def get_thread(container: Container, thread: ThreadAccess) -> tuple[SeenThread, int]:
    """The thread and its version. Raises `ThreadNotFound`."""
    found, version = await container.threads.get_with_version(thread.thread_id)
    return _seen(found, thread), version


def _seen(found: Thread, thread: ThreadAccess) -> SeenThread:
    return {
        **found,
        "role": thread.thread_role,
        "agent_role": None if thread.agent_deleted else thread.agent_role,
    }


async def update_thread(
    container: Container, user: Principal, thread: ThreadAccess, body: UpdateThread, *, versions: frozenset[int] | None
) -> tuple[SeenThread, int]:
    """Change the thread; the thread and its version.

    Raises `PermissionDenied`, `PreconditionFailed`, `ThreadNotFound`, `GuardrailBlocked`, `QuotaExceeded`.
    """
    _require(user, thread, "update")
    changes = cast("ThreadChanges", body.model_dump(include=body.model_fields_set))
    findings: tuple[Finding, ...] = ()
    summary = changes.get("summary")
    if summary and (agent := await container.agents.find(thread.agent_id)) is not None:
        changes["summary"], findings = await _judged_text(container, user, agent, summary)

    limits = container.limits.of(user.user_id, is_admin=user.is_admin)

    def change(connection: Connection) -> tuple[Thread, int]:
        expected = None
        if versions is not None:
            thread_log.lock(connection, thread.thread_id)
            _, expected = threads.get_with_version(connection, thread.thread_id)
            check_version(versions, expected)
        changed, version = threads.update_thread(
            connection, thread.thread_id, changes, expected_version=expected, limits=limits
        )
        return _record_findings(connection, changed, findings), version

    changed, version = await container.conn.database.write(change)
    return _seen(changed, thread), version


async def delete_thread(
    container: Container, user: Principal, thread: ThreadAccess, *, versions: frozenset[int] | None
) -> None:
    """Delete the thread with all its messages. Raises `PermissionDenied`, `PreconditionFailed`, `ThreadNotFound`."""
    _require(user, thread, "delete")

    def delete(connection: Connection) -> None:
        if versions is not None:
            thread_log.lock(connection, thread.thread_id)
            check_version(versions, threads.get_with_version(connection, thread.thread_id)[1])
        threads.delete_thread(connection, thread.thread_id)
        audit.record(connection, act_of(user, "thread.delete", "thread", thread.thread_id))

    await container.conn.database.write(delete, long=True)


async def fork_thread(container: Container, user: Principal, thread: ThreadAccess, message_id: str) -> SeenThread:
    """A new thread, owned by the user, with the history up to a message.

    Raises `PermissionDenied`, `MessageNotFound`, `AgentDeleted`, `QuotaExceeded`.
    """
    check_id(message_id, MessageNotFound)
    _require(user, thread, "fork")
    limits = container.limits.of(user.user_id, is_admin=user.is_admin)
    forked = await container.threads.fork(thread.thread_id, message_id, owner_id=user.user_id, limits=limits)
    return {**forked, "role": "owner", "agent_role": thread.agent_role}


def _require(user: Principal, thread: ThreadAccess, action: ThreadAction) -> None:
    if not user.is_admin and not may_on_thread(action, thread.thread_role, thread.agent_role):
        raise PermissionDenied(f"Your roles on the thread and its agent do not allow to {action} it.")


async def read_context(
    container: Container,
    user: Principal,
    thread_id: str,
    *,
    provider: str | None,
    model: str | None,
    strategy: str | None,
) -> ContextView:
    """The request that a model would get now, see `AgentRunner.context`.

    Raises `ThreadNotFound`, and `InvalidFields` for an unknown provider or strategy.
    """
    try:
        return await container.runner.context(
            thread_id,
            user.user_id,
            provider=provider,
            model=model,
            strategy=None if strategy is None else _parse_strategy(strategy),
            **user.reach,
        )
    except InvalidRequest as error:
        # A strategy's error names the field of an agent, `memory`; here the strategy comes from a parameter.
        name = "strategy" if not error.loc or error.loc[0] == "memory" else str(error.loc[0])
        raise invalid_query(name, str(error)) from error


def _parse_strategy(strategy: str) -> str | Mapping[str, Any]:
    """The name of a strategy, or the JSON of an agent's `memory`. Raises `InvalidFields`."""
    if not strategy.lstrip().startswith("{"):
        return strategy
    try:
        found: dict[str, Any] = orjson.loads(strategy)
    except ValueError as error:
        raise invalid_query("strategy", "should be a name, or an object as JSON") from error
    return found
