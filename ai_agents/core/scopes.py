"""How far the rights of a user reach, beside their roles: to everything, or to some agents only."""

from dataclasses import dataclass
from typing import TypedDict


@dataclass(frozen=True, slots=True)
class AgentScope:
    """What a token that names agents is for: these agents to talk to, their threads, and the files of those.

    The files that were uploaded with the token are within it, too, before a message refers to them.
    """

    token_id: str
    agents: frozenset[str]


class Reach(TypedDict):
    """What every question for a right has to be asked with, beside the user.

    `is_admin`: the user's roles do not count. `within`: rights end at these agents (None: they do not).
    """

    is_admin: bool
    within: AgentScope | None
