"""The registered tools that agents may name: the registry of the process, and registries that a program makes."""

import re
from collections.abc import Iterable, Sequence

from sqlalchemy import Connection

from ai_agents.core.exceptions import InvalidRequest
from ai_agents.tools.base import Tool
from ai_agents.tools.calculator import Calculator
from ai_agents.tools.toolset import RegisteredTool, ToolReference, ToolSet, approvals_by_name, prepare_tool

# Names that every provider accepts.
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


class ToolRegistry:
    """Tools by name. The calculator is in every registry."""

    def __init__(self, tools: Iterable[Tool] = ()) -> None:
        self._tools: dict[str, RegisteredTool] = {}
        for tool in (Calculator(), *tools):
            self.register(tool)

    def register(self, tool: Tool, *, replace: bool = False) -> None:
        """Register a tool under the name in its definition.

        It replaces a tool of the same class; classes are compared by module and name, so that a notebook's cell may
        run twice. Raises `InvalidRequest` for the name of any other tool unless `replace`, for a name that providers
        refuse, and for a definition that cannot be used.
        """
        if not isinstance(tool, Tool):
            raise InvalidRequest("Register an object of a class derived from Tool.", loc=("tools",))
        definition = tool.get_definition()
        if not _NAME.fullmatch(str(definition.name)):
            raise InvalidRequest("A tool's name is 1 to 64 letters, digits, `_` or `-`.", loc=("tools",))
        known = self._tools.get(definition.name)
        if known and not replace and _origin(known.tool) != _origin(tool):
            raise InvalidRequest(f"There is another tool named {definition.name}.", loc=("tools",))
        self._tools[definition.name] = prepare_tool(tool, definition)

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
        return ToolSet(
            tools=found,
            approval=frozenset(name for name, waits in asked.items() if waits),
            missing=tuple(name for name in asked if name not in found),
        )


def _origin(tool: Tool) -> tuple[str, str]:
    return type(tool).__module__, type(tool).__qualname__


default_registry = ToolRegistry()


def register_tool(tool: Tool, *, replace: bool = False) -> None:
    """Register a tool for every agent of this process. Raises as `ToolRegistry.register` does."""
    default_registry.register(tool, replace=replace)
