"""`@tool`: a tool made of a typed function. Its schema comes from the types and the docstring."""

import inspect
import sys
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar, cast, overload

from ai_agents.core.exceptions import InvalidRequest
from ai_agents.core.types import ToolDefinition
from ai_agents.tools.base import Tool, ToolApproval

P = ParamSpec("P")
R = TypeVar("R")


class FunctionTool(Tool, Generic[P, R]):
    """A tool made of a function, by `tool`. It can still be called as the function."""

    def __init__(
        self,
        function: Callable[P, R],
        *,
        name: str | None = None,
        description: str | None = None,
        approval: ToolApproval = "never",
        timeout_s: float | None = None,
        retry_safe: bool = False,
        names: dict[str, Any] | None = None,
    ) -> None:
        """`names` are those of the place where the function is defined. Raises `InvalidRequest`."""
        from ai_agents.tools.signatures import read_signature  # it loads pydantic

        _check_function(function)
        _check_options(approval, timeout_s)
        self.function = function
        self.name = name or getattr(function, "__name__", "") or type(function).__name__
        self.approval = approval
        self.timeout_s = timeout_s
        self.retry_safe = retry_safe
        self._signature = read_signature(function, self.name, names or {})
        self.description = description or self._signature.description
        self.__doc__ = inspect.getdoc(function)
        self.__wrapped__ = function

    @staticmethod
    def of(function: Callable[..., Any], **options: Any) -> "FunctionTool[..., Any]":
        """The tool of a function, with the options of `tool`. Raises `InvalidRequest`."""
        return (_AsyncFunctionTool if _is_async(function) else FunctionTool)(function, **options)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function, with its own arguments."""
        return self.function(*args, **kwargs)

    @property
    def takes_context(self) -> bool:
        """Whether the function has a parameter for the `ToolContext`."""
        return self._signature.context is not None

    def get_definition(self) -> ToolDefinition:
        """See `Tool`."""
        return ToolDefinition(self.name, self.description, self._signature.schema)

    def execute(self, /, **arguments: Any) -> Any:
        """See `Tool`; `context` is the call's, if the function takes it.

        Raises `ToolError` for arguments that do not fit the types.
        """
        given = {} if self._signature.context is None else {self._signature.context: arguments.pop("context", None)}
        return cast("Callable[..., Any]", self.function)(**self._signature.values(arguments), **given)


class _AsyncFunctionTool(FunctionTool[P, R]):
    """One of an `async def`, which runs in the event loop; all others run in a thread."""

    async def execute(self, /, **arguments: Any) -> Any:
        """See `FunctionTool`."""
        return await super().execute(**arguments)


@overload
def tool(function: Callable[P, R], /) -> FunctionTool[P, R]: ...


@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    approval: ToolApproval = "never",
    timeout_s: float | None = None,
    retry_safe: bool = False,
) -> Callable[[Callable[P, R]], FunctionTool[P, R]]: ...


def tool(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a tool of a typed function: `@tool`, or `@tool(name=…)`. It can still be called as the function.

    What the model is told comes from the signature and the docstring: the types become a JSON Schema (what pydantic
    knows: `str`, `int`, `Literal`, enumerations, lists, dicts, `TypedDict`, dataclasses, models …), the parameters are
    described by the docstring (Google's, NumPy's or Sphinx's style) or by a text in `Annotated`. A parameter of the
    type `ToolContext` gets the call's context and is not shown. `async def` runs in the event loop, `def` in a thread.

    `name` and `description` replace the function's own. With `approval="always"` each call waits for a person, whatever
    the agent says. `timeout_s` is how long a call may take, and `retry_safe` says that it may run twice.
    Raises `InvalidRequest` for a function that no model can call.
    """
    # The caller's names: annotations may be texts that name local classes.
    options["names"] = dict(sys._getframe(1).f_locals)
    if function is None:
        return lambda function: FunctionTool.of(function, **options)
    return FunctionTool.of(function, **options)


def _is_async(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004  # it is looked at, not tested for


def _check_function(function: object) -> None:
    if isinstance(function, type) or not callable(function):
        raise InvalidRequest(f"A tool is made of a function, and {function!r} is none.", loc=("tools",))
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise InvalidRequest("A tool gives one result: return it instead of yielding.", loc=("tools",))


def _check_options(approval: object, timeout_s: object) -> None:
    if approval not in {"never", "always"}:
        raise InvalidRequest(f'The approval of a tool is "never" or "always", not {approval!r}.', loc=("approval",))
    if timeout_s is not None and not (isinstance(timeout_s, int | float) and timeout_s > 0):
        raise InvalidRequest(f"The timeout_s of a tool is a number of seconds, not {timeout_s!r}.", loc=("timeout_s",))
