"""Usage and costs of model calls: users see their own, admins see all."""

from datetime import UTC, date, datetime, time, timedelta

from ai_agents.core.exceptions import InvalidRequest
from ai_agents.core.rows import Page, UsageSum
from app.container import Container
from app.errors import invalid_query
from app.services.identity import Principal

# A sum reads every call of its period, so the period is limited.
MAX_DAYS = 366
_DEFAULT_DAYS = 30


async def sum_usage(
    container: Container,
    user: Principal,
    *,
    since: str | None,
    until: str | None,
    group_by: str | None,
    limit: int,
    after: str | None,
) -> Page[UsageSum]:
    """A page of sums. Raises `InvalidFields`, `InvalidCursor`."""
    end = datetime.now(UTC) if until is None else _parse("to", until)
    start = _days_before(end, _DEFAULT_DAYS) if since is None else _parse("from", since)
    if start > end:
        raise invalid_query("from", "must not be after `to`")
    if end - start > timedelta(days=MAX_DAYS):
        raise invalid_query("from", f"must not be more than {MAX_DAYS} days before `to`")
    try:
        return await container.usage.sums(
            since=start,
            until=end,
            user_id=None if user.is_admin else user.user_id,
            group_by=[] if group_by is None else group_by.split(","),
            limit=limit,
            after=after,
        )
    except InvalidRequest as error:
        raise invalid_query("group_by", str(error)) from error


def _parse(name: str, value: str) -> datetime:
    """A day (its start in UTC), or a time with its zone. Raises `InvalidFields`."""
    try:
        if len(value) == len("2026-11-23"):
            return datetime.combine(date.fromisoformat(value), time(tzinfo=UTC))
        found = datetime.fromisoformat(value)
        if found.tzinfo is not None:
            return found.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise invalid_query(name, "should be a day (2026-11-23) or a time with its zone (2026-11-23T12:00:00Z)")


def _days_before(end: datetime, days: int) -> datetime:
    try:
        return end - timedelta(days=days)
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)
