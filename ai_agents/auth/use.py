"""Rights to use what agents name: providers, and the tools that admins made.

They are asked of the user who adds a name to an agent, and of the agent's owners whenever it runs.
"""

from collections.abc import Collection, Mapping

from sqlalchemy import Connection

from ai_agents.core.exceptions import PermissionDenied
from ai_agents.core.types import UsedType
from ai_agents.store.keys import any_is_admin
from ai_agents.store.ranks import EVERYBODY
from ai_agents.store.roles import names_used_by, owners_of_agent

_NO_USERS: frozenset[str] = frozenset()


class UseRights:
    """Who may use which provider and which tool, as it was read last.

    A name that is not known here is everybody's, so without `load` every name is: a program that uses the framework
    without the service has no such roles. Of the types that are `closed` it is only admins'.
    """

    def __init__(self, *, closed: Collection[UsedType] = ()) -> None:
        self._closed = frozenset(closed)
        self._users: Mapping[UsedType, Mapping[str, frozenset[str]]] = {}

    def load(self, users: Mapping[UsedType, Mapping[str, frozenset[str]]]) -> None:
        """Take the users with a role, by type and name."""
        self._users = users

    def is_open(self, kind: UsedType, name: str) -> bool:
        """Whether every user may use it."""
        users = self._users_of(kind, name)
        return users is None or EVERYBODY in users

    def may_use(self, user_id: str, kind: UsedType, name: str, *, is_admin: bool = False) -> bool:
        """Whether the user may name it in an agent."""
        return is_admin or self.is_open(kind, name) or user_id in (self._users_of(kind, name) or ())

    def find_refused(self, connection: Connection, agent_id: str, kind: UsedType, names: Collection[str]) -> set[str]:
        """Those of the names that no owner of the agent may use; none where an owner is an admin.

        Asks the database only where one of them is not everybody's, and for the roles themselves only before a refusal.
        """
        closed = {name for name in names if not self.is_open(kind, name)}
        if not closed:
            return set()
        owners = owners_of_agent(connection, agent_id)
        refused = {name for name in closed if owners.isdisjoint(self._users_of(kind, name) or ())}
        if not refused or any_is_admin(connection, owners):
            return set()
        return refused - names_used_by(connection, kind, refused, owners)

    def require_provider(self, connection: Connection, agent_id: str, provider: str) -> None:
        """Raises `PermissionDenied` unless an owner of the agent may use the provider, or is an admin."""
        if self.find_refused(connection, agent_id, "provider", [provider]):
            raise PermissionDenied(f"The owners of this agent may not use the provider {provider} any more.")

    def require_provider_of(self, user_id: str, provider: str, *, is_admin: bool) -> None:
        """Raises `PermissionDenied` unless the user, who named the provider for one message, may use it (still)."""
        if not self.may_use(user_id, "provider", provider, is_admin=is_admin):
            raise PermissionDenied(f"The sender of this message may not use the provider {provider} any more.")

    def _users_of(self, kind: UsedType, name: str) -> frozenset[str] | None:
        """The users with a role on it; None where it is everybody's because it is not known."""
        return self._users.get(kind, {}).get(name, _NO_USERS if kind in self._closed else None)
