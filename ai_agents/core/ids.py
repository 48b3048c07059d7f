"""Identifiers and times in the forms that clients see."""

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
    """Whether the value has the canonical form of an id."""
    try:
        return str(UUID(value)) == value
    except ValueError:
        return False


def seconds_of_id(value: str) -> int:
    """When an id of ours was made, in seconds since 1970. Its first 48 bits are milliseconds (RFC 9562)."""
    return int(value[:8] + value[9:13], 16) // 1000


def utc_now() -> str:
    """The time in `TIME_FORMAT`."""
    # A turn asks for it eight times; `strftime` takes almost twice as long.
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def seconds_since(time: str) -> float:
    """Seconds from a time in `TIME_FORMAT` until now; perhaps by the clocks of two machines, and never less than 0."""
    return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(time)).total_seconds())


def time_at(seconds: float) -> str:
    """The time so many seconds after 1970, in `TIME_FORMAT`."""
    return datetime.fromtimestamp(seconds, UTC).strftime(TIME_FORMAT)


def format_time(time: datetime) -> str:
    """A time in `TIME_FORMAT`. Years before 1000 get their leading zeros, so that times sort as text."""
    return time.astimezone(UTC).strftime(TIME_FORMAT).rjust(27, "0")
