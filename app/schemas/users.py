"""What admins set for users."""

from typing import Annotated

from pydantic import Field

from app.schemas.common import Strict

# The largest integer that every JSON parser reads exactly.
_MOST = 2**53 - 1
_Count = Annotated[int, Field(ge=0, le=_MOST)] | None


class SetLimits(Strict):
    """All limits of a user's own. Null is no limit; one that is left out is as the service's settings say."""

    requests_per_minute: Annotated[int, Field(ge=1, le=_MOST)] | None = None
    streams: _Count = None
    runs: _Count = None
    files_bytes: _Count = None
    threads: _Count = None
    thread_rows: _Count = None
    agent_versions: _Count = None
    tokens_per_day: _Count = None
    cost_per_day: Annotated[float, Field(ge=0, le=1e9, description="US dollars.")] | None = None
