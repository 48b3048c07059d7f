"""A server that has all the connections that it takes: who is answered, who makes room, and what is given back."""

import asyncio
import resource
import socket
from pathlib import Path
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from app.descriptors import share_descriptors
from app.serving.gate import Gate, GateLimits
from tests.api.live import TIMEOUT_S, Live, next_of, serve
from tests.api.live import events_of as events_in
from tests.api.raw_clients import LIVEZ, connected
from tests.api.service import make_thread, settings_for


def connections_of(live: Live) -> list[Any]:
    return list(live.server.server_state.connections)


async def test_connections_have_a_cap_beyond_which_only_health_is_told(sqlite_url: str, tmp_path: Path) -> None:
    few = {"connections": 3, "beyond": 2, "look_every_s": 0.5}
    async with serve(settings_for(sqlite_url, tmp_path), limits=few) as live:
        admin = await live.admin()
        thread = await make_thread(admin)
        path = f"/threads/{thread['id']}/events"
        with capture_logs() as logs:
            async with (
                admin.stream("GET", path) as one,
                admin.stream("GET", path) as two,
                admin.stream("GET", path) as three,
            ):
                for _ in range(3):
                    async with connected(live) as client:
                        await client.send(b"GET /agents HTTP/1.1\r\nhost: service\r\n\r\n")
                        status, headers, body = await client.answer()
                        assert (status, headers["retry-after"]) == (503, "1")
                        assert headers["connection"] == "close"
                        assert orjson.loads(body)["code"] == "overloaded"
                        assert await client.until_closed() == b""
                    async with connected(live) as client:
                        await client.send(LIVEZ)
                        assert (await client.answer())[0] == 200
                        assert await client.until_closed() == b""
                async with connected(live) as silent, connected(live) as also, connected(live) as too_many:
                    assert await too_many.until_closed() == b""
                    assert await silent.problem() == (503, "overloaded")
                    assert await also.problem() == (503, "overloaded")
                await admin_says(live, thread["id"])
                for stream in (one, two, three):
                    await next_of(events_in(stream), "run.completed")
        lines = [line for line in logs if line["event"] == "connections and requests refused at the door"]
        assert len(lines) == 1
        assert lines[0]["overloaded"] > 0


async def admin_says(live: Live, thread_id: str) -> None:
    """A run that needs no connection to the service."""
    container = live.container
    await container.runner.run(thread_id, "admin", "Hello!")


async def test_idle_and_half_open_connections_make_room(sqlite_url: str, tmp_path: Path) -> None:
    settings = settings_for(sqlite_url, tmp_path)
    few = {"connections": 3, "beyond": 2, "look_every_s": 0.02, "linger_s": 0.1}
    async with serve(settings, limits=few) as live:
        admin = await live.admin()
        thread = await make_thread(admin)
        async with (
            admin.stream("GET", f"/threads/{thread['id']}/events") as stream,
            connected(live) as idle,
            connected(live) as half,
        ):
            assert await idle.is_open()
            await half.send(b"GET /livez HTTP/1.1\r\n")
            async with asyncio.timeout(TIMEOUT_S):
                while not live.server.gate.heads:
                    await asyncio.sleep(0.01)
            async with connected(live) as new:
                assert await new.is_open()
                assert await half.until_closed() == b""
                async with connected(live) as newer:  # in the place of the one that was idle for longest
                    assert await newer.is_open()
                    assert await idle.until_closed() == b""
            await admin_says(live, thread["id"])
            await next_of(events_in(stream), "run.completed")


async def test_memory_is_given_back_once_an_attack_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    given_back = asyncio.Event()
    loop = asyncio.get_running_loop()
    monkeypatch.setattr("app.serving.gate.give_back_memory", lambda: loop.call_soon_threadsafe(given_back.set))
    gate = Gate(GateLimits(1024, connections=1, beyond=1, look_every_s=0.02))
    with socket.socket() as listening:
        gate.open(listening.fileno())
        for _ in range(100):
            gate.note("request_timeout")
        await asyncio.sleep(0.1)
        assert not given_back.is_set()
        gate.clock += 20
        async with asyncio.timeout(TIMEOUT_S):
            await given_back.wait()
        gate.close()


def test_clients_and_providers_share_what_the_system_allows(tmp_path: Path) -> None:
    settings = settings_for("sqlite://", tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    shares = {}
    try:
        for limit in (100, 1024, 4096, hard):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
            shares[limit] = share_descriptors(settings)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    for limit, share in shares.items():
        assert share.clients >= share.upstream > 0
        if limit > 100:
            assert share.clients + share.upstream + share.backlog < limit
            assert share.clients + share.upstream > limit // 2
    asked = settings_for("sqlite://", tmp_path, max_connections=3, max_upstream_connections=1)
    assert (share_descriptors(asked).clients, share_descriptors(asked).upstream) == (3, 1)
