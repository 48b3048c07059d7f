"""Several processes on one port (`serve --workers`): all are reached, none is missed, and they end as one."""

import asyncio
import json
import random
import re
import signal
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.faults.conftest import amount
from tests.faults.launch import HANG
from tests.faults.support.cluster import Cluster, open_cluster
from tests.faults.support.replica import DidNotStart, Family
from tests.faults.support.stream import EventSource
from tests.support.processes import children_of, is_running, send_signal
from tests.support.redis_server import RedisServer
from tests.support.stopwatch import Stopwatch

GRACE_S = 2
# What a stop may take after its grace time, and what a busy machine may take.
CLOSING_S = 5 + amount(sample=10, all_of_it=5)
STREAMS = 8
# For so long one may be silent: a machine that is busy with other tests keeps none from its turn for longer.
SILENT_S = 6


class Service:
    """A family of two on one port."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.family = Family(cluster.directory, "family", cluster.environment, arguments=["--workers", "2"])
        cluster.replicas.append(self.family)

    def log(self) -> str:
        """What all of them said."""
        return self.family.log_path.read_text(errors="replace")

    def children(self) -> list[int]:
        """The processes."""
        return [pid for pid in children_of(self.family.pid) if is_running(pid)]

    async def scrape(self) -> dict[str, float]:
        """Whether each process answers, by its number, and the requests that each has counted."""
        async with self.cluster.session.get(f"{self.family.url}/metrics") as response:
            assert response.status == 200
            families = {each.name: each for each in text_string_to_metric_families(await response.text())}
        found: dict[str, float] = {}
        for sample in families["ai_agents_process_up"].samples:
            found[f"up {sample.labels['process']}"] = sample.value
        for sample in families["ai_agents_requests"].samples:
            name = f"requests {sample.labels['process']}"
            found[name] = found.get(name, 0) + sample.value
        return found

    async def until_both_serve(self) -> None:
        """Wait until each process tells its metrics."""
        async with asyncio.timeout(60):
            while [(await self.scrape()).get(f"up {place}") for place in (0, 1)] != [1, 1]:
                await asyncio.sleep(0.1)

    async def speak(self, wishes: str) -> list[EventSource]:
        """Runs under way, and who reads them."""
        sources = []
        for _ in range(STREAMS):
            thread_id = await self.cluster.make_thread(self.family)
            run = await self.cluster.send(self.family, thread_id, wishes)
            sources.append(self.cluster.follow(self.family, thread_id, run["id"]))
        for source in sources:
            await source.until_text(10)
        return sources


@asynccontextmanager
async def serving(directory: Path, url: str, redis: RedisServer, **settings: str) -> AsyncGenerator[Service]:
    settings = {"AI_AGENTS_SHUTDOWN_GRACE_S": str(GRACE_S), **settings}
    async with open_cluster(directory, url, redis.url, **settings) as cluster:
        service = Service(cluster)
        await service.family.start()
        children: list[int] = []
        try:
            yield service
        finally:
            children = service.children() if service.family.is_running else []
            service.family.kill()
            for child in children:
                send_signal(child, signal.SIGKILL)


@pytest.fixture
async def service(server_directory: Path, postgresql_url: str, redis_server: RedisServer) -> AsyncIterator[Service]:
    """Two processes that serve."""
    async with serving(server_directory, postgresql_url, redis_server) as opened:
        yield opened


async def test_requests_reach_both_streams_survive_a_kill_and_all_end_together(
    service: Service, rng: random.Random
) -> None:
    cluster, family = service.cluster, service.family
    assert len(service.children()) == 2
    sources = await service.speak("words=20 gate=go at=10")
    counted = await service.scrape()
    assert (counted["up 0"], counted["up 1"]) == (1, 1)
    assert counted["requests 0"] > 0
    assert counted["requests 1"] > 0

    victim = rng.choice(service.children())
    send_signal(victim, signal.SIGKILL)
    # Its connections are taken by the other one: no request waits for the successor.
    watch = Stopwatch(*service.children())
    for _ in range(10):
        (await cluster.call(family, "GET", "/readyz")).ok()
    assert watch.seconds < CLOSING_S
    cluster.model.gates["go"].set()
    for source in sources:
        assert (await source.finished(timeout_s=60)).types()[-1] == "run.completed"
    await service.until_both_serve()
    assert victim not in service.children()

    left = await service.speak("words=20 gate=again at=10")
    loading = asyncio.create_task(keep_asking(service))
    watch = family.stopwatch()
    family.terminate()
    assert await family.ended() == 0, family.tail()
    assert watch.seconds < GRACE_S + CLOSING_S, family.tail()
    loading.cancel()
    said = service.log()
    assert said.count("AI Agents on") == 1
    assert set(re.findall(r'"event":"stopped","process":(\d)', said)) == {"0", "1"}

    cluster.model.gates["again"].set()
    other = await cluster.start()
    for source in left:
        source.addresses = [other.url]
        assert (await source.finished(timeout_s=60)).types()[-1] == "run.completed"


async def test_one_that_hangs_is_ended_and_its_runs_and_connections_are_taken_over(
    server_directory: Path, postgresql_url: str, redis_server: RedisServer, rng: random.Random
) -> None:
    async with serving(server_directory, postgresql_url, redis_server, FAULTS_SILENT_S=str(SILENT_S)) as service:
        cluster, family = service.cluster, service.family
        sources = await service.speak("words=20 gate=go at=10")
        victim = rng.choice(service.children())
        send_signal(victim, HANG)
        cluster.model.gates["go"].set()
        async with asyncio.timeout(60):
            while "others take its connections" not in service.log():
                await asyncio.sleep(0.1)
        # New connections are not left to it until it is ended.
        for _ in range(10):
            (await cluster.call(family, "GET", "/readyz")).ok()
        for source in sources:
            assert (await source.finished(timeout_s=60)).types()[-1] == "run.completed"
        async with asyncio.timeout(60):
            while is_running(victim):
                await asyncio.sleep(0.1)
        await service.until_both_serve()
        (ended,) = (json.loads(line) for line in service.log().splitlines() if "hangs and is ended" in line)
        assert ended["pid"] == victim
        assert ended["where"][0].endswith("in hang")


async def keep_asking(service: Service) -> int:
    """Requests one after the other; how many were answered, with each refused connection tried again."""
    answered = 0
    while True:
        try:
            (await service.cluster.call(service.family, "GET", "/me")).ok()
            answered += 1
        except OSError:
            await asyncio.sleep(0.02)


@pytest.mark.soak
async def test_sighup_replaces_one_after_the_other_without_a_failed_request(service: Service) -> None:
    cluster, family = service.cluster, service.family
    before = service.children()
    sources = await service.speak("words=200 pause=0.05")
    asking = [asyncio.create_task(keep_asking(service)) for _ in range(4)]
    send_signal(family.pid, signal.SIGHUP)
    async with asyncio.timeout(90):
        while "each process was restarted" not in service.log() or set(before) & set(service.children()):
            assert not any(task.done() for task in asking), asking
            await asyncio.sleep(0.1)
    await service.until_both_serve()
    for task in asking:
        task.cancel()
    await asyncio.wait(asking)
    assert not set(before) & set(service.children())
    for source in sources:
        assert (await source.finished(timeout_s=60)).types()[-1] == "run.completed"
        assert source.cuts == 0
    assert (await cluster.call(family, "GET", "/readyz")).status == 200
    assert service.log().count("AI Agents on") == 1


@pytest.mark.soak
async def test_children_end_with_their_parent_and_the_port_is_free(service: Service) -> None:
    cluster, family = service.cluster, service.family
    children = service.children()
    sources = await service.speak("words=20 gate=go at=10")
    family.kill()
    async with asyncio.timeout(GRACE_S + CLOSING_S):
        while any(is_running(child) for child in children):
            await asyncio.sleep(0.05)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", family.port))
    cluster.model.gates["go"].set()
    await family.start()
    for source in sources:
        assert (await source.finished(timeout_s=60)).types()[-1] == "run.completed"


@pytest.mark.soak
async def test_a_second_signal_ends_the_grace_of_all(
    server_directory: Path, postgresql_url: str, redis_server: RedisServer
) -> None:
    async with serving(server_directory, postgresql_url, redis_server) as service:
        service.cluster.model.gates.clear()
        await service.speak("words=20 gate=never at=10")
        service.family.terminate()
        async with asyncio.timeout(60):
            while '"stopping"' not in service.log():
                await asyncio.sleep(0.01)
        watch = service.family.stopwatch()
        service.family.terminate()
        assert await service.family.ended() == 0
        assert watch.seconds < CLOSING_S
        assert not service.children()


@pytest.mark.soak
async def test_what_cannot_start_at_all_ends_the_parent_with_its_sentence(
    server_directory: Path, postgresql_url: str, redis_server: RedisServer
) -> None:
    folder = server_directory / "no-folder"
    folder.write_text("")
    async with open_cluster(
        server_directory, postgresql_url, redis_server.url, AI_AGENTS_FILES_DIR=str(folder)
    ) as cluster:
        service = Service(cluster)
        with pytest.raises(DidNotStart) as refused:
            await service.family.start()
        assert await service.family.ended() == 1
        assert str(folder) in refused.value.said.splitlines()[-1]
        assert "Traceback" not in refused.value.said
        assert refused.value.said.count("The folder of files") == 1


@pytest.mark.soak
async def test_a_port_of_a_family_is_in_use(service: Service) -> None:
    second = Family(service.cluster.directory, "second", service.cluster.environment, arguments=["--workers", "2"])
    second.port = service.family.port
    with pytest.raises(DidNotStart, match="another program listens there"):
        await second.start()
    assert await second.ended() == 1
