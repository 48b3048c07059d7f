"""Every call of a model has a result, also where the call is wrong or the tool fails."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from ai_agents.core import json
from ai_agents.core.types import ToolCallPart, ToolDefinition, ToolResultPart
from ai_agents.tools.base import Tool, ToolContext, ToolError
from ai_agents.tools.executor import ToolExecutor, ToolThreads
from ai_agents.tools.registry import ToolRegistry, ToolSet
from tests.support.stopwatch import Stopwatch

CONTEXT = ToolContext(run_id="run", thread_id="thread", user_id="user")


class Given(Tool):
    """Takes any arguments and calls the given function."""

    name = "given"

    def __init__(self, does: Callable[..., Any], *, timeout_s: float | None = None) -> None:
        self._does = does
        self.timeout_s = timeout_s

    def execute(self, **arguments: Any) -> Any:
        return self._does(**arguments)

    def get_definition(self) -> ToolDefinition:
        return ToolDefinition(self.name, "Does it.", {"type": "object"})


class GivenAsync(Given):
    """The same in the event loop."""

    async def execute(self, **arguments: Any) -> Any:
        return await self._does(**arguments)


class Search(Tool):
    """A tool with a schema."""

    name = "search"
    parameters = {  # noqa: RUF012  # read only
        "type": "object",
        "properties": {
            "query": {"type": "string"},
            "filters": {"type": "array", "items": {"type": "object", "properties": {"year": {"type": "integer"}}}},
        },
        "required": ["query"],
        "additionalProperties": False,
    }

    async def execute(self, query: str, filters: Any = None) -> str:
        return f"Result for: {query}"

    def get_definition(self) -> ToolDefinition:
        return ToolDefinition(self.name, "Searches.", self.parameters)


class WhoAmI(Tool):
    """A tool that uses its context."""

    name = "who_am_i"

    async def execute(self, *, context: ToolContext) -> str:
        return context.user_id

    def get_definition(self) -> ToolDefinition:
        return ToolDefinition(self.name, "Tells.", {"type": "object"})


async def run(
    *tools: Tool, name: str | None = None, arguments: dict[str, Any] | None = None, **options: Any
) -> ToolResultPart:
    return await ToolExecutor(**options).run(call(name or tools[0].name, arguments or {}), CONTEXT, offered(*tools))


def offered(*tools: Tool) -> ToolSet:
    """These tools and the calculator, as those of an agent."""
    registry = ToolRegistry(tools)
    return registry.choose([tool.name for tool in registry.list_tools()])


def call(name: str, arguments: dict[str, Any], malformed: str | None = None) -> ToolCallPart:
    return ToolCallPart("call_1", name, arguments, malformed)


def returning(value: Any) -> Given:
    return Given(lambda: value)


def failed(sentence: str, name: str = "given") -> ToolResultPart:
    return ToolResultPart("call_1", name, sentence, is_error=True)


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """The event that hanging tools wait for; it is set at the end of the test."""
    event = threading.Event()
    yield event
    event.set()


async def test_a_result_answers_its_call() -> None:
    assert await run(Search(), arguments={"query": "x"}) == ToolResultPart("call_1", "search", "Result for: x")
    assert await run(Given(lambda a: a + 1), arguments={"a": 1}) == ToolResultPart("call_1", "given", 2)


async def test_the_calculator_can_be_called() -> None:
    result = await run(name="calculator", arguments={"expression": "0.1+0.2"})
    assert result == ToolResultPart("call_1", "calculator", "0.3")


async def test_an_unknown_tool_is_an_error_for_the_model() -> None:
    assert await run(name="crystal_ball") == failed(
        "There is no tool named 'crystal_ball'. There are: calculator.", "crystal_ball"
    )


async def test_a_tool_that_the_agent_does_not_list_is_unknown() -> None:
    only = ToolRegistry([Search()]).choose(["calculator"])
    result = await ToolExecutor().run(call("search", {"query": "x"}), CONTEXT, only)
    assert result == failed("There is no tool named 'search'. There are: calculator.", "search")


async def test_arguments_that_are_not_an_object_are_an_error_for_the_model() -> None:
    result = await ToolExecutor().run(call("search", {}, malformed='{"query": '), CONTEXT, offered(Search()))
    fault = 'The call was not made: its arguments cannot be read as a JSON object. You wrote: {"query": '
    assert result == failed(fault, "search")


@pytest.mark.parametrize(
    "arguments, where",
    [
        ({}, 'at $: "query" is a required property'),
        ({"query": 5}, 'at $.query: 5 is not of type "string"'),
        ({"query": "x", "filters": [{"year": 1}, {"year": "2"}]}, "at $.filters[1].year:"),
        ({"query": "x", "more": 1}, "'more' was unexpected"),
        ({"query": "x", "\ud800": 1}, "cannot be read"),
        ({"query": ["x" * 100_000]}, "at $.query:"),
    ],
)
async def test_arguments_that_do_not_fit_are_an_error_with_their_place(arguments: dict[str, Any], where: str) -> None:
    result = await run(Search(), arguments=arguments)
    assert result.is_error
    assert where in result.result
    assert len(result.result) < 700


async def test_arguments_that_the_function_does_not_take_are_an_error_for_the_model() -> None:
    class TakesOne(Given):
        def execute(self, one: int) -> int:  # type: ignore[override]  # the schema of its parent says nothing of it
            return one

    assert await run(TakesOne(lambda: 0)) == failed(
        "The arguments do not fit the tool: missing a required argument: 'one'."
    )


async def test_a_tool_gets_its_context_and_a_model_cannot_set_it() -> None:
    assert (await run(WhoAmI())).result == "user"
    assert (await run(WhoAmI(), arguments={"context": {"user_id": "admin"}})).result == "user"


async def test_what_a_tool_raises_on_purpose_is_the_result() -> None:
    async def refuse() -> None:
        raise ToolError("No such city: Atlantis.")

    assert await run(GivenAsync(refuse)) == failed("No such city: Atlantis.")


@pytest.mark.parametrize("error", [ValueError("key sk-secret"), RecursionError("sk-secret"), TimeoutError("sk-secret")])
async def test_models_see_only_the_type_of_an_exception(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise error

    with caplog.at_level(logging.ERROR):
        result = await run(Given(fail))
    assert result == failed(f"The tool failed ({type(error).__name__}).")
    assert "sk-secret" in caplog.text


async def test_exceptions_with_a_meaning_in_python_are_failures_like_others() -> None:
    assert (await run(Given(lambda: next(iter(()))))).is_error


class OfItsOwn(BaseException):
    """An exception that is not derived from `Exception`."""


@pytest.mark.parametrize("error", [SystemExit(3), OfItsOwn(), BaseExceptionGroup("", [OfItsOwn()])], ids=repr)
async def test_a_tool_cannot_end_the_process(error: BaseException) -> None:
    async def leave() -> None:
        raise error

    def leave_thread() -> None:
        raise error

    assert await run(GivenAsync(leave)) == failed("The tool failed (RuntimeError).")
    assert await run(Given(leave_thread)) == failed("The tool failed (RuntimeError).")


async def test_a_tool_that_takes_too_long_is_cancelled() -> None:
    cancelled = asyncio.Event()

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    executor, tools = ToolExecutor(timeout_s=0.01), offered(GivenAsync(hang))
    assert await executor.run(call("given", {}), CONTEXT, tools) == failed("The tool did not finish within 0.01 s.")
    assert cancelled.is_set()
    assert executor.abandoned == 0


async def test_a_tool_names_its_own_time_limit() -> None:
    tool = GivenAsync(asyncio.Event().wait, timeout_s=0.01)
    assert await run(tool, timeout_s=3600) == failed("The tool did not finish within 0.01 s.")


async def test_a_tool_that_ignores_its_cancellation_is_abandoned_and_counted() -> None:
    let_go = asyncio.Event()
    gone = asyncio.Event()

    async def ignore() -> None:
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                continue
        gone.set()
        raise ValueError("not retrieved by the caller")

    executor, tools = ToolExecutor(), offered(GivenAsync(ignore, timeout_s=0.01))
    assert (await executor.run(call("given", {}), CONTEXT, tools)).is_error
    assert executor.abandoned == 1
    let_go.set()
    await gone.wait()
    await asyncio.sleep(0)
    assert executor.abandoned == 0


async def test_a_hanging_plain_function_blocks_neither_the_loop_nor_other_calls(release: threading.Event) -> None:
    executor, tools = ToolExecutor(), offered(Given(release.wait, timeout_s=0.05))
    hanging = asyncio.create_task(executor.run(call("given", {}), CONTEXT, tools))
    watch = Stopwatch()
    assert (await executor.run(call("calculator", {"expression": "1+1"}), CONTEXT, tools)).result == "2"
    assert watch.seconds < 5
    assert await hanging == failed("The tool did not finish within 0.05 s.")
    assert executor.abandoned == 1


async def test_hanging_threads_are_bounded_per_tool_and_forgotten_when_they_end(release: threading.Event) -> None:
    threads = ToolThreads(limit=4, max_abandoned=2)
    for _ in range(2):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(threads.run("stuck", release.wait), 0.01)
    assert threads.abandoned == 2
    with pytest.raises(ToolError, match="too many"):
        await threads.run("stuck", release.wait)
    assert await threads.run("well", lambda: 5) == 5

    release.set()
    for thread in threading.enumerate():
        if thread.name == "tool-stuck":
            await asyncio.to_thread(thread.join, 5)
    assert threads.abandoned == 0
    assert await threads.run("stuck", release.wait) is True


async def test_more_calls_than_threads_wait_for_their_turn(release: threading.Event) -> None:
    threads = ToolThreads(limit=2)
    running = 0
    most = 0
    lock = threading.Lock()

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        threading.Event().wait(0.002)
        with lock:
            running -= 1

    await asyncio.gather(*(threads.run("work", work) for _ in range(10)))
    assert most == 2
    assert threads.abandoned == 0


async def test_a_plain_function_may_return_an_awaitable() -> None:
    async def later() -> str:
        return "later"

    def begin() -> Awaitable[str]:
        return later()

    assert (await run(Given(begin))).result == "later"


async def test_cancelling_a_run_cancels_its_tool() -> None:
    began, cleaned = asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.set()

    task = asyncio.create_task(run(GivenAsync(hang)))
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cleaned.is_set()


async def test_a_tool_that_cancels_itself_does_not_cancel_the_run() -> None:
    async def cancel() -> None:
        raise asyncio.CancelledError

    assert await run(GivenAsync(cancel)) == failed("The tool was cancelled before it gave a result.")


@dataclass
class Point:
    x: float
    y: float


@pytest.mark.parametrize(
    "value, result",
    [
        (None, None),
        ("", ""),
        ({"a": [1, 2.5, True, None]}, {"a": [1, 2.5, True, None]}),
        ((1, 2), [1, 2]),
        (Point(1, 2), {"x": 1, "y": 2}),
        (date(2026, 11, 22), "2026-11-22"),
        (Decimal("0.10"), "0.10"),
        ({1: "one"}, {"1": "one"}),
        (float("nan"), "NaN"),
        ([float("inf"), float("-inf")], ["Infinity", "-Infinity"]),
        (2**70, str(2**70)),
        ("a\0b", "a\ufffdb"),
        ({"k\0": "\ud800"}, {"k\ufffd": "\ufffd"}),
    ],
)
async def test_results_become_json_that_every_client_accepts(value: Any, result: Any) -> None:
    part = await run(returning(value))
    assert (part.result, part.is_error) == (result, False)
    assert json.loads(json.dumps(part.result)) == result


CYCLE: list[Any] = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    "value, sentence",
    [
        (object(), "is not JSON: it holds a object"),
        ({"a": {1, 2}}, "is not JSON: it holds a set"),
        (b"bytes", "is not JSON: it holds a bytes"),
        ({(1, 2): 3}, "is not JSON: a key is of type tuple"),
        (CYCLE, "nested deeper"),
        ([10**5_000], "too long to write"),
        (["x" * 1_000_000] * 5, "larger than 4 MiB"),
        ([[]] * 300_000, "larger than 4 MiB"),
    ],
)
async def test_a_result_that_is_not_json_is_an_error_for_the_model(value: Any, sentence: str) -> None:
    part = await run(returning(value))
    assert part.is_error
    assert sentence in part.result


@pytest.mark.parametrize("value", ["x" * 5_000, "\u20ac" * 2_000, "a" + "\U0001f600" * 1_000, ["word"] * 1_000])
async def test_a_long_result_is_cut_between_characters_and_says_so(value: Any) -> None:
    part = await run(returning(value), max_result_bytes=1_000)
    assert not part.is_error
    assert 900 < len(part.result.encode()) <= 1_000
    whole = value if isinstance(value, str) else json.dumps(value)
    shown, note = part.result.split("\n")
    assert whole.startswith(shown)
    assert note == f"[The result was cut here: {len(shown)} of its {len(whole)} characters are shown.]"


@pytest.mark.parametrize("value", ["x" * 1_000, "\u20ac" * 333, ["y" * 996]])
async def test_a_result_of_exactly_the_limit_is_not_cut(value: Any) -> None:
    assert (await run(returning(value), max_result_bytes=1_000)).result == value
