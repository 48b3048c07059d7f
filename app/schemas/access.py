"""What gives access: API keys, tokens, tickets and roles."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, Field

from ai_agents.core.ids import TIME_FORMAT
from ai_agents.core.types import ResourceType, RoleName
from app.schemas.common import Id, Strict, UserId


def _to_utc(value: str) -> str:
    """A time in RFC 3339, as the database stores it: UTC with six decimals."""
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None or len(value) < len("2026-01-01T00:00Z"):
            raise ValueError
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("must be a time with its zone, such as 2030-01-31T12:00:00Z") from None
    if moment <= datetime.now(UTC):
        raise ValueError("must be in the future")
    return moment.strftime(TIME_FORMAT)


def _one_user(value: str) -> str:
    if value == "*":
        raise ValueError("must be one user")
    return value


class CreateKey(Strict):
    """A key for a user. Without `user_id` it is for the user who asks."""

    user_id: Annotated[UserId, AfterValidator(_one_user)] | None = None
    name: Annotated[str, Field(max_length=200)] = ""
    expires_at: (
        Annotated[str, Field(max_length=40, json_schema_extra={"format": "date-time"}), AfterValidator(_to_utc)] | None
    ) = None
    admin: bool = False


class RotateKey(Strict):
    """A new secret for a key. Its former secrets are valid for `grace_s` seconds more."""

    grace_s: Annotated[int, Field(ge=0, le=604_800)] = 0


class CreateToken(Strict):
    """A token for a user. Without `user_id` it is for the user who asks, without `agents` for all of their agents."""

    user_id: Annotated[UserId, AfterValidator(_one_user)] | None = None
    expires_in_s: Annotated[int, Field(ge=60, le=86_400)] = 3600
    agents: Annotated[list[Id], Field(min_length=1, max_length=100, description="Ids of the only agents.")] | None = (
        None
    )


class CreateTicket(Strict):
    """A ticket for one thread; without `thread_id`, for `GET /events`."""

    thread_id: Id | None = None


class CreateRole(Strict):
    """A role for a user (`*`: every user). It replaces the role that they have on the resource.

    On tools and providers `user` is the only role.
    """

    user_id: UserId
    role: RoleName
    resource_type: ResourceType
    resource_id: Annotated[str, Field(max_length=100, description="Its id; the name of a tool or provider.")]
