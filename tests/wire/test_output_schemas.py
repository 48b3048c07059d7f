"""Requests for answers that fit a schema, for each provider."""

from typing import Any

import pytest

from ai_agents.core.exceptions import ProviderRejected
from ai_agents.core.types import JsonObject
from tests.fakes.answers import Raw, say
from tests.fakes.provider_server import FakeProviderServer
from tests.wire.conftest import Connect
from tests.wire.requests import CALCULATOR, WIRES, ask, sent

CLOSED = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}
BOUND = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}}
OPEN = {"type": "object"}


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("schema", [CLOSED, BOUND, OPEN], ids=["closed", "bound", "open"])
@pytest.mark.parametrize("tools", [(), (CALCULATOR,)], ids=["without tools", "with tools"])
async def test_accepted(wire: str, schema: JsonObject, tools: Any, fake: FakeProviderServer, connect: Connect) -> None:
    """Every provider takes every schema."""
    await connect(wire).complete(ask(wire, output_schema=schema, tools=tools))

    assert fake.requests[0].refused is None


@pytest.mark.parametrize(
    "model, schema, native",
    [
        ("claude-sonnet-5", CLOSED, True),
        ("claude-haiku-4-5", CLOSED, True),
        ("claude-sonnet-5", OPEN, False),
        ("claude-sonnet-4-20250514", CLOSED, False),
        ("another-model", CLOSED, False),
    ],
)
def test_claude_is_sent_the_schema_or_asked_in_words(model: str, schema: dict[str, Any], native: bool) -> None:
    payload = sent("anthropic", ask("anthropic", model=model, output_schema=schema, system="Be brief."))

    assert ("format" in payload.get("output_config", {})) is native
    assert ("JSON Schema" in payload["system"][0]["text"]) is not native
    assert payload["system"][0]["text"].startswith("Be brief.")


def test_effort_and_schema_can_be_sent_together() -> None:
    request = ask("anthropic", model="claude-opus-5-5", output_schema=CLOSED, settings={"reasoning": "high"})

    form = {"type": "json_schema", "schema": CLOSED}
    assert sent("anthropic", request)["output_config"] == {"effort": "high", "format": form}


@pytest.mark.parametrize("schema, strict", [(CLOSED, True), (BOUND, False)])
def test_openai_is_strict_where_the_schema_allows_it(schema: dict[str, Any], strict: bool) -> None:
    chat = sent("openai", ask("openai", output_schema=schema))
    responses = sent("responses", ask("responses", output_schema=schema))

    form = {"name": "answer", "strict": strict, "schema": schema}
    assert chat["response_format"] == {"type": "json_schema", "json_schema": form}
    assert responses["text"] == {"format": {"type": "json_schema", **form}}


@pytest.mark.parametrize("model", ["gpt-4", "gpt-3.5-turbo", "deepseek-chat"])
def test_old_models_are_asked_in_words(model: str) -> None:
    payload = sent("openai", ask("openai", model=model, output_schema=CLOSED))

    assert "response_format" not in payload
    assert "JSON Schema" in payload["messages"][0]["content"]


async def test_a_server_without_schemas_is_asked_in_words(fake: FakeProviderServer, connect: Connect) -> None:
    fake.script("openai", [Raw([], status=400), say('{"n": 1}'), say('{"n": 2}')])
    provider = connect("openai")

    for number in (1, 2):
        response = await provider.complete(ask("openai", model="llama", output_schema=CLOSED))
        assert response.text == f'{{"n": {number}}}'

    assert ["response_format" in request.json for request in fake.requests] == [True, False, False]


async def test_what_openai_itself_refuses_is_refused(fake: FakeProviderServer, connect: Connect) -> None:
    fake.script("openai", [Raw([], status=400)])

    with pytest.raises(ProviderRejected):
        await connect("openai").complete(ask("openai", output_schema=CLOSED))

    assert len(fake.requests) == 1


def test_ollama_is_sent_the_schema_where_no_tools_are_offered() -> None:
    bound = sent("ollama", ask("ollama", output_schema=CLOSED))
    asked = sent("ollama", ask("ollama", output_schema=CLOSED, tools=(CALCULATOR,)))

    assert bound["format"] == CLOSED
    assert "format" not in asked
    assert "JSON Schema" in bound["messages"][0]["content"] == asked["messages"][0]["content"]
