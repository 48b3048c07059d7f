"""deploy/caddy/Caddyfile as an operator runs it: with TLS, before two processes on PostgreSQL and Redis."""

import asyncio
import io
import json
import os
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.deploy.image import ROOT
from tests.faults.support.cluster import Cluster, open_cluster
from tests.faults.support.replica import ADMIN_KEY
from tests.faults.support.stream import EventSource, Told
from tests.support.binaries import caddy_program
from tests.support.postgres import PostgresServer
from tests.support.processes import free_port, wait_until
from tests.support.redis_server import RedisServer

LARGEST = 20 * 1024 * 1024
# What the file leaves to the machine: it tells no other program of its certificates, and listens on no other port.
_HERE = """\
{{
	admin off
	default_bind 127.0.0.1
	skip_install_trust
	auto_https disable_redirects
}}
import {file}
"""
# Of an address that is documented for examples; Caddy does not pass on what clients say of themselves.
_SAID_BY_CLIENT = "203.0.113.9"
# A process that died is passed over at once, not only once a look at its health has failed.
_AT_ONCE_S = 2.0


@contextmanager
def running_caddy(directory: Path, upstreams: list[str]) -> Iterator[tuple[str, ssl.SSLContext]]:
    """Its address, and what its clients trust: it has made an authority and a certificate for itself."""
    directory.mkdir()
    port = free_port()
    (directory / "Caddyfile").write_text(_HERE.format(file=ROOT / "deploy" / "caddy" / "Caddyfile"))
    variables = {
        "AI_AGENTS_HOST": f"localhost:{port}",
        "AI_AGENTS_UPSTREAMS": " ".join(upstreams),
        "HOME": str(directory),
        "XDG_DATA_HOME": str(directory),
        "XDG_CONFIG_HOME": str(directory),
    }
    command = [str(caddy_program()), "run", "--config", "Caddyfile", "--adapter", "caddyfile"]
    authority = directory / "caddy" / "pki" / "authorities" / "local" / "root.crt"
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=directory, env=os.environ | variables, stdout=log, stderr=log)
        try:
            wait_until(lambda: authority.exists() and "serving initial configuration" in read(directory), what="Caddy")
            yield f"https://localhost:{port}", ssl.create_default_context(cafile=str(authority))
        except BaseException as error:
            error.add_note(read(directory)[-2000:])
            raise
        finally:
            process.kill()
            process.wait(30)


def read(directory: Path) -> str:
    return (directory / "log").read_text()


@pytest.fixture
async def cluster(
    server_directory: Path, postgres: PostgresServer, redis_server: RedisServer
) -> AsyncIterator[Cluster]:
    """Two processes that believe a proxy on this machine."""
    name = f"caddy_{os.getpid()}"
    url = postgres.create_database(name)
    async with open_cluster(server_directory, url, redis_server.url, AI_AGENTS_TRUST_PROXY="127.0.0.1") as opened:
        await opened.start_two()
        yield opened
    postgres.drop_database(name)


async def test_what_the_caddyfile_passes_on_arrives_as_it_is_sent_and_outlives_a_process(
    cluster: Cluster, server_directory: Path
) -> None:
    upstreams = [f"127.0.0.1:{replica.port}" for replica in cluster.replicas]
    headers = {"authorization": f"Bearer {ADMIN_KEY}"}
    with running_caddy(server_directory / "caddy", upstreams) as (url, trusted):
        connector = aiohttp.TCPConnector(ssl=trusted, force_close=True, limit=0)
        async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
            await is_a_stream(cluster, session, url)
            await takes_the_largest_file(session, url)
            await tells_who_asks(cluster, session, url)
            await outlives_a_process(cluster, session, url)


def source(session: aiohttp.ClientSession, url: str, thread_id: str, run_id: str) -> EventSource:
    """A reader of a run, through the proxy alone."""
    return EventSource(session, [url], f"/threads/{thread_id}/runs/{run_id}/events", Told(run_id=run_id))


async def is_a_stream(cluster: Cluster, session: aiohttp.ClientSession, url: str) -> None:
    """The first deltas come before the last one is made, also of a POST that answers with a stream."""
    thread_id = await cluster.make_thread(cluster.replicas[0])
    rest = cluster.model.gates["rest"]
    body = {"content": "words=8 gate=rest at=4", "stream": True}
    async with session.post(f"{url}/threads/{thread_id}/messages", json=body) as answer:
        assert answer.status == 200, await answer.text()
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert "content-encoding" not in answer.headers
        came = []
        async with asyncio.timeout(30):
            async for line in answer.content:
                if line.startswith(b"event: message.delta"):
                    came.append(rest.is_set())
                    rest.set()
    assert came[0] is False
    assert came[-1] is True


async def takes_the_largest_file(session: aiohttp.ClientSession, url: str) -> None:
    """Caddy has no limit of its own, so that the service's own answers."""
    form = aiohttp.FormData()
    form.add_field("file", io.BytesIO(b"x" * LARGEST), filename="a.txt", content_type="text/plain")
    async with session.post(f"{url}/files", data=form) as answer:
        assert (answer.status, (await answer.json())["size_bytes"]) == (201, LARGEST)


async def tells_who_asks(cluster: Cluster, session: aiohttp.ClientSession, url: str) -> None:
    """The log has the client's address, as Caddy saw it and not as the client says."""
    headers = {"x-forwarded-for": _SAID_BY_CLIENT, "x-request-id": "asked-through-caddy"}
    async with session.get(f"{url}/me", headers=headers) as answer:
        assert (answer.status, answer.headers["x-request-id"]) == (200, "asked-through-caddy")
    async with asyncio.timeout(10):  # it is written after the answer
        while not (found := [line for line in logged(cluster) if '"asked-through-caddy"' in line]):
            await asyncio.sleep(0.02)
    assert [json.loads(line)["client"] for line in found] == ["127.0.0.1"]


def logged(cluster: Cluster) -> list[str]:
    return [line for each in cluster.replicas for line in each.log_path.read_text().splitlines()]


async def outlives_a_process(cluster: Cluster, session: aiohttp.ClientSession, url: str) -> None:
    """A reader comes back to the other process with its last event's id, and each further request is answered."""
    one, two = cluster.replicas
    thread_id = await cluster.make_thread(one)
    run = await cluster.send(two, thread_id, "words=20 gate=middle at=10")
    readers = [source(session, url, thread_id, run["id"]) for _ in range(4)]
    for each in readers:
        each.reading = asyncio.create_task(each.run())
        await each.until_text(20)
    one.kill()
    began = time.monotonic()
    for _ in range(6):
        async with session.get(f"{url}/threads/{thread_id}") as answer:
            assert answer.status == 200, await answer.text()
    assert time.monotonic() - began < _AT_ONCE_S
    cluster.model.gates["middle"].set()
    told = [await each.finished() for each in readers]
    assert {tuple(each.types()) for each in told} == {("run.started", "message.completed", "run.completed")}
    # One connection, and one that says that there is no more.
    assert sum(each.connections for each in readers) > 2 * len(readers), "no reader was at the process that died"
