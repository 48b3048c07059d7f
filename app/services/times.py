"""Times in queries."""

from datetime import UTC, date, datetime, time

from app.errors import invalid_query


def parse_time(name: str, value: str) -> datetime:
    """A day (its start in UTC), or a time with its zone, in UTC. Raises `InvalidFields`, which names the parameter."""
    try:
        if len(value) == len("2026-11-23"):
            return datetime.combine(date.fromisoformat(value), time(tzinfo=UTC))
        found = datetime.fromisoformat(value)
        if found.tzinfo is not None:
            return found.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise invalid_query(name, "should be a day (2026-11-23) or a time with its zone (2026-11-23T12:00:00Z)")
