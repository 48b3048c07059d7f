"""Users: what they may use."""

from typing import cast

from sqlalchemy import Connection

from ai_agents.core.exceptions import InvalidRequest
from ai_agents.core.limits import LimitsOfUser, OwnLimits
from ai_agents.store import audit
from ai_agents.store.limits import find_limits
from app.container import Container
from app.schemas.users import SetLimits
from app.services.identity import Principal, act_of, note_admin, require_admin


async def get_limits(container: Container, user: Principal, user_id: str) -> LimitsOfUser:
    """The limits of a user. Raises `PermissionDenied`, `InvalidRequest`."""
    _require_one_user(user, user_id)
    await note_admin(container, user, "user", user_id)
    return _shown(container, await container.conn.database.read(lambda c: find_limits(c, user_id)))


async def set_limits(container: Container, user: Principal, user_id: str, body: SetLimits) -> LimitsOfUser:
    """Set the limits of a user, in place of those that were set before. Raises `PermissionDenied`, `InvalidRequest`."""
    _require_one_user(user, user_id)
    own = cast("OwnLimits", body.model_dump(include=body.model_fields_set))
    changed = act_of(user, "limits.change", "user", subject_id=user_id, details=dict(own))  # type: ignore[arg-type]  # numbers

    def record(connection: Connection) -> None:
        audit.record(connection, changed)

    await container.stored_limits.put(user_id, own, record)
    return _shown(container, own)


def _require_one_user(user: Principal, user_id: str) -> None:
    require_admin(user)
    if user_id == "*":
        raise InvalidRequest("Limits are set for one user at a time.", loc=("path", "user_id"))


def _shown(container: Container, own: OwnLimits) -> LimitsOfUser:
    return {**container.limits.defaults, **own, "own": sorted(own)}
