"""What a job's handler is given, and what it gives back."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import Connection, select

from ai_agents.attachments.files import Attachments
from ai_agents.context.contexts import Contexts
from ai_agents.context.side_calls import CallPurpose
from ai_agents.core.exceptions import ThreadNotFound
from ai_agents.core.rows import Agent
from ai_agents.core.types import JsonObject, ModelRequest, ModelResponse
from ai_agents.guardrails.base import Finding
from ai_agents.guardrails.stream import REDACTED
from ai_agents.memory.base import MemoryStrategy
from ai_agents.providers.base import Provider
from ai_agents.runner.recording import trigger_entries
from ai_agents.store import thread_log
from ai_agents.store.agents import get_version
from ai_agents.store.database import Database
from ai_agents.store.models import AgentTable, ThreadTable

# A job's effect, and what is kept of it as its result. It is written in the transaction that notes the job as done,
# so that there is both or neither, and may be tried twice: it looks whether it still has to happen.
Effect = Callable[[Connection], JsonObject]


@dataclass(frozen=True, slots=True)
class JudgedText:
    """What may be seen of a text for a thread, "" where nothing may, and what guardrails found in it."""

    thread_id: str
    text: str
    triggers: tuple[Finding, ...] = ()

    def tell(self, connection: Connection) -> None:
        """Write down what was found, as part of a job's effect, if the thread is still there."""
        if self.triggers:
            with suppress(ThreadNotFound):
                thread_log.append(connection, self.thread_id, *trigger_entries(None, self.triggers))


@dataclass(frozen=True, slots=True)
class Work:
    """The database, the agents' models and memory.

    `model` is the provider and model that are asked in place of the agent's own; `attachments` is where files are.
    """

    database: Database
    contexts: Contexts
    model: tuple[str, str] | None = None
    attachments: Attachments | None = None

    def choose(self, agent: Agent) -> tuple[Provider, str]:
        """Whom to ask. Raises `ProviderNotConfigured`."""
        if self.model is None:
            return self.contexts.models.choose(agent)
        provider, model = self.model
        return self.contexts.models.choose({"provider": provider, "model": model})

    async def complete(
        self, provider: Provider, request: ModelRequest, *, thread_id: str, agent_id: str
    ) -> ModelResponse:
        """A model's whole response; the call is written down, whatever becomes of it. Raises as the provider does."""
        return await self.contexts.side_calls.complete(provider, request, CallPurpose(thread_id, agent_id))

    async def judged(self, agent: Agent, text: str, *, thread_id: str) -> "JudgedText":
        """What may be seen of a text that a job made for an agent's thread: a title or summary never says what its
        agent must not. What would block an answer is taken out here.
        """
        # How long an answer may be says nothing of a title or summary.
        wanted = [config for config in agent["guardrails"] if config["type"] != "max_length"]
        configs = [config | {"action": "redact"} for config in wanted]
        if not configs:
            return JudgedText(thread_id, text)
        guards = (await self.contexts.guards.prepare(configs, CallPurpose(thread_id, agent["id"]))).output
        judged = await guards.judge_text(text)
        return JudgedText(thread_id, "" if judged.value == REDACTED else judged.value, judged.triggers)

    def strategy(self, agent: Agent) -> MemoryStrategy:
        """The agent's memory."""
        return self.contexts.requests.strategy(agent)


def agent_of_thread(connection: Connection, thread_id: str) -> Agent | None:
    """The agent of a thread as it is now, or was when it was deleted; None where the thread is gone."""
    found = (
        select(AgentTable.id, AgentTable.version)
        .join(ThreadTable, ThreadTable.agent_id == AgentTable.id)
        .where(ThreadTable.id == thread_id)
    )
    row = connection.execute(found).one_or_none()
    return None if row is None else get_version(connection, row.id, row.version)


def parse_model(name: str | None) -> tuple[str, str] | None:
    """`provider:model` as the two; None for None."""
    if name is None:
        return None
    provider, _, model = name.partition(":")
    return provider, model
