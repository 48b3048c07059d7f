"""The OpenAI Agents SDK (`pip install openai-agents`) on an agent of this service.

OPENAI_BASE_URL=http://127.0.0.1:8000/v1 OPENAI_API_KEY=<key> python openai_agents.py <agent>
"""

import sys

from agents import Agent, Runner, function_tool, set_tracing_disabled

# Traces would go to OpenAI.
set_tracing_disabled(disabled=True)


@function_tool
def weather(town: str) -> str:
    """The weather of a town."""
    return f"Rain in {town}."


assistant = Agent(name="assistant", instructions="Be brief.", tools=[weather], model=sys.argv[1])
print("whole:", Runner.run_sync(assistant, "Hello!").final_output)
print("tool:", Runner.run_sync(assistant, '/tool weather {"town": "Oslo"}').final_output)
