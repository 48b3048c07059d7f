"""Which of its tools a client of OpenAI's lets the model call: `tool_choice`, in the forms of both APIs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ai_agents.core.exceptions import InvalidRequest
from ai_agents.core.types import ToolDefinition

_LOC = ("tool_choice",)


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """Which tools of the client may be called (None: all), and whether one has to be."""

    names: frozenset[str] | None = None
    is_required: bool = False

    def among(self, tools: Iterable[ToolDefinition]) -> list[ToolDefinition]:
        """Those of the tools that may be called. Raises `InvalidRequest` where one has to be, and there is none."""
        found = [tool for tool in tools if self.names is None or tool.name in self.names]
        if self.is_required and not found:
            raise InvalidRequest("There is no such tool.", loc=_LOC)
        return found


def read_choice(given: Any) -> ToolChoice:
    """The choice. Chat completions name a function within `function`, Responses beside the type.

    Raises `InvalidRequest`.
    """
    match given:
        case None | "auto":
            return ToolChoice()
        case "none":
            return ToolChoice(frozenset())
        case "required":
            return ToolChoice(is_required=True)
        case {"type": "function", "function": {"name": str(name)}} | {"type": "function", "name": str(name)}:
            return ToolChoice(frozenset({name}), is_required=True)
        case {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": list(tools)}} | {
            "type": "allowed_tools",
            "mode": mode,
            "tools": list(tools),
        }:
            named = [each.get("function", each) for each in tools if isinstance(each, dict)]
            names = frozenset(str(each.get("name")) for each in named if isinstance(each, dict))
            return ToolChoice(names, is_required=mode == "required")
    raise InvalidRequest("This is no choice of tools that is known here.", loc=_LOC)


def demand(tools: Sequence[ToolDefinition]) -> str:
    """What the model is told where it has to call one of these. Not every provider can be told."""
    return f"Answer by calling one of these tools: {', '.join(tool.name for tool in tools)}."
