"""The tools that agents may name: what their lists stand for, and the registries of tools in the process."""

import inspect
import logging
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import entry_points
from typing import Any, Literal, Protocol

from sqlalchemy import Connection

from ai_agents.core.exceptions import InvalidRequest
from ai_agents.core.types import ToolDefinition
from ai_agents.tools.base import Tool
from ai_agents.tools.calculator import Calculator
from ai_agents.tools.function_tools import FunctionTool
from ai_agents.tools.schema import ArgumentsValidator

# Of the entry points of installed packages.
GROUP = "ai_agents.tools"
# Names that every provider accepts.
TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
# An element of an agent's `tools`: a name, or `{"name", "approval", "expires_in_s"}`.
ToolReference = str | Mapping[str, Any]
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RegisteredTool:
    """A tool with its definition, validator and signature, which are computed once."""

    tool: Tool
    definition: ToolDefinition
    validator: ArgumentsValidator
    signature: inspect.Signature
    takes_context: bool

    @property
    def approval(self) -> "Approval | None":
        """How calls wait for a person, whatever the agent says; None: they do not."""
        return Approval() if self.tool.approval == "always" else None


@dataclass(frozen=True, slots=True)
class Approval:
    """A tool's calls wait for a person, for so many seconds at most; None: for ever, "default": as long as runs do."""

    expires_in_s: float | Literal["default"] | None = "default"


@dataclass(frozen=True, slots=True)
class ToolSet:
    """Tools by name, in the order in which the model is told of them.

    `approval` has the names of tools whose calls a person has to approve; `missing` are names on the agent's list that
    no tool has now. `made` are the names on the list that stand for tools of an admin, each with the name under which
    the admin made them. `client` are the tools of the message's client, which makes the calls itself.
    """

    tools: Mapping[str, RegisteredTool] = field(default_factory=dict)
    approval: Mapping[str, Approval] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    made: Mapping[str, str] = field(default_factory=dict)
    client: tuple[ToolDefinition, ...] = ()

    @property
    def definitions(self) -> tuple[ToolDefinition, ...]:
        """What the model is told about the tools."""
        return (*(found.definition for found in self.tools.values()), *self.client)

    def without(self, made: Collection[str]) -> "ToolSet":
        """The set without what an admin made under these names, which is then missing."""
        gone = {name for name, maker in self.made.items() if maker in made}
        if not gone:
            return self
        # Only tools of servers have a slash.
        servers = tuple(f"{self.made[name]}/" for name in gone)
        tools = {name: tool for name, tool in self.tools.items() if name not in gone and not name.startswith(servers)}
        kept = {name: maker for name, maker in self.made.items() if name not in gone}
        approval = {name: each for name, each in self.approval.items() if name in tools}
        missing = (*self.missing, *sorted(gone))
        return replace(self, tools=tools, approval=approval, missing=missing, made=kept)


class ToolSource(Protocol):
    """Finds the tools that agents list."""

    def resolve(self, connection: Connection, references: Sequence[ToolReference]) -> ToolSet:
        """Return the tools that an agent lists. Unknown names are `missing`, not an error."""
        ...


def approvals_by_name(references: Sequence[ToolReference]) -> dict[str, Approval | None]:
    """Return the names on an agent's list, and for each how its calls wait for approval; None: they do not."""
    entries: list[Mapping[str, Any]] = [{"name": each} if isinstance(each, str) else each for each in references]
    return {
        entry["name"]: Approval(entry.get("expires_in_s", "default")) if entry.get("approval") == "always" else None
        for entry in entries
    }


def prepare_tool(tool: Tool, definition: ToolDefinition | None = None) -> RegisteredTool:
    """Return a tool that is ready to be called. Raises `InvalidRequest` for parameters that are no usable schema."""
    definition = definition or tool.get_definition()
    signature = inspect.signature(tool.execute)
    own = definition.parameters.get("properties")
    takes_context = "context" in signature.parameters and not (isinstance(own, dict) and "context" in own)
    if isinstance(tool, FunctionTool):
        takes_context = tool.takes_context
    return RegisteredTool(tool, definition, ArgumentsValidator(definition.parameters), signature, takes_context)


class ToolRegistry:
    """Tools by name. The calculator is in every registry."""

    def __init__(self, tools: Iterable[Tool] = ()) -> None:
        self._tools: dict[str, RegisteredTool] = {}
        for tool in (Calculator(), *tools):
            self.register(tool)

    def register(self, tool: Tool | Callable[..., Any], *, replace: bool = False) -> Tool:
        """Register a tool under the name in its definition, and return it. A typed function becomes one, as by `@tool`.

        It replaces a tool of the same class or function; they are compared by module and name, so that a notebook's
        cell may run twice. Raises `InvalidRequest` for the name of any other tool unless `replace`, for a name that
        providers refuse, and for a definition that cannot be used.
        """
        if inspect.isroutine(tool):
            tool = FunctionTool.of(tool)
        if not isinstance(tool, Tool):
            hint = f": {tool.__name__}() instead of {tool.__name__}" if isinstance(tool, type) else ""
            raise InvalidRequest(
                f"Register a function, or an object of a class derived from Tool{hint}.", loc=("tools",)
            )
        definition = tool.get_definition()
        if not TOOL_NAME.fullmatch(str(definition.name)):
            raise InvalidRequest("A tool's name is 1 to 64 letters, digits, `_` or `-`.", loc=("tools",))
        known = self._tools.get(definition.name)
        if known and not replace and _origin(known.tool) != _origin(tool):
            raise InvalidRequest(f"There is another tool named {definition.name}.", loc=("tools",))
        self._tools[definition.name] = prepare_tool(tool, definition)
        return tool

    def unregister(self, name: str) -> None:
        """Remove a tool if it is registered. Raises `InvalidRequest` for the calculator."""
        if name == Calculator.name:
            raise InvalidRequest("The calculator is always there.", loc=("tools",))
        self._tools.pop(name, None)

    def find(self, name: str) -> RegisteredTool | None:
        """Return the tool with this name; None if there is none."""
        return self._tools.get(name)

    def get(self, name: str) -> Tool:
        """Return the tool with this name. Raises `InvalidRequest`."""
        found = self.find(name)
        if found is None:
            raise InvalidRequest(f"There is no tool named {name[:64]!r}.", loc=("tools",))
        return found.tool

    def list_tools(self) -> list[Tool]:
        """Return all tools, ordered by name."""
        return [self._tools[name].tool for name in sorted(self._tools)]

    def resolve(self, connection: Connection, references: Sequence[ToolReference]) -> ToolSet:
        """See `ToolSource.resolve`. Only tools of this registry are found."""
        return self.choose(references)

    def choose(self, references: Sequence[ToolReference]) -> ToolSet:
        """Return the tools that an agent lists, in its order."""
        asked = approvals_by_name(references)
        found = {name: tool for name in asked if (tool := self.find(name)) is not None}
        approval = {name: how for name in found if (how := asked[name] or found[name].approval)}
        return ToolSet(found, approval, tuple(name for name in asked if name not in found))


def _origin(tool: Tool) -> tuple[str, str]:
    maker: Any = tool.function if isinstance(tool, FunctionTool) else type(tool)
    return getattr(maker, "__module__", ""), getattr(maker, "__qualname__", repr(maker))


default_registry = ToolRegistry()


def register_tool(tool: Tool | Callable[..., Any], *, replace: bool = False) -> None:
    """Register a tool, or a typed function as one, for every agent of this process.

    Raises as `ToolRegistry.register` does.
    """
    default_registry.register(tool, replace=replace)


def load_tools(registry: ToolRegistry = default_registry) -> list[str]:
    """Register the tools of installed packages and return their names. By default every agent may name them.

    An entry point is a tool, or a class or function without arguments that returns one tool or several. A package whose
    tools cannot be loaded or registered is logged and left out.
    """
    names: list[str] = []
    for point in sorted(entry_points(group=GROUP), key=lambda each: each.name):
        try:
            found: Any = point.load()
            if not isinstance(found, Tool) and callable(found):
                found = found()
            for tool in found if isinstance(found, Iterable) else (found,):
                registry.register(tool)
                names.append(tool.get_definition().name)
        except (Exception, SystemExit):  # noqa: BLE001  # a broken package must not keep the service from starting
            extra = {"tool": f"{point.name} = {point.value}"}
            _log.exception("the tools of a package could not be loaded", extra=extra)
    return names
