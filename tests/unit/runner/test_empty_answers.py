"""After a tool's result a model may have nothing to say: it is asked once more, and then the run is complete."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select

from ai_agents import ToolRegistry
from ai_agents.core.types import ModelEvent, ModelRequest, PartEnd, PartStart, ReasoningPart, ResponseEnd, Usage
from ai_agents.store.provider_tables import ModelCallTable
from ai_agents.testing import ScriptedProvider, tool_call
from tests.fakes.answers import Answer, Call, say
from tests.fakes.provider_server import FakeProviderServer
from tests.present import present
from tests.unit.runner.conftest import USER, MakeTalk, OpenThread
from tests.unit.runner.failing import CUT
from tests.unit.runner.test_ledger import calls
from tests.wire.requests import WIRES

CALLS = Answer([Call("counter", {"expression": "6*7"})], input_tokens=10, output_tokens=5)
NOTHING = Answer(input_tokens=20, output_tokens=0)


@pytest.mark.parametrize("wire", WIRES)
async def test_an_empty_answer_is_asked_for_once_more(
    wire: str, fake: FakeProviderServer, open_thread: OpenThread
) -> None:
    fake.script(wire, [CALLS, NOTHING, say("It is 42.", input_tokens=20, output_tokens=5)])
    thread = await open_thread(wire)

    outcome = await thread.ask()

    assert present(outcome.message)["content"] == "It is 42."
    assert (outcome.run["status"], outcome.run["attempt"], outcome.run["notices"]) == ("completed", 1, [])
    assert present(outcome.run["usage"])["input_tokens"] == 50
    ledger = await thread.conn.database.read(
        lambda c: c.execute(select(ModelCallTable.input_tokens, ModelCallTable.outcome)).all()
    )
    assert [tuple(row) for row in ledger] == [(10, "completed"), (20, "completed"), (20, "completed")]
    assert fake.requests[1].json == fake.requests[2].json
    assert thread.tool.ran == 1


@pytest.mark.parametrize("wire", WIRES)
async def test_two_empty_answers_end_the_run_with_a_notice_and_are_not_sent_again(
    wire: str, fake: FakeProviderServer, open_thread: OpenThread
) -> None:
    fake.script(wire, [CALLS, NOTHING, NOTHING])
    thread = await open_thread(wire)

    outcome = await thread.ask()
    again = await thread.ask("And now?")

    message = present(outcome.message)
    assert (message["content"], message["parts"], message["status"]) == ("", [], "completed")
    assert (outcome.run["status"], outcome.run["stop_reason"]) == ("completed", "end")
    assert outcome.run["notices"] == [{"code": "empty_answer"}]
    assert await thread.events(outcome.run["id"]) == [
        *("run.started", "message.completed", "tool.started", "tool.completed"),
        *("message.completed", "run.completed"),
    ]
    assert (again.run["status"], again.run["notices"]) == ("completed", [])
    assert len(fake.requests) == 4
    assert [request.refused for request in fake.requests] == [None] * 4
    shown = await thread.runner.context(thread.id, "ada")
    assert [each["reason"] for each in shown["left_out"]] == ["not_sendable"]


@pytest.mark.parametrize("wire", [wire for wire, word in CUT.items() if word])
async def test_an_empty_answer_that_used_up_its_tokens_is_a_cut(
    wire: str, fake: FakeProviderServer, open_thread: OpenThread
) -> None:
    fake.script(wire, [CALLS, Answer(stop=CUT[wire])])
    thread = await open_thread(wire)

    outcome = await thread.ask()

    assert present(outcome.run["error"])["code"] == "provider_truncated"
    assert len(fake.requests) == 2


async def test_readers_see_one_message_of_two_askings(make_talk: MakeTalk) -> None:
    talk = await make_talk([tool_call("calculator", expression="6*7")], [], ["It is ", "42."], tools=ToolRegistry())

    events = [event async for event in talk.runner.stream(talk.thread_id, USER, "What is it?")]

    assert [event.type for event in events].count("message.started") == 2
    assert "".join(map(str, events)) == "It is 42."
    offsets = [event.data["offset"] for event in events if event.type == "message.delta"]
    assert offsets[:1] == [0]
    assert [call["outcome"] for call in await calls(talk.conn)] == ["completed"] * 3


class Thinks(ScriptedProvider):
    """Has only thoughts after a tool's result."""

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """Thoughts, or the next answer of the script."""
        if request.messages[-1].role != "tool":
            async for event in super().stream(request):
                yield event
            return
        self.requests.append(request)
        yield PartStart(0, "reasoning")
        yield PartEnd(0, ReasoningPart("Nothing to add."))
        yield ResponseEnd("end", Usage(), "scripted")


@pytest.mark.parametrize("shown", ["none", "low"])
async def test_an_answer_of_reasoning_alone_is_not_empty(make_talk: MakeTalk, shown: str) -> None:
    provider = Thinks([tool_call("calculator", expression="6*7")])
    talk = await make_talk(scripted=provider, tools=ToolRegistry(), settings={"reasoning": shown})

    answer = await talk.runner.run(talk.thread_id, USER, "What is it?")

    assert answer["content"] == ""
    assert len(provider.requests) == 2
