"""What one message says otherwise than its agent: for the run that answers it, and no other."""

from collections.abc import Mapping
from typing import Any

from ai_agents.core.rows import Agent, RunOverrides
from ai_agents.core.types import JsonObject

# Those that are for editors of the agent alone. Others who see a run do not see them.
FOR_EDITORS = ("provider", "model", "instructions")


def shown_to_all(overrides: RunOverrides) -> RunOverrides:
    """What those see who see the run, but may not change its agent."""
    shown: RunOverrides = {}
    if "settings" in overrides:
        shown["settings"] = overrides["settings"]
    if "output_schema" in overrides:
        shown["output_schema"] = overrides["output_schema"]
    return shown


def overridden(agent: Agent, overrides: RunOverrides | None, *, most_rounds: int | None = None) -> Agent:
    """The agent as it is for this message. `most_rounds` is the limit of an agent that sets none."""
    if not overrides:
        return agent
    changed: Agent = {**agent}
    if "settings" in overrides:
        changed["settings"] = _laid_over(agent["settings"] or {}, overrides["settings"], most_rounds)
    if "output_schema" in overrides:
        changed["output_schema"] = overrides["output_schema"]
    if "provider" in overrides:
        if overrides["provider"] != agent["provider"]:
            # The agent's model is one of its own provider.
            changed["model"] = None
        changed["provider"] = overrides["provider"]
    if "model" in overrides:
        changed["model"] = overrides["model"]
    if "instructions" in overrides:
        changed["system_prompt"] = "\n\n".join(filter(None, (agent["system_prompt"], overrides["instructions"])))
    return changed


def _laid_over(own: Mapping[str, Any], given: Mapping[str, Any], most_rounds: int | None) -> JsonObject:
    """The settings of both. Where the agent limits what an answer may take, a message may only ask for less."""
    limits = {
        "max_tokens": own.get("max_tokens"),
        "timeout_s": own.get("timeout_s"),
        "tool_rounds": own.get("tool_rounds") or most_rounds,
    }
    laid = {**own, **given}
    for name, most in limits.items():
        if most is not None and given.get(name) is not None:
            laid[name] = min(given[name], most)
    return laid
