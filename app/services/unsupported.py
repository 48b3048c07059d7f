"""What the contract has and this version cannot do yet: refused here, and only here, rather than silently ignored."""

from ai_agents.core.exceptions import InvalidRequest
from app.schemas.agents import AnyAgent


def check_agent(agent: AnyAgent) -> None:
    """Raises `InvalidRequest` for guardrails."""
    if agent.guardrails:
        raise _unsupported("guardrails", "Guardrails are not run by this version: leave the list empty.")


def _unsupported(*loc_and_detail: str | int) -> InvalidRequest:
    *loc, detail = loc_and_detail
    return InvalidRequest(str(detail), loc=tuple(loc))
