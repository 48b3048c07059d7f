"""Fixtures for all tests: real databases and a real Redis, started when the first test asks for them.

One PostgreSQL serves all processes of the run; each test has a database of its own, copied from
one that the migrations built. Each process of the run has a Redis of its own, empty at the start of each test.
"""

import gc
import itertools
import logging
import os
import shutil
import signal
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
import structlog

from tests.faults.support.nursery import nursery
from tests.support.bytecode import make_bytecode
from tests.support.distribution import in_order
from tests.support.network import LoopbackGuard
from tests.support.pooled import poolers_in
from tests.support.postgres import PostgresServer
from tests.support.redis_server import RedisServer
from tests.support.shared import SharedDirectory
from tests.support.timings import seconds_by_part

TEMPLATE = "migrated"
# Tests that wait for processes and clocks more than they compute.
WAITING = ("tests/faults/", "tests/worker/", "tests/docs/", "tests/api/test_process", "tests/api/test_rights_over_time")
SHARED = pytest.StashKey[SharedDirectory]()
_numbers = itertools.count(1)


def pytest_configure(config: pytest.Config) -> None:
    """The leading process makes the shared directory; a worker process is told where it is."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell lets what runs in the background ignore it, and the processes of the tests would inherit that.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    gc.disable()  # until the tests are collected, which makes many objects and no garbage
    given = getattr(config, "workerinput", None)
    if given:
        config.stash[SHARED] = SharedDirectory(Path(given["shared_directory"]))
        return
    if config.getoption("numprocesses", None):
        make_bytecode(config)
    shared = config.stash[SHARED] = SharedDirectory.create()
    if config.option.basetemp is None:
        config.option.basetemp = str(shared.path / "tmp")  # SQLite files are quicker there, too


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let half of the run's processes begin with tests that wait for other processes, while the others compute.

    These tests take long: at the end of the run they would run alone.
    """
    workers = getattr(config, "workerinput", {"workercount": 1})["workercount"]
    items[:] = in_order(items, workers, waits=lambda item: item.nodeid.startswith(WAITING))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Collect garbage as seldom as the service does, and never look through what the tests are made of."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: "WorkerNode") -> None:
    """Tell a worker process of pytest-xdist where the shared directory is."""
    node.workerinput["shared_directory"] = str(node.config.stash[SHARED].path)


def pytest_unconfigure(config: pytest.Config) -> None:
    """End what the run has started."""
    if not hasattr(config, "workerinput") and SHARED in config.stash:
        config.stash[SHARED].close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what each part took, added up over the processes of the run."""
    reports = [
        report for kind in terminalreporter.stats.values() for report in kind if isinstance(report, pytest.TestReport)
    ]
    parts = seconds_by_part(reports)
    if len(parts) > 1:
        terminalreporter.section("seconds by part")
        for part, seconds, tests in parts:
            terminalreporter.line(f"{seconds:8.1f} s {tests:5} tests  {part}")


class WorkerNode:
    """What pytest-xdist hands to `pytest_configure_node`, as far as it is used here."""

    config: pytest.Config
    workerinput: dict[str, str]


@pytest.fixture(scope="session", autouse=True)
def nursery_ends() -> Iterator[None]:
    """End this process's nursery after all that it has started: whatever starts processes is torn down before this."""
    yield
    if nursery.cache_info().currsize:
        nursery().close()


@pytest.fixture(autouse=True)
def process_stays_as_it_is(loggers_are_not_kept: None) -> Iterator[None]:
    """Commands that run in this process change its logging and its mask for files: later tests have what was before."""
    structured = structlog.get_config()
    level, handlers, mask = logging.root.level, logging.root.handlers.copy(), os.umask(0)
    os.umask(mask)
    yield
    structlog.configure(**structured)
    logging.root.setLevel(level)
    # pytest has its own for the time of a test.
    logging.root.handlers[:] = [each for each in logging.root.handlers if each in handlers]
    os.umask(mask)


@pytest.fixture(scope="session")
def loggers_are_not_kept() -> Iterator[None]:
    """Loggers of structlog ask for the configuration each time, so that it can be restored after a test."""
    configure = structlog.configure

    def configure_anew(**given: Any) -> None:
        configure(**{**given, "cache_logger_on_first_use": False})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(structlog, "configure", configure_anew)
        yield


@pytest.fixture(scope="session", autouse=True)
def statements_are_shared() -> Iterator[None]:
    """Compile each statement of SQL once for all databases of this process."""
    # Imported here: what collects the tests alone needs no database.
    from tests.support.statements import shared_statements

    with shared_statements():
        yield


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The service runs on asyncio alone, so the tests do."""
    return "asyncio"


@pytest.fixture(scope="session")
def loopback_guard() -> Iterator[LoopbackGuard]:
    """The guard of this process's sockets."""
    guard = LoopbackGuard()
    with pytest.MonkeyPatch.context() as patch:
        guard.install(patch)
        yield guard


@pytest.fixture(autouse=True)
def stays_on_this_machine(loopback_guard: LoopbackGuard) -> Iterator[None]:
    """Fail a test that tried to reach anything but loopback, even if its code handled the refusal."""
    loopback_guard.refused.clear()
    yield
    assert not loopback_guard.refused, f"tried to reach {loopback_guard.refused}"


@pytest.fixture(scope="session")
def shared_directory(request: pytest.FixtureRequest) -> SharedDirectory:
    """The directory that the processes of this run share."""
    return request.config.stash[SHARED]


@pytest.fixture(scope="session", autouse=True)
def poolers(shared_directory: SharedDirectory) -> Iterator[None]:
    """End the poolers that this process has started; without POOLER=1 there are none."""
    with poolers_in(shared_directory.path / f"poolers-{os.getpid()}"):
        yield


@pytest.fixture
def server_directory(shared_directory: SharedDirectory) -> Path:
    """A directory for the servers of one test; what still runs in it is ended with the run.

    Servers cannot use `tmp_path`: it is closed to the user that PostgreSQL runs as where the tests are run by root.
    """
    directory = Path(tempfile.mkdtemp(dir=shared_directory.path))
    directory.chmod(0o711)
    return directory


@pytest.fixture(scope="session")
def postgres(shared_directory: SharedDirectory) -> Iterator[PostgresServer]:
    """The run's PostgreSQL. Other tests use it at the same time: a test that kills a server starts its own."""
    directory = shared_directory.path / "postgres"

    def start() -> str:
        server = PostgresServer(directory)
        server.start()
        return str(server.port)

    server = PostgresServer(directory, port=int(shared_directory.once("postgres", start)))
    with server.connected():
        yield server


@pytest.fixture(scope="session")
def own_redis_server(shared_directory: SharedDirectory) -> Iterator[RedisServer]:
    """This process's Redis, kept from test to test; tests take `redis_server`."""
    server = RedisServer(shared_directory.path / f"redis-{os.getpid()}")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def redis_server(own_redis_server: RedisServer) -> RedisServer:
    """An empty Redis that no other test uses."""
    own_redis_server.flush()
    return own_redis_server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A fresh database with the migrations applied, once of each kind."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def one_database_url(request: pytest.FixtureRequest) -> str:
    """The same once, of the one kind or the other by the test's name: for files in which nothing depends on it."""
    url: str = request.getfixturevalue(("sqlite_url", "postgresql_url")[crc32(request.node.name.encode()) % 2])
    return url


@pytest.fixture
def sqlite_url(tmp_path: Path, shared_directory: SharedDirectory) -> str:
    """A fresh SQLite file with the migrations applied."""
    return fresh_sqlite(shared_directory, tmp_path)


def fresh_sqlite(shared_directory: SharedDirectory, directory: Path) -> str:
    """The address of a new SQLite file in the directory, with the migrations applied."""
    template = shared_directory.path / f"{TEMPLATE}.db"

    def migrate() -> str:
        _upgrade(f"sqlite:///{template}")
        with sqlite3.connect(template) as connection:  # so that copying the one file copies everything
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        return str(template)

    path = directory / "test.db"
    shutil.copyfile(shared_directory.once("sqlite", migrate), path)
    return f"sqlite:///{path}"


@pytest.fixture
def postgresql_url(postgres: PostgresServer, shared_directory: SharedDirectory) -> Iterator[str]:
    """A fresh PostgreSQL database with the migrations applied."""

    def migrate() -> str:
        _upgrade(postgres.create_database(TEMPLATE))
        return TEMPLATE

    name = f"test_{os.getpid()}_{next(_numbers)}"
    yield postgres.create_database(name, template=shared_directory.once("postgresql", migrate))
    postgres.drop_database(name)


@pytest.fixture
def own_registries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take back after the test what it registers: the registries of a process only grow, and are copied here."""
    from ai_agents.guardrails import registry as guardrails
    from ai_agents.memory import registry as strategies
    from ai_agents.providers import registry as providers
    from ai_agents.tools.registry import default_registry

    monkeypatch.setattr(guardrails, "_factories", dict(guardrails._factories))
    monkeypatch.setattr(strategies, "_factories", dict(strategies._factories))
    monkeypatch.setattr(providers, "_registered", dict(providers._registered))
    monkeypatch.setattr(default_registry, "_tools", dict(default_registry._tools))


def _upgrade(url: str) -> None:
    # Imported here: tests that need no database do not pay for what it brings.
    from ai_agents.store.migrate import upgrade

    upgrade(url)
