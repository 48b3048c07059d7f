"""Runs a model's tool calls. Whatever goes wrong in one becomes a result: a sentence for the model."""

import asyncio
import contextvars
import inspect
import logging
import threading
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import Any, Protocol

from ai_agents.core import tracing
from ai_agents.core.observing import observer
from ai_agents.core.types import FilePart, JsonObject, ToolCallPart, ToolResultPart
from ai_agents.providers.spans import content
from ai_agents.tools.base import NoCredentials, RemoteTool, ToolContext, ToolError
from ai_agents.tools.registry import RegisteredTool, ToolSet
from ai_agents.tools.results import clean_value, cut_text, shorten
from ai_agents.tools.schema import ArgumentsValidator

# How long a cancelled tool may take to clean up before it is abandoned.
_CLEANUP_S = 0.5
_MAX_NAMES = 20
# What a tool that there is not is called in traces.
_UNKNOWN = "unknown"
# Longer texts, and values that may be large, are cleaned in a thread.
_LONG_TEXT = 64 * 1024
_log = logging.getLogger(__name__)


class ResultHandler(Protocol):
    """Gets the whole results of tools before the model is shown a part of them."""

    async def judge_result(self, value: Any) -> Any:
        """Return what may be shown of a result. Raises `ToolError` if nothing may be."""
        ...

    async def keep_result(self, tool: str, text: str) -> FilePart | None:
        """Store the text of a result that is too long to be shown; return None if that fails."""
        ...


class CallHandler(ResultHandler, Protocol):
    """Is told of calls that were not made, too."""

    def note_missing_credentials(self, tool: str) -> None:
        """A call was not made, since the user has given no credentials for this tool."""
        ...


class ToolExecutor:
    """Runs tool calls. One executor serves all runs of an event loop.

    `timeout_s` applies to tools that have no limit of their own; `max_result_bytes` is how much of a result the model
    is shown.
    """

    def __init__(self, *, timeout_s: float = 30, max_result_bytes: int = 64 * 1024) -> None:
        self._timeout_s = timeout_s
        self._max_result_bytes = max_result_bytes
        self._threads = ToolThreads()
        self._abandoned: set[asyncio.Task[Any]] = set()

    @property
    def abandoned(self) -> int:
        """How many timed-out or cancelled calls are still running."""
        return self._threads.abandoned + len(self._abandoned)

    async def run(
        self, call: ToolCallPart, context: ToolContext, tools: ToolSet, *, handler: CallHandler | None = None
    ) -> ToolResultPart:
        """Return the result of a call; every fault of the call or the tool is a result with `is_error`.

        Raises only `CancelledError`.
        """
        name = call.name if call.name in tools.tools else None
        # Any other name is a text that the model said.
        shown_name = name or _UNKNOWN
        with tracing.spanned(f"{tracing.EXECUTE_TOOL} {shown_name}", _span_of(call, shown_name)) as span:
            began = monotonic()
            try:
                value, is_error = await self._call(call, context, tools)
            except NoCredentials as error:
                value, is_error = str(error), True
                if handler is not None:
                    handler.note_missing_credentials(error.tool)
            observer().tool_ended(name, monotonic() - began, is_error=is_error)
            most = self._max_result_bytes
            result = await show_result(call, value, is_error=is_error, max_bytes=most, handler=handler)
            if span is not None:
                tracing.add(span, {tracing.TOOL_RESULT: content(result.result)})
                if result.is_error:
                    tracing.fail(span, "tool_error")
            return result

    async def _call(self, call: ToolCallPart, context: ToolContext, tools: ToolSet) -> tuple[Any, bool]:
        """Return the whole result, cleaned, and whether it is an error. Raises `NoCredentials`."""
        found = tools.tools.get(call.name)
        if found is None:
            known = f" There are: {', '.join(sorted(tools.tools)[:_MAX_NAMES])}." if tools.tools else ""
            return f"There is no tool named {call.name[:64]!r}.{known}", True
        if (fault := find_fault(found, call)) is not None:
            return fault, True
        try:
            value = await self._within_time(found, self._invoke(found, call.arguments, context))
            return await clean_result(value), False
        except NoCredentials:
            raise
        except ToolError as error:
            return clean_value(str(error) or "The tool failed."), True
        except Exception as error:  # noqa: BLE001  # the edge of a tool call: the model is told the kind of error only
            _log.exception("tool failed", extra={"tool": call.name, "run_id": context.run_id})
            return f"The tool failed ({type(error).__name__}).", True

    async def _invoke(self, found: RegisteredTool, arguments: JsonObject, context: ToolContext) -> Any:
        if isinstance(found.tool, RemoteTool):
            return await found.tool.request(arguments, context)
        given = {**arguments, "context": context} if found.takes_context else arguments
        execute = partial(found.tool.execute, **given)
        try:
            if inspect.iscoroutinefunction(found.tool.execute):
                return await execute()
            value = await self._threads.run(found.definition.name, execute)
            return await value if inspect.isawaitable(value) else value
        except (Exception, asyncio.CancelledError, KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # SystemExit and its like would end the process
            raise RuntimeError("the tool tried to end the process") from error

    async def _within_time(self, found: RegisteredTool, work: Coroutine[Any, Any, Any]) -> Any:
        timeout_s = self._timeout_s if found.tool.timeout_s is None else found.tool.timeout_s
        # A task of its own can be abandoned if the tool ignores its cancellation.
        task = asyncio.create_task(work)
        try:
            done, _ = await asyncio.wait({task}, timeout=timeout_s)
        except asyncio.CancelledError:
            await self._stop(task)
            raise
        if not done:
            await self._stop(task)
            raise ToolError(f"The tool did not finish within {timeout_s:g} s.")
        if task.cancelled():
            raise ToolError("The tool was cancelled before it gave a result.")
        return task.result()

    async def _stop(self, task: asyncio.Task[Any]) -> None:
        """Cancel the task and give it a moment to clean up."""
        self._abandoned.add(task)
        task.add_done_callback(self._has_ended)
        task.cancel()
        await asyncio.wait({task}, timeout=_CLEANUP_S)

    def _has_ended(self, task: asyncio.Task[Any]) -> None:
        self._abandoned.discard(task)
        if not task.cancelled():
            task.exception()  # retrieved here, because asyncio logs exceptions that are never retrieved


def _span_of(call: ToolCallPart, name: str) -> JsonObject:
    if not tracing.is_on():
        return {}
    return {
        tracing.OPERATION: tracing.EXECUTE_TOOL,
        tracing.TOOL_NAME: name,
        tracing.TOOL_CALL_ID: call.tool_call_id,
        tracing.TOOL_TYPE: "function",
        tracing.TOOL_ARGUMENTS: content(call.arguments),
    }


def find_fault(found: RegisteredTool, call: ToolCallPart) -> str | None:
    """Return why the call cannot be made, as a sentence for the model; None if it can."""
    if (fault := find_fault_of(found.validator, call)) is not None:
        return fault
    given = {**call.arguments, "context": None} if found.takes_context else call.arguments
    try:
        found.signature.bind(**given)
    except TypeError as error:
        return f"The arguments do not fit the tool: {error}."
    return None


def find_fault_of(validator: ArgumentsValidator, call: ToolCallPart) -> str | None:
    """Return what is wrong with the arguments of a call, as a sentence for the model; None if they fit."""
    if call.malformed is not None:
        return f"The call was not made: its arguments cannot be read as a JSON object. You wrote: {call.malformed}"
    return validator.find_fault(call.arguments)


async def clean_result(value: Any) -> Any:
    """`clean_value`, in a thread for what may be large. Raises `ToolError`."""
    is_small = isinstance(value, int | float | None) or (isinstance(value, str) and len(value) < _LONG_TEXT)
    return clean_value(value) if is_small else await asyncio.to_thread(clean_value, value)


async def show_result(
    call: ToolCallPart, value: Any, *, is_error: bool, max_bytes: int, handler: ResultHandler | None
) -> ToolResultPart:
    """Return what the model is shown of what a call gave, a clean value: what guardrails allow, in `max_bytes`."""
    try:
        if handler is not None:
            value = await handler.judge_result(value)
    except ToolError as error:
        value, is_error = str(error), True
    value, whole = shorten(value, max_bytes=max_bytes)
    kept = None
    if handler is not None and whole is not None:
        kept = await handler.keep_result(call.name, whole)
        if kept is not None:
            value = cut_text(whole, max_bytes=max_bytes, kept_as=kept.file_id)
    return ToolResultPart(call.tool_call_id, call.name, value, is_error=is_error, kept_as=kept)


class ToolThreads:
    """Runs at most `limit` calls at once, each in a daemon thread, which does not delay the end of the process.

    A thread cannot be ended from outside. If the caller of one stops waiting, the thread is abandoned: it no longer
    counts towards `limit`, but is counted until it ends. A tool with `max_abandoned` of them is refused; others go on.
    """

    def __init__(self, *, limit: int = 32, max_abandoned: int = 8) -> None:
        self._limit = asyncio.Semaphore(limit)
        self._max_abandoned = max_abandoned
        self._abandoned: Counter[str] = Counter()

    @property
    def abandoned(self) -> int:
        """How many abandoned threads are still running."""
        return self._abandoned.total()

    async def run(self, key: str, function: Callable[[], Any]) -> Any:
        """Return what the function returns, or raise what it raises. Abandoned threads are counted per `key`.

        Raises `ToolError` if too many threads of this key are abandoned.
        """
        async with self._limit:
            if self._abandoned[key] >= self._max_abandoned:
                raise ToolError("The tool is not available now: too many earlier calls have not come back.")
            ended = _start_thread(f"tool-{key}", function)
            try:
                value, error = await asyncio.shield(ended)
            except asyncio.CancelledError:
                self._abandoned[key] += 1
                ended.add_done_callback(lambda _: self._has_ended(key))
                raise
        if error is not None:
            raise error
        return value

    def _has_ended(self, key: str) -> None:
        self._abandoned -= Counter([key])  # which leaves out what has come to zero


def _start_thread(name: str, function: Callable[[], Any]) -> asyncio.Future[tuple[Any, BaseException | None]]:
    """Call the function in a thread of its own. The future gets its value or its error."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[tuple[Any, BaseException | None]] = loop.create_future()

    def work() -> None:
        outcome: tuple[Any, BaseException | None]
        try:
            outcome = function(), None
        except BaseException as error:  # noqa: BLE001  # the edge of the thread: the caller gets every error
            outcome = None, error
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(ended.set_result, outcome)

    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(work,), name=name, daemon=True).start()
    return ended
