"""Arguments that many use cases share: ids, pages and versions."""

from typing import TypedDict

from ai_agents.core.exceptions import NotFound, PreconditionFailed
from ai_agents.core.ids import is_id


class PageArguments(TypedDict):
    """Which part of a list is asked for, as the `list` methods of the stores take it."""

    limit: int
    after: str | None


def check_id(value: str, unknown: type[NotFound]) -> str:
    """The id itself. A value that is no id raises what an unknown id raises."""
    if not is_id(value):
        raise unknown
    return value


def check_version(expected: frozenset[int], version: int) -> None:
    """Raises `PreconditionFailed` unless the version is one of those that the change is meant for."""
    if version not in expected:
        raise PreconditionFailed(f"It has been changed since: its version is {version} by now.")
