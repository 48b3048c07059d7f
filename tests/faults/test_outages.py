"""A database that is away, overloaded or full, or takes no more connections: said at once, and over once it is back."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest
from sqlalchemy import Connection
from sqlalchemy.util import greenlet_spawn

from ai_agents.store.database import Database
from ai_agents.store.migrate import upgrade
from ai_agents.testing import ScriptedProvider
from app.doors.listed import door_at
from tests.api.matrix import ROWS, Calculating, make_things
from tests.api.service import Service, check_problem, make_agent, make_thread, open_service, settings_for
from tests.api.test_matrix_in_space import ask
from tests.faults.conftest import amount
from tests.faults.support.cluster import Cluster, open_cluster
from tests.faults.support.load import talk_through
from tests.faults.support.proxy import Fault, TcpProxy
from tests.support.examples import SOAK
from tests.support.pooled import POOLER, through_pooler
from tests.support.postgres import PostgresServer
from tests.support.processes import PATIENCE_S
from tests.support.redis_server import RedisServer
from tests.support.stopwatch import Stopwatch

# How soon a request is answered that cannot be served, and how soon one can be served again.
AT_ONCE_S = 2.0
BACK_WITHIN_S = 5.0
# The grace time of these processes, what they may take beyond it, and what a busy machine may take.
STOPPED_WITHIN_S = 3.0 + 5.0 + 2.0
# More than there is room for in pages that are begun.
LONG = " moment" * 10_000
OUTAGES_S = (10, 60) if SOAK else (1.5,)
SECONDS_OF_ENDS = amount(sample=2, all_of_it=180)
THREADS = amount(sample=3, all_of_it=12)


@pytest.fixture
async def proxy(postgresql_url: str) -> AsyncIterator[TcpProxy]:
    """The network before the database, or before its pooler."""
    port = urlsplit(through_pooler(postgresql_url)[0]).port
    assert port is not None
    async with TcpProxy(port) as opened:
        yield opened


@pytest.fixture
async def service(postgresql_url: str, proxy: TcpProxy, tmp_path: Path) -> AsyncIterator[Service]:
    """A service behind that network."""
    url = postgresql_url.replace(f":{urlsplit(postgresql_url).port}/", f":{proxy.port}/")
    limits = {"max_requests_per_minute": 100_000, "outbound_allow": "127.0.0.1"}
    settings = settings_for(url, tmp_path, database_direct_url=url if POOLER else None, **limits)
    async with open_service(settings) as opened:
        opened.container.providers.add(Calculating())
        yield opened


async def test_every_route_says_at_once_that_the_database_is_away(service: Service, proxy: TcpProxy) -> None:
    alice, admin = await service.user("alice"), await service.admin()
    things = await make_things(service, alice)
    proxy.choose = lambda: Fault(refuse=True)
    proxy.cut_all()

    for client in (alice, admin):
        for operation, row in ROWS.items():
            watch = Stopwatch()
            answer = await ask(client, operation, row, things)
            assert watch.seconds < AT_ONCE_S, operation
            # The admin key of the environment needs no database, and neither do three routes.
            if operation == "POST /mcp":  # its protocol tells of errors in answers
                assert "database_unavailable" in answer.text
                continue
            if operation == "GET /livez" or (client is admin and answer.is_success):
                assert operation in {"GET /livez", "GET /me", "GET /events"}, operation
                continue
            if door_at(answer.request.url.path) is not None:  # its errors have another form
                assert (answer.status_code, "retry-after" in answer.headers) == (503, True), operation
                continue
            problem = check_problem(answer, 503, "database_unavailable")
            assert int(answer.headers["retry-after"]) >= 1, operation
            assert problem["detail"] == "The database does not answer."

    proxy.choose = Fault
    assert (await alice.get(f"/threads/{things.ids['thread_id']}")).status_code == 200
    assert (await alice.get("/readyz")).status_code == 200
    await make_agent(alice)


async def test_requests_that_wait_too_long_for_a_connection_are_refused(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = await service.user("alice")
    pool = service.container.conn.database._backend._engine.pool  # type: ignore[attr-defined]  # to hold what it has
    monkeypatch.setattr(pool, "_timeout", 0.5)
    holding = [await service.container.conn.database._backend._connect() for _ in range(pool.size())]  # type: ignore[attr-defined]  # as above
    began, watch = time.monotonic(), Stopwatch()

    answers = await asyncio.gather(*(alice.get("/agents") for _ in range(20)))

    assert time.monotonic() - began > 0.4
    assert watch.seconds < AT_ONCE_S
    for answer in answers:
        check_problem(answer, 503, "overloaded")
        assert int(answer.headers["retry-after"]) >= 1
    for connection in holding:
        await greenlet_spawn(connection.close)
    assert (await alice.get("/agents")).status_code == 200


async def test_a_database_without_room_says_so_and_runs_wait_for_it(database_url: str, tmp_path: Path) -> None:
    go = asyncio.Event()
    async with open_service(settings_for(database_url, tmp_path)) as service:
        alice, database = await service.user("alice"), service.container.conn.database
        service.container.providers.add(ScriptedProvider(["One", go, LONG], "Again."))
        agent = await make_agent(alice, provider="scripted", model="m")
        thread, other = await make_thread(alice, agent["id"]), await make_thread(alice, agent["id"])
        path, later = f"/threads/{thread['id']}/messages", {"prefer": "respond-async"}
        run = (await alice.post(path, json={"content": "Wait"}, headers=later)).json()
        await fill(database)
        go.set()

        for client in (alice, await service.admin()):
            check_problem(
                await client.post(f"/threads/{other['id']}/messages", json={"content": LONG}),
                507,
                "storage_full",
            )
        assert (await alice.get(f"/threads/{other['id']}/messages")).json()["data"] == []
        assert (await alice.get(f"/threads/{thread['id']}/runs/{run['id']}")).json()["status"] == "running"
        await make_room(database)

        assert "run.completed" in (await alice.get(f"/threads/{thread['id']}/runs/{run['id']}/events")).text
        assert (await alice.get(path)).json()["data"][-1]["content"] == f"One{LONG}"
        assert (await alice.post(f"/threads/{other['id']}/messages", json={"content": "Hi"})).status_code == 201


async def fill(database: Database) -> None:
    """Let the database have no more room: SQLite takes no more pages, PostgreSQL says what it says on a full disk."""
    if database.dialect == "sqlite":
        await database.write(lambda c: c.exec_driver_sql("PRAGMA max_page_count = 1"))
        return
    raising = "BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END"
    for statement in (
        f"CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ {raising} $$",
        "CREATE TRIGGER full_disk BEFORE INSERT ON messages EXECUTE FUNCTION full_disk()",
    ):
        await database.write(partial(Connection.exec_driver_sql, statement=statement))


async def make_room(database: Database) -> None:
    """The opposite."""
    if database.dialect == "sqlite":
        await database.write(lambda c: c.exec_driver_sql("PRAGMA max_page_count = 1000000"))
    else:
        await database.write(lambda c: c.exec_driver_sql("DROP TRIGGER full_disk ON messages"))


async def test_a_server_that_takes_no_more_connections_is_away_until_it_does(
    server_directory: Path, tmp_path: Path
) -> None:
    small = PostgresServer(server_directory / "small", settings={"max_connections": "10"})
    await asyncio.to_thread(small.start)
    try:
        url = small.create_database("small")
        await asyncio.to_thread(upgrade, url)
        async with open_service(settings_for(url, tmp_path)) as service:
            alice = await service.user("alice")
            others = await take_connections(small)
            answers = await asyncio.gather(*(alice.get("/agents") for _ in range(20)))
            assert {answer.status_code for answer in answers} <= {200, 503}
            await others[0].execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {SERVICES}")
            others += await take_connections(small)

            for answer in await asyncio.gather(*(alice.get("/agents") for _ in range(20))):
                check_problem(answer, 503, "database_unavailable")
            await asyncio.gather(*(other.close() for other in others))

            await until_back(alice)
    finally:
        await asyncio.to_thread(small.stop)


# The connections of a service to the database of this name; those of its other clients are to another database.
SERVICES = "datname = 'small'"


async def take_connections(server: PostgresServer) -> list[asyncpg.Connection]:
    """All that the server has left."""
    taken = []
    with suppress(asyncpg.TooManyConnectionsError):
        while True:
            taken.append(await asyncpg.connect(server.url.replace("+asyncpg", "")))
    return taken


async def until_back(client: httpx.AsyncClient) -> None:
    """Return when requests are served again, which is soon."""
    watch = Stopwatch()
    async with asyncio.timeout(PATIENCE_S):
        while (await client.get("/agents")).status_code != 200:
            await asyncio.sleep(0.05)
    assert watch.seconds < BACK_WITHIN_S


class Mortal(NamedTuple):
    """Two processes, whose database can be taken away and given back."""

    cluster: Cluster
    end: Callable[[], object]
    begin: Callable[[], object]


if SOAK:

    @pytest.fixture
    async def mortal(
        server_directory: Path, own_postgres: PostgresServer, own_redis: RedisServer
    ) -> AsyncIterator[Mortal]:
        """The server is killed, as a power cut would."""
        async with open_cluster(server_directory, own_postgres.create_database("outage"), own_redis.url) as cluster:
            await cluster.start_two()
            yield Mortal(cluster, own_postgres.kill, own_postgres.start)

else:

    @pytest.fixture
    async def mortal(pair: Cluster, postgres: PostgresServer) -> AsyncIterator[Mortal]:
        """The database takes no connections."""
        name = urlsplit(pair.database_url).path.removeprefix("/")

        def allow(allowed: bool) -> None:
            postgres.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS {allowed}')

        def end() -> None:
            allow(False)
            postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")

        yield Mortal(pair, end, partial(allow, True))
        allow(True)


@pytest.mark.soak
@pytest.mark.parametrize("outage_s", OUTAGES_S)
async def test_an_outage_loses_nothing_and_throws_no_reader_off(mortal: Mortal, outage_s: float) -> None:
    cluster, (one, two) = mortal.cluster, mortal.cluster.replicas
    threads = [await cluster.make_thread(at) for at in (one, two)]
    watching = [await cluster.watch([at], thread_id) for at in (one, two) for thread_id in threads]
    # One that ends during the outage, one after it.
    texts = ("words=50 pause=0.02", f"words={int(50 * outage_s + 50)} pause=0.02")
    runs = [await cluster.send(one, thread_id, each) for thread_id, each in zip(threads, texts, strict=True)]
    sources = [cluster.follow(at, t, run["id"]) for at in (one, two) for t, run in zip(threads, runs, strict=True)]
    for source in sources:
        await source.until_text(5)
    await asyncio.to_thread(mortal.end)
    gone = time.monotonic()
    refused = await cluster.call(two, "POST", f"/threads/{threads[0]}/messages", {"content": "Hello?"})
    assert (refused.status, refused.data["code"]) == (503, "database_unavailable")
    await asyncio.sleep(max(0.0, outage_s - (time.monotonic() - gone)))
    await asyncio.to_thread(mortal.begin)
    back = time.monotonic()

    for replica in (one, two):
        watch = Stopwatch(replica.pid)
        async with asyncio.timeout(PATIENCE_S):
            while (await cluster.call(replica, "GET", f"/threads/{threads[0]}")).status != 200:
                await asyncio.sleep(0.05)
        assert watch.seconds < BACK_WITHIN_S
    print(f"{outage_s} s away, back after {time.monotonic() - back:.2f} s")  # noqa: T201  # figures of the long form
    for thread_id, run in zip(threads, runs, strict=True):
        ended = await cluster.until_ended(one, thread_id, run["id"], timeout_s=2 * outage_s + 60)
        assert ended["status"] == "completed"
    for source in sources:
        told = await source.finished()
        assert told.types()[-1] == "run.completed"
    for number, source in enumerate(watching):
        log = await cluster.check_log(one, threads[number % 2])
        await source.until(lambda told, log=log: len(told.rows) >= len(log))  # type: ignore[misc]  # of the default's type
    assert [(source.cuts, source.refusals) for source in (*sources, *watching)] == [(0, 0)] * 8


@pytest.mark.soak
async def test_backends_that_are_ended_every_second_lose_and_double_nothing(
    pair: Cluster, postgres: PostgresServer, rng: random.Random
) -> None:
    name, ended = urlsplit(pair.database_url).path.removeprefix("/"), 0

    async def end_backends() -> None:
        nonlocal ended
        other = await asyncpg.connect(postgres.url.replace("+asyncpg", ""))
        try:
            for _ in range(SECONDS_OF_ENDS):
                await asyncio.sleep(1)
                ended += await other.fetchval(
                    f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{name}'"
                )
        finally:
            await other.close()

    await talk_through(pair, end_backends(), threads=THREADS, rng=rng)
    assert ended >= SECONDS_OF_ENDS
    print(ended, "backends ended")  # noqa: T201  # figures of the long form


async def test_a_process_stops_while_its_database_is_away(mortal: Mortal) -> None:
    cluster, (one, two) = mortal.cluster, mortal.cluster.replicas
    thread_id = await cluster.make_thread(one)
    run = await cluster.send(one, thread_id, "words=30 gate=go at=10")
    source = cluster.follow(two, thread_id, run["id"])
    await source.until_text(5)
    await asyncio.to_thread(mortal.end)
    cluster.model.gates["go"].set()
    await asyncio.sleep(0.5)

    one.terminate()
    watch = one.stopwatch()
    assert await one.ended() == 0
    assert watch.seconds < STOPPED_WITHIN_S

    await asyncio.to_thread(mortal.begin)
    assert (await cluster.until_ended(two, thread_id, run["id"], timeout_s=60))["status"] == "completed"
    assert (await source.finished()).types()[-1] == "run.completed"
