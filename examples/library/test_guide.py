"""Tests of one's own agents, without a network: the provider says what it is told to, and keeps what it was sent.

Run it: pytest examples/library/test_guide.py.
"""

import asyncio

import pytest

from ai_agents import AgentRunner, AgentStore, ProviderRateLimited, ThreadStore, connect, tool
from ai_agents.testing import ScriptedProvider, tool_call


@tool
def convert(km: float) -> str:
    """Converts kilometres to miles."""
    return f"{km / 1.609344:.1f} miles"


def test_the_guide_converts_before_it_answers() -> None:
    """The tool itself, and a turn with it."""
    assert convert(10) == "6.2 miles"

    async def talk() -> None:
        provider = ScriptedProvider([tool_call("convert", km=10)], ["About ", "6.2 miles."])
        async with connect("sqlite://") as conn:
            runner = AgentRunner(conn, provider=provider)
            agent = await AgentStore(conn).create("guide", tools=[convert])
            thread = await ThreadStore(conn).create(agent["id"], owner_id="ada")
            answer = await runner.run(thread["id"], "ada", "How far is it?")

        assert answer["content"] == "About 6.2 miles."
        assert [definition.name for definition in provider.requests[0].tools] == ["convert"]
        assert "6.2 miles" in str(provider.requests[1].messages[-1])

    asyncio.run(talk())


def test_a_limit_of_the_provider_is_heard() -> None:
    """An error in place of an answer is raised."""

    async def talk() -> None:
        provider = ScriptedProvider(ProviderRateLimited("Slow down.", provider="scripted"))
        async with connect("sqlite://") as conn:
            agent = await AgentStore(conn).create("guide")
            thread = await ThreadStore(conn).create(agent["id"], owner_id="ada")
            with pytest.raises(ProviderRateLimited, match="Slow down"):
                await AgentRunner(conn, provider=provider).run(thread["id"], "ada", "Hello!")

    asyncio.run(talk())
