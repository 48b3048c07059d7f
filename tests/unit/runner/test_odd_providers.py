"""Whatever a registered provider yields: a run ends whole, or with one clear error of its provider."""

import asyncio
import string
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ai_agents import AgentRunner, AgentStore, MessageStore, ThreadStore, ToolRegistry, connect
from ai_agents.core.exceptions import ProviderError, ProviderTruncated
from ai_agents.core.types import (
    ModelEvent,
    ModelMessage,
    ModelRequest,
    PartDelta,
    PartEnd,
    PartStart,
    ReasoningPart,
    ResponseEnd,
    TextPart,
    ToolCallPart,
    Usage,
)
from ai_agents.providers.base import Provider
from tests.present import present
from tests.unit.runner.conftest import USER, MakeTalk
from tests.unit.runner.failing import Counting

TEXT = [PartStart(0, "text"), PartDelta(0, "text", "Hello."), PartEnd(0, TextPart("Hello."))]
END = ResponseEnd("end", Usage(1, 1), "odd")
ASK = ModelRequest("odd", (ModelMessage("user", (TextPart("Hi"),)),))


class Odd(Provider):
    """Yields what it is given, for each request the next list; an exception among it is raised."""

    name = "odd"

    def __init__(self, *scripts: Sequence[Any]) -> None:
        super().__init__(model="odd")
        self.scripts = list(scripts)
        self.asked = 0

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """The next list."""
        script = self.scripts[min(self.asked, len(self.scripts) - 1)]
        self.asked += 1
        for item in script:
            await asyncio.sleep(0)
            if isinstance(item, Exception):
                raise item
            yield item


def call(tool_call_id: Any = "call_1", name: Any = "counter", arguments: Any = None, **facts: Any) -> list[ModelEvent]:
    return [PartStart(0, "tool_call"), PartEnd(0, ToolCallPart(tool_call_id, name, arguments or {}, **facts))]


BROKEN: dict[str, list[Any]] = {
    "no end": TEXT,
    "two ends": [*TEXT, END, END],
    "a part after the end": [*TEXT, END, *TEXT],
    "a piece of no part": [PartDelta(0, "text", "Hello."), END],
    "a piece of another part": [TEXT[0], PartDelta(1, "text", "Hello."), END],
    "a piece of another kind": [TEXT[0], PartDelta(0, "reasoning", "Hello."), END],
    "an end of no part": [PartEnd(0, TextPart("Hello.")), END],
    "a part that another ends": [TEXT[0], PartEnd(0, ReasoningPart("Hello.")), END],
    "another text at the end": [*TEXT[:2], PartEnd(0, TextPart("Goodbye.")), END],
    "a part that does not end": [*TEXT[:2], END],
    "a part within a part": [TEXT[0], PartStart(1, "text"), *TEXT[1:], END],
    "parts in another order": [PartStart(1, "text"), PartEnd(1, TextPart("Hello.")), END],
    "nothing": [],
    "an end alone": [END],
    "no event": [*TEXT, {"type": "end"}, END],
    "None": [None],
    "a text that is none": [TEXT[0], PartDelta(0, "text", 1), END],  # type: ignore[arg-type]  # odd on purpose
    "a reason that is none": [*TEXT, ResponseEnd("eos", Usage(), "odd")],  # type: ignore[arg-type]
    "a call that does not come": [*TEXT, ResponseEnd("tool_use", Usage(), "odd")],
    "a call without a name": [*call(name=None), END],
    "its own mistake": [TEXT[0], KeyError("choices")],
    "its own mistake at once": [ZeroDivisionError()],
}


@pytest.mark.parametrize("name", BROKEN)
async def test_events_out_of_order_fail_the_run_as_an_error_of_the_provider(name: str, make_talk: MakeTalk) -> None:
    provider = Odd(BROKEN[name])
    tool = Counting()
    talk = await make_talk(scripted=provider, tools=ToolRegistry([tool]))

    started = await talk.runner.start(talk.thread_id, USER, "Hello!")
    outcome = await talk.runner.wait(talk.thread_id, started.run["id"])

    assert present(outcome.run["error"])["code"] in {"provider_truncated", "provider_error"}
    assert present(outcome.run["error"])["detail"].startswith("odd ")
    assert outcome.message is None
    assert tool.ran == 0
    reader = present(await talk.runner.read_run(talk.thread_id, started.run["id"]))
    assert [event.type async for event in reader.events()].count("run.failed") == 1


async def test_a_whole_answer_after_a_broken_one_is_the_answer(make_talk: MakeTalk) -> None:
    talk = await make_talk(scripted=Odd([*TEXT[:2], END], [*TEXT, END]))

    answer = await talk.runner.run(talk.thread_id, USER, "Hello!")

    assert answer["content"] == "Hello."


async def test_what_can_be_read_of_odd_values_is_kept(make_talk: MakeTalk) -> None:
    thought = ReasoningPart("a\0b\ud83d", origin={"cipher": {1, 2}})
    text = [PartStart(1, "text"), PartDelta(1, "text", "Hi\ud83d"), PartEnd(1, TextPart("Hi\ud83d there\0"))]
    end = ResponseEnd("end", None, 7)  # type: ignore[arg-type]  # odd on purpose
    talk = await make_talk(
        scripted=Odd([PartStart(0, "reasoning"), PartEnd(0, thought), *text, end]), settings={"reasoning": "low"}
    )

    answer = await talk.runner.run(talk.thread_id, USER, "Hello!")

    assert answer["content"] == "Hi\ufffd there\ufffd"
    assert answer["parts"][0] == {"type": "reasoning", "text": "a\ufffdb\ufffd"}
    assert present(answer["usage"])["input_tokens"] is None


@pytest.mark.parametrize("tool_call_id", ["call_1", "", None, 7, "x" * 100])
async def test_a_call_with_an_odd_or_repeated_id_is_made_under_one_of_its_own(
    tool_call_id: Any, make_talk: MakeTalk
) -> None:
    round_ = [*call(tool_call_id), ResponseEnd("tool_use", Usage(1, 1), "odd")]
    tool = Counting()
    talk = await make_talk(scripted=Odd(round_, round_, [*TEXT, END]), tools=ToolRegistry([tool]))

    answer = await talk.runner.run(talk.thread_id, USER, "Hello!")

    history = (await MessageStore(talk.conn).list(talk.thread_id))["data"]
    ids = [part["tool_call_id"] for message in history for part in message["parts"] if part["type"] == "tool_result"]
    assert answer["content"] == "Hello."
    assert len(set(ids)) == tool.ran == 2


async def test_a_call_with_arguments_that_are_no_object_is_not_made(make_talk: MakeTalk) -> None:
    tool = Counting()
    odd = [*call(arguments=["6*7"]), ResponseEnd("tool_use", Usage(1, 1), "odd")]
    talk = await make_talk(scripted=Odd(odd, [*TEXT, END]), tools=ToolRegistry([tool]))

    await talk.runner.run(talk.thread_id, USER, "Hello!")

    assert tool.ran == 0


async def test_a_model_call_beside_a_run_fails_in_the_same_way() -> None:
    with pytest.raises(ProviderTruncated, match="odd began a part out of order"):
        await Odd(BROKEN["parts in another order"]).complete(ASK)
    with pytest.raises(ProviderError, match="an error of its own code"):
        await Odd([KeyError()]).complete(ASK)


texts = st.text(st.sampled_from(string.ascii_letters + "\0\ud83d\ude00é"), max_size=3)
indexes = st.integers(0, 2)
kinds = st.sampled_from(["text", "reasoning", "tool_call", "image"])
arguments = st.one_of(st.none(), st.just({"expression": "1"}), st.just({"n": 2**70}), st.just(["a"]))
parts = st.one_of(
    st.builds(TextPart, texts),
    st.builds(ReasoningPart, texts, st.sampled_from([None, {"a": 1}, {"a": {1}}])),
    st.builds(ToolCallPart, st.sampled_from(["call_1", "", None]), st.sampled_from(["counter", "no", None]), arguments),
)
usages = st.one_of(st.none(), st.builds(Usage, st.sampled_from([None, 1, -1, "12", 1.5])))
events = st.one_of(
    st.builds(PartStart, indexes, kinds),
    st.builds(PartDelta, indexes, kinds, texts),
    st.builds(PartEnd, indexes, parts),
    st.builds(ResponseEnd, st.sampled_from(["end", "tool_use", "max_tokens", "refusal", "eos", None]), usages, texts),
    st.sampled_from([None, 1, "text", {}]),
    st.builds(lambda part: [PartStart(0, part.type), PartEnd(0, part)], parts),
    st.just([*TEXT, END]),
)
scripts = st.lists(st.lists(events, max_size=6), min_size=1, max_size=3)


@given(scripts=scripts)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_events_end_a_run_whole_or_by_an_error_of_the_provider(sqlite_url: str, scripts: list[list[Any]]) -> None:
    flat = [[each for item in script for each in (item if isinstance(item, list) else [item])] for script in scripts]

    async def ask() -> None:
        conn = await connect(sqlite_url)
        try:
            runner = AgentRunner(conn, provider=Odd(*flat), tools=ToolRegistry([Counting()]))
            agent = await AgentStore(conn).create(name="odd", tools=["counter"])
            thread = await ThreadStore(conn).create(agent_id=agent["id"], owner_id=USER)
            started = await runner.start(thread["id"], USER, "Hello!")
            async with asyncio.timeout(60):
                run = (await runner.wait(thread["id"], started.run["id"])).run
            codes = {"provider_truncated", "provider_error", "provider_rejected", "tool_loop_limit"}
            assert run["status"] == "completed" or present(run["error"])["code"] in codes
        finally:
            await conn.close(grace_s=0)

    asyncio.run(ask())
