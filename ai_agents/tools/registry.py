"""The tools that agents may name. There is one registry for the process, and as many others as one makes."""

import inspect
import re
from collections.abc import Iterable
from dataclasses import dataclass

from ai_agents.core.exceptions import InvalidRequest
from ai_agents.core.types import ToolDefinition
from ai_agents.tools.base import Tool
from ai_agents.tools.calculator import Calculator
from ai_agents.tools.schema import ArgumentsValidator

# What every provider takes as a name.
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class RegisteredTool:
    """A tool with what is worked out once: its definition, its validator, how its `execute` is called."""

    tool: Tool
    definition: ToolDefinition
    validator: ArgumentsValidator
    signature: inspect.Signature
    takes_context: bool


class ToolRegistry:
    """Tools by name. The calculator is in every registry."""

    def __init__(self, tools: Iterable[Tool] = ()) -> None:
        self._tools: dict[str, RegisteredTool] = {}
        for tool in (Calculator(), *tools):
            self.register(tool)

    def register(self, tool: Tool, *, replace: bool = False) -> None:
        """Make a tool known by the name in its definition.

        A tool of the same class (by its module and name, so that a notebook's cell may run twice) takes the place of
        the one before. Raises `InvalidRequest` for another tool's name unless `replace`, for a name that providers do
        not take, and for a definition that is not usable.
        """
        if not isinstance(tool, Tool):
            raise InvalidRequest("Register an object of a class derived from Tool.", loc=("tools",))
        definition = tool.get_definition()
        if not _NAME.fullmatch(str(definition.name)):
            raise InvalidRequest("A tool's name is 1 to 64 letters, digits, `_` or `-`.", loc=("tools",))
        known = self._tools.get(definition.name)
        if known and not replace and _origin(known.tool) != _origin(tool):
            raise InvalidRequest(f"There is another tool named {definition.name}.", loc=("tools",))
        self._tools[definition.name] = _registered(tool, definition)

    def unregister(self, name: str) -> None:
        """Forget a tool; one that is not known is forgotten already. Raises `InvalidRequest` for the calculator."""
        if name == Calculator.name:
            raise InvalidRequest("The calculator is always there.", loc=("tools",))
        self._tools.pop(name, None)

    def find(self, name: str) -> RegisteredTool | None:
        """The tool with this name."""
        return self._tools.get(name)

    def get(self, name: str) -> Tool:
        """The tool with this name. Raises `InvalidRequest`."""
        found = self.find(name)
        if found is None:
            raise InvalidRequest(f"There is no tool named {name[:64]!r}.", loc=("tools",))
        return found.tool

    def list_tools(self) -> list[Tool]:
        """All tools, ordered by name."""
        return [self._tools[name].tool for name in sorted(self._tools)]

    def definitions(self, names: Iterable[str]) -> list[ToolDefinition]:
        """What a model is told of these tools, in their order; names that are not known are left out."""
        return [found.definition for name in names if (found := self.find(name))]


def _registered(tool: Tool, definition: ToolDefinition) -> RegisteredTool:
    validator = ArgumentsValidator(definition.parameters)
    signature = inspect.signature(tool.execute)
    own = definition.parameters.get("properties")
    takes_context = "context" in signature.parameters and not (isinstance(own, dict) and "context" in own)
    return RegisteredTool(tool, definition, validator, signature, takes_context)


def _origin(tool: Tool) -> tuple[str, str]:
    return type(tool).__module__, type(tool).__qualname__


default_registry = ToolRegistry()


def register_tool(tool: Tool, *, replace: bool = False) -> None:
    """Make a tool known to every agent of this process. Raises as `ToolRegistry.register` does."""
    default_registry.register(tool, replace=replace)


def get_tool(name: str) -> Tool:
    """The tool of this process with this name. Raises `InvalidRequest`."""
    return default_registry.get(name)


def list_tools() -> list[Tool]:
    """The tools of this process, ordered by name."""
    return default_registry.list_tools()
