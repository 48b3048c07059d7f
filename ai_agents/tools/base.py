"""The base class of tools: a name, a description, a JSON Schema of the arguments, and a function to execute."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal

from ai_agents.core.types import JsonObject, ToolDefinition

# The header that tells a server the id of a call.
IDEMPOTENCY_KEY = "idempotency-key"
# Whether calls of a tool wait for a person.
ToolApproval = Literal["never", "always"]


class ToolError(Exception):
    """Raised by a tool to tell the model what went wrong.

    The model reads its text as the result. Of any other exception the model is told the type only.
    """


class NoCredentials(ToolError):
    """The tool is called with the user's own credentials, and the user has given none.

    `tool` is the name under which an admin made the tool, or the server.
    """

    def __init__(self, tool: str) -> None:
        super().__init__(
            f"The call was not made: {tool} is called with the user's own credentials, and this user has given none."
        )
        self.tool = tool


@dataclass(frozen=True, slots=True)
class ToolContext:
    """The run that a call belongs to. A tool gets it in a parameter named `context`, which a model cannot set.

    `tool_call_id` stays the same when the call is made again, by another process too, and no other call has it.
    `max_result_bytes` is how much of a result the model is shown.
    """

    run_id: str
    thread_id: str
    user_id: str
    tool_call_id: str = ""
    max_result_bytes: int = 64 * 1024


class Tool(ABC):
    """A tool. One object serves all runs at once.

    `retry_safe` says that running a call twice does no harm: a call of such a tool is run again if the process dies
    during the call. `timeout_s` is how long a call may take; None stands for the limit of the executor. With the
    `approval` "always" each call waits for a person, whatever the agent says.
    """

    name: str
    description: str = ""
    retry_safe: bool = False
    timeout_s: float | None = None
    approval: ToolApproval = "never"

    def __repr__(self) -> str:
        return f"<tool {getattr(self, 'name', type(self).__name__)}>"

    @abstractmethod
    def execute(self, *args: Any, **kwargs: Any) -> Any:
        """Return the result for these arguments, a text or other JSON. They are given by keyword and fit the schema.

        `async def` runs in the event loop and must not block it. A plain `def` runs in a thread; a call that takes too
        long is abandoned there and goes on. Raises `ToolError` for what the model should know.
        """

    def get_definition(self) -> ToolDefinition:
        """Return what the model is told about the tool. Override it for a tool with arguments."""
        parameters = {"type": "object", "properties": {}, "additionalProperties": False}
        return ToolDefinition(self.name, self.description, parameters)


class RemoteTool(Tool):
    """A tool that is a request to a server. Its arguments may have any names, so the context stands beside them."""

    async def execute(self, /, **arguments: Any) -> Any:
        """Make the request for no particular call. Raises `ToolError`."""
        return await self.request(arguments)

    @abstractmethod
    async def request(self, arguments: JsonObject, context: ToolContext | None = None) -> Any:
        """Return the server's answer. The server is told the id of the call. Raises `ToolError`."""
