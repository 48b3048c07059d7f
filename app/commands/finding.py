"""Agents by what people call them: an id or a name."""

from typing import Any
from uuid import UUID

from ai_agents.client import Client, ServiceProblem
from app.commands.command import CommandFailed


async def find_agent(client: Client, name: str) -> Any:
    """The agent of this id or name. Raises `CommandFailed` where there is none, or several."""
    if _is_id(name):
        return await get_agent(client, name)
    found = await agents_named(client, name, shared=True)
    if not found:
        raise CommandFailed(f"There is no agent called {name!r}: `ai-agents agents list` shows those that you see.")
    if len(found) > 1:
        ids = "".join(f"\n  {each['id']}" for each in found)
        raise CommandFailed(f"Several agents are called {name!r}: give the id of one of them.{ids}")
    return await get_agent(client, found[0]["id"])


async def get_agent(client: Client, agent_id: str) -> Any:
    """The agent of this id. Raises `CommandFailed` where there is none."""
    try:
        return await client.get_agent(agent_id)
    except ServiceProblem as problem:
        if problem.status == 404:
            raise CommandFailed(f"There is no agent with the id {agent_id!r}.") from None
        raise


async def agents_named(client: Client, name: str, *, shared: bool) -> list[Any]:
    """The agents of this very name that the user sees; with `shared` also what any user gave to all."""
    return [agent async for agent in client.list_agents(shared=shared) if agent["name"] == name]


def _is_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
