"""What a job's handler works with, and what it returns."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import Connection, select

from ai_agents.attachments.files import Attachments
from ai_agents.context.contexts import CallPurpose, Contexts
from ai_agents.core.exceptions import ThreadNotFound
from ai_agents.core.rows import Agent
from ai_agents.core.types import JsonObject, ModelRequest, ModelResponse
from ai_agents.guardrails.base import Finding
from ai_agents.guardrails.stream import REDACTED
from ai_agents.memory.base import MemoryStrategy
from ai_agents.providers.base import Provider
from ai_agents.runner.recording import finding_entries
from ai_agents.store import thread_log
from ai_agents.store.agents import get_version
from ai_agents.store.database import Database
from ai_agents.store.models import AgentTable, ThreadTable

# Writes a job's effect and gives the job's result. It runs in the transaction that marks the job as completed, so that
# there is both or neither. It may run twice, so it first checks whether the effect is still wanted.
Effect = Callable[[Connection], JsonObject]


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

    `model` is the provider and model for titles and summaries; None means the agent's own. `attachments` is None in a
    process without a storage of files.
    """

    database: Database
    contexts: Contexts
    model: tuple[str, str] | None = None
    attachments: Attachments | None = None

    def choose(self, agent: Agent) -> tuple[Provider, str]:
        """The provider and model for a job of this agent. Raises `ProviderNotConfigured`."""
        if self.model is None:
            return self.contexts.models.choose(agent)
        provider, model = self.model
        return self.contexts.models.choose({"provider": provider, "model": model})

    async def complete(
        self, provider: Provider, request: ModelRequest, *, thread_id: str, agent_id: str
    ) -> ModelResponse:
        """A model's whole response. The call is recorded, also when it fails. Raises as the provider does."""
        return await self.contexts.side_calls.complete(provider, request, CallPurpose(thread_id, agent_id))

    async def judge(self, agent: Agent, text: str, *, thread_id: str) -> JudgedText:
        """A title or summary after the output guardrails of its agent; a guardrail that blocks redacts here."""
        # The longest answer is no measure for a title or summary.
        wanted = [config for config in agent["guardrails"] if config["type"] != "max_length"]
        configs = [config | {"action": "redact"} for config in wanted]
        if not configs:
            return JudgedText(thread_id, text)
        guards = (await self.contexts.guards.prepare(configs, CallPurpose(thread_id, agent["id"]))).output
        judged = await guards.judge_text(text)
        return JudgedText(thread_id, "" if judged.value == REDACTED else judged.value, judged.triggers)

    def strategy(self, agent: Agent) -> MemoryStrategy:
        """The agent's memory strategy."""
        return self.contexts.requests.strategy(agent)


def agent_of_thread(connection: Connection, thread_id: str) -> Agent | None:
    """The agent of a thread in its latest version, a deleted one too; None if the thread is gone."""
    found = (
        select(AgentTable.id, AgentTable.version)
        .join(ThreadTable, ThreadTable.agent_id == AgentTable.id)
        .where(ThreadTable.id == thread_id)
    )
    row = connection.execute(found).one_or_none()
    return None if row is None else get_version(connection, row.id, row.version)


def parse_model(name: str | None) -> tuple[str, str] | None:
    """`provider:model` as a pair; None for None."""
    if name is None:
        return None
    provider, _, model = name.partition(":")
    return provider, model
