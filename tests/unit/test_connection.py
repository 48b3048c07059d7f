"""Opening and closing: a handle is there or an error says why, and nothing is left when it is closed."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from ai_agents import (
    AgentRunner,
    AgentStore,
    ModelEvent,
    ModelRequest,
    ProviderPool,
    ResponseEnd,
    RoleAuth,
    ThreadStore,
    Usage,
    connect,
    get_memory_strategy,
)
from ai_agents.core.exceptions import DatabaseUnavailable, InvalidRequest, ProviderNotConfigured
from ai_agents.core.ids import new_id
from ai_agents.runner import handle
from ai_agents.runner.handle import latest_connection
from ai_agents.store.database import Database
from ai_agents.testing import ScriptedProvider
from ai_agents.workers import queue_title_generation
from tests.docs.conftest import environment
from tests.fakes.answers import say
from tests.fakes.provider_server import FakeProviderServer
from tests.support.examples import SOAK
from tests.support.processes import free_port
from tests.support.stopwatch import Stopwatch

# Runs, streams and leaves a stream, then closes; prints what was there before and is there no more, or the other way.
_PROGRAM = """
import asyncio, gc, os, sys, threading
from ai_agents import AgentRunner, AgentStore, ProviderPool, RoleAuth, ThreadStore, connect, get_provider

def things():
    gc.collect()
    sockets = set()
    for fd in os.listdir("/proc/self/fd"):
        try:
            link = os.readlink(f"/proc/self/fd/{fd}")
        except FileNotFoundError:
            continue
        if link.startswith("socket:") or ".db" in link:
            sockets.add(link)
    tasks = {task.get_name() for task in asyncio.all_tasks()}
    threads = {thread.name for thread in threading.enumerate() if not thread.name.startswith("asyncio_")}
    return sockets | tasks | threads

async def main(url, anthropic, ollama):
    before = things()
    pool = ProviderPool({"ollama": {"base_url": ollama}})
    async with connect(url) as conn:
        own = get_provider("anthropic", api_key="k", model="claude", base_url=anthropic)
        runner = AgentRunner(conn, None, own, providers=pool)
        for provider in (None, "ollama"):
            agent = await AgentStore(conn).create("a", provider=provider, model="llama3" if provider else None)
            thread = await ThreadStore(conn).create(agent_id=agent["id"], owner_id="ada")
            print((await runner.run(thread["id"], "ada", "Hello!"))["content"])
            async for event in runner.stream(thread["id"], "ada", "Hello!"):
                break
    await asyncio.sleep(0)
    print(sorted(things() ^ before))

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_closed_handle_leaves_no_socket_task_thread_or_file(postgresql_url: str, sqlite_url: str) -> None:
    for url in (sqlite_url, postgresql_url) if SOAK else (sqlite_url,):
        await check_what_is_left(url)


async def check_what_is_left(database_url: str) -> None:
    """Run the program on this database."""
    async with FakeProviderServer() as fake:
        fake.script("anthropic", [say("From one."), say("Again.")])
        fake.script("ollama", [say("From the other."), say("Again.")])
        ended = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-W", "error::ResourceWarning", "-c", _PROGRAM, database_url,
             fake.base_url("anthropic"), fake.base_url("ollama")],
            capture_output=True, text=True, timeout=60, check=False, env=environment(),
        )  # fmt: skip
    assert ended.stdout.splitlines() == ["From one.", "From the other.", "[]"], ended.stderr
    assert "ResourceWarning" not in ended.stderr


async def test_a_handle_is_awaited_entered_or_made_by_a_task(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handle, "_open", [])  # other tests may have left some open
    first = await connect(sqlite_url)
    await first.close()
    await first.close()
    async with connect(sqlite_url) as second:
        third = await asyncio.create_task(connect(sqlite_url))
        assert latest_connection() is third
        assert repr(third) == f"<handle on {sqlite_url}>"
        assert repr(AgentStore(second)) == f"<AgentStore on {sqlite_url}>"
        await third.close()
        assert repr(third).startswith("<closed handle")
        assert latest_connection() is second

    with pytest.raises(InvalidRequest, match="call `connect` first"):
        await queue_title_generation("any")


async def test_a_database_that_is_not_there_is_told_at_once() -> None:
    port = free_port()
    with pytest.raises(DatabaseUnavailable):
        await connect(f"postgresql://ada:sesame@127.0.0.1:{port}/none")
    for url in ("mysql://localhost/a", "agents.db", None):
        with pytest.raises(InvalidRequest):
            await connect(url)  # type: ignore[arg-type]  # the mistake is the test


async def test_a_wrong_part_of_a_runner_is_told_with_what_makes_the_right_one(sqlite_url: str) -> None:
    def refused(*parts: object, **more: object) -> str:
        with pytest.raises(TypeError) as told:
            AgentRunner(*parts, **more)  # type: ignore[arg-type]  # the mistake is the test
        return str(told.value)

    connecting = connect(sqlite_url)
    assert refused(connecting).endswith("not Connecting. Write `conn = await connect(…)`.")
    assert refused(sqlite_url) == "AgentRunner takes the handle that `await connect(…)` returns, not str."
    with pytest.raises(TypeError, match="AgentStore takes the handle"):
        AgentStore(connecting)  # type: ignore[arg-type]  # the mistake is the test
    with pytest.raises(TypeError, match="RoleAuth takes the handle"):
        RoleAuth(None)  # type: ignore[arg-type]  # the mistake is the test
    async with connecting as conn:
        memory = get_memory_strategy("last_n")
        assert 'takes as `provider` what `get_provider("openai", model="…")` returns, not \'openai\'.' in refused(
            conn, None, "openai"
        )
        assert 'takes as `memory` what `get_memory_strategy("summarize")` returns' in refused(conn, memory="summarize")
        assert "`RoleAuth(conn)` returns, not an object of LastN" in refused(conn, memory)
        assert "It is a class: write ScriptedProvider(…)." in refused(conn, provider=ScriptedProvider)
        assert "`providers`" in refused(conn, providers={})


async def test_an_agents_own_provider_finds_its_key_where_its_sdk_looks(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with FakeProviderServer() as fake, connect(sqlite_url) as conn:
        fake.script("openai", [say("From OpenAI.")])
        agent = await AgentStore(conn).create("a", provider="openai", model="gpt-4o")
        thread = await ThreadStore(conn).create(agent_id=agent["id"], owner_id="ada")
        runner = AgentRunner(conn, None, ScriptedProvider())
        monkeypatch.delenv("OPENAI_API_KEY", raising=False)
        with pytest.raises(ProviderNotConfigured, match="OPENAI_API_KEY"):
            await runner.run(thread["id"], "ada", "Hello!")

        monkeypatch.setenv("OPENAI_API_KEY", "sk-found")
        monkeypatch.setenv("OPENAI_BASE_URL", fake.base_url("openai"))
        answer = await AgentRunner(conn, None, ScriptedProvider()).run(thread["id"], "ada", "Hello!")

        assert answer["content"] == "From OpenAI."
        assert repr(ProviderPool({"openai": {"api_key": "sk-secret"}})) == "<ProviderPool: echo, ollama, openai>"


async def test_a_program_that_is_interrupted_does_not_wait_for_its_runs(sqlite_url: str) -> None:
    asked = asyncio.Event()

    class Silent(ScriptedProvider):
        """Never answers."""

        async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
            asked.set()
            await asyncio.Event().wait()
            yield ResponseEnd("end", Usage(), "m")

    async def main() -> None:
        async with connect(sqlite_url) as conn:
            agent = await AgentStore(conn).create("a")
            thread = await ThreadStore(conn).create(agent["id"], owner_id="ada")
            await AgentRunner(conn, provider=Silent()).run(thread["id"], "ada", "Hello!")

    running = asyncio.create_task(main())
    await asked.wait()
    running.cancel()  # as asyncio does for Ctrl-C
    watch = Stopwatch()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(running, 60)
    assert watch.seconds < 8


async def test_a_database_without_tables_says_how_they_are_made(tmp_path: Path, postgresql_url: str) -> None:
    server = await asyncpg.connect(postgresql_url.replace("+asyncpg", ""))
    try:
        name = f"empty_{new_id().replace('-', '')}"
        await server.execute(f"create database {name}")
        place, _, options = postgresql_url.partition("?")
        empty = f"{place.rpartition('/')[0]}/{name}?{options}".rstrip("?")
        for url in (f"sqlite:///{tmp_path / 'empty.db'}", empty):
            database = Database(url)
            with pytest.raises(DatabaseUnavailable, match=r"`await conn\.create_all\(\)` makes them in an empty one"):
                await AgentStore(database).create("a")
            await database.create_all()
            assert (await AgentStore(database).create("a"))["name"] == "a"
            await database.close()
        await server.execute(f"drop database {name}")
    finally:
        await server.close()


@pytest.mark.parametrize("no_url", ["agents.db", "", "C:\\agents.db"])
async def test_a_path_in_the_place_of_a_url_is_told_what_a_url_is(no_url: str) -> None:
    with pytest.raises(InvalidRequest, match=r"sqlite:///agents\.db"):
        await connect(no_url)
