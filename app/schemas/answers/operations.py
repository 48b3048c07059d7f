"""Jobs, and the state of the service."""

from typing import Annotated, Literal

from pydantic import Field

from ai_agents.core import rows
from app.schemas.answers.models import Read, model_of, page_of
from app.schemas.common import Id

JobRead = model_of(
    "JobRead",
    rows.Job,
    "Work in the background. There is one job for each thread, kind and range.",
    thread_id=Annotated[Id | None, Field(description="Null for a job that belongs to no thread.")],
    range_key="Which part of the thread, or which user.",
    attempts="After the fifth the job is `failed`.",
    error="Why the last attempt failed.",
    result="What the job did; for `erase_user` the receipt.",
)
JobPage = page_of("JobPage", JobRead, "Jobs, newest first.")


class Health(Read):
    """The state of the service."""

    status: Literal["ok"]
