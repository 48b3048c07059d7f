"""Fixtures of the tests of the client: a service, and a client of one of its users."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ai_agents.client import Client
from tests.api import conftest as of_the_api
from tests.api.live import Live
from tests.faults import conftest as of_the_faults
from tests.support.processes import free_port

# Fixtures are found by their names here.
plain_tracebacks, small_live, http = of_the_api.plain_tracebacks, of_the_api.small_live, of_the_api.http
rng = of_the_faults.rng

# Where `make conformance` has installed packages of npm.
NODE = Path(os.environ.get("AI_AGENTS_NODE_DIRECTORY", "none"))
collect_ignore = [] if (NODE / "node_modules/.bin/tsc").exists() else ["test_typescript.py"]


async def key_of(live: Live, user: str) -> str:
    """A new key of this user."""
    return (await live.container.keys.create(user, "tests"))["key"]


@pytest.fixture
async def client(small_live: Live) -> AsyncIterator[Client]:
    """Alice's."""
    async with Client(small_live.server.address, await key_of(small_live, "alice"), patience_s=10) as client:
        yield client


@pytest.fixture
def unused_port() -> int:
    """A port on which no program listens."""
    return free_port()
