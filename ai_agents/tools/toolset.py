"""The tools of one agent: what the names that it lists stand for at the time of a run."""

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from sqlalchemy import Connection

from ai_agents.core.types import ToolDefinition
from ai_agents.tools.base import Tool
from ai_agents.tools.schema import ArgumentsValidator

# What a tool is named within its server, or among an admin's.
TOOL_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
# A name, or `{"name", "approval"}`: an element of an agent's `tools`.
Wanted = str | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RegisteredTool:
    """A tool with what is worked out once: its definition, its validator, how its `execute` is called."""

    tool: Tool
    definition: ToolDefinition
    validator: ArgumentsValidator
    signature: inspect.Signature
    takes_context: bool


@dataclass(frozen=True, slots=True)
class ToolSet:
    """Tools by the names that the model is told, in the order in which it is told of them.

    `approval` are those that a person has to agree to, call by call; `missing` are names on the agent's list that
    stand for nothing now.
    """

    tools: Mapping[str, RegisteredTool] = field(default_factory=dict)
    approval: frozenset[str] = frozenset()
    missing: tuple[str, ...] = ()

    @property
    def definitions(self) -> tuple[ToolDefinition, ...]:
        """What the model is told of them."""
        return tuple(found.definition for found in self.tools.values())

    def find(self, name: str) -> RegisteredTool | None:
        """The tool with this name."""
        return self.tools.get(name)


class ToolSource(Protocol):
    """Where agents' tools come from."""

    def resolve(self, connection: Connection, wanted: Sequence[Wanted]) -> ToolSet:
        """The tools that an agent's list names. What is not there is missing, and not an error."""
        ...


def named(wanted: Sequence[Wanted]) -> Iterator[tuple[str, bool]]:
    """The names on an agent's list, and whether calls of them wait for a person."""
    for each in wanted:
        if isinstance(each, str):
            yield each, False
        else:
            yield each["name"], each.get("approval") == "always"


def prepare_tool(tool: Tool, definition: ToolDefinition | None = None) -> RegisteredTool:
    """A tool, ready to be called. Raises `InvalidRequest` for parameters that are no usable schema."""
    definition = definition or tool.get_definition()
    signature = inspect.signature(tool.execute)
    own = definition.parameters.get("properties")
    takes_context = "context" in signature.parameters and not (isinstance(own, dict) and "context" in own)
    return RegisteredTool(tool, definition, ArgumentsValidator(definition.parameters), signature, takes_context)
