"""Which thread the client of a door means."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from ai_agents.core.exceptions import PermissionDenied, ThreadNotFound
from ai_agents.core.ids import format_time, is_id
from ai_agents.core.types import FilePart, JsonObject, Loc, TextPart, ToolCallPart, ToolResultPart
from ai_agents.guardrails.base import Finding
from ai_agents.runner.recording import finding_entries
from ai_agents.store import foreign_ids, thread_log, threads
from ai_agents.store.foreign_ids import ForeignId, OtherAgent
from app.container import Container
from app.services.files import known_files
from app.services.identity import Principal, note_admin, see_thread

# How long threads are kept that stand for no conversation.
_TEMPORARY = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Place:
    """A thread, and its agent."""

    thread_id: str
    agent_id: str


@dataclass(frozen=True, slots=True)
class PastMessage:
    """What was said before: parts that its role may have. `loc` is its place in the request, `id` a new one."""

    role: str
    parts: Sequence[TextPart | FilePart | ToolCallPart | ToolResultPart]
    loc: Loc = ()
    id: str | None = None


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


async def make_thread(
    container: Container,
    user: Principal,
    agent_id: str,
    history: Sequence[PastMessage],
    *,
    expires_at: str | None = None,
) -> str:
    """The id of a new thread of the user's with the agent; with `expires_at` it goes at that time, and is in no list.

    The history is what the client says was said before, as the agent's guardrails let it in.
    Raises `AgentNotFound`, `GuardrailBlocked`, and `InvalidRequest` for a file that the user may not read.
    """
    await require_agent(container, user, agent_id)
    limits = container.limits.of(user.user_id, is_admin=user.is_admin)
    judged = await judge_history(container, user, agent_id, history)

    def make(connection: Connection) -> str:
        thread = threads.create_thread(
            connection,
            agent_id,
            messages=judged.messages,
            known_files=judged.files,
            owner_id=user.user_id,
            limits=limits,
            expires_at=expires_at,
        )
        judged.record(connection, thread["id"])
        return thread["id"]

    async with container.user_locks.hold(user.user_id):
        return await container.conn.database.write(make, long=bool(history))


@dataclass(frozen=True, slots=True)
class JudgedHistory:
    """A history as `threads.create_thread` takes it, after an agent's guardrails, and what they found in it."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, FilePart] = field(default_factory=dict)
    findings: dict[Finding, None] = field(default_factory=dict)

    def record(self, connection: Connection, thread_id: str) -> None:
        """Write what was found into the log of the thread that gets the history."""
        if self.findings:
            thread_log.append(connection, thread_id, *finding_entries(None, list(self.findings)))


async def judge_history(
    container: Container, user: Principal, agent_id: str, history: Sequence[PastMessage]
) -> JudgedHistory:
    """The history as the agent's guardrails let it in.

    Raises `GuardrailBlocked`, and `InvalidRequest` for a file that the user may not read.
    """
    found = JudgedHistory()
    if not history:
        return found
    agent = await container.agents.get(agent_id)
    for message in history:
        parts: list[Any] = list(message.parts)
        said = [index for index, part in enumerate(parts) if isinstance(part, TextPart | FilePart)]
        known = await known_files(container, user, [(parts[index], message.loc) for index in said])
        found.files.update({part.file_id: part for part in known if isinstance(part, FilePart)})
        if agent["guardrails"]:
            judged = await container.runner.judge_input(agent, known, user_id=user.user_id, is_admin=user.is_admin)
            known = tuple(judged.parts)
            found.files.update(judged.files)
            found.findings.update(dict.fromkeys(judged.findings))
            for index, part in enumerate(parts):
                if isinstance(part, ToolResultPart):
                    as_text = [TextPart(str(part.result))]
                    judged = await container.runner.judge_input(
                        agent, as_text, user_id=user.user_id, is_admin=user.is_admin
                    )
                    text = "".join(each.text for each in judged.parts if isinstance(each, TextPart))
                    parts[index] = replace(part, result=text)
                    found.findings.update(dict.fromkeys(judged.findings))
        for index, part in zip(said, known, strict=True):
            parts[index] = part
        draft = {"role": message.role, "content": [_to_draft(part) for part in parts]}
        found.messages.append(draft if message.id is None else {**draft, "id": message.id})
    return found


def _to_draft(part: TextPart | FilePart | ToolCallPart | ToolResultPart) -> JsonObject:
    """The part as `threads.create_thread` takes it."""
    match part:
        case TextPart():
            return {"type": "text", "text": part.text}
        case FilePart():
            return {"type": "file", "file_id": part.file_id}
        case ToolCallPart():
            return {
                "type": "tool_call",
                "tool_call_id": part.tool_call_id,
                "name": part.name,
                "arguments": part.arguments,
            }
        case ToolResultPart():
            return {
                "type": "tool_result",
                "tool_call_id": part.tool_call_id,
                "name": part.name,
                "result": part.result,
                "is_error": part.is_error,
            }


def in_a_day() -> str:
    """When what is temporary goes."""
    return format_time(datetime.now(UTC) + _TEMPORARY)


async def instructions_of(
    container: Container, user: Principal, agent_id: str, given: str | None
) -> tuple[list[TextPart], str | None]:
    """What a client says to the model beside its message: what of it begins the message, and what are instructions.

    Instructions are for editors of the agent. What others give so is a part of what they say, and no more.
    """
    if given is None:
        return [], None
    try:
        await container.auth.agent_access(user.user_id, agent_id, "update", **user.reach)
        return [], given
    except PermissionDenied:
        return [TextPart(f"{given}\n\n")], None


async def require_agent(container: Container, user: Principal, agent_id: str) -> None:
    """Raises `AgentNotFound` unless the user may talk to the agent."""
    role = await container.auth.agent_access(user.user_id, agent_id, "start_thread", **user.reach)
    if role is None:
        await note_admin(container, user, "agent", agent_id)
