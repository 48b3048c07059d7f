"""A tool with any legal schema is sent in a form that the provider takes; one that no model could call is left out."""

from typing import Any

import pytest

from ai_agents.core.types import JsonObject, ModelMessage, ToolCallPart, ToolDefinition, ToolResultPart
from tests.fakes.answers import call, say
from tests.fakes.provider_server import FakeProviderServer
from tests.wire.conftest import Connect
from tests.wire.requests import CALCULATOR, WIRES, ask, check_sent, user

STRING, INTEGER = {"type": "string"}, {"type": "integer"}
SCHEMAS: dict[str, Any] = {
    "bare": {"type": "object"},
    "nothing": {},
    "missing": None,
    "open": True,
    "nullable": {"type": ["object", "null"]},
    "either": {"oneOf": [{"properties": {"a": STRING}, "required": ["a"]}, {"properties": {"b": INTEGER}}]},
    "both": {"allOf": [{"$ref": "#/$defs/a"}, {"properties": {"b": INTEGER}}], "$defs": {"a": {"type": "object"}}},
    "one_of_two": {"type": "object", "properties": {"a": STRING}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
    "recursive": {"$ref": "#/$defs/n", "$defs": {"n": {"properties": {"next": {"$ref": "#/$defs/n"}}}}},
    "keys": {"type": "object", "properties": {"$top": INTEGER, "filter[id]": STRING}, "required": ["$top"]},
    "lists": {"type": "object", "properties": {"a": {"type": "array"}, "b": {"type": "array", "items": [STRING]}}},
    "old": {
        "$schema": "http://json-schema.org/draft-04/schema#",
        "type": "object",
        "properties": {"n": {"type": "integer", "minimum": 0, "exclusiveMinimum": True}},
    },
    "booleans": {"type": "object", "properties": {"any": True}, "additionalProperties": False},
}
NEVER: dict[str, Any] = {"text": {"type": "string"}, "never": False, "list": [], "parts": {"allOf": [STRING]}}


def tools(schemas: dict[str, Any]) -> tuple[ToolDefinition, ...]:
    return tuple(ToolDefinition(name, "Does it.", schema) for name, schema in schemas.items())


def sent_tools(payload: JsonObject) -> list[JsonObject]:
    """What is sent of each tool, whatever the wire calls it."""
    listed = payload.get("tools", [])
    if listed and "functionDeclarations" in listed[0]:
        listed = listed[0]["functionDeclarations"]
    return [each.get("function", each) for each in listed]


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("name", SCHEMAS)
def test_a_legal_schema_is_sent_as_the_provider_takes_it(wire: str, name: str) -> None:
    payload = check_sent(wire, ask(wire, tools=(*tools({name: SCHEMAS[name]}), CALCULATOR)))

    assert [each["name"] for each in sent_tools(payload)] == [name, "calculator"]


@pytest.mark.parametrize("wire", WIRES)
async def test_a_tool_that_no_model_could_call_is_left_out_and_said(
    wire: str, fake: FakeProviderServer, connect: Connect
) -> None:
    provider = connect(wire)
    request = ask(wire, tools=(*tools(NEVER), CALCULATOR))
    fake.script(wire, [call("calculator", {"expression": "6*7"}), say("Hello")])

    answer = await provider.complete(request)
    await provider.complete(ask(wire, tools=tools(NEVER)))

    assert [each.name for each in answer.tool_calls] == ["calculator"]
    assert [(notice["code"], notice.get("tool")) for notice in provider.left_out(request)] == [
        ("tool_left_out", name) for name in NEVER
    ]
    first, second = fake.received(wire)
    assert [each["name"] for each in sent_tools(first.json)] == ["calculator"]
    assert sent_tools(second.json) == []


@pytest.mark.parametrize("wire", WIRES)
async def test_names_are_told_apart_beside_a_tool_that_is_left_out(
    wire: str, fake: FakeProviderServer, connect: Connect
) -> None:
    named = (ToolDefinition("a/b", "", {"type": "string"}), ToolDefinition("a_b", "", {"type": "object"}))
    provider = connect(wire)
    fake.script(wire, [call("a_b_2")])

    (wish,) = (await provider.complete(ask(wire, tools=named))).tool_calls

    assert wish.name == "a_b"
    assert [each["name"] for each in sent_tools(fake.requests[0].json)] == ["a_b_2"]


@pytest.mark.parametrize("wire", WIRES)
def test_calls_of_a_tool_that_is_left_out_stay_in_the_history(wire: str) -> None:
    wish = ModelMessage("assistant", (ToolCallPart("call_1", "text", {}),))
    result = ModelMessage("tool", (ToolResultPart("call_1", "text", "42"),))

    payload = check_sent(wire, ask(wire, user(), wish, result, tools=tools(NEVER)))

    assert "42" in str(payload)
