"""Registering tools, and the tools that are refused."""

from typing import Any

import pytest

from ai_agents.core.exceptions import InvalidRequest
from ai_agents.core.types import ToolDefinition
from ai_agents.tools import registry
from ai_agents.tools.base import Tool
from ai_agents.tools.registry import Approval, ToolRegistry, register_tool


class Plain(Tool):
    """A tool without arguments."""

    name = "plain"
    description = "Does nothing."

    def execute(self) -> str:
        return "nothing"


class Defined(Tool):
    """A tool with the given definition."""

    def __init__(self, name: str = "defined", parameters: dict[str, Any] | None = None) -> None:
        self.name = name
        self._parameters = parameters or {"type": "object"}

    def execute(self, *args: Any, **kwargs: Any) -> Any:
        return kwargs

    def get_definition(self) -> ToolDefinition:
        return ToolDefinition(self.name, "Given.", self._parameters)


class OtherDefined(Defined):
    """Another class of tools, for the same name."""


@pytest.fixture
def process_registry(monkeypatch: pytest.MonkeyPatch) -> ToolRegistry:
    own = ToolRegistry()
    monkeypatch.setattr(registry, "default_registry", own)
    return own


def test_the_calculator_is_always_there(process_registry: ToolRegistry) -> None:
    assert process_registry.get("calculator").name == "calculator"
    assert [tool.name for tool in process_registry.list_tools()] == ["calculator"]
    with pytest.raises(InvalidRequest):
        process_registry.unregister("calculator")


def test_a_registered_tool_is_found_by_its_name(process_registry: ToolRegistry) -> None:
    tool = Plain()
    register_tool(tool)
    assert process_registry.get("plain") is tool
    assert [tool.name for tool in process_registry.list_tools()] == ["calculator", "plain"]
    process_registry.unregister("plain")
    process_registry.unregister("plain")
    assert process_registry.find("plain") is None


def test_a_tool_without_a_definition_of_its_own_takes_no_arguments() -> None:
    definition = Plain().get_definition()
    assert (definition.name, definition.description) == ("plain", "Does nothing.")
    assert definition.parameters == {"type": "object", "properties": {}, "additionalProperties": False}


def test_an_unknown_tool_is_an_invalid_request() -> None:
    with pytest.raises(InvalidRequest, match="no tool named 'crystal_ball'") as refused:
        ToolRegistry().get("crystal_ball")
    assert refused.value.loc == ("tools",)


def test_an_agents_tools_come_in_its_order_and_unknown_ones_are_missing() -> None:
    chosen = ToolRegistry([Plain()]).choose([{"name": "plain", "approval": "always"}, "gone", "calculator"])
    assert [definition.name for definition in chosen.definitions] == ["plain", "calculator"]
    assert chosen.approval == {"plain": Approval()}
    assert chosen.missing == ("gone",)


def test_the_same_class_may_be_registered_again_and_another_may_not() -> None:
    tools = ToolRegistry([Defined()])
    newer = Defined()
    tools.register(newer)
    assert tools.get("defined") is newer
    with pytest.raises(InvalidRequest, match="another tool"):
        tools.register(OtherDefined())
    other = OtherDefined()
    tools.register(other, replace=True)
    assert tools.get("defined") is other


@pytest.mark.parametrize("name", ["", "two words", "dots.are.not", "a" * 65, "caf\u00e9", "line\n"])
def test_a_name_that_some_provider_refuses_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest, match="64 letters"):
        ToolRegistry([Defined(name)])


def test_an_object_that_is_not_a_tool_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="derived from Tool"):
        ToolRegistry().register(Plain)


def deep(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"inner": schema}}
    return schema


@pytest.mark.parametrize(
    "parameters, why",
    [
        ({"type": "string"}, "of type"),
        ({"properties": {}}, "of type"),
        ({"type": "object", "properties": {"a": {"type": "strnig"}}}, "not a JSON Schema"),
        ({"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:9/schema.json"}}}, "another document"),
        ({"type": "object", "properties": {"a": {"$ref": "file:///etc/passwd"}}}, "another document"),
        ({"type": "object", "properties": {"a": {"$dynamicRef": "other.json#x"}}}, "another document"),
        ({"type": "object", "$schema": "http://127.0.0.1:9/own"}, "not a JSON Schema"),
        ({"type": "object", "properties": {"a": {"$ref": "#/$defs/nowhere"}}}, "not a JSON Schema"),
        ({"type": "object", "properties": {"a": {"pattern": "("}}}, "not a JSON Schema"),
        ({"type": "object", "description": "x" * 70_000}, "larger"),
        ({"type": "object", "default": object()}, "not JSON"),
        (deep(40), "deeper"),
        (deep(5_000), "deeper"),
    ],
)
def test_a_tool_with_an_unusable_schema_is_not_registered(parameters: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidRequest, match=why) as refused:
        ToolRegistry([Defined(parameters=parameters)])
    assert refused.value.loc == ("parameters",)
    assert len(str(refused.value)) < 400


def test_a_schema_that_refers_to_itself_is_fine() -> None:
    tree = {"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#"}}}}
    validator = ToolRegistry([Defined(parameters=tree)]).find("defined")
    assert validator is not None
    assert validator.validator.find_fault({"children": [{"children": []}]}) is None
    assert "$.children[0].children" in str(validator.validator.find_fault({"children": [{"children": 5}]}))
