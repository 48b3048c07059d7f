"""Values that a scenario knows to be present."""

from typing import TypeVar

T = TypeVar("T")


def present(value: T | None) -> T:
    """The value, which is not None here."""
    assert value is not None
    return value
