"""What models were used for, and what that cost."""

from pydantic import Field

from app.schemas.common import Cost, Id, Page, Read, Usage


class UsageRead(Read):
    """The sums of some calls; which ones, the members say by which the sums are parted."""

    agent_id: Id | None = None
    provider: str | None = None
    model: str | None = None
    user_id: str | None = Field(None, description="On whose behalf; null for what the service does by itself.")
    day: str | None = Field(None, description="In UTC.", json_schema_extra={"format": "date"})
    calls: int = Field(description="Of a model, those that failed or were cancelled included.")
    usage: Usage
    cost: Cost | None = Field(description="Of the calls whose price is known; null where that is none.")
    unpriced_calls: int = Field(description="Calls whose price is not known: they are not in the cost.")


class UsagePage(Page[UsageRead]):
    """Sums, in the order of what they are parted by."""
