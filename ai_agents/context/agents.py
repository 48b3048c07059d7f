"""Versions of agents, kept in memory: a version never changes, so that it is read once."""

from collections import OrderedDict

from sqlalchemy import Connection

from ai_agents.core.rows import Agent
from ai_agents.store.agents import get_version

# A service rarely has more versions in use than this.
_MAX_AGENTS = 1000


class AgentCache:
    """The versions of agents that were used last."""

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
