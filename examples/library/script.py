"""An agent with a tool of its own, in an SQLite file: it streams an answer, and says so where it cannot.

Run it: python examples/library/script.py. Without ANTHROPIC_API_KEY the stand-in `echo` answers.
"""

import asyncio
import os
from typing import Literal

from ai_agents import AgentRunner, AgentStore, AIAgentsError, ThreadStore, connect, get_provider, tool


@tool
def convert(amount: float, unit: Literal["km", "miles"]) -> str:
    """Converts a distance between kilometres and miles.

    Args:
        amount: The distance.
        unit: The unit that the amount is in.
    """
    return f"{amount / 1.609344:.1f} miles" if unit == "km" else f"{amount * 1.609344:.1f} km"


async def main() -> None:
    """Make an agent and a thread, and talk."""
    has_key = "ANTHROPIC_API_KEY" in os.environ
    provider = get_provider("anthropic", model="claude-sonnet-4-20250514") if has_key else get_provider("echo")
    async with connect("sqlite:///agents.db") as conn:
        runner = AgentRunner(conn, provider=provider)
        agent = await AgentStore(conn).create("guide", system_prompt="You are a travel guide.", tools=[convert])
        thread = await ThreadStore(conn).create(agent["id"], owner_id="ada")
        try:
            # `echo` calls a tool when it is told to in this way. A real model decides itself.
            for question in ("Hello!", '/tool convert {"amount": 10, "unit": "km"}'):
                async for event in runner.stream(thread["id"], "ada", question):
                    if event.type == "tool.completed":
                        print(f"[{event.data['name']}: {event.data['result']}]")
                    print(event, end="", flush=True)
                print()
        except AIAgentsError as error:
            print(f"\nThat did not work ({error.code}): {error}")


if __name__ == "__main__":
    asyncio.run(main())
