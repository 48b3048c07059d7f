"""Tools that a client may bring, and those that it may not."""

import pytest

from ai_agents.core.exceptions import InvalidRequest
from ai_agents.core.types import JsonObject, ToolDefinition
from ai_agents.tools.client_tools import check_client_tools

CLOCK = ToolDefinition("clock", "Reads the clock.")
NO_OBJECT: JsonObject = {"type": "array"}
FAR: JsonObject = {"type": "object", "properties": {"a": {"$ref": "https://elsewhere.example/a"}}}


@pytest.mark.parametrize(
    "tools, place",
    [
        ([CLOCK, ToolDefinition("read_result", "")], ("tools", 1, "name")),
        ([CLOCK, CLOCK], ("tools", 1, "name")),
        ([ToolDefinition("a b", "")], ("tools", 0, "name")),
        ([ToolDefinition("n" * 65, "")], ("tools", 0, "name")),
        ([ToolDefinition("server/tool", "")], ("tools", 0, "name")),
        ([ToolDefinition("wordy", "w" * 8193)], ("tools", 0, "description")),
        ([ToolDefinition("flat", "", NO_OBJECT)], ("tools", 0, "parameters")),
        ([CLOCK, ToolDefinition("far", "", FAR)], ("tools", 1, "parameters")),
        ([ToolDefinition("set", "", {"type": "object", "default": {1, 2}})], ("tools",)),
        ([ToolDefinition(f"t{number}", "") for number in range(129)], ("tools",)),
        ([ToolDefinition(f"t{number}", "d" * 8000) for number in range(40)], ("tools",)),
    ],
)
def test_tools_of_a_wrong_form_are_refused(tools: list[ToolDefinition], place: tuple[str | int, ...]) -> None:
    with pytest.raises(InvalidRequest) as error:
        check_client_tools(tools)
    assert error.value.loc == place


def test_all_schemas_together_take_no_more_than_one_may() -> None:
    def costly(number: int) -> ToolDefinition:
        steps: JsonObject = {f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(9)}
        steps["d9"] = {"title": f"of {number}"}
        schema = {"type": "object", "$defs": steps, "properties": {"a": {"$ref": "#/$defs/d0"}}}
        return ToolDefinition(f"t{number}", "", schema)

    check_client_tools([costly(0)])
    with pytest.raises(InvalidRequest, match="together"):
        check_client_tools([costly(number) for number in range(128)])
    patterns: JsonObject = {"type": "object", "properties": {"a": {"pattern": "^(a|b){1,2000}$"}}}
    with pytest.raises(InvalidRequest, match="together"):
        check_client_tools(
            [ToolDefinition(f"t{number}", "", {**patterns, "title": f"{number}"}) for number in range(64)]
        )


def test_as_many_and_as_large_tools_as_are_allowed_are_taken() -> None:
    check_client_tools([ToolDefinition(f"t{number}", "d" * 1900) for number in range(128)])
