"""Tools of the client: a message brings them along, the model may call them, and the client makes the calls."""

from collections.abc import Collection, Sequence

from ai_agents.core import json
from ai_agents.core.exceptions import InvalidRequest
from ai_agents.core.parts import tools_to_stored
from ai_agents.core.types import ToolCallPart, ToolDefinition
from ai_agents.tools.executor import find_fault_of
from ai_agents.tools.registry import TOOL_NAME
from ai_agents.tools.results import READ_RESULT
from ai_agents.tools.schema import ArgumentsValidator

MAX_CLIENT_TOOLS = 128
MAX_DESCRIPTION = 8192
# Of one message's tools together, as JSON: they are a column of its run.
MAX_CLIENT_TOOLS_BYTES = 256 * 1024


class ClientTools:
    """The tools of one message's client, ready to judge calls of them."""

    def __init__(self, definitions: Sequence[ToolDefinition] = ()) -> None:
        """Compiles the schemas, which may take long for new ones.

        Raises `InvalidRequest` for one that is refused, and where all together take more than one schema may.
        """
        self._validators: dict[str, ArgumentsValidator] = {}
        cost = 0.0
        for index, each in enumerate(definitions):
            try:
                self._validators[each.name] = ArgumentsValidator(each.parameters)
            except InvalidRequest as error:
                raise InvalidRequest(str(error), loc=("tools", index, *error.loc)) from error
            cost += self._validators[each.name].cost
            if cost > 1:
                raise InvalidRequest("The tools together apply too many schemas and patterns.", loc=("tools",))

    @property
    def names(self) -> Collection[str]:
        """Their names."""
        return self._validators.keys()

    def find_fault(self, call: ToolCallPart) -> str | None:
        """Return why the client is not asked to make the call, as a sentence for the model; None if it is."""
        return find_fault_of(self._validators[call.name], call)


def check_client_tools(definitions: Sequence[ToolDefinition]) -> None:
    """Raises `InvalidRequest` for more or larger tools than a message may bring, and for bad names and schemas."""
    if len(definitions) > MAX_CLIENT_TOOLS:
        raise InvalidRequest(f"A message brings at most {MAX_CLIENT_TOOLS} tools.", loc=("tools",))
    names: set[str] = set()
    for index, each in enumerate(definitions):
        place = ("tools", index, "name")
        if not TOOL_NAME.fullmatch(str(each.name)):
            raise InvalidRequest("A tool's name is 1 to 64 letters, digits, `_` or `-`.", loc=place)
        if each.name in names:
            raise InvalidRequest("Another tool of this message has this name.", loc=place)
        if each.name == READ_RESULT:
            raise InvalidRequest("This name is taken by a tool of the service.", loc=place)
        if len(each.description) > MAX_DESCRIPTION:
            text = f"A tool's description has at most {MAX_DESCRIPTION} characters."
            raise InvalidRequest(text, loc=("tools", index, "description"))
        names.add(each.name)
    try:
        size_bytes = len(json.dumps(tools_to_stored(definitions)))
    except TypeError as error:
        raise InvalidRequest("The tools are not JSON.", loc=("tools",)) from error
    if size_bytes > MAX_CLIENT_TOOLS_BYTES:
        raise InvalidRequest(f"The tools are larger than {MAX_CLIENT_TOOLS_BYTES} bytes as JSON.", loc=("tools",))
    ClientTools(definitions)
