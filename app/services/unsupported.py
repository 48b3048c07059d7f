"""What the contract has and this version cannot do yet: refused here, and only here, rather than silently ignored."""

from ai_agents.core.exceptions import InvalidRequest
from app.schemas.agents import AnyAgent, ToolChoice


def check_agent(agent: AnyAgent) -> None:
    """Raises `InvalidRequest` for guardrails, an output schema, tools that wait for approval, and the Responses API."""
    if agent.guardrails:
        raise _unsupported("guardrails", "Guardrails are not run by this version: leave the list empty.")
    if agent.output_schema is not None:
        raise _unsupported("output_schema", "Output schemas are not kept to by this version: leave it out.")
    if agent.settings.api == "responses":
        raise _unsupported("settings", "api", "The Responses API is not spoken by this version: use chat.")
    for number, tool in enumerate(agent.tools):
        if isinstance(tool, ToolChoice) and tool.approval == "always":
            detail = "Tool calls cannot wait for approval in this version: leave approval out."
            raise _unsupported("tools", number, "approval", detail)


def _unsupported(*loc_and_detail: str | int) -> InvalidRequest:
    *loc, detail = loc_and_detail
    return InvalidRequest(str(detail), loc=tuple(loc))
