"""Users and their limits."""

from typing import Annotated

from pydantic import Field

from ai_agents.core import rows
from ai_agents.core.limits import LimitName, LimitsOfUser, LimitUse
from app.schemas.answers.models import Read, model_of, page_of

LimitsRead = model_of(
    "UserLimits",
    LimitsOfUser,
    "The limits of a user; null is none.",
    own="The names of those that an admin set for this user.",
    runs="Under way at once.",
    files_bytes="All files of the user together.",
    thread_rows="Rows of the log of one thread.",
    agent_versions="Versions of all agents of the user together.",
    cost_per_day="In US dollars.",
)
LimitUseRead = model_of(
    "LimitUse",
    LimitUse,
    "One limit of a user.",
    limit="Null is none.",
    used="Null where it is not counted.",
    resets_at="When all of it is free again, for what ends by itself.",
)
UserSummary = model_of("UserSummary", rows.UserSummary, id=Annotated[str, Field(description="Any text.")])
UserPage = page_of("UserPage", UserSummary, "Users, by their ids.")


class Me(Read):
    """The user whose key the request carries."""

    user_id: str
    admin: bool
    limits: dict[LimitName, LimitUseRead] = Field(  # type: ignore[valid-type]  # made at run time
        description="The user's limits and what is used of them. Empty for a token that is for some agents.",
    )
