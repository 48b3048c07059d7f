"""What model calls used and cost."""

from typing import Annotated

from pydantic import Field

from ai_agents.core import rows
from ai_agents.core.types import TokenCounts
from app.schemas.answers.models import model_of, page_of

TokenUsage = model_of(
    "Usage",
    TokenCounts,
    "Tokens. Null where the provider does not say; `estimated` is true where the service counted them itself.",
)
Cost = model_of(
    "Cost",
    rows.Money,
    "What model calls cost. `estimated` is true where the service counted their tokens itself.",
    amount=Annotated[str, Field(description="Exact, as a decimal number.", examples=["0.00123"])],
)
UsageRead = model_of(
    "UsageRead",
    rows.UsageSum,
    "The sums of a group of model calls. The fields of `group_by` say which group.",
    user_id="The user whose message caused the calls; null where there is none.",
    day=Annotated[str | None, Field(description="In UTC.", json_schema_extra={"format": "date"})],
    calls="How many calls, including failed and cancelled ones.",
    cached_share="How much of the input came from caches of providers, from 0 to 1, in the calls of which that is "
    "known; missing if there are none.",
    cost="Cost of the calls whose price is known; null if there is none.",
    unpriced_calls="How many calls have no known price. They are not in the cost.",
)
UsagePage = page_of("UsagePage", UsageRead, "Sums, ordered by the fields of `group_by`.")
