"""What the crash-point tests run, each in a process of its own: a turn with tool calls, a message that joins it, and
one that is queued behind it, whose client makes a call.

`crash` ends the process without warning at the n-th point: before each step of each task of the runner (a task's every
suspension ends with one), and before and after each commit. `recover` is the process after it.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from sqlalchemy.engine import Connection

from ai_agents import (
    AgentRunner,
    DatabaseHandle,
    MessageStore,
    RunStore,
    Tool,
    ToolDefinition,
    ToolRegistry,
    connect,
)
from ai_agents.core.exceptions import Conflict
from ai_agents.core.rows import Run
from ai_agents.core.types import (
    ModelEvent,
    ModelRequest,
    PartDelta,
    PartEnd,
    PartStart,
    ResponseEnd,
    TextPart,
    Usage,
)
from ai_agents.providers.base import Provider
from ai_agents.runner.admission_request import OnBusy
from ai_agents.runner.client_calls import GivenResult
from ai_agents.store import thread_log
from ai_agents.store.sqlite_connections import HeldConnection
from ai_agents.testing import tool_call
from tests.faults.support.stream import TERMINAL, SentEvent, Told
from tests.wire.requests import check_sent

USER = "ada"
# Each with what it does where the thread is busy.
QUESTIONS: dict[str, OnBusy] = {"count, please": "queue", "wait, there is more": "steer", "and then?": "queue"}
LOOK = ToolDefinition("look", "Looks outside.")
EXIT_CODE = 9
_LIMIT_S = 30.0


class Place:
    """Where one crash is tried: a thread of its own, and files that outlive the process."""

    def __init__(self, url: str, direct_url: str | None, thread_id: str, directory: Path) -> None:
        self.url = url
        self.direct_url = direct_url
        self.thread_id = thread_id
        self.directory = directory

    def note(self, name: str, value: object) -> None:
        """Add a line to a file; what was noted stays noted when the process dies."""
        line = (value if isinstance(value, str) else json.dumps(value)) + "\n"
        file = os.open(self.directory / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            os.write(file, line.encode())
        finally:
            os.close(file)

    def noted(self, name: str) -> list[str]:
        """The lines of a file."""
        path = self.directory / name
        return path.read_text().splitlines() if path.exists() else []


class Count(Tool):
    """Counts its calls in a file: an effect outside of the service."""

    def __init__(self, name: str, place: Place, *, retry_safe: bool) -> None:
        self.name = name
        self.retry_safe = retry_safe
        self._place = place

    async def execute(self) -> str:
        """How often it was called."""
        await asyncio.sleep(0)
        self._place.note(self.name, "called")
        await asyncio.sleep(0)
        return f"call {len(self._place.noted(self.name))}"


class StrictProvider(Provider):
    """Asks for two tools where the question wants it, and for that of the client, then answers.

    It checks each request by every provider's rules.
    """

    name = "strict"

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """Stream one response; see `Provider.stream`."""
        for wire in ("anthropic", "openai", "ollama"):
            check_sent(wire, request)
        await asyncio.sleep(0)
        texts = [part.text for message in request.messages for part in message.parts if isinstance(part, TextPart)]
        has_called = any(message.role == "tool" for message in request.messages)
        wants_tools = next(iter(QUESTIONS)) in texts and not has_called
        calls = ["count", "count_safely"] if wants_tools else []
        if not wants_tools and request.messages[-1].role == "user":
            calls = [tool.name for tool in request.tools if tool.name == LOOK.name]
        answer = "Let me count. " if calls else f"That is all, after {len(request.messages)} messages."
        yield PartStart(0, "text")
        for start in range(0, len(answer), 9):
            await asyncio.sleep(0)
            yield PartDelta(0, "text", answer[start : start + 9])
        yield PartEnd(0, TextPart(answer))
        for index, name in enumerate(calls, 1):
            yield PartStart(index, "tool_call")
            yield PartEnd(index, tool_call(name))
        yield ResponseEnd("tool_use" if calls else "end", Usage(3, 4), "strict")


class Points:
    """Counts the points that were passed, and ends the process at the n-th; 0 is never."""

    def __init__(self, crash_at: int) -> None:
        self.passed = 0
        self._crash_at = crash_at

    def __call__(self) -> None:
        """Pass a point."""
        self.passed += 1
        if self.passed == self._crash_at:
            os._exit(EXIT_CODE)


class _Stepped(Coroutine[Any, Any, Any]):
    """A coroutine each of whose steps is a point."""

    def __init__(self, inner: Coroutine[Any, Any, Any], point: Callable[[], None]) -> None:
        self._inner = inner
        self._point = point
        self.__name__ = getattr(inner, "__name__", "")
        self.__qualname__ = getattr(inner, "__qualname__", "")

    def send(self, value: Any) -> Any:
        self._point()
        return self._inner.send(value)

    def throw(self, *error: Any) -> Any:
        self._point()
        return self._inner.throw(*error)

    def close(self) -> None:
        self._inner.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        raise TypeError("it is driven by a task")


def _wrap(point: Callable[[], None]) -> None:
    """Make every step of every task that begins from now on, and both sides of every commit, a point."""

    def factory(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
        return asyncio.Task(_Stepped(work, point), loop=loop, **options)

    asyncio.get_running_loop().set_task_factory(factory)
    for owner in (HeldConnection, Connection):
        _wrap_commit(owner, point)


def _wrap_commit(owner: Any, point: Callable[[], None]) -> None:
    commit = owner.commit

    def commit_between_points(self: Any) -> None:
        point()
        commit(self)
        point()

    owner.commit = commit_between_points


def crash(place: Place, crash_at: int) -> NoReturn:
    """Run the scenario until the n-th point, or to its end: then the number of points passed is noted."""
    try:
        asyncio.run(_crash(place, crash_at))
    except BaseException as error:
        place.note("crash.error", repr(error))
        raise
    os._exit(0)


async def _crash(place: Place, crash_at: int) -> None:
    point = Points(crash_at)
    conn, runner = await _open(place)
    _wrap(point)
    await asyncio.create_task(_talk(place, runner))
    place.note("points", point.passed)
    await conn.close()


async def _talk(place: Place, runner: AgentRunner) -> None:
    async with asyncio.timeout(_LIMIT_S), asyncio.TaskGroup() as group:
        first = await _ask(place, runner, 0)
        group.create_task(_read(place, runner, first))
        others = [await _ask(place, runner, number) for number in range(1, len(QUESTIONS))]
        for run_id in {first, *others}:
            group.create_task(_finish(place, runner, run_id))


async def _ask(place: Place, runner: AgentRunner, number: int) -> str:
    """Send a question, as its client does who does not know whether it was sent before."""
    question, on_busy = list(QUESTIONS.items())[number]
    started = await runner.start(
        place.thread_id,
        USER,
        question,
        on_busy=on_busy,
        idempotency_key=f"{place.thread_id}-{number}",
        fingerprint=str(number),
        client_tools=(LOOK,) if number == len(QUESTIONS) - 1 else (),
    )
    place.note("acknowledged", started.run["id"])
    return str(started.run["id"])


async def _finish(place: Place, runner: AgentRunner, run_id: str) -> Run:
    """The run at its end. The client makes the call that waits for it, and may not know whether it gave the result."""
    while True:
        outcome = await runner.wait(place.thread_id, run_id)
        if outcome.run["status"] != "waiting":
            return outcome.run
        results: list[GivenResult] = [
            {"tool_call_id": each.tool_call_id, "result": "rain"} for each in outcome.client_calls
        ]
        with suppress(Conflict):
            await runner.give_results(place.thread_id, run_id, USER, results)


async def _read(place: Place, runner: AgentRunner, run_id: str, after: str | None = None) -> None:
    reader = await runner.read_run(place.thread_id, run_id, after=after)
    if reader is not None:
        async for event in reader.events():
            place.note("told", {"id": event.id, "type": event.type, "data": dict(event.data)})


async def _open(place: Place) -> tuple[DatabaseHandle, AgentRunner]:
    conn = await connect(place.url, direct_url=place.direct_url)
    tools = ToolRegistry([Count("count", place, retry_safe=False), Count("count_safely", place, retry_safe=True)])
    runner = AgentRunner(conn, provider=StrictProvider(model="claude-sonnet-5"), tools=tools)
    await runner.open()
    return conn, runner


def recover(place: Place) -> None:
    """Go on after a crash, as clients and a fresh process do, and hold what comes of it to what was promised."""
    try:
        asyncio.run(_recover(place))
    except BaseException as error:
        place.note("recover.error", repr(error))
        raise


async def _recover(place: Place) -> None:
    acknowledged = place.noted("acknowledged")
    conn, runner = await _open(place)
    try:
        async with asyncio.timeout(_LIMIT_S):
            run_ids = [await _ask(place, runner, number) for number in range(len(QUESTIONS))]
            assert acknowledged == run_ids[: len(acknowledged)], "a message that was acknowledged was let in again"
            told = [json.loads(line) for line in place.noted("told")]
            await _read(place, runner, run_ids[0], after=told[-1]["id"] if told else None)
            for run_id in run_ids:
                run = await _finish(place, runner, run_id)
                assert run["status"] == "completed", run
                assert run["attempt"] <= 2
            await runner.run(place.thread_id, USER, "still usable?")
        _check_told(place, run_ids[0])
        await _check_thread(place, conn, run_ids)
    finally:
        await conn.close()


def _check_told(place: Place, run_id: str) -> None:
    """The reader who was cut off by the crash has been told everything once."""
    told = Told(run_id=run_id)
    for line in place.noted("told"):
        told.take(SentEvent(**json.loads(line)))
    assert told.types()[0] == "run.started"
    assert told.types()[-1] == "run.completed"
    assert told.types().count("tool.completed") == 2


async def _check_thread(place: Place, conn: DatabaseHandle, run_ids: list[str]) -> None:
    history: list[Any] = (await MessageStore(conn).list(place.thread_id, limit=100))["data"]
    asked = [message["content"] for message in history if message["role"] == "user"]
    assert asked == [*QUESTIONS, "still usable?"]
    roles = "".join(message["role"][0] for message in history)
    # The second question joins the first turn where that calls, or after its answer, or comes too late.
    assert roles in [f"{first}uataua" for first in ("uattua", "uattaua", "uuatta")], roles
    runs = (await RunStore(conn).list(place.thread_id, limit=100))["data"]
    assert {run["id"] for run in runs[1:]} == set(run_ids)
    assert [message["run_id"] for message in history if message["role"] == "user"][:-1] == run_ids
    place.note("roles", roles)
    rows = await conn.database.read(lambda c: thread_log.list_after(c, place.thread_id, 0, limit=1000))
    assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
    assert len([row for row in rows if row.type in TERMINAL]) == len(set(run_ids)) + 1
    assert len(place.noted("count")) <= 1, "a tool that may not be run twice was"
    assert 1 <= len(place.noted("count_safely")) <= 2
    results = {part["name"]: part for m in history if m["role"] == "tool" for part in m["parts"]}
    assert not results["count_safely"]["is_error"]
    assert results[LOOK.name]["result"] == "rain"
    # The effect may have come about without being noted, but nothing is noted without its effect.
    assert results["count"]["is_error"] or len(place.noted("count")) == 1
