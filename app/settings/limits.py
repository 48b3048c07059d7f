"""Limits of requests, and what a user may use."""

from pydantic import Field
from pydantic_settings import BaseSettings

from ai_agents.core.limits import UserLimits
from app.settings.values import KIB, Amount, Count, Money


class RequestLimits(BaseSettings):
    """Limits of requests, of admins too."""

    max_body_bytes: Amount = Field(1024 * KIB, ge=KIB, description="The size of a request's body.")
    max_content_characters: Amount = Field(
        100_000, ge=1, description="The length of a message, a system prompt, a summary."
    )
    max_metadata_bytes: Amount = Field(16 * KIB, ge=2, description="The size of metadata, as JSON.")
    max_file_bytes: Amount = Field(20 * 1024 * KIB, ge=KIB, description="The size of an uploaded file.")
    max_json_depth: int = Field(32, ge=4, le=500, description="How deep the JSON of a request may be.")
    max_header_bytes: Amount = Field(32 * KIB, ge=KIB, description="The size of a request's line and headers.")
    max_connections: Amount = Field(
        20_000,
        ge=1,
        description="Connections of clients that a process has at once: "
        "[facing the internet](operations.md#facing-the-internet).",
    )


class LimitsOfUsers(BaseSettings):
    """What a user may use, unless an admin set [limits for that user](limits.md#limits-of-users).

    `none` is no limit. They do not hold admins.
    """

    max_requests_per_minute: Count = Field(
        600, ge=1, description="Requests, on all [replicas together](limits.md#limits-on-several-replicas)."
    )
    max_streams_per_user: Count = Field(50, ge=1, description="Streams open at once, on all replicas together.")
    max_runs_per_user: Count = Field(50, ge=1, description="Runs under way at once.")
    max_files_bytes_per_user: Count = Field(10_000_000_000, ge=0, description="All files of a user together.")
    max_threads_per_user: Count = Field(None, ge=0, description="Threads of a user.")
    max_thread_rows: Count = Field(1_000_000, ge=1, description="Rows of the log of one thread.")
    max_agent_versions_per_user: Count = Field(1000, ge=0, description="Versions of all agents of a user together.")
    max_tokens_per_day: Count = Field(None, ge=0, description="Tokens of a user, in a day of UTC.")
    max_cost_per_day: Money = Field(
        None, ge=0, allow_inf_nan=False, description="What a user's model calls may cost, in a day of UTC."
    )

    @property
    def user_limits(self) -> UserLimits:
        """The limits by their names."""
        return {
            "requests_per_minute": self.max_requests_per_minute,
            "streams": self.max_streams_per_user,
            "runs": self.max_runs_per_user,
            "files_bytes": self.max_files_bytes_per_user,
            "threads": self.max_threads_per_user,
            "thread_rows": self.max_thread_rows,
            "agent_versions": self.max_agent_versions_per_user,
            "tokens_per_day": self.max_tokens_per_day,
            "cost_per_day": self.max_cost_per_day,
        }
