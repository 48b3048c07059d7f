"""What a model call is made for, and for which user."""

from dataclasses import dataclass

from ai_agents.core.rows import Agent, Budget


@dataclass(frozen=True, slots=True)
class CallPurpose:
    """The thread and agent of a model call, its run where there is one, and the user who caused it.

    `agent_budget` is the agent's. `by_admin`: the user acted as an admin; the general limits of users do not hold then.
    """

    thread_id: str | None
    agent_id: str | None
    run_id: str | None = None
    user_id: str | None = None
    agent_budget: Budget | None = None
    by_admin: bool = False

    @classmethod
    def of_agent(
        cls, agent: Agent, thread_id: str | None, *, user_id: str | None, by_admin: bool, run_id: str | None = None
    ) -> "CallPurpose":
        """The purpose of a call for this agent."""
        return cls(thread_id, agent["id"], run_id, user_id, agent["budget"], by_admin)
