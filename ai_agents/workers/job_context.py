"""What a job's handler works with, and what it returns."""

from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Literal

from sqlalchemy import ColumnElement, Connection, select
from sqlalchemy.orm import InstrumentedAttribute

from ai_agents.attachments.files import Attachments
from ai_agents.context.builder import model_settings
from ai_agents.context.contexts import Contexts
from ai_agents.context.purposes import CallPurpose
from ai_agents.core.exceptions import BlobMissing, FileNotFound, StorageUnavailable, ThreadNotFound
from ai_agents.core.rows import Agent
from ai_agents.core.types import JsonObject
from ai_agents.core.wording import counted
from ai_agents.guardrails.base import Finding
from ai_agents.guardrails.guards import REDACTED
from ai_agents.providers.base import Provider
from ai_agents.runner.recording import finding_entries
from ai_agents.store import thread_log
from ai_agents.store.agents import get_version
from ai_agents.store.database import Database
from ai_agents.store.models import AgentTable, RunTable, ThreadTable
from ai_agents.store.sealing import Sealer
from ai_agents.tools.outbound import Outbound
from ai_agents.workers.erasure_rules import ERASED

_PAGE = 100
# Writes a job's effect and gives the job's result. It runs in the transaction that marks the job as completed, so that
# there is both or neither. It may run twice, so it first checks whether the effect is still wanted.
Effect = Callable[[Connection], JsonObject]


class JobPutOff(Exception):
    """The job is to be tried again in `wait_s` seconds, as if it had not been begun; `record` writes what it did."""

    def __init__(self, reason: str, *, wait_s: float, record: Callable[[Connection], None]) -> None:
        super().__init__(reason)
        self.wait_s = wait_s
        self.record = record


@dataclass(frozen=True, slots=True)
class JudgedText:
    """A text for a thread after its agent's guardrails, "" if nothing of it may be shown, and their findings."""

    thread_id: str
    text: str
    triggers: tuple[Finding, ...] = ()

    def record(self, connection: Connection) -> None:
        """Record the findings in the thread's log, as part of a job's effect. A thread that is gone is skipped."""
        if self.triggers:
            with suppress(ThreadNotFound):
                thread_log.append(connection, self.thread_id, *finding_entries(None, self.triggers))


@dataclass(frozen=True, slots=True)
class JobContext:
    """What handlers of jobs use.

    `model` is `provider:model` for titles and summaries; None means the agent's own. `attachments` is None in a
    process without a storage of files. `outbound` and `sealer` are what webhooks are sent with, where there are any.
    """

    database: Database
    contexts: Contexts
    model: str | None = None
    attachments: Attachments | None = None
    outbound: Outbound | None = None
    sealer: Sealer | None = None

    async def choose(self, agent: Agent) -> tuple[Provider, str]:
        """The provider and model for a job of this agent.

        Raises `ProviderNotConfigured`, and `PermissionDenied` where no owner of the agent may use its provider.
        """
        if self.model is None:
            own, model = self.contexts.models.choose(agent)
            await self.contexts.require_provider(agent["id"], own.name)
            return own, model
        provider, _, model = self.model.partition(":")
        return self.contexts.models.choose({"provider": provider, "model": model})

    def api(self, agent: Agent) -> Literal["chat", "responses"] | None:
        """Which of its provider's APIs a job of this agent asks: the agent's, where it asks the agent's model."""
        return model_settings(agent).api if self.model is None else None

    async def judge(self, agent: Agent, text: str, purpose: CallPurpose) -> JudgedText:
        """A title or summary after the output guardrails of its agent; a guardrail that blocks redacts here."""
        # The longest answer is no measure for a title or summary.
        wanted = [config for config in agent["guardrails"] if config["type"] != "max_length"]
        configs = [config | {"action": "redact"} for config in wanted]
        thread_id = str(purpose.thread_id)
        if not configs:
            return JudgedText(thread_id, text)
        guards = (await self.contexts.prepare_guards(configs, purpose)).output
        judged = await guards.judge_text(text)
        return JudgedText(thread_id, "" if judged.value == REDACTED else judged.value, judged.triggers)


class FileRemoval:
    """Removes one file after the other. A file that cannot be removed holds up no other one, and `check` reports it."""

    def __init__(self, attachments: Attachments | None) -> None:
        self._attachments = attachments
        self._left: list[str] = []
        self._reason = "" if attachments is not None else "This process has no storage of files."
        self._is_down = attachments is None

    async def remove(self, file_id: str) -> bool:
        """Whether this call removed the file with its bytes. Raises `Conflict` where a message refers to it."""
        if self._attachments is None or self._is_down:
            self._left.append(file_id)
            return False
        try:
            await self._attachments.delete(file_id, only_unused=True)
        except FileNotFound:
            return False
        except StorageUnavailable as error:
            self._left.append(file_id)
            self._reason = self._reason or str(error)
            # A storage that does not answer is not asked again for each file; a missing content says nothing of others.
            self._is_down = not isinstance(error, BlobMissing)
            return False
        return True

    def check(self) -> None:
        """Raise `StorageUnavailable` if a file is left, with the reason of the first."""
        if self._left:
            left = counted(len(self._left), "file")
            raise StorageUnavailable(
                f"{left} could not be removed, the first is {self._left[0]}: {self._reason} "
                "Every process needs the same folder of files or the same bucket."
            )


async def all_ids(database: Database, find: Callable[..., list[str]]) -> AsyncGenerator[str]:
    """All ids that `find(connection, after_id=...)` finds, page by page, in ascending order."""
    last_id = ""
    while ids := await database.read(partial(find, after_id=last_id), long=True):
        for found_id in ids:
            yield found_id
        last_id = ids[-1]


def next_ids(
    connection: Connection, id: InstrumentedAttribute[str], after_id: str, *conditions: ColumnElement[bool]
) -> list[str]:
    """A page of the ids after this one that fit the conditions, in ascending order."""
    return list(connection.scalars(select(id).where(id > after_id, *conditions).order_by(id).limit(_PAGE)))


def purpose_in_thread(connection: Connection, agent: Agent, thread_id: str) -> CallPurpose:
    """What a job's model calls are made for. The user whose message came last has caused them."""
    found = select(RunTable.user_id, RunTable.by_admin).where(RunTable.thread_id == thread_id)
    newest = connection.execute(found.order_by(RunTable.created_at.desc(), RunTable.id.desc()).limit(1)).one_or_none()
    if newest is None or newest.user_id == ERASED:
        return CallPurpose.of_agent(agent, thread_id, user_id=None, by_admin=False)
    return CallPurpose.of_agent(agent, thread_id, user_id=newest.user_id, by_admin=newest.by_admin)


def agent_of_thread(connection: Connection, thread_id: str) -> Agent | None:
    """The agent of a thread in its latest version, a deleted one too; None if the thread is gone."""
    found = (
        select(AgentTable.id, AgentTable.version)
        .join(ThreadTable, ThreadTable.agent_id == AgentTable.id)
        .where(ThreadTable.id == thread_id)
    )
    row = connection.execute(found).one_or_none()
    return None if row is None else get_version(connection, row.id, row.version)
