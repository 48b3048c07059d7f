"""Erasing a user, step by step. What was removed is counted in the receipt; what could not be removed fails the job.

The user's keys go first, so that the user adds nothing meanwhile; then the user's runs are cancelled. Threads and
agents without another owner are removed whole. In threads of others, the user's messages become `[erased]`, in the log
too, whose rows stay; summaries and generated titles are removed. `erasure_rules` has the rule for each table.
"""

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, func, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute, aliased

from ai_agents.core.exceptions import RunNotFound, ThreadNotFound
from ai_agents.core.rows import Job
from ai_agents.core.types import TERMINAL_RUN_STATUSES, JsonObject
from ai_agents.runner.decisions import cancel
from ai_agents.store import audit, jobs, revocations, roles, thread_log
from ai_agents.store.access_tables import ApiKeyTable, RoleAssignmentTable
from ai_agents.store.agents import delete_agent
from ai_agents.store.job_tables import JobTable
from ai_agents.store.jobs import ClaimedJob
from ai_agents.store.keys import delete_tokens_made_by
from ai_agents.store.models import AgentTable, AgentVersionTable, Base, MessageTable, RunTable, ThreadTable
from ai_agents.store.threads import delete_thread
from ai_agents.store.tokens import delete_tokens_of
from ai_agents.workers.erasure_rules import ERASED, RULES, Count, UserInThread, files_of, is_touched_by
from ai_agents.workers.job_context import Effect, FileRemoval, JobContext, all_ids, next_ids

KIND = "erase_user"
_LOOK_AGAIN_S = 1.0


def request_erasure(connection: Connection, user_id: str) -> Job:
    """The job that erases a user: a new one, or the one that is under way. Its range is a hash of the user's id."""
    range_key = hashlib.sha256(user_id.encode()).hexdigest()
    found = jobs.find_open(connection, KIND, range_key)
    return found or jobs.insert_loose(connection, KIND, range_key, {"user_id": user_id, "removed": {}})


async def erase_user(context: JobContext, job: ClaimedJob) -> Effect:
    """Erase the user of the job. The job's payload counts what an earlier attempt removed.

    Ends the user's runs, and waits for those that are executed now. Raises `StorageUnavailable` if the bytes of a file
    could not be removed; everything else is removed by then.
    """
    if "user_id" not in job.payload:
        return lambda _connection: {"removed": {}}  # a later job has erased the user and emptied this one
    return await _Erasure(context, job).run()


class _Erasure:
    """One attempt. Each step's count is noted in the step's own transaction."""

    def __init__(self, context: JobContext, job: ClaimedJob) -> None:
        self._context = context
        self._job = job
        self._user_id: str = job.payload["user_id"]
        self._removed: dict[str, int] = dict(job.payload["removed"])

    async def run(self) -> Effect:
        """Run all steps. Roles are removed last, since they tell what the user alone owns."""
        user_id = self._user_id
        await self._do(partial(_remove_own, user_id=user_id, but=RoleAssignmentTable))
        await self._end_runs()
        # A process that executes a run of the user records the user's model calls until the run ends.
        while await self._context.database.read(partial(_has_active_run, user_id=user_id)):  # noqa: ASYNC110  # of any process
            await asyncio.sleep(_LOOK_AGAIN_S)
        await self._do_each(partial(_sole_threads, user_id=user_id), partial(_remove_thread, user_id=user_id))
        await self._do_each(partial(_shared_threads, user_id=user_id), partial(_redact_thread, user_id=user_id))
        await self._do_each(partial(_sole_agents, user_id=user_id), _remove_agent)
        removal = FileRemoval(self._context.attachments)
        for file_id in await self._context.database.read(partial(files_of, user_id=user_id), long=True):
            if await removal.remove(file_id):
                await self._do(lambda _connection: {"files": 1})
        # Again, for what those runs added.
        await self._do(partial(_remove_own, user_id=user_id))
        removal.check()
        return self._end

    async def _end_runs(self) -> None:
        """Cancel what is under way or waits: the user can decide nothing more, and the threads are those of others."""
        database = self._context.database
        for thread_id, run_id in await database.read(partial(_open_runs, user_id=self._user_id)):
            with suppress(ThreadNotFound, RunNotFound):
                await database.write(partial(cancel, thread_id=thread_id, run_id=run_id, lease=None))

    def _end(self, connection: Connection) -> JsonObject:
        """The receipt. No job names the user any longer: neither this one nor an earlier one that was given up.

        The audit log keeps what the user did, and from now on not who the user was.
        """
        same = (JobTable.kind == KIND, JobTable.range_key == self._job.range_key)
        connection.execute(update(JobTable).where(*same).values(payload={}))
        erased = audit.Act("user.erased", None, "user", subject_id=self._user_id, details=dict(self._removed))
        audit.record(connection, erased)
        audit.forget(connection, self._user_id)
        return {"removed": self._removed}

    async def _do(self, step: Callable[[Connection], Count]) -> None:
        def do(connection: Connection) -> dict[str, int]:
            removed = dict(self._removed)
            for name, count in step(connection).items():
                removed[name] = removed.get(name, 0) + count
            jobs.note(connection, self._job, {"user_id": self._user_id, "removed": removed})
            return removed

        self._removed = await self._context.database.write(do, long=True)

    async def _do_each(self, find: Callable[..., list[str]], step: Callable[[Connection, str], Count]) -> None:
        """The step for each id that is found, in a transaction of its own."""
        async for found_id in all_ids(self._context.database, find):
            await self._do(lambda c, found_id=found_id: step(c, found_id))  # type: ignore[misc]  # of the default's type


def _remove_own(connection: Connection, user_id: str, but: type[Base] | None = None) -> Count:
    """Delete the user's own rows in all tables but one, keys first, and redact rows of others that name the user."""
    # Every open stream of the user was opened by one of these keys, or by a token.
    own = select(ApiKeyTable.id).where(ApiKeyTable.user_id == user_id, ~ApiKeyTable.is_token)
    key_ids = connection.scalars(own).all()
    delete_tokens_made_by(connection, key_ids)
    delete_tokens_of(connection, user_id)
    revocations.note(connection, map(revocations.key_subject, key_ids))
    removed: dict[str, int] = {}
    for rule in RULES:
        if rule.table is not but:
            removed |= rule.delete_own(connection, user_id)
        if rule.redact is not None:
            removed |= rule.redact(connection, user_id)
    return removed


def _open_runs(connection: Connection, user_id: str) -> list[tuple[str, str]]:
    """The user's runs that have not ended, each with its thread; those that wait for others first."""
    is_open = RunTable.status.not_in(TERMINAL_RUN_STATUSES)
    statement = select(RunTable.thread_id, RunTable.id).where(RunTable.user_id == user_id, is_open)
    return [(row.thread_id, row.id) for row in connection.execute(statement.order_by(RunTable.status)).all()]


def _has_active_run(connection: Connection, user_id: str) -> bool:
    of_user = or_(RunTable.user_id == user_id, RunTable.sender_id == user_id)
    active = exists().where(of_user, RunTable.status == "running")
    return bool(connection.execute(select(active)).scalar())


def _is_sole_owner(resource_type: str, resource_id: InstrumentedAttribute[str], user_id: str) -> ColumnElement[bool]:
    """Whether the user owns it and no other user does."""
    held = aliased(RoleAssignmentTable)
    owners = select(held.user_id).where(
        held.resource_type == resource_type, held.resource_id == resource_id, held.role == "owner"
    )
    return and_(owners.where(held.user_id == user_id).exists(), ~owners.where(held.user_id != user_id).exists())


def _sole_threads(connection: Connection, user_id: str, after_id: str) -> list[str]:
    return next_ids(connection, ThreadTable.id, after_id, _is_sole_owner("thread", ThreadTable.id, user_id))


def _remove_thread(connection: Connection, thread_id: str, user_id: str) -> Count:
    sole = select(ThreadTable.id).where(ThreadTable.id == thread_id, _is_sole_owner("thread", ThreadTable.id, user_id))
    if not thread_log.try_lock(connection, thread_id) or connection.scalar(sole) is None:
        return {}
    messages = select(func.count()).where(MessageTable.thread_id == thread_id)
    removed = {"threads": 1, "messages": connection.execute(messages).scalar_one()}
    delete_thread(connection, thread_id)
    return removed


def _shared_threads(connection: Connection, user_id: str, after_id: str) -> list[str]:
    wrote = select(MessageTable.thread_id).where(is_touched_by(user_id))
    ran = select(RunTable.thread_id).where(RunTable.user_id == user_id)
    return next_ids(connection, ThreadTable.id, after_id, or_(ThreadTable.id.in_(wrote), ThreadTable.id.in_(ran)))


def _redact_thread(connection: Connection, thread_id: str, user_id: str) -> Count:
    """Remove what the user wrote in a thread of others, the files that the user attached, and what was made of both."""
    if not thread_log.try_lock(connection, thread_id):
        return {}
    user = UserInThread(user_id, thread_id, frozenset(files_of(connection, user_id)))
    removed: dict[str, int] = {}
    for rule in RULES:
        if rule.redact_thread is not None:
            removed |= rule.redact_thread(connection, user)
    return removed


def _sole_agents(connection: Connection, user_id: str, after_id: str) -> list[str]:
    return next_ids(connection, AgentTable.id, after_id, _is_sole_owner("agent", AgentTable.id, user_id))


def _remove_agent(connection: Connection, agent_id: str) -> Count:
    """Delete an agent; where threads of others refer to it, an empty deleted agent stays."""
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
        one = (AgentVersionTable.agent_id == agent_id, AgentVersionTable.version == row.version)
        connection.execute(update(AgentVersionTable).where(*one).values(spec=_blank(row.spec)))
    spec = connection.execute(select(AgentTable.spec).where(AgentTable.id == agent_id)).scalar_one()
    connection.execute(update(AgentTable).where(AgentTable.id == agent_id).values(name=ERASED, spec=_blank(spec)))
    return {"agents": 1}


def _blank(spec: Mapping[str, Any]) -> JsonObject:
    """The settings of an agent, without the texts that its owner wrote."""
    written: JsonObject = {"name": ERASED, "description": None, "system_prompt": None, "metadata": {}}
    return {**spec, **{name: value for name, value in written.items() if name in spec}}
