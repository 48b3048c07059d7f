"""What the contract has and this version cannot do yet: refused here, and only here, rather than silently ignored."""

from ai_agents.core.exceptions import InvalidRequest
from app.schemas.agents import AnyAgent, ToolChoice


def check_agent(agent: AnyAgent) -> None:
    """Raises `InvalidRequest` for guardrails, and for tools that wait for approval."""
    if agent.guardrails:
        raise _unsupported("guardrails", "Guardrails are not run by this version: leave the list empty.")
    for number, tool in enumerate(agent.tools):
        if isinstance(tool, ToolChoice) and tool.approval == "always":
            detail = "Tool calls cannot wait for approval in this version: leave approval out."
            raise _unsupported("tools", number, "approval", detail)


def _unsupported(*loc_and_detail: str | int) -> InvalidRequest:
    *loc, detail = loc_and_detail
    return InvalidRequest(str(detail), loc=tuple(loc))
