"""What goes back to a compatible server with a history: what it tied to its calls and reasoning, ids, alternation."""

import json
import re
from typing import Any

import pytest

from ai_agents.core.parts import part_from_stored, part_to_stored
from ai_agents.core.types import (
    JsonObject,
    ModelMessage,
    ModelResponse,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from ai_agents.providers.openai_chat import OpenAIChat
from ai_agents.providers.quirks import Endpoint, Quirks
from tests.fakes.answers import Raw
from tests.fakes.provider_server import FakeProviderServer
from tests.wire.conftest import Connect
from tests.wire.requests import CALCULATOR, ask, assistant, user

NAME = "openai"
MODEL = "some-model"


def stream(*deltas: str, finish: str = "tool_calls") -> Raw:
    """A stream of these deltas of one choice."""
    chunks = [f'{{"choices":[{{"index":0,"delta":{delta}}}]}}' for delta in deltas]
    chunks.append(f'{{"choices":[{{"index":0,"delta":{{}},"finish_reason":"{finish}"}}]}}')
    return Raw(["".join([*(f"data: {chunk}\n\n" for chunk in chunks), "data: [DONE]\n\n"]).encode()])


def calling(more: str = "", call_id: str = "call_1", function: str = "") -> str:
    """A delta with a whole call of the calculator, and these fields."""
    inner = f'{{"name":"calculator","arguments":"{{}}"{function}}}'
    return f'{{"tool_calls":[{{"index":0,"id":"{call_id}","type":"function","function":{inner}{more}}}]}}'


async def answered(
    fake: FakeProviderServer, connect: Connect, *deltas: str, finish: str = "tool_calls"
) -> ModelMessage:
    """The message of an answer, as it is after it was stored."""
    fake.script(NAME, [stream(*deltas, finish=finish)])
    response: ModelResponse = await connect(NAME).complete(ask(NAME, model=MODEL, tools=(CALCULATOR,)))
    stored = json.loads(json.dumps([part_to_stored(part) for part in response.parts]))
    return ModelMessage("assistant", tuple(map(part_from_stored, stored)))


def sent_back(said: ModelMessage, *, provider: str = NAME, model: str = MODEL, **quirks: Any) -> list[JsonObject]:
    """The assistant's message and the tool's, in the next request to this provider and model."""
    calls = [part for part in said.parts if isinstance(part, ToolCallPart)]
    results = [ModelMessage("tool", (ToolResultPart(call.tool_call_id, call.name, "42"),)) for call in calls]
    request = ask(NAME, user(), said, *results, *([] if calls else [user()]), model=model, tools=(CALCULATOR,))
    messages: list[JsonObject] = OpenAIChat().to_wire(request, Endpoint(provider, Quirks(**quirks)))["messages"]
    return messages[1:3]


SIGNED = '"extra_content":{"google":{"thought_signature":"c2ln"}}'


async def test_geminis_signature_goes_back_with_its_call(fake: FakeProviderServer, connect: Connect) -> None:
    said = await answered(fake, connect, calling(f",{SIGNED}"))

    for model in (MODEL, "another-model"):
        (call,) = sent_back(said, model=model)[0]["tool_calls"]
        assert call["extra_content"] == {"google": {"thought_signature": "c2ln"}}
    (elsewhere,) = sent_back(said, provider="groq")[0]["tool_calls"]
    assert elsewhere.keys() == {"id", "type", "function"}


async def test_geminis_signature_of_an_answer_goes_back_with_it(fake: FakeProviderServer, connect: Connect) -> None:
    said = await answered(fake, connect, '{"content":"Yes"}', f'{{"content":"",{SIGNED}}}', finish="stop")

    assert said.parts[0] == TextPart("Yes")
    assert sent_back(said)[0]["extra_content"] == {"google": {"thought_signature": "c2ln"}}
    for other in ({"provider": "groq"}, {"model": "another-model"}):
        assert sent_back(said, **other)[0] == {"role": "assistant", "content": "Yes"}


async def test_litellms_signature_in_an_id_goes_back_in_the_id(fake: FakeProviderServer, connect: Connect) -> None:
    fields = ',"provider_specific_fields":{"thought_signature":"c2ln+/="}'
    said = await answered(fake, connect, calling(fields, "call_1__thought__c2ln+/=", fields))

    message, result = sent_back(said)
    (call,) = message["tool_calls"]
    assert call["id"] == result["tool_call_id"] == "call_1__thought__c2ln+/="
    assert call["provider_specific_fields"] == {"thought_signature": "c2ln+/="}
    assert call["function"]["provider_specific_fields"] == {"thought_signature": "c2ln+/="}
    # LiteLLM stands before many models, and the others refuse such an id.
    for other in ({"provider": "groq"}, {"model": "claude-x"}):
        message, result = sent_back(said, **other)
        (call,) = message["tool_calls"]
        assert call["id"] == result["tool_call_id"]
        assert re.fullmatch("[a-zA-Z0-9]{9}", call["id"])
        assert call.keys() == {"id", "type", "function"}
        assert call["function"].keys() == {"name", "arguments"}


DETAILS = [
    '{"reasoning":"Let","reasoning_details":[{"type":"reasoning.text","text":"Let","format":"f1","index":0}]}',
    '{"reasoning":" me","reasoning_details":[{"type":"reasoning.text","text":" me","format":"f1","index":0}]}',
    '{"reasoning":"","reasoning_details":[{"type":"reasoning.text","signature":"c2ln","format":"f1","index":0}]}',
    '{"reasoning_details":[{"type":"reasoning.encrypted","data":"ZGF0YQ==","id":"rs_1","format":"f1","index":1}]}',
]
MERGED = [
    {"type": "reasoning.text", "text": "Let me", "format": "f1", "index": 0, "signature": "c2ln"},
    {"type": "reasoning.encrypted", "data": "ZGF0YQ==", "id": "rs_1", "format": "f1", "index": 1},
]


@pytest.mark.parametrize("late", [0, 1, 2])
async def test_openrouters_details_go_back_whole(late: int, fake: FakeProviderServer, connect: Connect) -> None:
    """The last `late` of them come after the text began."""
    early = DETAILS[: len(DETAILS) - late]
    said = await answered(fake, connect, *early, '{"content":"Hm."}', *DETAILS[len(early) :], calling())

    message = sent_back(said)[0]
    assert message["reasoning_details"] == MERGED
    assert message["reasoning"] == "Let me"
    assert [part.text for part in said.parts if isinstance(part, ReasoningPart) and part.text] == ["Let me"]
    for other in ({"provider": "groq"}, {"model": "another-model"}):
        assert sent_back(said, **other)[0].keys() == {"role", "content", "tool_calls"}


async def test_openrouters_details_go_back_with_an_answer_of_text(fake: FakeProviderServer, connect: Connect) -> None:
    said = await answered(fake, connect, *DETAILS, '{"content":"Yes"}', finish="stop")

    assert sent_back(said)[0] == {"role": "assistant", "content": "Yes", "reasoning_details": MERGED}


async def test_blocks_without_an_index_end_with_their_signature(fake: FakeProviderServer, connect: Connect) -> None:
    pieces = [
        '{"thinking_blocks":[{"type":"thinking","thinking":"On"}]}',
        '{"thinking_blocks":[{"type":"thinking","thinking":"e"}]}',
        '{"thinking_blocks":[{"type":"thinking","thinking":"","signature":"MQ=="}]}',
        '{"thinking_blocks":[{"type":"thinking","thinking":"Two","signature":"Mg=="}]}',
        '{"thinking_blocks":[{"type":"redacted_thinking","data":"eA=="}]}',
    ]
    said = await answered(fake, connect, *pieces, calling())

    assert sent_back(said)[0]["thinking_blocks"] == [
        {"type": "thinking", "thinking": "One", "signature": "MQ=="},
        {"type": "thinking", "thinking": "Two", "signature": "Mg=="},
        {"type": "redacted_thinking", "data": "eA=="},
    ]


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
async def test_reasoning_goes_back_under_its_own_name(field: str, fake: FakeProviderServer, connect: Connect) -> None:
    said = await answered(fake, connect, f'{{"{field}":"Hm"}}', '{"content":"So."}', f'{{"{field}":"?"}}', calling())

    message = sent_back(said)[0]
    assert {name: message[name] for name in message.keys() - {"tool_calls"}} == {
        "role": "assistant",
        "content": "So.",
        field: "Hm?",
    }
    assert field not in sent_back(said, keeps_reasoning=False)[0]
    assert field not in sent_back(said, model="another-model")[0]


async def test_what_cannot_be_stored_does_not_end_the_answer(fake: FakeProviderServer, connect: Connect) -> None:
    vast = '{"reasoning_details":[{"type":"x","n":"\x00"}],"extra_content":{"deep":' + "[" * 300 + "]" * 300 + "}}"

    said = await answered(fake, connect, '{"content":"Yes"}', vast, finish="stop")

    assert said.parts[0] == TextPart("Yes")
    assert sent_back(said)[0]["content"] == "Yes"


def test_ids_are_nine_letters_and_digits_and_stay_the_same() -> None:
    calls = tuple(ToolCallPart(f"call_{number:032x}", "calculator", {}) for number in range(300))
    results = tuple(ModelMessage("tool", (ToolResultPart(call.tool_call_id, call.name, "1"),)) for call in calls)
    history = (user(), ModelMessage("assistant", calls), *results)

    def ids(*messages: ModelMessage) -> list[str]:
        sent = OpenAIChat().to_wire(ask(NAME, *messages), Endpoint(NAME))["messages"]
        found = [call["id"] for call in sent[1]["tool_calls"]]
        assert [message["tool_call_id"] for message in sent[2 : 2 + len(results)]] == found
        return found

    assert len(set(ids(*history))) == len(calls)
    assert all(re.fullmatch("[a-zA-Z0-9]{9}", each) for each in ids(*history))
    assert ids(*history) == ids(*history, assistant("Done."), user("And now?"))


def test_neighbours_are_joined_and_a_conversation_begins_with_a_user() -> None:
    call = ToolCallPart("call_1", "calculator", {})
    result = ModelMessage("tool", (ToolResultPart("call_1", "calculator", "42"),))
    history = (
        assistant("How can I help?"),
        user("One"),
        user("Two"),
        assistant("Let me see."),
        ModelMessage("assistant", (call,)),
        result,
        user("Three"),
    )

    messages = OpenAIChat().to_wire(ask(NAME, *history, system="Be brief."), Endpoint(NAME))["messages"]

    assert [(message["role"], message.get("content")) for message in messages] == [
        ("system", "Be brief."),
        ("user", "(The assistant begins the conversation.)"),
        ("assistant", "How can I help?"),
        ("user", "One\n\nTwo"),
        ("assistant", "Let me see."),
        ("tool", "42"),
        ("assistant", "(There was no answer.)"),
        ("user", "Three"),
    ]
    assert "tool_calls" in messages[4]
