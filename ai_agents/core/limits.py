"""The limits of users: their names, and the limits of one user as a typed dict. None means that there is no limit."""

from typing import Literal, TypedDict, get_args

LimitName = Literal[
    "requests_per_minute",
    "streams",
    "runs",
    "files_bytes",
    "threads",
    "thread_rows",
    "agent_versions",
    "tokens_per_day",
    "cost_per_day",
]
LIMIT_NAMES: tuple[LimitName, ...] = get_args(LimitName)


class UserLimits(TypedDict):
    """All limits of one user.

    `runs` are under way at once, `thread_rows` are those of a thread's log, `cost_per_day` is in US dollars.
    """

    requests_per_minute: int | None
    streams: int | None
    runs: int | None
    files_bytes: int | None
    threads: int | None
    thread_rows: int | None
    agent_versions: int | None
    tokens_per_day: int | None
    cost_per_day: float | None


class LimitsOfUser(UserLimits):
    """The limits that hold a user. `own` are the names of those that an admin set for this user."""

    own: list[str]


class OwnLimits(TypedDict, total=False):
    """The limits that were set for one user, as in `UserLimits`. What is missing is as the service's settings say."""

    requests_per_minute: int | None
    streams: int | None
    runs: int | None
    files_bytes: int | None
    threads: int | None
    thread_rows: int | None
    agent_versions: int | None
    tokens_per_day: int | None
    cost_per_day: float | None


class LimitUse(TypedDict):
    """One limit of a user, what is used of it, and when all of that ends by itself.

    Where the limit is None, what is used may be None too: it is not counted then.
    """

    limit: float | None
    used: float | None
    resets_at: str | None


NO_LIMITS: UserLimits = {
    "requests_per_minute": None,
    "streams": None,
    "runs": None,
    "files_bytes": None,
    "threads": None,
    "thread_rows": None,
    "agent_versions": None,
    "tokens_per_day": None,
    "cost_per_day": None,
}
