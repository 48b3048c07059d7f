"""What a job's handler is given, and what it gives back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from ai_agents.attachments.files import Attachments
from ai_agents.core.types import JsonObject
from ai_agents.memory.base import MemoryStrategy
from ai_agents.providers.base import Provider
from ai_agents.runner.contexts import Contexts
from ai_agents.store.agents import get_version
from ai_agents.store.database import Database
from ai_agents.store.models import Agent, Thread

# A job's effect, and what is kept of it as its result. It is written in the transaction that notes the job as done,
# so that there is both or neither, and may be tried twice: it looks whether it still has to happen.
Effect = Callable[[Connection], JsonObject]


@dataclass(frozen=True, slots=True)
class Work:
    """The database, the agents' models and memory.

    `model` is the provider and model that are asked in place of the agent's own; `attachments` is where files are.
    """

    database: Database
    contexts: Contexts
    model: tuple[str, str] | None = None
    attachments: Attachments | None = None

    def choose(self, agent: Mapping[str, Any]) -> tuple[Provider, str]:
        """Whom to ask. Raises `ProviderNotConfigured`."""
        if self.model is None:
            return self.contexts.choose(agent)
        provider, model = self.model
        return self.contexts.choose({"provider": provider, "model": model})

    def strategy(self, agent: Mapping[str, Any]) -> MemoryStrategy:
        """The agent's memory."""
        return self.contexts.strategy(agent)


def agent_of_thread(connection: Connection, thread_id: str) -> JsonObject | None:
    """The agent of a thread as it is now, or was when it was deleted; None where the thread is gone."""
    found = select(Agent.id, Agent.version).join(Thread, Thread.agent_id == Agent.id).where(Thread.id == thread_id)
    row = connection.execute(found).one_or_none()
    return None if row is None else get_version(connection, row.id, row.version)


def parse_model(name: str | None) -> tuple[str, str] | None:
    """`provider:model` as the two; None for None."""
    if name is None:
        return None
    provider, _, model = name.partition(":")
    return provider, model
