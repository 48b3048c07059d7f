"""The worker as an operator runs it: a real process with its pool, and a real Redis."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis
from celery import Celery

from tests.faults.support.nursery import Forked
from tests.faults.support.workers import pool_of, start_worker
from tests.support.processes import children_of, is_running, wait_until
from tests.support.redis_server import RedisServer

QUEUE = "ai-agents"
# How long Celery waits by default for a new process of its pool before it kills it.
CELERYS_PATIENCE_S = 4.0

WORKER = [str(Path(sys.executable).with_name("ai-agents")), "worker"]
PROBED_WORKER = [sys.executable, "-c", "from tests.worker.probed_worker import main; main()"]

Start = Callable[[list[str]], subprocess.Popen[bytes]]
Fork = Callable[[], Forked | subprocess.Popen[bytes]]


def environment(**settings: str) -> dict[str, str]:
    """This process's environment without the service's settings, and with these."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AI_AGENTS_")}
    return {**inherited, **settings}


@pytest.fixture
def settings(redis_server: RedisServer, sqlite_url: str) -> dict[str, str]:
    """The environment of a worker with one pool process."""
    return environment(
        AI_AGENTS_REDIS_URL=redis_server.url, AI_AGENTS_DATABASE_URL=sqlite_url, AI_AGENTS_WORKER_CONCURRENCY="1"
    )


@pytest.fixture
def start(settings: dict[str, str], tmp_path: Path) -> Iterator[Start]:
    """Start a worker as an operator does: `start(PROBED_WORKER)`."""
    with ExitStack() as started:

        def start_command(command: list[str]) -> subprocess.Popen[bytes]:
            log = started.enter_context((tmp_path / "worker.log").open("ab"))
            process = started.enter_context(
                subprocess.Popen(command, cwd=tmp_path, env=settings, stdout=log, stderr=log)
            )
            started.callback(process.kill)
            return process

        yield start_command


@pytest.fixture
def fork(settings: dict[str, str], tmp_path: Path) -> Iterator[Fork]:
    """Start the same with its modules loaded."""
    started: list[Forked | subprocess.Popen[bytes]] = []

    def start() -> Forked | subprocess.Popen[bytes]:
        started.append(start_worker(tmp_path, settings, probed=True))
        return started[-1]

    yield start
    for each in started:
        kill(each)


def kill(worker: Forked | subprocess.Popen[bytes]) -> None:
    """End a worker and its pool at once."""
    pool = children_of(worker.pid)
    worker.kill()
    for pid in pool:
        if is_running(pid):
            os.kill(pid, signal.SIGKILL)
    worker.wait(30)


def queue(server: RedisServer, task: str, argument: str) -> None:
    """Queue a job, as any process may that knows the broker."""
    with Celery("client", broker=server.url, set_as_current=False) as client:
        client.send_task(task, [argument], queue=QUEUE, ignore_result=True)


def answer(server: RedisServer, key: str) -> bytes:
    """Wait for what a job puts on a list."""
    with redis.Redis.from_url(server.url, socket_timeout=130) as connection:
        answered = connection.blpop([key], timeout=120)
    assert answered, "the worker did not answer"
    value: bytes = answered[1]
    return value


def ping(server: RedisServer, token: str) -> dict[str, int]:
    queue(server, "tests.ping", token)
    told: dict[str, int] = json.loads(answer(server, f"tests:ping:{token}"))
    return told


def test_jobs_share_one_loop_and_sigterm_ends_all_processes(
    start: Start, redis_server: RedisServer, tmp_path: Path
) -> None:
    worker = start(PROBED_WORKER)
    first = ping(redis_server, "first")
    second = ping(redis_server, "second")

    assert first == second
    assert first["pid"] in children_of(worker.pid)

    with redis.Redis.from_url(redis_server.url) as connection:
        wait_until(lambda: connection.hlen("unacked") == 0, what="the worker to acknowledge its jobs")
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(60) == 0
        assert connection.llen(QUEUE) == 0
    assert not is_running(first["pid"])
    lines = (tmp_path / "worker.log").read_text().splitlines()
    # Celery prints that it stops, too, on its standard output.
    assert [line for line in lines if line and '"level":' not in line and not line.startswith("worker: ")] == []
    assert not [line for line in lines if "superuser" in line], "tests may be root, and so may a container"


def test_a_job_queued_before_the_worker_starts_is_done_by_it(fork: Fork, redis_server: RedisServer) -> None:
    queue(redis_server, "tests.ping", "early")

    worker = fork()

    assert json.loads(answer(redis_server, "tests:ping:early"))["pid"] in children_of(worker.pid)


def test_a_process_that_loads_slowly_is_not_killed_for_it(fork: Fork, redis_server: RedisServer) -> None:
    worker = fork()
    first = ping(redis_server, "first")["pid"]
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: pool_of(worker) not in ([], [first]), what="another process in the pool")
    [loading] = pool_of(worker)

    os.kill(loading, signal.SIGSTOP)
    time.sleep(CELERYS_PATIENCE_S + 0.5)
    os.kill(loading, signal.SIGCONT)

    assert ping(redis_server, "slow")["pid"] == loading


def test_a_job_that_outlasts_the_grace_time_goes_back_into_the_queue(fork: Fork, redis_server: RedisServer) -> None:
    worker = fork()
    queue(redis_server, "tests.stuck", "at-it")
    pool_process = int(answer(redis_server, "at-it"))

    worker.send_signal(signal.SIGTERM)
    worker.wait(60)

    assert not is_running(pool_process)
    with redis.Redis.from_url(redis_server.url) as connection:
        assert connection.llen(QUEUE) == 1
        assert connection.hlen("unacked") == 0


def test_a_worker_without_redis_ends_with_an_error(tmp_path: Path) -> None:
    ended = subprocess.run(
        WORKER, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=30, check=False
    )

    assert ended.returncode == 1
    assert "AI_AGENTS_REDIS_URL is not set" in ended.stderr
    assert "Traceback" not in ended.stderr
