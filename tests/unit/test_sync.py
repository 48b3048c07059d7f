"""`ai_agents.sync`: the framework as plain functions."""

import inspect
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import ai_agents
from ai_agents import get_provider, sync, tool
from ai_agents.core.exceptions import ProviderRejected, ThreadNotFound
from ai_agents.core.ids import new_id
from ai_agents.testing import ScriptedProvider, tool_call
from ai_agents.tools.registry import ToolRegistry
from tests.docs.conftest import environment

# It leaves a handle open, forks, and ends in the middle of a run.
_SCRIPT = """
import os, sys, threading
from ai_agents import get_provider, sync

conn = sync.connect(sys.argv[1])
agent = sync.AgentStore(conn).create("a")
thread = sync.ThreadStore(conn).create(agent["id"], owner_id="ada")
runner = sync.AgentRunner(conn, provider=get_provider("echo"))
for event in runner.stream(thread["id"], "ada", "Hello!"):
    print(event, end="", flush=True)
print(flush=True)
if os.fork() == 0:
    sync.run(__import__("asyncio").sleep(0))
    print("in a child", flush=True)
    os._exit(0)
os.wait()
for event in runner.stream(thread["id"], "ada", "And again"):
    break
"""
# What no thread can do for another: it belongs to one task, or returns what is awaited.
_WITHOUT_FUNCTION = {"AgentRunner.read_started", "AgentRunner.read_run", "AgentRunner.read_thread"}
_OF_UPLOADS = {f"Attachments.{name}" for name in ("add_text", "inspect", "keep", "record")}


@pytest.fixture
def conn(sqlite_url: str) -> Iterator[sync.Connection]:
    """A handle, closed at the end."""
    with sync.connect(sqlite_url) as handle:
        yield handle


def thread_of(conn: sync.Connection, **agent: object) -> str:
    """A new thread of `ada` with a new agent."""
    created = sync.AgentStore(conn).create("a", **agent)  # type: ignore[arg-type]  # fields pass through
    return sync.ThreadStore(conn).create(created["id"], owner_id="ada")["id"]


def test_answers_streams_and_errors_are_those_of_the_framework(conn: sync.Connection) -> None:
    refused = ProviderRejected("The key is refused.", provider="scripted")
    runner = sync.AgentRunner(conn, sync.RoleAuth(conn), ScriptedProvider("One.", ["Tw", "o."], refused, "Four."))
    thread_id = thread_of(conn)

    assert runner.run(thread_id, "ada", "1")["content"] == "One."
    assert "".join(map(str, runner.stream(thread_id, "ada", "2"))) == "Two."
    with pytest.raises(ProviderRejected, match="The key is refused"):
        list(runner.stream(thread_id, "ada", "3"))
    left = runner.stream(thread_id, "ada", "4")
    run_id = str(next(left).run_id)
    left.close()
    assert runner.wait(thread_id, run_id).run["status"] == "completed"
    contents = [message["content"] for message in sync.MessageStore(conn).list(thread_id)["data"]]
    assert contents == ["1", "One.", "2", "Two.", "3", "4", "Four."]
    with pytest.raises(ThreadNotFound):
        sync.ThreadStore(conn).get(new_id())
    assert repr(runner) == f"<sync AgentRunner on {conn.aio.database!r}>"


async def test_it_works_where_a_loop_is_running_and_not_in_its_own(conn: sync.Connection) -> None:
    @tool
    async def look() -> str:
        """Calls what it should await."""
        with pytest.raises(RuntimeError, match="await the functions"):
            sync.ThreadStore(conn).list()
        return "seen"

    @tool
    def plain() -> int:
        """Looks from a thread."""
        return len(sync.ThreadStore(conn).list()["data"])

    provider = ScriptedProvider([tool_call("look"), tool_call("plain")], "Done.")
    runner = sync.AgentRunner(conn, provider=provider, tools=ToolRegistry([look, plain]))
    thread_id = thread_of(conn, tools=["look", "plain"])

    assert runner.run(thread_id, "ada", "Look.")["content"] == "Done."
    results = [part for message in sync.MessageStore(conn).list(thread_id)["data"] for part in message["parts"]]
    assert [part["result"] for part in results if part["type"] == "tool_result"] == ["seen", 1]


def test_threads_share_it(conn: sync.Connection) -> None:
    runner = sync.AgentRunner(conn, provider=get_provider("echo"))
    threads = [thread_of(conn) for _ in range(4)]

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda thread_id: runner.run(thread_id, "ada", thread_id)["content"], threads))

    assert all(thread_id in answer for thread_id, answer in zip(threads, answers, strict=True))


def test_a_script_ends_cleanly_in_the_middle_of_a_run(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "default", "-c", _SCRIPT, f"sqlite:///{tmp_path / 'a.db'}"],
        capture_output=True, text=True, timeout=60, check=False, env=environment(),
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("echo: Hello!")
    assert ended.stdout.endswith("\nin a child\n")
    assert "Traceback" not in ended.stderr
    assert "ResourceWarning" not in ended.stderr


def test_a_wrong_handle_is_told(conn: sync.Connection) -> None:
    with pytest.raises(TypeError, match=r"takes what `sync.connect\(…\)` returns, not DatabaseHandle"):
        sync.AgentStore(conn.aio)  # type: ignore[arg-type]  # the mistake is the test


def test_everything_that_is_awaited_has_its_function_with_the_same_signature() -> None:
    names = [name for name in sync.__all__ if inspect.isclass(getattr(sync, name)) and name != "Connection"]
    assert len(names) > 10
    missing = set()
    for name in names:
        original, facade = getattr(ai_agents, name), getattr(sync, name)
        for method, function in inspect.getmembers(original, inspect.isfunction):
            if method.startswith("_") or not (
                inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
            ):
                continue
            if not hasattr(facade, method):
                missing.add(f"{name}.{method}")
            else:
                assert inspect.signature(getattr(facade, method)) == inspect.signature(function)
                assert getattr(facade, method).__doc__ == function.__doc__
    assert missing == _WITHOUT_FUNCTION | _OF_UPLOADS
    runner = inspect.signature(ai_agents.AgentRunner), inspect.signature(sync.AgentRunner)
    assert list(runner[0].parameters) == list(runner[1].parameters)
    assert inspect.signature(sync.connect).parameters == inspect.signature(ai_agents.connect).parameters
