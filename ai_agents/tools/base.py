"""What a tool is: a name, a description, a JSON Schema of its arguments, and something to execute."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from ai_agents.core.types import ToolDefinition


class ToolError(Exception):
    """Raised by a tool to tell the model what went wrong.

    Its text is the result that the model reads; of any other exception it learns no more than the kind.
    """


@dataclass(frozen=True, slots=True)
class ToolContext:
    """For whom a tool runs. A tool gets it by naming a parameter of `execute` `context`; a model cannot set it."""

    run_id: str
    thread_id: str
    user_id: str


class Tool(ABC):
    """A tool. One object serves all runs at once.

    `retry_safe` says that running a call twice does no harm: a call of such a tool is run again if the process died in
    the middle of it. `timeout_s` is how long a call may take; None leaves that to the executor.
    """

    name: str
    description: str = ""
    retry_safe: bool = False
    timeout_s: float | None = None

    @abstractmethod
    def execute(self, *args: Any, **kwargs: Any) -> Any:
        """The result for these arguments, a text or other JSON. They are given by keyword and fit the schema.

        `async def` runs in the event loop and must not block it; a plain `def` runs in a thread, where a call that
        takes too long is left behind and never ended. Raises `ToolError` for what the model should know.
        """

    def get_definition(self) -> ToolDefinition:
        """What the model is told. Override it to take arguments: as it stands, the tool takes none."""
        return ToolDefinition(
            name=self.name,
            description=self.description,
            parameters={"type": "object", "properties": {}, "additionalProperties": False},
        )
