"""Fixtures of the tests of doors: those of the service."""

import os

from tests.api.conftest import (  # noqa: F401  # fixtures are found by their names here
    fake,
    live,
    plain_tracebacks,
    service,
    small_live,
    small_service,
)

# Its pages take a browser, which `make conformance` names.
collect_ignore = [] if "AI_AGENTS_CHROMIUM" in os.environ else ["test_pages.py"]
