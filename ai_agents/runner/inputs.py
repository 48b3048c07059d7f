"""What a turn needs from the database, in one short read.

Its cost depends on the memory's window, never on the length of the thread.
"""

from sqlalchemy import Connection

from ai_agents.context.contexts import Contexts
from ai_agents.core.exceptions import AIAgentsError
from ai_agents.core.overrides import overridden
from ai_agents.providers.base import Provider
from ai_agents.runner.ownership import TurnInputs
from ai_agents.store.database import Database
from ai_agents.store.history import History
from ai_agents.store.runs import OwnedRun
from ai_agents.store.transactions import SHORT_WORK_ROWS


class InputReader:
    """Reads the inputs of turns.

    `most_rounds` is how many rounds with tools a message may ask for where its agent does not say it.
    """

    def __init__(self, database: Database, contexts: Contexts, *, most_rounds: int) -> None:
        self.contexts = contexts
        self._most_rounds = most_rounds
        self._database = database

    async def fetch(self, run: OwnedRun, place: int = 0) -> TurnInputs:
        """The inputs as `read` gives them, in a transaction of their own. Raises `DatabaseUnavailable`, too."""
        return await self._database.read(lambda c: self.read(c, run, place), long=self._is_long(run))

    async def prepare_model(self, run: OwnedRun, inputs: TurnInputs, place: int = 0) -> TurnInputs:
        """The inputs once the provider knows what its model takes.

        They are read again if that is more or less than was thought.
        """
        models, provider, model = self.contexts.models, inputs.provider, inputs.model
        if type(provider).prepare_model is Provider.prepare_model:
            return inputs
        before = models.window(provider.name, model)
        await models.prepare_model(provider, model)
        return inputs if models.window(provider.name, model) == before else await self.fetch(run, place)

    def read(self, connection: Connection, run: OwnedRun, place: int = 0) -> TurnInputs:
        """The inputs for the agent's own model (`place` 0) or one of its fallbacks.

        Raises `ProviderNotConfigured`, `InvalidRequest`, and `PermissionDenied` where no owner of the agent may use the
        provider any more.
        """
        requests = self.contexts.requests
        own = self.contexts.agents.get(connection, run.agent_id, run.agent_version)
        agent = overridden(own, run.overrides, most_rounds=self._most_rounds)
        provider, model = self.contexts.models.choose(agent["fallbacks"][place - 1] if place else agent)
        if not place and run.overrides and "provider" in run.overrides:
            self.contexts.rights.require_provider_of(run.user_id, provider.name, is_admin=run.by_admin)
        else:
            self.contexts.rights.require_provider(connection, run.agent_id, provider.name)
        history = History(connection, run.thread_id)
        window = requests.read_window(history, agent, provider.name, model, requests.strategy(agent))
        earlier = tuple(history.run_messages(run.id)) if run.continued else ()
        tools = requests.resolve_tools(connection, agent, window.messages, run.client_tools)
        return TurnInputs(agent, window, earlier, provider, model, tools)

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
