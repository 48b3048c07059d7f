"""SIGTERM in each state: the process ends within its grace time and five seconds, and the next one has everything."""

import asyncio
import json
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.fakes.http_server import Asked, HttpServer, reply
from tests.fakes.mcp_wire import TOOL, McpWire
from tests.faults.support.cluster import Cluster, open_cluster
from tests.faults.support.replica import ADMIN_KEY, Replica
from tests.support.postgres import PostgresServer
from tests.support.redis_server import RedisServer
from tests.support.shared import SharedDirectory

GRACE_S = 1
# After its grace time a process may take so long.
CLOSING_S = 5
# A machine that runs other tests may be slow.
BUSY_S = 2
SLOTS = 4
KEY = {"type": "object", "properties": {"key": {"type": "string"}}, "required": ["key"]}
State = Callable[[Cluster], AbstractAsyncContextManager[None]]


def settings_of(directory: Path) -> dict[str, str]:
    return {
        "AI_AGENTS_SHUTDOWN_GRACE_S": str(GRACE_S),
        "AI_AGENTS_MAX_UPSTREAM_CONNECTIONS": str(SLOTS),
        "AI_AGENTS_VAR_DIR": str(directory / "var"),
    }


@asynccontextmanager
async def lasting(directory: Path, url: str, redis_url: str | None) -> AsyncGenerator[Cluster]:
    directory.mkdir()
    async with open_cluster(directory, url, redis_url, **settings_of(directory)) as cluster:
        await cluster.start()
        yield cluster


@pytest.fixture(scope="session")
async def on_sqlite(shared_directory: SharedDirectory) -> AsyncIterator[Cluster]:
    """One process without Redis."""
    directory = shared_directory.path / f"stops_sqlite_{os.getpid()}"
    async with lasting(directory, f"sqlite:///{directory}/stops.db", None) as cluster:
        yield cluster


@pytest.fixture(scope="session")
async def on_postgresql(
    shared_directory: SharedDirectory, postgres: PostgresServer, own_redis_server: RedisServer
) -> AsyncIterator[Cluster]:
    """One process with Redis."""
    name = f"stops_{os.getpid()}"
    async with lasting(shared_directory.path / name, postgres.create_database(name), own_redis_server.url) as cluster:
        yield cluster
    postgres.drop_database(name)


@pytest.fixture
def lasting_one(request: pytest.FixtureRequest) -> Cluster:
    """One of these; tests take `cluster`."""
    found: Cluster = request.getfixturevalue(request.param)
    return found


@pytest.fixture
async def cluster(lasting_one: Cluster) -> AsyncIterator[Cluster]:
    """A service of one process, which a test stops and starts."""
    found = lasting_one
    yield found
    if not found.replicas[0].is_running:
        await found.replicas[0].start()
    found.counter.held.clear()
    found.counter.counts.clear()
    found.counter.arrived.clear()
    found.model.gates.clear()
    await found.settle()


async def stop(replica: Replica, *, within_s: float) -> None:
    """SIGTERM; the process ends in order, and in time."""
    watch = replica.stopwatch()
    replica.terminate()
    assert await replica.ended() == 0, replica.tail()
    assert watch.seconds < within_s, replica.tail()


# What is under way: each state says what it does before the stop and, after its `yield`, what the next process has.


@asynccontextmanager
async def idle_streams(cluster: Cluster) -> AsyncGenerator[None]:
    (one,) = cluster.replicas
    threads = [await cluster.make_thread(one) for _ in range(3)]
    sources = [cluster.follow(one, thread_id) for thread_id in threads for _ in range(4)]
    for source in sources:
        await source.until_open()
    yield
    runs = [await cluster.send(one, thread_id, "words=2") for thread_id in threads]
    for source in sources:
        await source.until(lambda told: "run.completed" in told.types())
    assert not any(source.cuts for source in sources)
    assert len(runs) == len(threads)


@asynccontextmanager
async def streams_of_done_runs(cluster: Cluster) -> AsyncGenerator[None]:
    (one,) = cluster.replicas
    threads = [await cluster.make_thread(one) for _ in range(5)]
    for thread_id in threads:
        run = await cluster.send(one, thread_id, "words=2")
        await cluster.until_ended(one, thread_id, run["id"])
    sources = [cluster.follow(one, thread_id) for thread_id in threads for _ in range(10)]
    for source in sources:
        await source.until(lambda told: "run.completed" in told.types())
    yield
    for thread_id in threads:
        await cluster.send(one, thread_id, "words=2")
    for source in sources:
        await source.until(lambda told: told.types().count("run.completed") == 2)
    assert not any(source.cuts for source in sources)


@asynccontextmanager
async def an_answer(cluster: Cluster) -> AsyncGenerator[None]:
    (one,) = cluster.replicas
    thread_id = await cluster.make_thread(one)
    run = await cluster.send(one, thread_id, "words=9 gate=answer at=5")
    source = cluster.follow(one, thread_id, run["id"])
    await source.until_text(10)
    yield
    cluster.model.gates["answer"].set()
    await check_completed(cluster, thread_id, run, attempts=2)
    told = await source.finished()
    assert told.types() == ["run.started", "run.retrying", "message.completed", "run.completed"]
    assert source.cuts == 0


@asynccontextmanager
async def an_answer_that_ends_in_time(cluster: Cluster) -> AsyncGenerator[None]:
    (one,) = cluster.replicas
    thread_id = await cluster.make_thread(one)
    path = f"/threads/{thread_id}/messages"
    asked = asyncio.create_task(cluster.call(one, "POST", path, {"content": "words=9 pause=0.03"}))
    await until(lambda: bool(cluster.model.requests))
    yield
    message = (await asked).ok(201)
    assert message["id"] in {each["id"] for each in await cluster.history(one, thread_id)}


@asynccontextmanager
async def a_call_over_http(cluster: Cluster) -> AsyncGenerator[None]:
    (one,) = cluster.replicas
    tool = {"type": "http", "name": "count", "description": "Counts.", "parameters": KEY, "method": "POST"}
    (await cluster.call(one, "POST", "/tools", tool | {"url": f"{cluster.counter.url}/{{key}}"})).ok(201)
    async with a_call(cluster, "count"):
        yield
    (await cluster.call(one, "DELETE", "/tools/count")).ok(204)


@asynccontextmanager
async def a_call_in_a_thread(cluster: Cluster) -> AsyncGenerator[None]:
    async with a_call(cluster, "block"):
        yield


@asynccontextmanager
async def a_call(cluster: Cluster, tool: str) -> AsyncGenerator[None]:
    """A call that is not made again, since its outcome is unknown."""
    (one,) = cluster.replicas
    thread_id = await cluster.make_thread(one, tools=[tool])
    held = cluster.counter.held["k"] = asyncio.Event()
    run = await cluster.send(one, thread_id, f"call={tool} key=k")
    await asyncio.wait_for(cluster.counter.arrived["k"].wait(), 60)
    yield
    held.set()
    await check_completed(cluster, thread_id, run, attempts=2)
    assert cluster.counter.counts["k"] == 1
    log = await cluster.check_log(one, thread_id)
    (result,) = [row["result"] for row in log if row["type"] == "tool.completed"]
    assert "unknown" in result


@asynccontextmanager
async def a_call_of_an_mcp_server(cluster: Cluster) -> AsyncGenerator[None]:
    (one,) = cluster.replicas
    arrived = asyncio.Event()
    async with HttpServer() as http:
        wire = McpWire(http)
        wire.lists(TOOL | {"inputSchema": KEY})
        server = {"type": "mcp", "name": "bank", "url": http.url("/mcp")}
        (await cluster.call(one, "POST", "/tools", server)).ok(201)
        thread_id = await cluster.make_thread(one, tools=["bank/pay"])

        def hang(_params: dict[str, Any]) -> None:
            arrived.set()

        wire.result = hang
        run = await cluster.send(one, thread_id, "call=bank_pay key=k")
        await asyncio.wait_for(arrived.wait(), 60)
        yield
        await check_completed(cluster, thread_id, run, attempts=2)
        assert wire.methods.count("tools/call") == 1
    (await cluster.call(one, "DELETE", "/tools/bank")).ok(204)


@asynccontextmanager
async def runs_that_wait(cluster: Cluster) -> AsyncGenerator[None]:
    """In the queue of their thread, and for a slot."""
    (one,) = cluster.replicas
    threads = [await cluster.make_thread(one) for _ in range(SLOTS + 2)]
    begun = [(each, await cluster.send(one, each, "gate=go words=2")) for each in threads]
    begun.append((threads[0], await cluster.send(one, threads[0], "words=2", on_busy="queue")))
    assert [run["status"] for _, run in begun] == ["running"] * SLOTS + ["queued"] * 3
    yield
    cluster.model.gates["go"].set()
    for thread_id, run in begun:
        ended = await cluster.until_ended(one, thread_id, run["id"])
        assert (ended["status"], ended["attempt"]) == ("completed", 2 if run["status"] == "running" else 1)


@asynccontextmanager
async def an_approval(cluster: Cluster) -> AsyncGenerator[None]:
    (one,) = cluster.replicas
    thread_id = await cluster.make_thread(one, tools=[{"name": "bump", "approval": "always"}])
    run = await cluster.send(one, thread_id, "call=bump key=k")
    source = cluster.follow(one, thread_id, run["id"])
    await source.until(lambda told: "run.waiting" in told.types())
    (approval,) = source.told.rows[-1].data["approvals"]
    yield
    body = {"tool_call_id": approval["tool_call_id"], "approved": True}
    (await cluster.call(one, "POST", f"/threads/{thread_id}/runs/{run['id']}/approvals", body)).ok()
    await check_completed(cluster, thread_id, run, attempts=1)
    assert cluster.counter.counts["k"] == 1
    await source.finished()


@asynccontextmanager
async def an_upload(cluster: Cluster) -> AsyncGenerator[None]:
    """One that goes on after the grace time, and one that ends within it."""
    (one,) = cluster.replicas
    endless, quick = await begin_upload(one, is_finished=False), await begin_upload(one, is_finished=True)
    yield
    assert (await endless).partition(b" ")[2].startswith(b"503 ")
    made = (await quick).partition(b"\r\n\r\n")
    assert made[0].startswith(b"HTTP/1.1 201 "), made
    path = f"/files/{json.loads(made[2])['id']}"
    assert (await cluster.call(one, "GET", path)).ok()["filename"] == "finished.txt"
    (await cluster.call(one, "DELETE", path)).ok(204)
    stored = [each for each in Path(cluster.environment["AI_AGENTS_VAR_DIR"], "files").rglob("*") if each.is_file()]
    assert not [each.name for each in stored if b"words" in each.read_bytes()]


async def begin_upload(replica: Replica, *, is_finished: bool) -> asyncio.Task[bytes]:
    """Send the first half of a file, and the second one while the service stops, or never; what is answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", replica.port)
    about = 'content-disposition: form-data; name="file"; filename="finished.txt"'
    head = f"--b\r\n{about}\r\ncontent-type: text/plain\r\n\r\n"
    body = head.encode() + b"words " * 4000 + b"\r\n--b--\r\n"
    lines = ["POST /files HTTP/1.1", "host: 127.0.0.1", f"authorization: Bearer {ADMIN_KEY}"]
    lines += ["content-type: multipart/form-data; boundary=b", f"content-length: {len(body)}", "", ""]
    writer.write("\r\n".join(lines).encode() + body[: len(body) // 2])
    await writer.drain()

    async def finish() -> bytes:
        while await can_connect(replica):
            await asyncio.sleep(0.01)
        if is_finished:
            writer.write(body[len(body) // 2 :])
        try:
            return await reader.read()
        finally:
            writer.close()

    return asyncio.create_task(finish())


async def can_connect(replica: Replica) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", replica.port)
    except OSError:
        return False
    writer.close()
    return True


@asynccontextmanager
async def a_delivery(cluster: Cluster) -> AsyncGenerator[None]:
    """A webhook's receiver takes its time; without Redis the service itself delivers."""
    (one,) = cluster.replicas
    arrived, ids = asyncio.Event(), []
    async with HttpServer() as http:

        async def hang(asked: Asked, _writer: asyncio.StreamWriter) -> None:
            ids.append(asked.headers["webhook-id"])
            arrived.set()
            await asyncio.sleep(3600)

        async def take(asked: Asked, writer: asyncio.StreamWriter) -> None:
            ids.append(asked.headers["webhook-id"])
            writer.write(reply(b""))

        http.on("/hook", hang)
        hook = {"url": http.url("/hook"), "events": ["run.completed"], "agent_id": None}
        made = (await cluster.call(one, "POST", "/webhooks", hook)).ok(201)
        thread_id = await cluster.make_thread(one)
        await cluster.send(one, thread_id, "words=2")
        await asyncio.wait_for(arrived.wait(), 60)
        http.on("/hook", take)
        yield
        path = f"/webhooks/{made['id']}/deliveries"
        async with asyncio.timeout(30):
            while [each["status"] for each in (await cluster.call(one, "GET", path)).ok()["data"]] != ["delivered"]:
                await asyncio.sleep(0.05)
        assert len(ids) == 2
        assert len(set(ids)) == 1, "a receiver cannot tell that both are one"
        (await cluster.call(one, "DELETE", f"/webhooks/{made['id']}")).ok(204)


async def check_completed(cluster: Cluster, thread_id: str, run: dict[str, Any], *, attempts: int) -> None:
    ended = await cluster.until_ended(cluster.replicas[0], thread_id, run["id"])
    assert (ended["status"], ended["attempt"]) == ("completed", attempts)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


class Case(NamedTuple):
    """A state, and whether the process waits for what is under way. `sample` is the database of `make test`, if any."""

    state: State
    is_waited_for: bool
    sample: str | None = None
    databases: tuple[str, ...] = ("on_sqlite", "on_postgresql")


CASES = [
    Case(idle_streams, is_waited_for=False),
    Case(streams_of_done_runs, is_waited_for=False),
    Case(an_answer, is_waited_for=True, sample="on_sqlite"),
    Case(an_answer_that_ends_in_time, is_waited_for=True),
    Case(a_call_over_http, is_waited_for=True),
    Case(a_call_in_a_thread, is_waited_for=True, sample="on_postgresql"),
    Case(a_call_of_an_mcp_server, is_waited_for=True),
    Case(runs_that_wait, is_waited_for=True, sample="on_postgresql"),
    Case(an_approval, is_waited_for=False),
    Case(an_upload, is_waited_for=True, sample="on_sqlite"),
    # With Redis a worker delivers.
    Case(a_delivery, is_waited_for=True, sample="on_sqlite", databases=("on_sqlite",)),
]


def each_state() -> list[Any]:
    """Each with each database; `make test` takes a sample."""
    return [
        pytest.param(
            each, case, id=f"{case.state.__name__}-{each}", marks=() if each == case.sample else pytest.mark.soak
        )
        for case in CASES
        for each in case.databases
    ]


@pytest.mark.parametrize("lasting_one, case", each_state(), indirect=["lasting_one"])
async def test_a_stop_takes_its_grace_at_most_and_the_next_process_has_everything(cluster: Cluster, case: Case) -> None:
    cluster.model.requests.clear()
    async with case.state(cluster):
        await stop(cluster.replicas[0], within_s=BUSY_S + (GRACE_S + CLOSING_S if case.is_waited_for else 0))
        await cluster.replicas[0].start()
