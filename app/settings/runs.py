"""Runs, the requests of their tools, and jobs in the background."""

from pydantic import Field
from pydantic_settings import BaseSettings

from ai_agents.core.upstream import DEFAULT_MAX_CONNECTIONS, DEFAULT_MAX_HELD_RUNS
from app.settings.values import KIB, AllowedHosts, Amount, Days, ModelName, Seconds


class RunSettings(BaseSettings):
    """Limits of runs."""

    run_timeout_s: Seconds = Field(
        600.0,
        description="How long a run may make no progress: no text, no reasoning, no call, no result. A run that works "
        "may take hours.",
    )
    max_upstream_connections: Amount = Field(
        DEFAULT_MAX_CONNECTIONS,
        ge=1,
        description="Runs that a process has under way, each with its "
        "[connection to a provider](operations.md#connections-to-providers). Further ones wait as `queued`.",
    )
    max_held_runs: Amount = Field(
        DEFAULT_MAX_HELD_RUNS,
        ge=0,
        description="Runs that may wait so, in all processes. Beyond that new messages are 503 `overloaded`.",
    )
    tool_timeout_s: Seconds = Field(30.0, description="How long one tool call may take.")
    tool_rounds: int = Field(10, ge=1, le=1000, description="Model calls of one run that may ask for tools.")
    judge_fails_open: bool = Field(
        False,
        description="Whether everything passes when the model of a `judge` guardrail fails. Otherwise nothing does.",
    )
    approval_timeout_s: Seconds = Field(
        86_400.0,
        description="How long a tool call waits for its approval where its agent does not say it, or for a result of "
        "the client. Then the call is refused, or not answered.",
    )
    max_tool_result_bytes: Amount = Field(
        64 * KIB, ge=KIB, description="The size of a tool's result. A longer one is cut, with a note in it."
    )


class OutboundSettings(BaseSettings):
    """Limits of the requests that admins' tools make."""

    outbound_allow: AllowedHosts = Field(
        "",
        description="Private hosts that they may reach: [which addresses](tools.md#which-addresses-tools-may-call).",
    )
    outbound_trace: AllowedHosts = Field(
        "",
        description="Hosts of your own that are told the trace of a request, by the header `traceparent`: "
        "[traces](operations.md#traces).",
    )
    outbound_max_bytes: Amount = Field(
        10 * 1024 * KIB, ge=KIB, description="The size of an answer. A longer one is not read to its end."
    )
    mcp_connect_timeout_s: Seconds = Field(5.0, description="For connecting to an MCP server or another host.")


class JobSettings(BaseSettings):
    """Background jobs, and how long data is kept."""

    auto_title: bool = Field(True, description="Whether a thread without a title gets one after its first answer.")
    job_model: ModelName | None = Field(
        None, description="For titles and summaries. If it is not set, the agent's own model."
    )
    retain_threads_days: Days | None = Field(
        None, description="Threads that are idle for longer are deleted. If it is not set, they stay."
    )
    retain_files_days: Days | None = Field(
        None,
        description="Files that no message refers to are deleted after this time. If it is not set, they stay.",
    )
    retain_log_days: Days | None = Field(
        None,
        description="Events of runs that are over are [kept no longer](operations.md#how-long-logs-are-kept). "
        "Messages stay in any case. If it is not set, events stay, too.",
    )

    @property
    def retention(self) -> dict[str, int | None]:
        """How many days threads, files and rows of logs are kept; None means for ever."""
        return {"threads": self.retain_threads_days, "files": self.retain_files_days, "log": self.retain_log_days}
