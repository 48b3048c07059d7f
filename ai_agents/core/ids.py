"""Identifiers and times, in the forms that the contract gives them."""

from datetime import UTC, datetime

from uuid_utils import UUID, uuid7

# RFC 3339 in UTC with six decimals: as text it sorts as the times do.
TIME_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


def new_id() -> str:
    """A UUIDv7, lower-case, ascending within this process."""
    return str(uuid7())


def new_tool_call_id() -> str:
    """An id that every provider accepts (letters, digits, `_`; 37 characters, OpenAI takes 40)."""
    return f"call_{uuid7().hex}"


def is_id(value: str) -> bool:
    """Whether the value has the canonical form of our ids, whatever it may name."""
    try:
        return str(UUID(value)) == value
    except ValueError:
        return False


def utc_now() -> str:
    """The time in `TIME_FORMAT`."""
    return datetime.now(UTC).strftime(TIME_FORMAT)


def format_time(time: datetime) -> str:
    """A time in `TIME_FORMAT`, years before 1000 with their leading zeros, without which they would not sort."""
    return time.astimezone(UTC).strftime(TIME_FORMAT).rjust(27, "0")
