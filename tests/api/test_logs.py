"""What a process writes to its log: JSON for programs, lines for people, each with what it belongs to."""

import asyncio
import json
import os
import pty
import subprocess
import sys
from collections.abc import AsyncIterator

import structlog
from structlog.testing import capture_logs

from ai_agents.core.ids import new_id
from ai_agents.core.log_context import log_context
from ai_agents.core.types import ModelEvent, ModelRequest
from ai_agents.testing import ScriptedProvider
from tests.api.service import Service, make_agent, make_thread
from tests.support.processes import free_port
from tests.support.waiting import eventually

PROGRAM = """
import asyncio
from ai_agents.core.exceptions import ProviderError
from ai_agents.core.types import ModelMessage, ModelRequest, TextPart
from ai_agents.providers.registry import get_provider
from app.logs import configure
from tests.fakes.answers import Raw
from tests.fakes.provider_server import FakeProviderServer

configure("info")

async def fail():
    async with FakeProviderServer() as fake:
        fake.script("openai", [Raw([b'{"error": {"message": "Quota for sk-made-up-key is used up"}}'], 403)])
        provider = get_provider("openai", api_key="sk-made-up-key", base_url=fake.base_url("openai"))
        try:
            await provider.complete(ModelRequest(model="m", messages=(ModelMessage("user", (TextPart("Hi"),)),)))
        except ProviderError:
            await provider.aclose()

asyncio.run(fail())
"""


def test_a_failure_of_a_provider_is_one_line_with_what_the_server_said_and_where_it_is() -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True)

    [line] = [json.loads(line) for line in ended.stderr.splitlines() if "refused" in line]
    assert (line["provider"], line["model"], line["status"], line["level"]) == ("openai", "m", 403, "warning")
    assert line["address"].startswith("http://127.0.0.1:")
    assert line["said"].startswith("Quota for")
    assert "sk-made-up-key" not in ended.stderr


WITHOUT_A_DATABASE = """
import asyncio, sys
from ai_agents.runner.process.periodic import PeriodicTask, run_periodic_tasks
from ai_agents.store.database import Database
from app.logs import configure

configure("info")

async def go():
    database = Database(sys.argv[1])
    tried = asyncio.Event()

    async def look():
        tried.set()
        await database.read(lambda c: None)

    running = asyncio.create_task(run_periodic_tasks([PeriodicTask(0.01, look)], asyncio.Event(), database))
    await tried.wait()
    await asyncio.sleep(0.5)
    running.cancel()
    await asyncio.wait({running})
    await database.close()

asyncio.run(go())
"""


def test_where_a_database_does_not_answer_the_log_says_which_one_and_why() -> None:
    port = free_port()
    command = [sys.executable, "-c", WITHOUT_A_DATABASE, f"postgresql://ada:a-secret@127.0.0.1:{port}/agents"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)

    line = json.loads(ended.stderr.splitlines()[0])
    assert (line["event"], line["level"]) == ("database unavailable, trying again later", "warning")
    assert line["database"] == f"agents at 127.0.0.1:{port}"
    assert line["reason"] == f"PostgreSQL does not listen at 127.0.0.1:{port}: the connection was refused."
    assert "a-secret" not in ended.stderr


ON_A_TERMINAL = """
import logging, structlog
from ai_agents.core.log_context import log_with
from app.logs import configure

configure("info")
log_with(run_id="a-run", thread_id="a-thread")
structlog.get_logger("app").info("request", method="GET", path="/me", route="/me", status=200, ms=1.5, client="x")
evil = "/x\\n12:00:00 [error] a forged line\\x1b[2J\\x9b31m\\u202e"
structlog.get_logger("app").info("request", method="GET", path=evil, status=404, ms=1.5)
structlog.get_logger("app").info("a library", said=evil)
logging.getLogger("library").warning("it said %s", evil, extra={"said": evil.replace(" ", "")})
try:
    raise ValueError(evil)
except ValueError:
    structlog.get_logger("app").exception("unexpected")
secret = "the-value-of-a-variable"
try:
    raise RuntimeError("it broke")
except RuntimeError:
    logging.getLogger("ai_agents").exception("a task failed", extra={"attempt": 2})
"""


def test_on_a_terminal_lines_are_for_people_and_show_no_values_of_variables() -> None:
    leader, follower = pty.openpty()
    settings = {**os.environ, "NO_COLOR": "1"}
    subprocess.run([sys.executable, "-c", ON_A_TERMINAL], stderr=follower, env=settings, timeout=60, check=True)
    os.close(follower)
    said = b""
    while len(part := _read(leader)):
        said += part
    os.close(leader)

    lines = said.decode().splitlines()
    assert "GET /me 200" in lines[0]
    assert lines[0].split()[-3:] == ["ms=1.5", "run_id=a-run", "thread_id=a-thread"]
    assert not set("\x1b\x9b\u202e") & set(said.decode())
    assert not any(line.startswith("12:00:00") for line in lines)
    assert sum("a forged line" in line for line in lines) == 4
    assert any("a task failed" in line and "attempt=2" in line and "run_id=a-run" in line for line in lines)
    assert any("RuntimeError: it broke" in line for line in lines)
    assert "the-value-of-a-variable" not in said.decode().replace('secret = "the-value-of-a-variable"', "")


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # the other end is closed
        return b""


async def test_the_path_of_a_request_is_logged_in_bounds_and_without_keys(small_service: Service) -> None:
    alice = await small_service.user("alice")
    key = str(alice.headers["authorization"]).removeprefix("Bearer ")
    with capture_logs() as lines:
        for path in (f"/keys/{key}", f"/threads/{key}", f"/threads/{new_id()}/{key}", "/x" * 4000, "/threads/none"):
            await alice.delete(path)
    requests = [line for line in lines if line["event"] == "request"]
    assert len(requests) == 5
    assert key[-40:] not in str(lines)
    assert max(len(line["path"]) for line in requests) == 512
    assert requests[-1]["path"] == "/threads/none"


async def test_lines_of_a_run_name_it_and_no_foreign_request(small_service: Service) -> None:
    """The first run of a thread begins in its request; the next, which waited for it, in no request."""
    service = small_service
    seen: dict[str, dict[str, str]] = {}

    class Telling(ScriptedProvider):
        """Notes what a line of the log would have, as each run asks for its answer."""

        async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
            facts = {**structlog.contextvars.get_contextvars(), **log_context()}
            seen[facts["run_id"]] = facts
            async for event in super().stream(request):
                yield event

    go = asyncio.Event()
    service.container.providers.add(Telling(["One", go], "Two."))
    alice = await service.user("alice")
    agent = await make_agent(alice, provider="scripted", model="m")
    thread = await make_thread(alice, agent["id"])
    sent = []
    for text in ("first", "second"):
        answer = await alice.post(
            f"/threads/{thread['id']}/messages",
            json={"content": text, "on_busy": "queue"},
            headers={"prefer": "respond-async", "x-request-id": text},
        )
        sent.append(answer.json()["id"])
    go.set()
    await eventually(lambda: len(seen) == 2, what="both runs")

    assert seen[sent[0]] == {"request_id": "first", "run_id": sent[0], "thread_id": thread["id"]}
    assert seen[sent[1]] == {"run_id": sent[1], "thread_id": thread["id"]}
