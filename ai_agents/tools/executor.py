"""Runs a model's tool calls. Whatever goes wrong in one becomes a result: a sentence for the model."""

import asyncio
import inspect
import logging
from collections.abc import Coroutine
from functools import partial
from typing import Any, Protocol

from ai_agents.core.types import FilePart, JsonObject, ToolCallPart, ToolResultPart
from ai_agents.tools.base import ToolContext, ToolError
from ai_agents.tools.results import clean_value, cut_text, shorten
from ai_agents.tools.threads import ToolThreads
from ai_agents.tools.toolset import RegisteredTool, ToolSet

# How long a cancelled tool may take to clean up before it is abandoned.
_CLEANUP_S = 0.5
_MAX_NAMES = 20
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
        self,
        call: ToolCallPart,
        context: ToolContext,
        tools: ToolSet,
        *,
        handler: ResultHandler | None = None,
    ) -> ToolResultPart:
        """Return the result of a call; every fault of the call or the tool is a result with `is_error`.

        Raises only `CancelledError`.
        """
        value, is_error = await self._call(call, context, tools)
        try:
            if handler is not None:
                value = await handler.judge_result(value)
        except ToolError as error:
            value, is_error = str(error), True
        result = shorten(value, max_bytes=self._max_result_bytes)
        kept = None if handler is None or result.whole is None else await handler.keep_result(call.name, result.whole)
        if kept is not None and result.whole is not None:
            text = cut_text(result.whole, max_bytes=self._max_result_bytes, kept_as=kept.file_id)
            return ToolResultPart(call.tool_call_id, call.name, text, is_error=is_error, kept_as=kept)
        return ToolResultPart(call.tool_call_id, call.name, result.value, is_error=is_error)

    async def _call(self, call: ToolCallPart, context: ToolContext, tools: ToolSet) -> tuple[Any, bool]:
        """Return the whole result, cleaned, and whether it is an error."""
        found = tools.find(call.name)
        if found is None:
            return _unknown_name(call.name, tools), True
        if (fault := find_fault(found, call)) is not None:
            return fault, True
        try:
            value = await self._within_time(found, _invoke(found, call.arguments, context, self._threads))
            return await _cleaned(value), False
        except ToolError as error:
            return clean_value(str(error) or "The tool failed."), True
        except Exception as error:  # noqa: BLE001  # the edge of a tool call: the model is told the kind of error only
            _log.exception("tool failed", extra={"tool": call.name, "run_id": context.run_id})
            return f"The tool failed ({type(error).__name__}).", True

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


async def _cleaned(value: Any) -> Any:
    """Return the result of `clean_value`; a value that may be large is cleaned in a thread."""
    if isinstance(value, int | float | None) or (isinstance(value, str) and len(value) < _LONG_TEXT):
        return clean_value(value)
    return await asyncio.to_thread(clean_value, value)


async def _invoke(found: RegisteredTool, arguments: JsonObject, context: ToolContext, threads: ToolThreads) -> Any:
    given = {**arguments, "context": context} if found.takes_context else arguments
    execute = partial(found.tool.execute, **given)
    try:
        if inspect.iscoroutinefunction(found.tool.execute):
            return await execute()
        value = await threads.run(found.definition.name, execute)
        return await value if inspect.isawaitable(value) else value
    except (Exception, asyncio.CancelledError, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # SystemExit and its like would end the process
        raise RuntimeError("the tool tried to end the process") from error


def find_fault(found: RegisteredTool, call: ToolCallPart) -> str | None:
    """Return why the call cannot be made, as a sentence for the model; None if it can."""
    if call.malformed is not None:
        return "The arguments were not a JSON object."
    if (fault := found.validator.find_fault(call.arguments)) is not None:
        return fault
    given = {**call.arguments, "context": None} if found.takes_context else call.arguments
    try:
        found.signature.bind(**given)
    except TypeError as error:
        return f"The arguments do not fit the tool: {error}."
    return None


def _unknown_name(name: str, tools: ToolSet) -> str:
    sentence = f"There is no tool named {name[:64]!r}."
    if not tools.tools:
        return sentence
    return f"{sentence} There are: {', '.join(sorted(tools.tools)[:_MAX_NAMES])}."
