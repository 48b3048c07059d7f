"""What models were used for, and what that cost."""

from pydantic import Field

from app.schemas.common import Cost, Id, Read, ReadPage, TokenUsage


class UsageRead(Read):
    """The sums of a group of model calls. The fields of `group_by` say which group."""

    agent_id: Id | None = None
    provider: str | None = None
    model: str | None = None
    user_id: str | None = Field(
        None, description="The user of the run; null for calls that the service makes by itself."
    )
    day: str | None = Field(None, description="In UTC.", json_schema_extra={"format": "date"})
    calls: int = Field(description="How many calls, including failed and cancelled ones.")
    usage: TokenUsage
    cost: Cost | None = Field(description="Cost of the calls whose price is known; null if there is none.")
    unpriced_calls: int = Field(description="How many calls have no known price. They are not in the cost.")


class UsagePage(ReadPage[UsageRead]):
    """Sums, ordered by the fields of `group_by`."""
