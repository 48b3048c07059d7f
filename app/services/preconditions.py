"""`If-Match`."""

from ai_agents.core.exceptions import PreconditionFailed


def check_version(expected: frozenset[int], version: int) -> None:
    """Raises `PreconditionFailed` unless the version is one of those that the change is meant for."""
    if version not in expected:
        raise PreconditionFailed(f"It has been changed since: its version is {version} by now.")
