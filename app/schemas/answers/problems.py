"""Problems."""

from typing import Annotated

from pydantic import Field

from app.errors import MAX_ERRORS, MAX_LOC_PARTS
from app.schemas.answers.models import Read


class FieldError(Read):
    """One mistake in a request."""

    loc: Annotated[list[str | int], Field(max_length=MAX_LOC_PARTS)] = Field(
        description="Where: `body`, `query` or `header`, then the path to the field."
    )
    msg: str


class ProblemRead(Read, title="Problem", extra="allow"):
    """What went wrong (RFC 9457). Some problems have further members, such as `run_id`."""

    type: str
    title: str
    status: int
    detail: str
    code: str = Field(description="A stable word for what went wrong.")
    request_id: str
    errors: Annotated[list[FieldError], Field(max_length=MAX_ERRORS)] | None = Field(
        None, description="For `invalid_request`: what is wrong, without the value."
    )
