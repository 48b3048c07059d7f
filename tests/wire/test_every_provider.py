"""What holds for every provider behind HTTP and every wire format."""

import asyncio
import gzip
from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import pytest

from ai_agents.core.exceptions import ProviderTruncated, UnknownFinishReason
from ai_agents.core.types import (
    ModelMessage,
    PartDelta,
    PartEnd,
    PartStart,
    ReasoningPart,
    ResponseEnd,
    TextPart,
    ToolCallPart,
    ToolDefinition,
    ToolResultPart,
    Usage,
)
from ai_agents.providers.base import Provider
from ai_agents.providers.quirks import Quirks
from ai_agents.providers.registry import get_provider
from tests.fakes.answers import Answer, Raw, Text, call, say, split
from tests.fakes.provider_server import FakeProviderServer
from tests.wire.any_answers import EVERYTHING, UNICODE, bytes_of, without_ids
from tests.wire.conftest import Connect
from tests.wire.requests import CALCULATOR, MODELS, WIRES, ask, provider_of, user

pytestmark = pytest.mark.parametrize("name", WIRES)


async def test_text_arrives_as_it_was_said(name: str, fake: FakeProviderServer, connect: Connect) -> None:
    fake.script(name, [say(*UNICODE)])

    events = [event async for event in connect(name).stream(ask(name))]

    assert events[0] == PartStart(0, "text")
    # What arrives together is one delta.
    assert "".join(event.text for event in events if isinstance(event, PartDelta)) == "".join(UNICODE)
    assert events[-2] == PartEnd(0, TextPart("".join(UNICODE)))
    end = events[-1]
    assert isinstance(end, ResponseEnd)
    assert (end.stop_reason, end.model) == ("end", MODELS[name])
    assert (end.usage.input_tokens, end.usage.output_tokens, end.usage.estimated) == (11, 7, False)


async def test_a_whole_answer_equals_the_streamed_one(name: str, fake: FakeProviderServer, connect: Connect) -> None:
    fake.script(name, [EVERYTHING, EVERYTHING])
    provider = connect(name)

    streamed: dict[int, str] = {}
    ends: dict[int, PartEnd] = {}
    async for event in provider.stream(ask(name, tools=(CALCULATOR,))):
        if isinstance(event, PartDelta):
            streamed[event.index] = streamed.get(event.index, "") + event.text
        elif isinstance(event, PartEnd):
            ends[event.index] = event
    whole = await provider.complete(ask(name, tools=(CALCULATOR,)))

    assert list(ends) == list(range(4))
    for index, end in ends.items():
        if isinstance(end.part, TextPart | ReasoningPart):
            assert end.part.text == streamed[index]
    parts = tuple(end.part for end in ends.values())
    assert without_ids(replace(whole, parts=parts)) == without_ids(whole)


async def test_bytes_may_come_one_by_one(name: str, fake: FakeProviderServer, connect: Connect) -> None:
    body = bytes_of(name, EVERYTHING)
    fake.script(name, [Raw([body]), Raw(list(split(body)))])
    provider = connect(name)

    at_once = await provider.complete(ask(name))
    one_by_one = await provider.complete(ask(name))

    assert without_ids(one_by_one) == without_ids(at_once)
    assert at_once.text == "".join(UNICODE)


async def test_calls_with_equal_ids_stay_distinct(name: str, fake: FakeProviderServer, connect: Connect) -> None:
    fake.script(name, [EVERYTHING])

    response = await connect(name).complete(ask(name, tools=(CALCULATOR,)))

    assert response.stop_reason == "tool_use"
    first, second = response.tool_calls
    assert first.tool_call_id != second.tool_call_id
    assert first.arguments == {"expression": "6*7"}
    assert second.arguments == {"expression": "„7“ + 1", "deep": {"list": [1, 2.5, None, True]}}


async def test_a_calls_result_leads_to_an_answer(name: str, fake: FakeProviderServer, connect: Connect) -> None:
    provider = connect(name)
    question = user("Please calculate six times seven.")

    asked = await provider.complete(ask(name, question, tools=(CALCULATOR,)))
    (wish,) = asked.tool_calls
    result = ModelMessage("tool", (ToolResultPart(wish.tool_call_id, wish.name, "42"),))
    answer = await provider.complete(
        ask(name, question, ModelMessage("assistant", asked.parts), result, tools=(CALCULATOR,))
    )

    assert (wish.name, wish.arguments) == ("calculator", {"expression": "6*7"})
    assert answer.text == "The result is 42."
    assert [request.refused for request in fake.received(name)] == [None, None]


async def test_a_tool_of_any_name_can_be_called(name: str, fake: FakeProviderServer, connect: Connect) -> None:
    tools = (replace(CALCULATOR, name="files/read"), replace(CALCULATOR, name="files_read"))
    fake.script(name, [call("files_read"), call("files_read_2"), call("made up")])
    provider = connect(name)

    called = [(await provider.complete(ask(name, tools=tools))).tool_calls[0].name for _ in range(3)]

    assert called == ["files/read", "files_read", "made up"]


async def test_a_thread_moves_from_provider_to_provider(name: str, fake: FakeProviderServer, connect: Connect) -> None:
    messages: list[ModelMessage] = []
    for number, other in enumerate((*WIRES, name)):
        fake.script(other, [EVERYTHING, say("Done.")])
        provider = connect(other)
        messages.append(user(f"Question {number}"))
        asked = await provider.complete(ask(other, *messages, tools=(CALCULATOR,), settings={"reasoning": "low"}))
        messages.append(ModelMessage("assistant", asked.parts))
        messages += [
            ModelMessage("tool", (ToolResultPart(wish.tool_call_id, wish.name, {"value": 42}),))
            for wish in asked.tool_calls
        ]
        answer = await provider.complete(ask(other, *messages, tools=(CALCULATOR,), settings={"reasoning": "low"}))
        messages.append(ModelMessage("assistant", answer.parts))

    assert [request.refused for request in fake.requests] == [None] * 2 * (len(WIRES) + 1)


async def test_successive_requests_share_a_connection(name: str, fake: FakeProviderServer, connect: Connect) -> None:
    provider = connect(name)

    for _ in range(5):
        await provider.complete(ask(name))

    assert fake.connections == 1


async def test_first_streams_share_one_transport(name: str, fake: FakeProviderServer, connect: Connect) -> None:
    provider = connect(name)
    # How many transports were made is not to be seen from outside.
    build = Mock(side_effect=provider._build)  # type: ignore[attr-defined]  # every provider behind HTTP has it
    setattr(provider, "_build", build)  # noqa: B010  # an assignment would need the type
    fake.script(name, [say(f"answer {number} ", "to ", "somebody") for number in range(40)])

    responses = await asyncio.gather(*(provider.complete(ask(name)) for _ in range(40)))

    assert build.call_count == 1
    assert sorted(response.text for response in responses) == sorted(f"answer {n} to somebody" for n in range(40))


async def test_an_answer_that_a_proxy_compressed_is_read(name: str, fake: FakeProviderServer, connect: Connect) -> None:
    packed = gzip.compress(bytes_of(name, say("Hello")))
    fake.script(name, [Raw([packed], headers={"content-encoding": "gzip"})])

    response = await connect(name).complete(ask(name))

    assert response.text == "Hello"
    assert fake.received(name)[0].headers["accept-encoding"] == "identity"


async def test_unsafe_characters_are_cleaned(name: str, fake: FakeProviderServer, connect: Connect) -> None:
    body = bytes_of(name, say("a?b", "c", "d"))
    body = body.replace(b"a?b", rb"a\u0000b\ud83d").replace(b'"c"', rb'"\ude00c\ud83d"')
    fake.script(name, [Raw([body])])

    response = await connect(name).complete(ask(name))

    assert response.text == "a\ufffdb😀c\ufffdd"


async def test_lone_surrogates_are_replaced(name: str, fake: FakeProviderServer, connect: Connect) -> None:
    await connect(name).complete(ask(name, user("broken \ud83d here")))

    assert "broken \ufffd here" in str(fake.received(name)[0].json)


async def test_the_default_model_is_used(name: str, fake: FakeProviderServer, connect: Connect) -> None:
    response = await connect(name, model=MODELS[name]).complete(ask(name, model=""))

    assert fake.received(name)[0].model == MODELS[name]
    assert response.model == MODELS[name]


async def test_a_first_answer_of_nothing_is_a_cut(name: str, fake: FakeProviderServer, connect: Connect) -> None:
    fake.script(name, [Answer([Text([""])]), Answer()])
    provider = connect(name, max_retries=0)

    for _ in range(2):
        with pytest.raises(ProviderTruncated, match="an empty answer"):
            await provider.complete(ask(name))


async def test_the_answer_to_a_tools_result_may_be_empty(name: str, fake: FakeProviderServer, connect: Connect) -> None:
    fake.script(name, [Answer()])
    asked = ModelMessage("assistant", (ToolCallPart("call_1", "calculator", {}),))
    result = ModelMessage("tool", (ToolResultPart("call_1", "calculator", "42"),))

    response = await connect(name).complete(ask(name, user(), asked, result, tools=(CALCULATOR,)))

    assert (response.parts, response.stop_reason) == ((), "end")


async def test_a_reason_that_is_not_known_is_a_cut_that_names_the_quirk(
    name: str, fake: FakeProviderServer, connect: Connect
) -> None:
    fake.script(name, [say("Hi", stop="Eos_Token")] * 3)

    with pytest.raises(UnknownFinishReason, match=r'finish_reasons \{"eos_token": "stop"\}'):
        await connect(name, max_retries=0).complete(ask(name))

    taught = connect(name, quirks=Quirks.from_dict({"finish_reasons": {"eos_token": "stop"}}))
    assert (await taught.complete(ask(name))).stop_reason == "end"


async def test_the_same_unknown_reason_twice_running_ends_the_tries(
    name: str, fake: FakeProviderServer, connect: Connect
) -> None:
    fake.script(name, [Answer(stop="eos_token")] * 3)

    with pytest.raises(UnknownFinishReason):
        await connect(name, max_retries=2).complete(ask(name))

    assert len(fake.received(name)) == 2


async def test_a_call_that_is_announced_and_does_not_come_is_a_cut(
    name: str, fake: FakeProviderServer, connect: Connect
) -> None:
    words = {"anthropic": "tool_use", "openai": "tool_calls", "responses": "tool_calls", "ollama": "tool_calls"}
    words["gemini"] = "MALFORMED_FUNCTION_CALL"
    fake.script(name, [say("Hi", stop=words[name])])

    with pytest.raises(ProviderTruncated):
        await connect(name, max_retries=0).complete(ask(name))


def test_a_provider_outlives_its_event_loop(name: str) -> None:
    provider: list[Provider] = []

    async def turn(*, last: bool) -> str:
        async with FakeProviderServer(port=ports[-1] if ports else 0) as fake:
            ports.append(fake.port)
            if not provider:
                options: dict[str, Any] = {} if name == "ollama" else {"api_key": "a-key"}
                provider.append(get_provider(provider_of(name), base_url=fake.base_url(name), **options))
            text = (await provider[0].complete(ask(name))).text
            # The connections of a loop are closed with it: those of the first one by its own client.
            transport = provider[0]._transport  # type: ignore[attr-defined]  # there is no other way to it
            await transport.aclose()
            if last:
                await provider[0].aclose()
            return text

    ports: list[int] = []
    assert asyncio.run(turn(last=False)) == asyncio.run(turn(last=True)) != ""


async def test_usage_that_is_not_reported_is_unknown(name: str, fake: FakeProviderServer, connect: Connect) -> None:
    silent = {
        "anthropic": b'data: {"type":"message_start","message":{"model":"m"}}\n\n'
        b'data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":"x"}}\n\n'
        b'data: {"type":"message_delta","delta":{"stop_reason":"end_turn"}}\n\ndata: {"type":"message_stop"}\n\n',
        "openai": b'data: {"choices":[{"delta":{"content":"x"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
        "responses": b'data: {"type":"response.output_text.delta","delta":"x"}\n\n'
        b'data: {"type":"response.completed","response":{"output":[]}}\n\n',
        "ollama": b'{"model":"m","message":{"content":"x"},"done":true}\n',
        "gemini": b'data: {"candidates":[{"content":{"parts":[{"text":"x"}]},"finishReason":"STOP"}]}\n\n',
    }[name]
    fake.script(name, [Raw([silent])])

    assert (await connect(name).complete(ask(name))).usage == Usage()


async def test_a_tool_without_parameters_can_be_offered(name: str, fake: FakeProviderServer, connect: Connect) -> None:
    await connect(name).complete(ask(name, tools=(ToolDefinition("now", ""),)))

    assert fake.received(name)[0].refused is None


async def test_a_server_that_takes_one_call_in_a_message_is_asked_again_in_that_form_and_remembered(
    name: str, fake: FakeProviderServer, connect: Connect
) -> None:
    said = b'{"error":{"message":"Jinja Exception: This model only supports single tool-calls at once!"}}'
    fake.script(name, [Raw([said], status=400), say("Fine."), say("Fine.")])
    calls = tuple(ToolCallPart(f"call_{number}", "calculator", {}) for number in range(2))
    results = tuple(ToolResultPart(call.tool_call_id, call.name, "42") for call in calls)
    history = (user(), ModelMessage("assistant", calls), ModelMessage("tool", results))
    provider = connect(name)

    for _ in range(2):
        assert (await provider.complete(ask(name, *history, tools=(CALCULATOR,)))).text == "Fine."

    refused, again, later = fake.received(name)
    assert refused.json != again.json == later.json
    assert again.refused is None
