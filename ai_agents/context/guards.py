"""The guardrails of agents, with the models that their judges ask."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ai_agents.context.side_calls import CallPurpose, SideCalls
from ai_agents.core.rows import Agent
from ai_agents.guardrails.guards import Guards
from ai_agents.guardrails.registry import build_guardrails, guards_key


class StageGuards(NamedTuple):
    """An agent's guardrails at each stage; either may be empty."""

    input: Guards
    output: Guards


class AgentGuards:
    """Makes agents' guardrails ready. `judges_fail_open`: a judge that cannot be asked allows everything."""

    def __init__(self, side_calls: SideCalls, *, judges_fail_open: bool = False) -> None:
        self._side_calls = side_calls
        self._judges_fail_open = judges_fail_open

    def has_input_guards(self, agent: Agent) -> bool:
        """Whether the agent judges what users send."""
        return guards_key(agent["guardrails"], "input") is not None

    async def prepare(self, configs: Sequence[Mapping[str, Any]], purpose: CallPurpose) -> StageGuards:
        """The guardrails with these configurations. They are compiled in a thread, which may take a second.

        Raises `InvalidRequest` for a type that is not registered any more.
        """
        if configs:
            await asyncio.to_thread(build_guardrails, configs)
        ask, fails_open = self._side_calls.ask_judges(purpose), self._judges_fail_open
        return StageGuards(
            input=Guards(configs, "input", ask=ask, fails_open=fails_open),
            output=Guards(configs, "output", ask=ask, fails_open=fails_open),
        )
