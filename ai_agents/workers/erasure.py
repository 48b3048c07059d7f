"""Erasing a user: everything that is his goes, step by step, and what was removed is counted in the receipt.

His keys go first, so that he adds nothing meanwhile. Threads and agents that nobody else owns are removed whole. In
threads of others, what he said is put out of the messages and out of the log, whose rows stay in their places; what was
derived from it, summaries and generated titles, goes too.
"""

import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute, aliased

from ai_agents.core import json
from ai_agents.core.exceptions import Conflict, FileNotFound, ThreadNotFound
from ai_agents.core.ids import utc_now
from ai_agents.core.rows import Job
from ai_agents.core.types import JsonObject
from ai_agents.store import jobs, model_calls, roles, thread_log
from ai_agents.store.agents import delete_agent
from ai_agents.store.jobs import ClaimedJob
from ai_agents.store.models import (
    AgentTable,
    AgentVersionTable,
    ApiKeyTable,
    FileTable,
    IdempotencyKeyTable,
    MessageFileTable,
    MessageTable,
    RoleAssignmentTable,
    RunTable,
    SummaryTable,
    ThreadEventTable,
    ThreadTable,
    TicketTable,
)
from ai_agents.store.threads import delete_thread
from ai_agents.workers.work import Effect, Work

KIND = "erase_user"
ERASED = "[erased]"
_PAGE = 100
Step = Callable[[Connection], Mapping[str, int]]


def request_erasure(connection: Connection, user_id: str) -> Job:
    """The job that erases a user: a new one, or the one that is at it. Its range names him without saying who he is."""
    range_key = hashlib.sha256(user_id.encode()).hexdigest()
    found = jobs.find_open(connection, KIND, range_key)
    return found or jobs.insert_loose(connection, KIND, range_key, {"user_id": user_id, "removed": {}})


async def erase_user(work: Work, job: ClaimedJob) -> Effect:
    """Erase the user of the job. What an earlier attempt removed is counted in the job's payload."""
    erasing = _Erasing(work, job)
    return await erasing.everything()


class _Erasing:
    """One attempt. Each step's count is noted in the step's own transaction."""

    def __init__(self, work: Work, job: ClaimedJob) -> None:
        self._work = work
        self._job = job
        self._user_id: str = job.payload["user_id"]
        self._removed: dict[str, int] = dict(job.payload["removed"])

    async def everything(self) -> Effect:
        user_id = self._user_id
        await self._do(partial(_remove_access, user_id=user_id))
        await self._do_each(partial(_sole_threads, user_id=user_id), partial(_remove_thread, user_id=user_id))
        await self._do_each(partial(_shared_threads, user_id=user_id), partial(_redact_thread, user_id=user_id))
        await self._do_each(partial(_sole_agents, user_id=user_id), _remove_agent)
        await self._remove_files()
        await self._do(partial(_remove_roles, user_id=user_id))
        return self._end

    def _end(self, connection: Connection) -> JsonObject:
        jobs.note(connection, self._job, {})
        return {"removed": self._removed}

    async def _do(self, step: Step) -> None:
        def do(connection: Connection) -> dict[str, int]:
            removed = dict(self._removed)
            for name, count in step(connection).items():
                removed[name] = removed.get(name, 0) + count
            jobs.note(connection, self._job, {"user_id": self._user_id, "removed": removed})
            return removed

        self._removed = await self._work.database.write(do)

    async def _do_each(
        self, find: Callable[..., list[str]], step: Callable[[Connection, str], Mapping[str, int]]
    ) -> None:
        """The step for each that is found, a transaction for each."""
        last_id = ""
        while ids := await self._work.database.read(partial(find, after_id=last_id)):
            for found_id in ids:
                await self._do(lambda c, found_id=found_id: step(c, found_id))  # type: ignore[misc]  # of the default's type
            last_id = ids[-1]

    async def _remove_files(self) -> None:
        if self._work.attachments is None:
            return
        for file_id in await self._work.database.read(partial(_files, user_id=self._user_id)):
            try:
                await self._work.attachments.delete(file_id)
            except (Conflict, FileNotFound):
                continue
            await self._do(lambda _connection: {"files": 1})


def _remove_access(connection: Connection, user_id: str) -> Mapping[str, int]:
    removed = {
        name: connection.execute(delete(table).where(table.user_id == user_id)).rowcount
        for name, table in (("keys", ApiKeyTable), ("tickets", TicketTable), ("idempotency_keys", IdempotencyKeyTable))
    }
    return {**removed, "model_calls": model_calls.delete_of_user(connection, user_id)}


def _is_sole_owner(resource_type: str, resource_id: InstrumentedAttribute[str], user_id: str) -> ColumnElement[bool]:
    """Whether he owns it and nobody else does."""
    his, others = aliased(RoleAssignmentTable), aliased(RoleAssignmentTable)
    owned = exists().where(
        his.resource_type == resource_type,
        his.resource_id == resource_id,
        his.user_id == user_id,
        his.role == "owner",
    )
    shared = exists().where(
        others.resource_type == resource_type,
        others.resource_id == resource_id,
        others.user_id != user_id,
        others.role == "owner",
    )
    return and_(owned, ~shared)


def _sole_threads(connection: Connection, user_id: str, after_id: str) -> list[str]:
    found = select(ThreadTable.id).where(ThreadTable.id > after_id, _is_sole_owner("thread", ThreadTable.id, user_id))
    return list(connection.execute(found.order_by(ThreadTable.id).limit(_PAGE)).scalars())


def _remove_thread(connection: Connection, thread_id: str, user_id: str) -> Mapping[str, int]:
    try:
        thread_log.lock(connection, thread_id)
    except ThreadNotFound:
        return {}
    sole = select(ThreadTable.id).where(ThreadTable.id == thread_id, _is_sole_owner("thread", ThreadTable.id, user_id))
    if connection.execute(sole).scalar_one_or_none() is None:
        return {}
    of_thread = select(MessageTable.id).where(MessageTable.thread_id == thread_id)
    messages = len(connection.execute(of_thread).all())
    delete_thread(connection, thread_id)
    return {"threads": 1, "messages": messages}


def _has_files_of(user_id: str) -> ColumnElement[bool]:
    return exists().where(
        MessageFileTable.message_id == MessageTable.id,
        MessageFileTable.file_id == FileTable.id,
        FileTable.user_id == user_id,
    )


def _shared_threads(connection: Connection, user_id: str, after_id: str) -> list[str]:
    said = select(MessageTable.thread_id).where(or_(MessageTable.user_id == user_id, _has_files_of(user_id)))
    ran = select(RunTable.thread_id).where(RunTable.user_id == user_id)
    found = select(ThreadTable.id).where(
        ThreadTable.id > after_id, or_(ThreadTable.id.in_(said), ThreadTable.id.in_(ran))
    )
    return list(connection.execute(found.order_by(ThreadTable.id).limit(_PAGE)).scalars())


def _redact_thread(connection: Connection, thread_id: str, user_id: str) -> Mapping[str, int]:
    """Put out what he said in a thread of others, the files that he attached, and what was made of it."""
    try:
        thread_log.lock(connection, thread_id)
    except ThreadNotFound:
        return {}
    files = set(_files(connection, user_id))
    of_thread = select(MessageTable.id, MessageTable.user_id, MessageTable.parts).where(
        MessageTable.thread_id == thread_id
    )
    redacted = 0
    for row in connection.execute(of_thread.where(or_(MessageTable.user_id == user_id, _has_files_of(user_id)))).all():
        values: dict[str, Any] = {"parts": _without_files(row.parts, files)}
        if row.user_id == user_id:
            values = {"parts": [{"type": "text", "text": ERASED}], "user_id": None, "meta": {}}
        connection.execute(update(MessageTable).where(MessageTable.id == row.id).values(values))
        gone = delete(MessageFileTable).where(MessageFileTable.message_id == row.id)
        connection.execute(gone if row.user_id == user_id else gone.where(MessageFileTable.file_id.in_(files)))
        redacted += 1
    runs = connection.execute(
        update(RunTable).where(RunTable.thread_id == thread_id, RunTable.user_id == user_id).values(user_id=ERASED)
    ).rowcount
    summaries = connection.execute(delete(SummaryTable).where(SummaryTable.thread_id == thread_id)).rowcount
    generated = update(ThreadTable).where(ThreadTable.id == thread_id, ThreadTable.title_by == "job")
    connection.execute(generated.values(title=None, title_by=None))
    _redact_log(connection, thread_id, user_id, files)
    connection.execute(
        update(ThreadTable)
        .where(ThreadTable.id == thread_id)
        .values(version=ThreadTable.version + 1, updated_at=utc_now())
    )
    return {"messages_redacted": redacted, "runs_redacted": runs, "summaries": summaries}


def _redact_log(connection: Connection, thread_id: str, user_id: str, files: set[str]) -> None:
    found = select(ThreadEventTable.seq, ThreadEventTable.data).where(ThreadEventTable.thread_id == thread_id)
    for row in connection.execute(found).all():
        event = json.loads(row.data)
        redacted = _redacted(event, user_id, files)
        if redacted != event:
            place = (ThreadEventTable.thread_id == thread_id, ThreadEventTable.seq == row.seq)
            connection.execute(update(ThreadEventTable).where(*place).values(data=json.dumps(redacted)))


def _redacted(value: Any, user_id: str, files: set[str]) -> Any:
    """A piece of an event without what is his: messages, runs, the thread's summary and title wherever they stand."""
    if isinstance(value, list):
        return [_redacted(item, user_id, files) for item in _without_files(value, files)]
    if not isinstance(value, dict):
        return value
    found = {name: _redacted(item, user_id, files) for name, item in value.items()}
    if found.get("user_id") == user_id:
        found["user_id"] = None if "parts" in found else ERASED
        if "parts" in found:
            found |= {"parts": [{"type": "text", "text": ERASED}], "content": ERASED, "metadata": {}}
    for derived in ("summary", "title"):
        if isinstance(found.get(derived), str) and ("covers_through_seq" in found or "agent_id" in found):
            found[derived] = ERASED
    return found


def _without_files(parts: list[Any], files: set[str]) -> list[Any]:
    gone = {"type": "text", "text": ERASED}
    return [gone if isinstance(part, dict) and part.get("file_id") in files else part for part in parts]


def _sole_agents(connection: Connection, user_id: str, after_id: str) -> list[str]:
    found = select(AgentTable.id).where(AgentTable.id > after_id, _is_sole_owner("agent", AgentTable.id, user_id))
    return list(connection.execute(found.order_by(AgentTable.id).limit(_PAGE)).scalars())


def _remove_agent(connection: Connection, agent_id: str) -> Mapping[str, int]:
    """An agent that threads of others refer to leaves an empty one behind, as a deleted one does."""
    found = connection.execute(
        select(AgentTable.deleted_at).where(AgentTable.id == agent_id).with_for_update()
    ).one_or_none()
    if found is None:
        return {}
    if found.deleted_at is None:
        delete_agent(connection, agent_id)
    roles.remove_all(connection, "agent", agent_id)
    used = select(exists().where(ThreadTable.agent_id == agent_id))
    if not connection.execute(used).scalar():
        connection.execute(delete(AgentVersionTable).where(AgentVersionTable.agent_id == agent_id))
        connection.execute(delete(AgentTable).where(AgentTable.id == agent_id))
        return {"agents": 1}
    versions = select(AgentVersionTable.version, AgentVersionTable.spec).where(AgentVersionTable.agent_id == agent_id)
    for row in connection.execute(versions).all():
        place = (AgentVersionTable.agent_id == agent_id, AgentVersionTable.version == row.version)
        connection.execute(update(AgentVersionTable).where(*place).values(spec=_blank(row.spec)))
    spec = connection.execute(select(AgentTable.spec).where(AgentTable.id == agent_id)).scalar_one()
    connection.execute(update(AgentTable).where(AgentTable.id == agent_id).values(name=ERASED, spec=_blank(spec)))
    return {"agents": 1}


def _blank(spec: Mapping[str, Any]) -> JsonObject:
    """What an agent is set to, without what its owner wrote."""
    written: JsonObject = {"name": ERASED, "description": None, "system_prompt": None, "metadata": {}}
    return {**spec, **{name: value for name, value in written.items() if name in spec}}


def _files(connection: Connection, user_id: str) -> list[str]:
    return list(
        connection.execute(select(FileTable.id).where(FileTable.user_id == user_id).order_by(FileTable.id)).scalars()
    )


def _remove_roles(connection: Connection, user_id: str) -> Mapping[str, int]:
    return {
        "roles": connection.execute(delete(RoleAssignmentTable).where(RoleAssignmentTable.user_id == user_id)).rowcount
    }
