"""Jobs of a service with Redis, carried out by real workers that are killed or cut off."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from celery import Celery
from sqlalchemy import text
from standardwebhooks import Webhook

from ai_agents.core.ids import new_id, utc_now
from ai_agents.core.rows import Job, Page
from ai_agents.core.webhook_rows import WebhookRow
from ai_agents.store import processes, webhooks
from ai_agents.workers.webhooks import make_secret, seal_secret
from app.container import Container, open_container
from app.settings import Settings
from tests.fakes.http_server import HttpServer, reply
from tests.faults.support import workers
from tests.faults.support.nursery import Forked
from tests.present import present
from tests.support.processes import children_of, wait_until
from tests.support.redis_server import RedisServer
from tests.support.waiting import eventually
from tests.worker.test_worker_process import environment, kill

Start = Callable[[], Forked | subprocess.Popen[bytes]]


@pytest.fixture
def start_worker(redis_server: RedisServer, postgresql_url: str, tmp_path: Path) -> Iterator[Start]:
    """Start a worker with one pool process on the service's database."""
    settings = environment(
        AI_AGENTS_REDIS_URL=redis_server.url,
        AI_AGENTS_DATABASE_URL=postgresql_url,
        AI_AGENTS_VAR_DIR=str(tmp_path),
        AI_AGENTS_ADMIN_KEY="admin-key-of-the-worker-tests",
        AI_AGENTS_WORKER_CONCURRENCY="1",
        AI_AGENTS_OUTBOUND_ALLOW="127.0.0.1",
    )
    started: list[Forked | subprocess.Popen[bytes]] = []

    def start() -> Forked | subprocess.Popen[bytes]:
        started.append(workers.start_worker(tmp_path, settings))
        return started[-1]

    yield start
    for each in started:
        kill(each)


@pytest.fixture
async def service(redis_server: RedisServer, postgresql_url: str, tmp_path: Path) -> AsyncIterator[Container]:
    """The container of a service that runs agents."""
    settings = Settings(
        database_url=postgresql_url,
        redis_url=redis_server.url,
        var_dir=tmp_path,
        admin_key="admin-key-of-the-worker-tests",
        default_model="echo:echo",
        echo_delay_s=0,
    )
    async with open_container(settings) as container:
        await container.runner.open()
        yield container


async def new_thread(service: Container, **agent: object) -> str:
    created = await service.agents.create(name="assistant", **agent)  # type: ignore[arg-type]  # fields pass through
    return str((await service.threads.create(created["id"], owner_id="ada"))["id"])


async def all_done(service: Container, count: int) -> bool:
    page = await service.jobs.list(limit=100)
    return len(page["data"]) == count and all(job["status"] == "completed" for job in page["data"])


def results(page: Page[Job]) -> list[object]:
    return [present(job["result"])["written"] for job in page["data"]]


async def test_open_streams_get_the_titles_and_summaries_of_a_worker(
    service: Container, start_worker: Start, tmp_path: Path
) -> None:
    start_worker()
    thread_id = await new_thread(service, memory={"strategy": "summarize", "recent": 2})
    reader = await service.runner.read_thread(thread_id)
    for number in range(3):
        await service.runner.run(thread_id, "ada", f"What is {number}?")

    heard: set[str] = set()
    async with asyncio.timeout(60):
        async for event in reader.events():
            heard.add(event.type)
            if {"thread.updated", "context.compacted"} <= heard:
                break
    thread = await service.threads.get(thread_id)
    assert thread["title"] == "What is 0?"
    assert "What is 1?" in present(thread["summary"])
    await eventually(lambda: all_done(service, 2))
    assert results(await service.jobs.list()) == [True, True]
    log = tmp_path / "worker.log"
    # It is a process of the pool that says so.
    wait_until(lambda: log.read_text().count('"event":"job done"') == 2, what="the log to have both jobs")
    assert [line for line in log.read_text().splitlines() if line and not line.startswith(("{", "worker: "))] == []


async def test_a_lost_job_is_sent_again(service: Container, start_worker: Start, redis_server: RedisServer) -> None:
    thread_id = await new_thread(service)
    await service.runner.run(thread_id, "ada", "Hello!")
    await service.conn.executor.background.drain(5)  # type: ignore[union-attr]  # the container sets it
    redis_server.flush()
    # As if it had been sent a while ago.
    await service.conn.database.write(lambda c: c.execute(text("UPDATE jobs SET sent_at = sent_at - 60")))
    start_worker()
    await eventually(lambda: all_done(service, 1))
    assert (await service.threads.get(thread_id))["title"] == "Hello!"


async def test_a_job_of_a_killed_worker_is_done_by_another(service: Container, start_worker: Start) -> None:
    thread_id = await new_thread(service)
    await service.runner.run(thread_id, "ada", "Hello!")
    (job,) = (await service.jobs.list())["data"]
    claimed = text("UPDATE jobs SET status = 'running', lease_owner = 'dead', lease_expires_at = 1, attempts = 1")
    await service.conn.database.write(lambda c: c.execute(claimed))
    start_worker()
    await eventually(lambda: all_done(service, 1))
    assert (await service.jobs.get(job["id"]))["attempts"] == 2


async def test_a_worker_has_a_heartbeat_until_it_stops(service: Container, start_worker: Start) -> None:
    assert await asyncio.to_thread(check_worker, service) == (1, "No worker of this machine is alive.\n")
    worker = start_worker()
    count = partial(service.conn.database.read, processes.count_workers)
    assert await eventually(count) == 1
    assert await asyncio.to_thread(check_worker, service) == (0, "")
    worker.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(worker.wait, 30) == 0
    assert await count() == 0


def check_worker(service: Container) -> tuple[int, str]:
    """How `ai-agents worker --check` ends, and what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "app.cli", "worker", "--check"],
        env={**os.environ, "AI_AGENTS_DATABASE_URL": service.settings.database},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, done.stderr


async def test_a_worker_obeys_no_commands_from_redis(service: Container, start_worker: Start) -> None:
    worker = start_worker()
    assert await eventually(partial(service.conn.database.read, processes.count_workers)) == 1

    with Celery(broker=service.settings.redis_url) as celery:
        assert await asyncio.to_thread(celery.control.ping, timeout=1) == []
        await asyncio.to_thread(celery.control.shutdown)
    await asyncio.sleep(1)
    assert worker.poll() is None


async def test_a_worker_without_its_pool_ends_and_has_no_heartbeat(service: Container, start_worker: Start) -> None:
    worker = start_worker()
    count = partial(service.conn.database.read, processes.count_workers)
    assert await eventually(count) == 1

    # The process that Celery makes pool processes with is among them.
    for pid in children_of(worker.pid):
        os.kill(pid, signal.SIGKILL)

    assert await asyncio.to_thread(worker.wait, 30) != 0, "a supervisor starts another worker then"
    assert await count() == 0


async def test_a_worker_sends_webhooks_again_under_the_same_id(service: Container, start_worker: Start) -> None:
    start_worker()
    thread_id = await new_thread(service)
    secret = make_secret()
    async with HttpServer() as receiver:
        receiver.on("/hook", reply(status="503 Service Unavailable"))
        hook: WebhookRow = {
            "id": new_id(),
            "user_id": "ada",
            "agent_id": None,
            "key_id": None,
            "by_admin": True,
            "url": receiver.url("/hook"),
            "events": ["run.completed"],
            "sealed_secret": seal_secret(secret, service.tools.sealer),
            "failures": 0,
            "paused_until": 0.0,
            "created_at": utc_now(),
        }
        await service.conn.database.write(lambda c: webhooks.insert_webhook(c, hook))
        await service.stored_webhooks.refresh()
        await service.runner.run(thread_id, "ada", "Hi")
        await eventually(lambda: len(receiver.asked) == 1)
        receiver.on("/hook", reply())
        await eventually(lambda: len(receiver.asked) == 2)

    assert len({asked.headers["webhook-id"] for asked in receiver.asked}) == 1
    told = Webhook(secret).verify(receiver.asked[1].body, receiver.asked[1].headers)
    assert told["data"]["thread_id"] == thread_id
