"""Agents, and their versions."""

from typing import Annotated, Any

from pydantic import Field

from ai_agents.core import rows
from app.schemas.agents import MAX_TOOLS, AgentSettings, BudgetIn, Fallbacks, Guardrails, MemoryConfig, ToolChoice
from app.schemas.answers.models import model_of, page_of

ROLE = "The role of the user who asks, or of every user where that is more; null for an admin without one."
_AGENT: dict[str, Any] = {
    "settings": AgentSettings,
    "tools": Annotated[list[str | ToolChoice], Field(max_length=MAX_TOOLS)],
    "memory": MemoryConfig | None,
    "guardrails": Guardrails,
    "fallbacks": Fallbacks,
    "budget": BudgetIn | None,
}
AgentRead = model_of("AgentRead", rows.SeenAgent, "An agent as it is.", role=ROLE, **_AGENT)
AgentVersion = model_of("AgentVersion", rows.Agent, "An agent as it was in one version.", **_AGENT)
AgentVersionPage = page_of("AgentVersionPage", AgentVersion, "An agent in each of its versions, newest first.")
AgentCard = model_of("AgentCard", rows.SeenAgentCard, role=ROLE)
AgentSummary = model_of("AgentSummary", rows.SeenAgentSummary, role=ROLE)
AgentPage = page_of("AgentPage", AgentSummary, "Agents, newest first.")
