"""Agents as they are set, and which provider and model their requests go to."""

from collections import OrderedDict

from sqlalchemy import Connection

from ai_agents.context.catalogue import ModelCatalogue
from ai_agents.core.exceptions import InvalidRequest, ProviderNotConfigured
from ai_agents.core.rows import Agent, ModelName
from ai_agents.providers.base import Provider
from ai_agents.providers.files import FileRules
from ai_agents.providers.registry import ProviderPool, built_in_capabilities, list_providers
from ai_agents.store.agents import get_version

# A service rarely has more versions in use than this.
_MAX_AGENTS = 1000


class AgentCache:
    """The versions of agents that were used last. A version never changes, so that it is read once."""

    def __init__(self) -> None:
        self._agents: OrderedDict[tuple[str, int], Agent] = OrderedDict()

    def get(self, connection: Connection, agent_id: str, version: int) -> Agent:
        """The agent at this version. Raises `AgentNotFound`."""
        key = (agent_id, version)
        agent = self._agents.get(key)
        if agent is None:
            agent = self._agents[key] = get_version(connection, agent_id, version)
            if len(self._agents) > _MAX_AGENTS:
                self._agents.popitem(last=False)
        else:
            self._agents.move_to_end(key)
        return agent

    def find(self, agent_id: str, version: int) -> Agent | None:
        """The agent at this version if it is in memory; None means that it has to be read."""
        return self._agents.get((agent_id, version))


class ModelSelector:
    """Chooses providers and models. `provider` is the default one; without it the pool's default counts.

    `catalogue` knows windows and prices of models.
    """

    def __init__(self, provider: Provider | None, pool: ProviderPool | None, catalogue: ModelCatalogue) -> None:
        self.catalogue = catalogue
        self._provider = provider
        self._pool = pool or ProviderPool()
        self._has_default = provider is not None or pool is not None

    def choose(self, agent: Agent | ModelName) -> tuple[Provider, str]:
        """The provider and model of an agent: its own, else the defaults.

        Raises `ProviderNotConfigured`.
        """
        name = agent["provider"] or self._default_provider()
        provider = self.get_provider(name)
        model = agent["model"] or provider.model or self._default_model(name)
        if model is None:
            raise ProviderNotConfigured("The agent names no model, and there is no default one.", provider=name)
        return provider, model

    def get_provider(self, name: str) -> Provider:
        """The provider of this name. Raises `ProviderNotConfigured`."""
        own = self._provider
        return own if own is not None and own.name == name else self._pool.get(name)

    def resolve_names(self, agent: Agent, provider: str | None, model: str | None) -> tuple[str, str]:
        """The names of the agent's provider and model, or of these in their place. The provider may lack its key.

        Raises `InvalidRequest` for an unknown provider, and where no model is named.
        """
        usual = agent["provider"] or self._default_provider()
        name = provider or usual
        known = {*list_providers(), *(status.name for status in self._pool.configured())}
        if self._provider is not None:
            known.add(self._provider.name)
        if name not in known:
            sentence = f"There is no provider of this name; there are {', '.join(sorted(known))}."
            raise InvalidRequest(sentence, loc=("provider",))
        chosen = model or (agent["model"] if name == usual else None) or self._default_model(name)
        if chosen is None:
            raise InvalidRequest(f"{name} has no default model here: name one.", loc=("model",))
        return name, chosen

    def file_rules(self, provider: str, model: str) -> FileRules:
        """Which files a model takes as they are."""
        try:
            found = self.get_provider(provider)
        except ProviderNotConfigured:
            return built_in_capabilities(provider, model).files
        return found.capabilities(model).files

    def _default_provider(self) -> str:
        if not self._has_default:
            raise ProviderNotConfigured("The agent names no provider, and the runner has none.")
        return self._provider.name if self._provider is not None else self._pool.default[0]

    def _default_model(self, provider: str) -> str | None:
        if self._provider is not None and self._provider.name == provider and self._provider.model:
            return self._provider.model
        return self._pool.default_model(provider)
