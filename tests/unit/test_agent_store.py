"""What `AgentStore` refuses, with the names that there are, and what it warns of."""

import asyncio
import re
import warnings
from typing import Any

import pytest
from pydantic import ValidationError

from ai_agents import (
    AgentRunner,
    AgentStore,
    DatabaseHandle,
    NotRegistered,
    ProviderPool,
    Tool,
    ToolRegistry,
    connect,
    get_memory_strategy,
    get_provider,
    register_provider,
    tool,
)
from ai_agents.context.agent_checks import SETTINGS, check_agent
from ai_agents.core.exceptions import InvalidRequest
from ai_agents.store.agents import DEFAULTS
from ai_agents.testing import ScriptedProvider
from ai_agents.tools.registry import default_registry
from app.schemas.agents import AgentFields, AgentSettings

pytestmark = pytest.mark.usefixtures("own_registries")


@tool
def weather(city: str) -> str:
    """Tells the weather."""
    return city


class Plain(Tool):
    name = "plain"

    def execute(self) -> str:
        return "done"


REFUSED: list[tuple[dict[str, Any], str]] = [
    (
        {"settings": {"temprature": 1}},
        r"There is no setting 'temprature'; there are temperature, .* Did you mean temp",
    ),
    ({"settings": {"temperature": 3}}, "The setting temperature is a number from 0 to 2, not 3"),
    ({"settings": {"max_tokens": "many"}}, "The setting max_tokens is a whole number from 1 to 10000000, not 'many'"),
    ({"settings": {"reasoning": "hard"}}, "The setting reasoning is one of none, low, medium, high, not 'hard'"),
    ({"settings": ["temperature"]}, "The settings of an agent are a dict, not an object of list"),
    (
        {"memory": "last_n"},
        r'is a dict such as {"strategy": "last_n", "n": 20}, not \'last_n\'. The strategies are: fir',
    ),
    ({"memory": get_memory_strategy("last_n")}, "not an object of LastN"),
    ({"memory": {"strategy": "lastn"}}, "There is no memory strategy of this name; there are first_last, last_n"),
    ({"memory": {"strategy": "last_n", "m": 3}}, "The memory strategy last_n takes: n, step"),
    (
        {"provider": get_provider("echo")},
        r'is a text, such as "anthropic"; an object goes to AgentRunner, not an object',
    ),
    ({"system_prompt": 5}, "The system_prompt of an agent is a text, not 5"),
    ({"tools": "calculator"}, "The tools of an agent are a list, not 'calculator'"),
    ({"tools": [5]}, "A tool of an agent is a name, .* or a tool, not 5"),
    ({"tools": [Plain]}, r"derived from Tool: Plain\(\) instead of Plain"),
    ({"tools": ["calculator", "calculator"]}, "The agent names the tool calculator twice"),
    (
        {"tools": [{"name": "calculator", "aproval": "always"}]},
        "no field of a tool 'aproval'; .* Did you mean approval?",
    ),
    ({"tools": [{"name": "calculator", "approval": True}]}, 'The approval of a tool is "never" or "always", not True'),
    ({"guardrails": [{"type": "piii"}]}, "There is no guardrail of this type; there are blocklist, "),
    ({"guardrails": ["pii"]}, "A guardrail of an agent is a dict such as"),
    ({"guardrails": [{"type": "blocklist", "patterns": ["/(/"]}]}, "."),
    ({"fallbacks": ["openai"]}, 'A fallback of an agent is {"provider": "…", "model": "…"}'),
    ({"output_schema": {"type": "string"}}, 'is not of type "object"'),
    ({"budget": {"tokens": 5}}, "A budget has tokens_per_day and cost_per_day"),
    ({"name": ""}, "An agent has a name"),
]


@pytest.fixture
async def conn(sqlite_url: str) -> Any:
    async with connect(sqlite_url) as handle:
        yield handle


async def test_what_cannot_be_an_agent_is_refused_when_it_is_made_and_when_it_is_changed(conn: DatabaseHandle) -> None:
    agents = AgentStore(conn)
    agent = await agents.create("a")

    for fields, sentence in REFUSED:
        with pytest.raises(InvalidRequest, match=sentence):
            await agents.create(**{"name": "a", **fields})
        with pytest.raises(InvalidRequest, match=sentence):
            await agents.update(agent["id"], fields)
    with pytest.raises(InvalidRequest, match=r"no field of an agent 'system_promt'; .* Did you mean system_prompt\?"):
        await agents.update(agent["id"], {"system_promt": "Hello"})

    assert await agents.get(agent["id"]) == agent


async def test_tools_and_functions_among_the_tools_are_registered(conn: DatabaseHandle) -> None:
    def untyped_name(word: str) -> str:
        return word

    agent = await AgentStore(conn).create("a", tools=[weather, Plain(), untyped_name, {"name": "calculator"}])

    assert agent["tools"] == ["weather", "plain", "untyped_name", {"name": "calculator"}]
    assert default_registry.get("weather") is weather
    assert (await AgentStore(conn).update(agent["id"], {"tools": [weather]}))["tools"] == ["weather"]


async def test_unknown_tools_and_providers_are_warned_of_where_they_are_named(conn: DatabaseHandle) -> None:
    agents = AgentStore(conn)
    with pytest.warns(NotRegistered) as told:
        await agents.create(
            "a", provider="mine", tools=["calculator", "later"], fallbacks=[{"provider": "spare", "model": "m"}]
        )
    assert [str(each.message).partition(" is not")[0] for each in told] == [
        "The agent's provider 'mine'", "The agent's provider 'spare'", "The agent's tool 'later'",
    ]  # fmt: skip
    assert "There are: anthropic, echo, gemini, ollama, openai." in str(told[0].message)
    assert re.search(r"There are: calculator\. Others come by register_tool", str(told[2].message))
    assert {each.filename for each in told} == {__file__}

    register_provider("mine", ScriptedProvider)
    pool = ProviderPool()
    pool.add(ScriptedProvider())
    AgentRunner(conn, providers=pool, tools=ToolRegistry([Plain()]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        agent = await agents.create("a", provider="mine", tools=["plain"])
        await agents.update(agent["id"], {"provider": "scripted"})
    with pytest.warns(NotRegistered, match="'other'"):
        await agents.update(agent["id"], {"provider": "other"})


def test_the_library_and_the_service_take_the_same_fields_and_settings() -> None:
    assert set(DEFAULTS) == set(AgentFields.model_fields)
    assert set(SETTINGS) == set(AgentSettings.model_fields)
    values: list[Any] = [
        None, True, 0, 1, 2, 0.5, 2.5, -1, 100, 101, 600, 601, 10_000_000, 10_000_001, 1e9, "", "low", "none", "keep",
        "retry", "chat", "responses", "x", [], ["x"], [""], ["x" * 201], ["x"] * 17, [1], {},
    ]  # fmt: skip
    for name in SETTINGS:
        for value in values:
            if name == "stop" and isinstance(value, str):
                continue  # one text alone is for the library's users
            assert _takes(name, value) == _service_takes(name, value), (name, value)


def _takes(name: str, value: Any) -> bool:
    try:
        check_agent({"settings": {name: value}}, ("settings",))
    except InvalidRequest:
        return False
    return True


def _service_takes(name: str, value: Any) -> bool:
    try:
        AgentSettings.model_validate({name: value})
    except ValidationError:
        return False
    return True


def test_a_new_agent_is_made_in_a_script() -> None:
    async def main() -> str:
        async with connect("sqlite://") as conn:
            return (await AgentStore(conn).create("a"))["name"]

    assert asyncio.run(main()) == "a"
