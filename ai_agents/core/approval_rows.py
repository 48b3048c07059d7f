"""Tool calls that wait for a person, as the person sees them in a list. Times are RFC 3339 in UTC."""

from typing import TypedDict

from ai_agents.core.types import JsonObject


class ThreadTitle(TypedDict):
    """A thread, and its title where it has one."""

    id: str
    title: str | None


class AgentName(TypedDict):
    """An agent. `name` is None for users who do not see the agent."""

    id: str
    name: str | None


class WaitingApproval(TypedDict):
    """A tool call that waits for a person. `expires_at` is when it is refused without a decision; None: never."""

    tool_call_id: str
    name: str
    arguments: JsonObject
    thread: ThreadTitle
    run_id: str
    agent: AgentName
    requested_at: str
    expires_at: str | None
