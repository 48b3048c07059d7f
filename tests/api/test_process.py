"""The command line as an operator uses it: real processes, their output and their signals."""

import json
import os
import re
import resource
import signal
import subprocess
import sys
from argparse import ArgumentTypeError
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx
import pytest

from app.commands.options import process_count
from app.descriptors import raise_descriptor_limit
from tests.api.service import UNKNOWN_ID
from tests.faults.support.nursery import Forked, nursery
from tests.support.postgres import PostgresServer
from tests.support.serving import forked_service

COMMAND = [sys.executable, "-m", "app.cli"]
ROOT = Path(__file__).resolve().parents[2]
SERVICE = re.compile(r"AI Agents on (http://\S+)")


def environment(**settings: str) -> dict[str, str]:
    """The environment of this process with these settings, and no other settings of the service or of providers."""
    foreign = ("AI_AGENTS_", "ANTHROPIC_", "OPENAI_", "OLLAMA_", "HOST", "PORT")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {**inherited, "PYTHONPATH": str(ROOT), **settings}


def ended(*arguments: str, cwd: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """A command that asks nothing, with its modules loaded."""
    said, printed = cwd / "command.err", cwd / "command.out"
    for path in (said, printed):
        path.unlink(missing_ok=True)
    process = nursery().start(
        arguments,
        directory=cwd, environment=environment(**settings), log_path=said, output_path=printed, program="app.cli",
    )  # fmt: skip
    code = process.wait(120)
    return subprocess.CompletedProcess(arguments, code, printed.read_text(), said.read_text())


def run(*arguments: str, cwd: Path, given: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
    """A command as an operator types it."""
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=cwd, env=environment(**settings), input=given, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@contextmanager
def serving(directory: Path, **settings: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A running service and its address, started as an operator does: once, others are forked."""
    with (
        (directory / "service.log").open("a") as log,
        subprocess.Popen(
            [*COMMAND, "serve", "--port", "0"],
            cwd=directory, env=environment(**settings), stdout=subprocess.PIPE, stderr=log, text=True,
        ) as process,
    ):  # fmt: skip
        try:
            assert process.stdout
            found = SERVICE.match(process.stdout.readline())
            assert found, (directory / "service.log").read_text()
            yield process, found[1]
        finally:
            process.kill()


def forked(directory: Path, **settings: str) -> AbstractContextManager[tuple[Forked, str]]:
    """The same with its modules loaded."""
    return forked_service(directory, environment(**settings))


def stop(process: Forked | subprocess.Popen[str]) -> int:
    process.send_signal(signal.SIGTERM)
    return process.wait(60)


def test_the_service_may_open_as_many_connections_as_the_system_allows() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 1000), hard))
    try:
        raise_descriptor_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def client_of(url: str, directory: Path) -> httpx.Client:
    key = (directory / "var" / "admin.key").read_text().strip()
    return httpx.Client(base_url=url, headers={"authorization": f"Bearer {key}"}, trust_env=False, timeout=20)


def test_a_first_start_makes_all_that_it_needs_and_says_where(tmp_path: Path) -> None:
    with serving(tmp_path) as (process, url):
        assert process.stdout
        said = [process.stdout.readline() for _ in range(3)]
        assert [line.split()[0] for line in said] == ["page", "docs", "admin"]
        # No secret where the output is kept as a log.
        assert said[0].split()[1] == f"{url}/"
        assert said[2].split()[-1] == str(tmp_path / "var" / "admin.key")
        with client_of(url, tmp_path) as client:
            assert client.get("/me").json().items() >= {"user_id": "admin", "admin": True}.items()
            assert client.get("/readyz").status_code == 200
        assert stop(process) == 0

    assert (tmp_path / "var" / "ai-agents.db").exists()
    assert rights_of_others(tmp_path / "var") == []


def rights_of_others(directory: Path) -> list[Path]:
    """What users other than the owner may do anything with."""
    return [path for path in (directory, *directory.rglob("*")) if path.stat().st_mode & 0o077]


def test_what_an_earlier_version_left_open_is_closed_at_the_start(tmp_path: Path) -> None:
    with forked(tmp_path) as (process, _):
        assert stop(process) == 0
    var = tmp_path / "var"
    (var / "files").mkdir(exist_ok=True)
    for path in (var, *var.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)

    with forked(tmp_path) as (process, url):
        with client_of(url, tmp_path) as client:
            assert client.post("/agents", json={"name": "assistant"}).status_code == 201
        assert rights_of_others(var) == []
        assert {"ai-agents.db", "ai-agents.db-wal", "ai-agents.db-shm"} <= {path.name for path in var.iterdir()}
        assert stop(process) == 0


def test_it_stops_in_time_with_streams_open_and_ends_them_cleanly(tmp_path: Path) -> None:
    # Of the grace time nothing is needed: it is longer than the stop may take.
    grace = {"AI_AGENTS_SHUTDOWN_GRACE_S": "600"}
    with forked(tmp_path, **grace) as (process, url), client_of(url, tmp_path) as client:
        agent = client.post("/agents", json={"name": "assistant"}).json()
        thread = client.post("/threads", json={"agent_id": agent["id"]}).json()
        with client.stream("GET", f"/threads/{thread['id']}/events") as response:
            lines = response.iter_lines()
            assert next(lines) == ": ok"
            process.send_signal(signal.SIGTERM)
            rest = list(lines)  # raises where the body is cut
        assert process.wait(60) == 0

    assert all(not line or line.startswith(":") for line in rest)


@pytest.fixture
def terminal() -> Iterator[None]:
    """Processes that are started hear of a terminal that goes, also where the tests ignore it."""
    former = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, former)


@pytest.mark.usefixtures("terminal")
def test_its_log_says_when_it_stops_and_what_it_hands_over(tmp_path: Path) -> None:
    settings = {"AI_AGENTS_SHUTDOWN_GRACE_S": "0", "AI_AGENTS_ECHO_DELAY_S": "1"}
    with forked(tmp_path, **settings) as (process, url), client_of(url, tmp_path) as client:
        agent = client.post("/agents", json={"name": "assistant"}).json()
        thread = client.post("/threads", json={"agent_id": agent["id"]}).json()
        asked = {"content": "one two three four five six seven eight nine ten"}
        path = f"/threads/{thread['id']}/messages"
        run_id = client.post(path, json=asked, headers={"prefer": "respond-async"}).json()["id"]
        process.send_signal(signal.SIGHUP)
        assert process.wait(30) == 0

    told = [json.loads(line) for line in (tmp_path / "service.log").read_text().splitlines() if line.startswith("{")]
    stopping, stopped = (each for each in told if each["event"] in {"stopping", "stopped"})
    assert (stopping["event"], stopping["runs"], stopping["grace_s"]) == ("stopping", 1, 0)
    assert (stopped["event"], stopped["handed_over"], stopped["run_ids"]) == ("stopped", 1, [run_id])


def test_migrate_prepares_a_database_for_a_service_that_leaves_it_as_it_is(tmp_path: Path) -> None:
    migrated = run("migrate", cwd=tmp_path)
    again = ended("migrate", cwd=tmp_path)

    assert (migrated.returncode, again.returncode) == (0, 0), migrated.stderr + again.stderr
    assert (tmp_path / "var" / "ai-agents.db").exists()


def test_a_service_that_leaves_an_empty_database_as_it_is_says_what_to_run(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    url = postgres.create_database("without_tables")
    try:
        refused = ended("serve", "--no-migrate", cwd=tmp_path, AI_AGENTS_DATABASE_URL=url, AI_AGENTS_PORT="0")
    finally:
        postgres.drop_database("without_tables")

    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1] == "The database has no tables yet: run `ai-agents migrate` first."
    assert "Traceback" not in refused.stderr


def test_keys_are_made_on_the_command_line_and_chat_streams(tmp_path: Path) -> None:
    made = run("keys", "create", "--user", "carol", "--name", "laptop", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    key = made.stdout.strip()

    with forked(tmp_path) as (process, url):
        me = httpx.get(f"{url}/me", headers={"authorization": f"Bearer {key}"}, trust_env=False)
        said = run("chat", "--url", url, "--key", key, cwd=tmp_path, given="Good morning\n")
        assert stop(process) == 0
    alone = run("chat", "--url", url, "--key", key, cwd=tmp_path, given="Hi\n")

    assert me.json().items() >= {"user_id": "carol", "admin": False}.items()
    assert "Good morning" in said.stdout
    assert "does not answer" in alone.stderr
    assert alone.returncode != 0


def test_an_unusable_database_is_refused_without_naming_its_address(tmp_path: Path) -> None:
    refused = ended("serve", cwd=tmp_path, AI_AGENTS_DATABASE_URL="mysql://x/y")

    assert refused.returncode not in (0, None)
    assert "Traceback" not in refused.stderr
    assert refused.stderr.strip()
    assert "mysql://x/y" not in refused.stderr


def test_settings_come_from_a_file_too(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("AI_AGENTS_ADMIN_KEY=the-key-of-the-file\nUNRELATED=1\n")

    with forked(tmp_path) as (process, url):
        me = httpx.get(f"{url}/me", headers={"authorization": "Bearer the-key-of-the-file"}, trust_env=False)
        assert stop(process) == 0

    assert me.json()["admin"] is True
    assert not (tmp_path / "var" / "admin.key").exists()


def test_the_log_is_json_names_requests_by_their_route_and_leaves_out_polls(tmp_path: Path) -> None:
    with forked(tmp_path) as (process, url), client_of(url, tmp_path) as client:
        httpx.get(f"{url}/livez", headers={"x-request-id": "a-poll"}, trust_env=False)
        client.get(f"/threads/{UNKNOWN_ID}?ticket=secret-ticket", headers={"x-request-id": "seen-in-the-log"})
        assert stop(process) == 0

    lines = (tmp_path / "service.log").read_text().splitlines()
    logged = [line for line in map(json.loads, lines) if line.get("request_id") == "seen-in-the-log"]
    assert [(line["method"], line["path"], line["route"], line["thread_id"]) for line in logged] == [
        ("GET", f"/threads/{UNKNOWN_ID}", "/threads/{thread_id}", UNKNOWN_ID)
    ]
    assert "a-poll" not in "".join(lines)
    assert "secret-ticket" not in "".join(lines)


def test_several_processes_without_a_shared_database_are_refused_in_one_sentence(tmp_path: Path) -> None:
    refused = ended("serve", "--workers", "2", "--port", "0", cwd=tmp_path)

    assert refused.returncode == 2
    assert refused.stderr.splitlines() == [
        "Several processes (--workers) need PostgreSQL (AI_AGENTS_DATABASE_URL) and Redis (AI_AGENTS_REDIS_URL)."
    ]


def test_a_number_of_processes_is_at_least_one() -> None:
    assert process_count("1") == 1
    for wrong in ("0", "-1", "257", "two", "1.5", ""):
        with pytest.raises(ArgumentTypeError):
            process_count(wrong)
