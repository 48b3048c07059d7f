"""`@tool`: what a typed function tells a model, and how it is called."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Annotated, Any, Literal, NotRequired, Required, TypedDict

import pytest
from pydantic import BaseModel, Field

from ai_agents import FunctionTool, ToolContext, register_tool, tool
from ai_agents.core.exceptions import InvalidRequest
from ai_agents.core.types import ToolCallPart, ToolResultPart
from ai_agents.tools.base import Tool
from ai_agents.tools.executor import ToolExecutor
from ai_agents.tools.registry import Approval, ToolRegistry

CONTEXT = ToolContext("run", "thread", "ada")


class Unit(Enum):
    CELSIUS = "c"
    FAHRENHEIT = "f"


@dataclass
class Point:
    x: int
    y: int = 0


class Options(TypedDict, total=False):
    plain: Required[bool]
    lines: Annotated[int, "How many"]


class Nested(TypedDict):
    options: NotRequired[Options]


class Order(BaseModel):
    number: int = Field(description="Its number", ge=1)
    parts: "list[Order]" = []


async def call(made: Tool, /, **arguments: Any) -> ToolResultPart:
    """The result of a call, as a run makes it."""
    registry = ToolRegistry([made])
    part = ToolCallPart("call", made.get_definition().name, arguments)
    return await ToolExecutor().run(part, CONTEXT, registry.choose([made.get_definition().name]))


def schema_of(function: Callable[..., Any]) -> dict[str, Any]:
    """What a model is told of the parameters."""
    return tool(function).get_definition().parameters


async def test_a_function_is_a_tool_with_its_name_its_docstring_and_its_types() -> None:
    @tool
    def weather(city: str, unit: Unit = Unit.CELSIUS, days: Annotated[int, Field(ge=1, le=7)] = 1) -> str:
        """Tells the weather.

        From now on.

        Args:
            city: The city, wherever
                it is.
            days: Of the forecast.
        """
        return f"{city} {unit.name} {days}"

    definition = weather.get_definition()
    assert (definition.name, definition.description) == ("weather", "Tells the weather.\n\nFrom now on.")
    assert definition.parameters == {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "The city, wherever it is."},
            "unit": {"$ref": "#/$defs/Unit", "default": "c"},
            "days": {"type": "integer", "minimum": 1, "maximum": 7, "default": 1, "description": "Of the forecast."},
        },
        "required": ["city"],
        "additionalProperties": False,
        "$defs": {"Unit": {"enum": ["c", "f"], "type": "string"}},
    }
    assert weather("Rome", days=2) == "Rome CELSIUS 2"
    assert (await call(weather, city="Rome", unit="f")).result == "Rome FAHRENHEIT 1"
    refused = await call(weather, city="Rome", days=8)
    assert refused.is_error
    assert "days" in refused.result


def numpy_style(city: str, days: int) -> None:
    """Look.

    Parameters
    ----------
    city : str
        The city.
    days
        How many.
    """


def sphinx_style(city: str, days: int) -> None:
    """Look.

    :param city: The city.
    :param days: How many.
    :returns: nothing
    """


def in_annotations(
    city: Annotated[str, "The city."], days: Annotated[int, Field(description="How many.")], context: ToolContext
) -> None:
    """Look.

    Args:
        city: Not this.
    """


@pytest.mark.parametrize("function", [numpy_style, sphinx_style, in_annotations])
def test_parameters_are_described_in_each_style_and_best_in_annotated(function: Callable[..., Any]) -> None:
    made = tool(function)

    assert made.description == "Look."
    properties = made.get_definition().parameters["properties"]
    assert {name: each["description"] for name, each in properties.items()} == {
        "city": "The city.",
        "days": "How many.",
    }


async def test_values_arrive_as_the_types_say_and_what_was_not_given_has_the_functions_own_default() -> None:
    seen: list[Any] = []
    unset = object()

    @tool
    async def take(  # noqa: PLR0917  # a model gives them by name
        point: Point, nested: Nested, order: Order, day: date, schema: Literal["a", "b"], either: int | list[Unit],
        rest: dict[str, float] | None = None, other: Any = unset,
    ) -> Order:  # fmt: skip
        seen.extend([point, nested, order, day, schema, either, rest, other])
        return order

    given = {
        "point": {"x": 1},
        "nested": {"options": {"plain": True}},
        "order": {"number": 7, "parts": [{"number": 8}]},
        "day": "2026-11-30",
        "schema": "b",
        "either": ["f"],
    }
    answer = await call(take, **given)

    assert answer.result == {"number": 7, "parts": [{"number": 8, "parts": []}]}
    order = Order(number=7, parts=[Order(number=8)])
    nested = {"options": {"plain": True}}
    assert seen == [Point(1), nested, order, date(2026, 11, 30), "b", [Unit.FAHRENHEIT], None, unset]
    assert "default" not in take.get_definition().parameters["properties"]["other"]
    # What a JSON Schema does not hold, the types do; the model is told.
    refused = await call(take, **given | {"day": "tomorrow"})
    assert refused.is_error
    assert refused.result.startswith("The arguments do not fit the tool: day: ")


async def test_the_context_is_given_and_not_shown_whatever_its_name_is() -> None:
    def first(ctx: ToolContext, context: str) -> str:
        return f"{ctx.user_id} {context}"

    with pytest.raises(InvalidRequest, match="a parameter context beside its ToolContext"):
        tool(first)

    @tool
    def second(ctx: ToolContext, word: str) -> str:
        return f"{ctx.user_id} {word}"

    @tool
    def third(context: str) -> str:
        return context

    assert list(second.get_definition().parameters["properties"]) == ["word"]
    assert (await call(second, word="hello")).result == "ada hello"
    assert (await call(third, context="of words")).result == "of words"


async def test_a_plain_function_runs_in_a_thread_and_a_coroutine_in_the_loop() -> None:
    @tool
    def plain() -> bool:
        return threading.current_thread() is threading.main_thread()

    @tool(timeout_s=0.05)
    async def slow() -> bool:
        await asyncio.sleep(60)
        return True

    class Counter:
        """Counts."""

        async def __call__(self, word: str) -> bool:
            return threading.current_thread() is threading.main_thread()

    assert (await call(plain)).result is False
    assert (await call(tool(name="count")(Counter()), word="a")).result is True
    assert (await call(slow)).result == "The tool did not finish within 0.05 s."


def bad_star(*words: str) -> None: ...
def bad_untyped(word) -> None: ...  # type: ignore[no-untyped-def]  # as beginners write them
def bad_slash(word: str, /) -> None: ...
def bad_type(word: str, lock: threading.Event) -> None: ...
def bad_name(word: "Unknown") -> None: ...  # type: ignore[name-defined]  # noqa: F821
def bad_yield(word: str) -> Any:
    yield word


@pytest.mark.parametrize(
    "function, sentence",
    [
        (bad_star, "The tool bad_star takes *words: a model gives arguments by name, so name each one."),
        (bad_untyped, "The parameter word of the tool bad_untyped has no type: write one, as in `word: str`."),
        (bad_slash, "The parameter word of the tool bad_slash cannot be given by name: drop the `/`."),
        (bad_type, "The parameter lock of the tool bad_type has a type that JSON cannot hold: Event."),
        (bad_name, "A type of the tool bad_name is not known when the tool is made: name 'Unknown' is not defined."),
        (bad_yield, "A tool gives one result: return it instead of yielding."),
        (Point, "A tool is made of a function, and <class"),
    ],
)
def test_what_no_model_can_call_is_refused_when_the_tool_is_made(function: Callable[..., Any], sentence: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        tool(function)
    assert str(refused.value).startswith(sentence)


def test_functions_are_registered_and_one_of_the_same_name_is_not_replaced_by_another() -> None:
    registry = ToolRegistry()
    registry.register(numpy_style)
    registry.register(numpy_style)
    assert isinstance(registry.get("numpy_style"), FunctionTool)

    with pytest.raises(InvalidRequest, match="There is another tool named numpy_style"):
        registry.register(tool(name="numpy_style")(sphinx_style))
    with pytest.raises(InvalidRequest, match=r"derived from Tool: FunctionTool\(\) instead of FunctionTool"):
        register_tool(FunctionTool)
    with pytest.raises(InvalidRequest, match="1 to 64 letters"):
        registry.register(lambda: None)


def test_calls_of_a_tool_that_asks_for_approval_wait_whatever_the_agent_says() -> None:
    @tool(approval="always", description="Pays.", name="pay")
    def spend(cents: int) -> None: ...

    registry = ToolRegistry([spend])

    assert spend.get_definition().description == "Pays."
    assert registry.choose(["pay", "calculator"]).approval == {"pay": Approval()}
    assert registry.choose([{"name": "pay", "approval": "never"}]).approval == {"pay": Approval()}
    assert registry.choose([{"name": "pay", "approval": "always", "expires_in_s": 5}]).approval == {"pay": Approval(5)}
    with pytest.raises(InvalidRequest, match='is "never" or "always", not \'sometimes\''):
        tool(approval="sometimes")(bad_star)  # type: ignore[call-overload]
    assert schema_of(lambda: None) == {"type": "object", "properties": {}, "additionalProperties": False}
