"""The servers and the guard that other tests rely on."""

import asyncio
import socket
from pathlib import Path

import asyncpg
import pytest
import redis

from tests.support.network import LoopbackGuard, OutsideConnection
from tests.support.postgres import PostgresServer
from tests.support.processes import is_running
from tests.support.redis_server import RedisServer
from tests.support.shared import SharedDirectory


async def fetch_value(url: str, statement: str) -> object:
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def test_a_database_copied_from_a_template_has_its_rows_and_not_its_later_ones(postgres: PostgresServer) -> None:
    template = postgres.create_database("template_rows")
    postgres.execute("CREATE TABLE word AS SELECT 'kept' AS text", database="template_rows")
    copy = postgres.create_database("copy_of_rows", template="template_rows")
    postgres.execute("INSERT INTO word VALUES ('later')", database="template_rows")

    assert await fetch_value(copy, "SELECT string_agg(text, ',') FROM word") == "kept"

    for name in ("copy_of_rows", "template_rows"):
        postgres.drop_database(name)
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await fetch_value(template, "SELECT 1")


async def test_a_durable_postgres_keeps_what_was_committed_through_a_kill(server_directory: Path) -> None:
    server = PostgresServer(server_directory / "postgres", durable=True)
    server.start()
    url = server.create_database("kept")
    server.execute("CREATE TABLE word AS SELECT 'kept' AS text", database="kept")
    before = server.pid

    server.kill()
    assert not is_running(before)
    server.restart()

    assert server.pid != before
    assert await fetch_value(url, "SELECT text FROM word") == "kept"
    server.stop()
    with pytest.raises(ConnectionRefusedError):
        await fetch_value(url, "SELECT 1")


def test_a_durable_redis_keeps_what_was_written_through_a_kill(server_directory: Path) -> None:
    server = RedisServer(server_directory / "redis", durable=True)
    server.start()
    with redis.Redis.from_url(server.url) as client:
        client.set("word", "kept")
    server.kill()
    with redis.Redis.from_url(server.url) as client, pytest.raises(redis.ConnectionError):
        client.ping()

    server.restart()
    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        assert client.get("word") == "kept"
    server.stop()


@pytest.mark.parametrize("round_", [1, 2])
def test_each_test_finds_redis_empty(redis_server: RedisServer, round_: int) -> None:
    with redis.Redis.from_url(redis_server.url_of(1)) as client:
        assert client.dbsize() == 0
        client.set("left", round_)


def test_what_a_killed_run_left_is_ended_and_removed(tmp_path: Path) -> None:
    left = SharedDirectory(tmp_path / "left")
    server = RedisServer(left.path / "redis")
    server.start()
    pid = server.pid

    left.close()

    assert not is_running(pid)
    assert not left.path.exists()
    server.kill()  # reads the end of the process that `left` has killed


def test_something_shared_is_made_once(tmp_path: Path) -> None:
    made = []

    def make() -> str:
        made.append(1)
        return "thing"

    assert [SharedDirectory(tmp_path).once("thing", make) for _ in range(3)] == ["thing"] * 3
    assert len(made) == 1


async def test_a_connection_to_outside_is_refused_and_remembered(loopback_guard: LoopbackGuard) -> None:
    with pytest.raises(OutsideConnection):
        await asyncio.open_connection("192.0.2.1", 80)
    with pytest.raises(OutsideConnection):
        socket.create_connection(("example.invalid", 80))

    assert loopback_guard.refused == ["192.0.2.1", "example.invalid"]
    loopback_guard.refused.clear()  # this test meant it


async def test_a_connection_to_loopback_is_let_through(redis_server: RedisServer) -> None:
    for host in ("127.0.0.1", "localhost"):
        _, writer = await asyncio.open_connection(host, redis_server.port)
        writer.close()
        await writer.wait_closed()
