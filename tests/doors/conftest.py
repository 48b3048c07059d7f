"""Fixtures of the tests of doors: those of the service."""

from tests.api.conftest import (  # noqa: F401  # fixtures are found by their names here
    fake,
    live,
    plain_tracebacks,
    service,
    small_live,
    small_service,
)
