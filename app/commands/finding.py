"""Agents by what people call them: an id or a name."""

from typing import Any
from urllib.parse import quote
from uuid import UUID

from app.commands.command import CommandFailed
from app.commands.service import Refused, Service


def find_agent(service: Service, name: str) -> Any:
    """The agent of this id or name. Raises `CommandFailed` where there is none, or several."""
    if _is_id(name):
        return get_agent(service, name)
    found = agents_named(service, name)
    if not found:
        raise CommandFailed(f"There is no agent called {name!r}: `ai-agents agents list` shows those that you see.")
    if len(found) > 1:
        ids = "".join(f"\n  {each['id']}" for each in found)
        raise CommandFailed(f"Several agents are called {name!r}: give the id of one of them.{ids}")
    return get_agent(service, found[0]["id"])


def get_agent(service: Service, agent_id: str) -> Any:
    """The agent of this id. Raises `CommandFailed` where there is none."""
    try:
        return service.get(f"/agents/{quote(agent_id, safe='')}")
    except Refused as refused:
        if refused.status == 404:
            raise CommandFailed(f"There is no agent with the id {agent_id!r}.") from None
        raise


def agents_named(service: Service, name: str) -> list[Any]:
    """The agents of this very name that the user sees."""
    return [agent for agent in service.list_whole("/agents") if agent["name"] == name]


def _is_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
