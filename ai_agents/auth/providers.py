"""Rights on providers: who may name one in an agent, and whether an agent's owners still may when it runs."""

from collections.abc import Mapping

from sqlalchemy import Connection

from ai_agents.core.exceptions import PermissionDenied
from ai_agents.store.keys import any_is_admin
from ai_agents.store.roles import EVERYBODY, owners_of_agent


class ProviderRights:
    """Who may use which provider, as it was read last.

    A name that is not known here is everybody's, so without `load` every provider is: a program that uses the framework
    without the service has no such roles.
    """

    def __init__(self) -> None:
        self._users: Mapping[str, frozenset[str]] = {}

    def load(self, users: Mapping[str, frozenset[str]]) -> None:
        """Take the users with a role, by provider."""
        self._users = users

    def is_open(self, provider: str) -> bool:
        """Whether every user may use the provider."""
        users = self._users.get(provider)
        return users is None or EVERYBODY in users

    def may_use(self, user_id: str, provider: str, *, is_admin: bool = False) -> bool:
        """Whether the user may name the provider in an agent."""
        return is_admin or self.is_open(provider) or user_id in self._users[provider]

    def require_for_agent(self, connection: Connection, agent_id: str, provider: str) -> None:
        """Raises `PermissionDenied` unless an owner of the agent may use the provider, or is an admin.

        Asks the database only where the provider is not everybody's.
        """
        if self.is_open(provider):
            return
        owners = owners_of_agent(connection, agent_id)
        if not self._users[provider].isdisjoint(owners) or any_is_admin(connection, owners):
            return
        raise PermissionDenied(f"The owners of this agent may not use the provider {provider} any more.")
