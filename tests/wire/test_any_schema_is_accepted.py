"""A tool with legal parameters takes down no request that names it: each provider gets a form that it takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_agents.core.types import JsonObject, ModelMessage, ToolCallPart, ToolDefinition, ToolResultPart
from tests.support.examples import examples
from tests.wire.requests import CALCULATOR, WIRES, ask, check_sent, user

STRING = {"type": "string"}
# Legal parameters of tools. Each provider refuses some of them as they are.
PARAMETERS: st.SearchStrategy[JsonObject] = st.sampled_from(
    [
        {"type": "object", "properties": {}},
        {"type": "object"},
        {"type": "object", "additionalProperties": True},
        {"type": "object", "properties": {"a": STRING}, "required": ["a"], "$schema": "http://json-schema.org/schema#"},
        {"type": "object", "properties": {"a": True, "b": {}, "c": {"type": ["string", "null"]}}},
        {"type": "object", "properties": {"a": {"type": "array"}, "b": {"type": "array", "items": {"type": "array"}}}},
        {
            "type": "object",
            "properties": {"$top": STRING, "filter[id]": STRING, "x" * 70: STRING},
            "required": ["$top"],
        },
        {"type": "object", "properties": {"n": {"type": "number", "exclusiveMinimum": True, "minimum": 0}}},
        {"type": "object", "properties": {"n": {"type": "array", "items": [STRING, STRING]}}},
        {"type": "object", "properties": {}, "not": {"required": ["a"]}},
        {"type": "object", "properties": {}, "enum": [{}]},
        *(
            {
                "type": "object",
                "properties": {"a": STRING, "b": STRING},
                word: [{"required": ["a"]}, {"required": ["b"]}],
            }
            for word in ("oneOf", "anyOf", "allOf")
        ),
        {"oneOf": [{"type": "object", "properties": {"a": STRING}}, {"type": "object", "properties": {"b": STRING}}]},
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"type": "array"}}},
        {"$ref": "#/$defs/a", "$defs": {"a": {"type": "object", "properties": {"a": STRING}}}},
        {"properties": {"a": STRING}},
        {},
    ]
)


@pytest.mark.parametrize("wire", WIRES)
@given(several=st.lists(PARAMETERS, min_size=1, max_size=4), is_called=st.booleans())
@examples(60)
def test_any_legal_parameters_are_accepted(wire: str, several: list[JsonObject], is_called: bool) -> None:
    tools = tuple(ToolDefinition(f"tool_{number}", "", each) for number, each in enumerate(several))
    called = ToolCallPart("call_1", "tool_0", {"$top": 3}), ToolResultPart("call_1", "tool_0", "42")
    turn = (ModelMessage("assistant", called[:1]), ModelMessage("tool", called[1:])) if is_called else ()

    payload = check_sent(wire, ask(wire, user(), *turn, tools=(*tools, CALCULATOR)))

    assert "calculator" in str(payload["tools"])  # a tool that cannot be sent takes no other tool with it
