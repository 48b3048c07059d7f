"""Fixtures of the service's tests."""

import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from functools import cache
from pathlib import Path

import httpx
import pytest
import structlog

from ai_agents.store.keys import id_of_environment_key
from app import container
from tests.api.live import Live, serve
from tests.api.service import Service, open_service, settings_for
from tests.conftest import fresh_sqlite
from tests.fakes.http_server import HttpServer
from tests.fakes.mcp_servers import McpFake
from tests.fakes.provider_server import FakeProviderServer
from tests.support.shared import SharedDirectory

_numbers = itertools.count(1)


@pytest.fixture(scope="session", autouse=True)
def plain_tracebacks() -> Iterator[None]:
    """Log as text: without a configuration, structlog takes seconds to draw the traceback of one error."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(),
        ]
    )
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session", autouse=True)
def admin_keys_are_known() -> Iterator[None]:
    """Make the id of an admin key once: scrypt takes longer on purpose than all else that a service does to start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(container, "id_of_environment_key", cache(id_of_environment_key))
        yield


@pytest.fixture
async def service(database_url: str, tmp_path: Path) -> AsyncIterator[Service]:
    """A service on an empty database, once for each kind of database."""
    async with open_service(settings_for(database_url, tmp_path)) as opened:
        yield opened


@pytest.fixture
async def small_service(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Service]:
    """A service on SQLite, for tests that do not depend on the database."""
    async with open_service(settings_for(sqlite_url, tmp_path)) as opened:
        yield opened


@pytest.fixture(scope="module")
async def lasting_service(
    shared_directory: SharedDirectory, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Service]:
    """A service on SQLite that tests of a file share; they take `shared_service`."""
    directory = tmp_path_factory.mktemp("lasting")
    async with open_service(settings_for(fresh_sqlite(shared_directory, directory), directory)) as opened:
        yield opened


@pytest.fixture
async def shared_service(lasting_service: Service) -> AsyncIterator[Service]:
    """A service with users of its own for each test: for many tests in which little happens, such as refusals."""
    async with AsyncExitStack() as clients:
        yield Service(lasting_service.app, clients, suffix=f"-{next(_numbers)}")


@pytest.fixture
async def admin(service: Service) -> httpx.AsyncClient:
    """A client with the admin key."""
    return await service.admin()


@pytest.fixture
async def alice(service: Service) -> httpx.AsyncClient:
    """A user."""
    return await service.user("alice")


@pytest.fixture
async def bob(service: Service) -> httpx.AsyncClient:
    """Another user, without a role on what the first one has."""
    return await service.user("bob")


@pytest.fixture
async def live(database_url: str, tmp_path: Path) -> AsyncIterator[Live]:
    """A service behind a server on an empty database, once for each kind of database."""
    async with serve(settings_for(database_url, tmp_path)) as served:
        yield served


@pytest.fixture
async def small_live(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Live]:
    """A service behind a server on SQLite, for tests that do not depend on the database."""
    async with serve(settings_for(sqlite_url, tmp_path)) as served:
        yield served


@pytest.fixture
async def http() -> AsyncIterator[HttpServer]:
    """An HTTP API that tools of admins call."""
    async with HttpServer() as opened:
        yield opened


@pytest.fixture
async def fake() -> AsyncIterator[FakeProviderServer]:
    """A server that answers like every provider."""
    async with FakeProviderServer() as opened:
        yield opened


@pytest.fixture
async def mcp() -> AsyncIterator[McpFake]:
    """A real MCP server."""
    async with McpFake() as opened:
        yield opened
