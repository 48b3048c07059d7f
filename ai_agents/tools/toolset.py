"""The tools of one run: what an agent's list of names stands for when the run is prepared."""

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from sqlalchemy import Connection

from ai_agents.core.types import ToolDefinition
from ai_agents.tools.base import Tool
from ai_agents.tools.schema import ArgumentsValidator

# Names of a server's tools and of admins' tools.
TOOL_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
# An element of an agent's `tools`: a name, or `{"name", "approval"}`.
ToolReference = str | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RegisteredTool:
    """A tool with its definition, validator and signature, which are computed once."""

    tool: Tool
    definition: ToolDefinition
    validator: ArgumentsValidator
    signature: inspect.Signature
    takes_context: bool


@dataclass(frozen=True, slots=True)
class ToolSet:
    """Tools by name, in the order in which the model is told of them.

    `approval` are the names of tools whose calls a person has to approve; `missing` are names on the agent's list that
    no tool has now.
    """

    tools: Mapping[str, RegisteredTool] = field(default_factory=dict)
    approval: frozenset[str] = frozenset()
    missing: tuple[str, ...] = ()

    @property
    def definitions(self) -> tuple[ToolDefinition, ...]:
        """What the model is told about the tools."""
        return tuple(found.definition for found in self.tools.values())

    def find(self, name: str) -> RegisteredTool | None:
        """Return the tool with this name; None if there is none."""
        return self.tools.get(name)


class ToolSource(Protocol):
    """Finds the tools that agents list."""

    def resolve(self, connection: Connection, references: Sequence[ToolReference]) -> ToolSet:
        """Return the tools that an agent lists. Unknown names are `missing`, not an error."""
        ...


def approvals_by_name(references: Sequence[ToolReference]) -> dict[str, bool]:
    """Return the names on an agent's list, and for each whether its calls wait for approval."""
    entries = [{"name": each} if isinstance(each, str) else each for each in references]
    return {entry["name"]: entry.get("approval") == "always" for entry in entries}


def prepare_tool(tool: Tool, definition: ToolDefinition | None = None) -> RegisteredTool:
    """Return a tool that is ready to be called. Raises `InvalidRequest` for parameters that are no usable schema."""
    definition = definition or tool.get_definition()
    signature = inspect.signature(tool.execute)
    own = definition.parameters.get("properties")
    takes_context = "context" in signature.parameters and not (isinstance(own, dict) and "context" in own)
    return RegisteredTool(tool, definition, ArgumentsValidator(definition.parameters), signature, takes_context)
