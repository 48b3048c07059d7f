"""An agent as a store returns it, for tests that have no store."""

from typing import Any

from ai_agents.core.rows import Agent


def agent_with(**fields: Any) -> Agent:
    """An agent with these fields; the others have the values of a new agent."""
    new: Agent = {
        "id": "",
        "name": "test",
        "description": None,
        "system_prompt": None,
        "provider": None,
        "model": None,
        "settings": {},
        "tools": [],
        "memory": None,
        "guardrails": [],
        "fallbacks": [],
        "output_schema": None,
        "budget": None,
        "metadata": {},
        "version": 1,
        "created_at": "",
        "updated_at": "",
    }
    return {**new, **fields}  # type: ignore[typeddict-item]  # tests also try fields that a store never returns
