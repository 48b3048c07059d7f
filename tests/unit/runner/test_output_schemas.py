"""An agent with an output schema answers in its form, or not at all."""

import orjson
import pytest

from ai_agents import ThreadStore
from ai_agents.core.exceptions import InvalidOutput, ProviderError, ProviderTruncated
from ai_agents.core.types import TextPart
from ai_agents.store.agents import UncheckedAgents
from ai_agents.testing import tool_call
from ai_agents.tools.registry import ToolRegistry
from tests.fakes.answers import Raw, say
from tests.fakes.provider_server import FakeProviderServer
from tests.present import present
from tests.unit.runner.conftest import USER, MakeTalk, OpenThread
from tests.unit.runner.failing import begun
from tests.wire.requests import WIRES

SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer", "minimum": 1}},
    "required": ["n"],
    "additionalProperties": False,
}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Schemas do not depend on the database."""
    return sqlite_url


async def test_an_answer_that_fits_the_schema_ends_the_run(make_talk: MakeTalk) -> None:
    talk = await make_talk('{"n": 42}', output_schema=SCHEMA)

    answer = await talk.runner.run(talk.thread_id, USER, "How many?")

    assert orjson.loads(answer["content"]) == {"n": 42}
    assert talk.provider.requests[0].output_schema == SCHEMA


@pytest.mark.parametrize(
    "wrong, told",
    [
        ("It is 42.", "The answer is not JSON."),
        ('```json\n{"n": 42}\n```', "The answer is not JSON."),
        ('{"n": 0}', "The answer does not fit the output schema: at $.n: 0 is less than the minimum of 1."),
        ("[42]", "The answer does not fit the output schema: at $: [42] is not of type"),
        (" ", "The answer is not JSON."),
    ],
)
async def test_an_answer_that_does_not_fit_is_void_and_corrected(wrong: str, told: str, make_talk: MakeTalk) -> None:
    talk = await make_talk(wrong, '{"n": 42}', output_schema=SCHEMA)

    events = [event async for event in talk.runner.stream(talk.thread_id, USER, "How many?")]

    retrying = next(event for event in events if event.type == "run.retrying")
    assert (retrying.data["reason"], retrying.data["attempt"]) == ("invalid_output", 2)
    begun_ids = [event.data["message_id"] for event in events if event.type == "message.started"]
    assert retrying.data["discard"] == begun_ids[:1]
    answer = next(event.message for event in events if event.type == "message.completed")
    assert answer is not None
    assert answer["content"] == '{"n": 42}'
    *_, correction = talk.provider.requests[1].messages
    (part,) = correction.parts
    assert isinstance(part, TextPart)
    assert part.text.startswith(told)
    usage = events[-1].data["run"]["usage"]
    assert (usage["input_tokens"], usage["output_tokens"], "estimated" in usage) == (20, 10, False)


async def test_three_answers_that_do_not_fit_fail_the_run(make_talk: MakeTalk) -> None:
    talk = await make_talk("one", "two", "three", "back again", output_schema=SCHEMA)

    with pytest.raises(ProviderError, match="do not fit the agent's output schema") as caught:
        await talk.runner.run(talk.thread_id, USER, "How many?")

    assert caught.value.code == "provider_error"
    assert len(talk.provider.requests) == 3


async def test_tools_are_not_offered_for_the_correction_of_an_answer(make_talk: MakeTalk) -> None:
    talk = await make_talk(
        ["Let me see.", tool_call("calculator", expression="6*7")],
        "It is 42.",
        '{"n": 42}',
        tools=ToolRegistry(),
        output_schema=SCHEMA,
    )

    answer = await talk.runner.run(talk.thread_id, USER, "How many?")

    assert answer["content"] == '{"n": 42}'
    assert [bool(request.tools) for request in talk.provider.requests] == [True, True, False]


async def test_a_cut_answer_is_never_kept_in_place_of_one_that_fits(make_talk: MakeTalk) -> None:
    cut = ['{"n": ', ProviderTruncated()]
    talk = await make_talk(cut, '{"n": 42}', output_schema=SCHEMA, settings={"on_cut": "keep"})

    answer = await talk.runner.run(talk.thread_id, USER, "How many?")

    assert (answer["content"], answer["status"]) == ('{"n": 42}', "completed")


async def test_an_invalid_schema_fails_the_run(make_talk: MakeTalk) -> None:
    talk = await make_talk("anything")
    agent_id = (await ThreadStore(talk.conn).get(talk.thread_id))["agent_id"]
    # As a version before stored it.
    await UncheckedAgents(talk.conn).update(agent_id, {"output_schema": {"type": "array"}})

    started = await talk.runner.start(talk.thread_id, USER, "Hello!")
    outcome = await talk.runner.wait(talk.thread_id, started.run["id"])

    assert present(outcome.run["error"])["code"] == "invalid_request"
    assert not talk.provider.requests


def test_an_invalid_output_is_a_failure_of_the_provider() -> None:
    error = InvalidOutput("The answer is not JSON.")

    assert (error.code, error.reason) == ("provider_error", "invalid_output")


@pytest.mark.parametrize("wire", WIRES)
async def test_every_provider_gets_a_correction(wire: str, fake: FakeProviderServer, open_thread: OpenThread) -> None:
    fake.script(wire, [say("It is 42."), Raw(begun(wire), end="reset"), say('{"n": 42}')])
    thread = await open_thread(wire, output_schema=SCHEMA)

    outcome = await thread.ask()

    assert outcome.message is not None
    assert orjson.loads(outcome.message["content"]) == {"n": 42}
    assert [request.refused for request in fake.requests] == [None] * 3


async def test_a_refusal_is_no_answer_to_a_schema(fake: FakeProviderServer, open_thread: OpenThread) -> None:
    fake.script("anthropic", [say("I will not.", stop="refusal")])
    thread = await open_thread("anthropic", output_schema=SCHEMA)

    outcome = await thread.ask()

    assert (outcome.run["status"], present(outcome.run["error"])["code"]) == ("failed", "provider_error")
    assert "refused" in present(outcome.run["error"])["detail"]
    assert len(fake.requests) == 1
