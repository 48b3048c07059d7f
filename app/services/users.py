"""Users: what they have, and what they may use."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypedDict, cast

from sqlalchemy import Connection

from ai_agents.core.exceptions import InvalidRequest
from ai_agents.core.ids import format_time
from ai_agents.core.limits import LimitName, LimitsOfUser, LimitUse, OwnLimits
from ai_agents.core.rows import Page, UserSummary
from ai_agents.store import audit, budgets
from ai_agents.store.budgets import Payer
from ai_agents.store.limits import find_limits
from ai_agents.store.thread_access import count_runs_at_once
from ai_agents.store.totals import find_totals, longest_thread
from app.container import Container
from app.schemas.users import SetLimits
from app.services.identity import PageArguments, Principal, act_of, note_admin, require_admin


class Me(TypedDict):
    """The user of a request."""

    user_id: str
    admin: bool
    limits: Mapping[LimitName, LimitUse]


async def get_me(container: Container, user: Principal, *, requests: LimitUse, streams: int) -> Me:
    """The user of the request, with what is used of each limit: `requests`, and open `streams`.

    A token that is for some agents learns nothing of what is used beside them.
    """
    if user.within is not None:
        return {"user_id": user.user_id, "admin": user.is_admin, "limits": {}}
    today = budgets.day_of(datetime.now(UTC))
    limits = container.limits.of(user.user_id, is_admin=user.is_admin)
    has_budget = limits["tokens_per_day"] is not None or limits["cost_per_day"] is not None

    def read(connection: Connection) -> dict[LimitName, float]:
        has = find_totals(connection, user.user_id)
        spent = budgets.used_on(connection, Payer("user", user.user_id), today, has_budget=has_budget)
        return {
            "streams": streams,
            "runs": count_runs_at_once(connection, user.user_id),
            "files_bytes": has["files_bytes"],
            "threads": has["threads"],
            "thread_rows": longest_thread(connection, user.user_id),
            "agent_versions": has["agent_versions"],
            "tokens_per_day": spent.tokens,
            "cost_per_day": spent.pico_usd / budgets.PICO_PER_USD,
        }

    used = await container.conn.database.read(read, long=True)
    tomorrow = format_time(budgets.end_of_day(today))
    found: dict[LimitName, LimitUse] = {"requests_per_minute": requests}
    for name, amount in used.items():
        resets_at = tomorrow if name in ("tokens_per_day", "cost_per_day") else None
        found[name] = {"limit": limits[name], "used": amount, "resets_at": resets_at}
    return {"user_id": user.user_id, "admin": user.is_admin, "limits": found}


async def list_users(container: Container, user: Principal, page: PageArguments, *, q: str | None) -> Page[UserSummary]:
    """The users who have something here, and `q` in their id. Raises `PermissionDenied`, `InvalidCursor`."""
    require_admin(user)
    await note_admin(container, user, "user")
    return await container.users.list(q=q, **page)


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
