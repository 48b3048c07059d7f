"""Starts before the database: a process waits some seconds for one that is coming back, and for nothing else."""

import asyncio
import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from ai_agents.store.migrate import upgrade
from app import patience
from app.cli import main
from tests.faults.support.cluster import Cluster, open_cluster
from tests.faults.support.replica import Replica
from tests.support.pgbouncer import PgBouncer
from tests.support.postgres import PostgresServer
from tests.support.processes import free_port, is_running, send_signal, wait_until
from tests.support.stopwatch import Stopwatch

# Longer than a process needs until it asks, shorter than it waits. By default it is 15.
REFUSES_S = 4
# Nothing is waited for; a machine that runs other tests may be slow.
AT_ONCE_S = 5.0
COMMANDS = (["serve"], ["migrate"], ["migrate", "--wait"], ["worker"])


@pytest.fixture
def pooler(server_directory: Path, own_postgres: PostgresServer) -> Iterator[PgBouncer]:
    """A pooler that refuses everything for some seconds after a login at its server has failed."""
    pooler = PgBouncer(server_directory / "pgbouncer", own_postgres.port, login_retry_s=REFUSES_S)
    pooler.start()
    yield pooler
    pooler.kill()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Commands run here, with the variables that a test sets."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AI_AGENTS_REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    monkeypatch.setattr("app.serving.listening.listen_apart", lambda *_: [])  # a process closes its sockets by ending
    return monkeypatch


def waits_of(replica: Replica) -> list[dict[str, Any]]:
    """What a process has told of waiting."""
    lines = [json.loads(line) for line in replica.log_path.read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == "waiting for the database"]


async def until_waiting(replica: Replica) -> str:
    """The reason, once the process waits."""
    async with asyncio.timeout(30):
        while not waits_of(replica):
            assert replica.is_running, replica.tail()
            await asyncio.sleep(0.02)
    return str(waits_of(replica)[-1]["reason"])


async def until_serving(cluster: Cluster, replica: Replica) -> None:
    async with asyncio.timeout(30):
        while b"AI Agents on" not in replica.log_path.read_bytes():
            assert replica.is_running, replica.tail()
            await asyncio.sleep(0.02)
    assert (await cluster.call(replica, "GET", "/readyz")).status == 200


async def restart_with_a_failed_login(server: PostgresServer, pooled_url: str) -> None:
    """Restart the server, to which the pooler tried to log in while it stopped."""
    await ask(pooled_url)
    direct, pid = await connect(server.url), server.pid
    await direct.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'early'")
    # As `pg_ctl stop --mode smart` does: it ends with its last connection, and tells new ones that it does.
    send_signal(pid, signal.SIGTERM)
    assert "shutting down" in await refusal_of(server.url)
    assert "server_login_retry" in await refusal_of(pooled_url)
    await direct.close()
    await asyncio.to_thread(wait_until, lambda: not is_running(pid), what="PostgreSQL to end")
    await asyncio.to_thread(server.start)


async def refusal_of(url: str) -> str:
    """What it is refused with, once it is; a pooler keeps the first client waiting while it tries to log in."""
    while True:
        try:
            await ask(url)
        except asyncpg.PostgresError as error:
            return str(error)
        except TimeoutError:
            pass


async def ask(url: str) -> None:
    connection = await connect(url)
    try:
        await connection.execute("SELECT 1", timeout=0.2)
    finally:
        connection.terminate()


async def connect(url: str) -> asyncpg.Connection:
    return await asyncpg.connect(url.replace("+asyncpg", ""), timeout=5)


async def test_a_service_waits_for_its_database_and_then_for_the_pooler_before_it(
    server_directory: Path, own_postgres: PostgresServer, pooler: PgBouncer
) -> None:
    direct_url = own_postgres.create_database("early")
    own_postgres.stop()
    async with open_cluster(
        server_directory, pooler.url_of("early"), None, AI_AGENTS_DATABASE_DIRECT_URL=direct_url
    ) as cluster:
        early, late = cluster.add(), cluster.add()
        early.launch()
        assert await until_waiting(early) == (
            f"PostgreSQL does not listen at 127.0.0.1:{own_postgres.port}: the connection was refused."
        )
        early.kill()
        await asyncio.to_thread(own_postgres.start)
        await asyncio.to_thread(upgrade, direct_url)
        await restart_with_a_failed_login(own_postgres, pooler.url_of("early"))
        late.launch()
        assert "server login has been failing, try again later (server_login_retry)" in await until_waiting(late)
        await until_serving(cluster, late)
        assert len(waits_of(late)) == 1, "it tells once that it waits"


def test_a_database_that_does_not_come_ends_a_start_with_one_sentence(
    place: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    place.setenv("AI_AGENTS_DATABASE_URL", f"postgresql://ada@127.0.0.1:{port}/agents")
    place.setattr(patience, "PATIENCE_S", 1.0)
    sentence = f"PostgreSQL does not listen at 127.0.0.1:{port}: the connection was refused."

    for command in (["migrate"], ["serve"]):
        began = time.monotonic()
        with pytest.raises(SystemExit) as ended:
            main(command)
        assert str(ended.value) == sentence
        assert time.monotonic() - began > 0.5
        told = capsys.readouterr()
        assert (told.err + told.out).count(sentence) == 1, "it tells at once what it waits for"


def test_a_worker_is_not_ended_by_its_health_check_because_the_database_is_away(
    place: pytest.MonkeyPatch, postgres: PostgresServer, capsys: pytest.CaptureFixture[str]
) -> None:
    place.setenv("AI_AGENTS_DATABASE_URL", f"postgresql://ada@127.0.0.1:{free_port()}/agents")
    main(["worker", "--check"])
    assert "the connection was refused. A worker waits for it." in capsys.readouterr().err

    place.setenv("AI_AGENTS_DATABASE_URL", f"postgresql://postgres@127.0.0.1:{postgres.port}/nowhere")
    with pytest.raises(SystemExit, match="has no database nowhere"):
        main(["worker", "--check"])


def test_what_no_wait_would_change_ends_a_start_at_once(
    place: pytest.MonkeyPatch, postgres: PostgresServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server = f"127.0.0.1:{postgres.port}"
    wrong = {
        f"postgresql://postgres@{server}/nowhere": f"PostgreSQL at {server} has no database nowhere.",
        f"postgresql://nobody_here@{server}/postgres": f"PostgreSQL at {server} does not let the user nobody_here in: ",
        f"postgresql://postgres@{server}/postgres?sslmode=require": f"PostgreSQL at {server} does not speak TLS",
    }
    for url, sentence in wrong.items():
        place.setenv("AI_AGENTS_DATABASE_URL", url)
        for command in COMMANDS:
            watch = Stopwatch()
            with pytest.raises(SystemExit) as ended:
                main(command)
            assert str(ended.value).startswith(sentence), command
            assert watch.seconds < AT_ONCE_S, command
            told = capsys.readouterr()
            assert "waiting" not in (told.out + told.err).lower(), command
