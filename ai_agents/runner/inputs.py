"""What a turn needs from the database: one short read.

Its cost depends on the memory's window, never on the length of the thread.
"""

from dataclasses import dataclass

from sqlalchemy import Connection

from ai_agents.context.contexts import Contexts
from ai_agents.core.exceptions import AIAgentsError
from ai_agents.core.rows import Agent
from ai_agents.core.types import ModelMessage
from ai_agents.memory.base import Window
from ai_agents.providers.base import Provider
from ai_agents.store.database import Database
from ai_agents.store.messages import History
from ai_agents.store.runs import OwnedRun
from ai_agents.store.transactions import SHORT_WORK_ROWS
from ai_agents.tools.toolset import ToolSet


@dataclass(frozen=True, slots=True)
class TurnInputs:
    """The agent, the part of the history that one of its models is sent, and the tools.

    `earlier` are the messages that the run recorded before it was taken over; the window holds them as well.
    """

    agent: Agent
    window: Window
    earlier: tuple[ModelMessage, ...]
    provider: Provider
    model: str
    tools: ToolSet


class InputReader:
    """Reads the inputs of turns."""

    def __init__(self, database: Database, contexts: Contexts) -> None:
        self.contexts = contexts
        self._database = database

    async def fetch(self, run: OwnedRun, place: int = 0) -> TurnInputs:
        """The inputs as `read` gives them, in a transaction of their own. Raises `DatabaseUnavailable`, too."""
        return await self._database.read(lambda c: self.read(c, run, place), long=self._is_long(run))

    def read(self, connection: Connection, run: OwnedRun, place: int = 0) -> TurnInputs:
        """The inputs for the agent's own model (`place` 0) or one of its fallbacks.

        Raises `ProviderNotConfigured`, `InvalidRequest`.
        """
        requests = self.contexts.requests
        agent = self.contexts.agents.get(connection, run.agent_id, run.agent_version)
        provider, model = self.contexts.models.choose(agent["fallbacks"][place - 1] if place else agent)
        history = History(connection, run.thread_id)
        window = requests.read_window(history, agent, provider.name, model, requests.strategy(agent))
        earlier = tuple(history.run_messages(run.id)) if run.continued else ()
        return TurnInputs(agent, window, earlier, provider, model, requests.resolve_tools(connection, agent))

    def read_early(self, connection: Connection, run: OwnedRun) -> TurnInputs | None:
        """The inputs, read in the transaction that admits the run; None where the turn has to read them later.

        An error is left to the later read, which fails the run with it.
        """
        if self._is_long(run):
            return None
        try:
            return self.read(connection, run)
        except AIAgentsError:
            return None

    def _is_long(self, run: OwnedRun) -> bool:
        """Whether many messages may be read for this turn. A thread has no more of them than its log has rows."""
        if run.reset_seq <= SHORT_WORK_ROWS:
            return False
        agent = self.contexts.agents.find(run.agent_id, run.agent_version)
        most = None if agent is None else self.contexts.requests.strategy(agent).most_messages
        return most is None or most > SHORT_WORK_ROWS
