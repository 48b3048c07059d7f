"""OpenAI and compatible servers: the exact requests, and how their own bytes are parsed."""

from typing import Any

import pytest

from ai_agents.core.exceptions import (
    ContextExceeded,
    ProviderError,
    ProviderRateLimited,
    ProviderRejected,
    ProviderTruncated,
)
from ai_agents.core.types import (
    FilePart,
    ModelMessage,
    ModelResponse,
    PartDelta,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    Usage,
)
from ai_agents.providers.openai import OpenAIProvider
from ai_agents.providers.openai_models import openai_facts
from tests.fakes.answers import Answer, Call, Raw, Reasoning, call, say
from tests.fakes.provider_server import FakeProviderServer
from tests.wire.conftest import Connect
from tests.wire.requests import CALCULATOR, ask, assistant, events_until_error, sent, user

NAME = "openai"

# As https://developers.openai.com/api/reference/resources/chat/subresources/completions/streaming-events describes,
# read 2026-11-22; shortened, words changed.
PLAIN = rb"""data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1763769600,"model":"gpt-4o-2024-08-06","service_tier":"default","system_fingerprint":"fp_4","choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"x1"}

data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1763769600,"model":"gpt-4o-2024-08-06","choices":[{"index":0,"delta":{"content":"Good"},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"x22"}

data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1763769600,"model":"gpt-4o-2024-08-06","choices":[{"index":0,"delta":{"content":" day"},"logprobs":null,"finish_reason":null}],"usage":null}

data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1763769600,"model":"gpt-4o-2024-08-06","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null}

data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1763769600,"model":"gpt-4o-2024-08-06","choices":[],"usage":{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,"prompt_tokens_details":{"cached_tokens":8,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":3,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}

data: [DONE]

"""  # noqa: E501  # as it is sent


def stream(*chunks: str, done: bool = True) -> Raw:
    """A stream of these chunks, as JSON."""
    lines = [f"data: {chunk}\n\n" for chunk in chunks]
    return Raw(["".join([*lines, "data: [DONE]\n\n" if done else ""]).encode()])


def choice(delta: str, finish: str = "null") -> str:
    return f'{{"choices":[{{"index":0,"delta":{delta},"finish_reason":{finish}}}]}}'


STOP = choice("{}", '"stop"')


async def answer_to(fake: FakeProviderServer, connect: Connect, raw: Raw | Answer) -> ModelResponse:
    fake.script(NAME, [raw])
    return await connect(NAME).complete(ask(NAME, tools=(CALCULATOR,)))


async def test_the_request_is_exactly_this(fake: FakeProviderServer, connect: Connect) -> None:
    settings = {"max_tokens": 100, "stop": ("END",), "temperature": 0.5, "top_p": 0.9}

    await connect(NAME).complete(
        ask(NAME, user("Hi"), assistant("Hello"), user("?"), system="Be brief.", tools=(CALCULATOR,), settings=settings)
    )

    (request,) = fake.requests
    assert request.path == "/v1/chat/completions"
    assert request.json == {
        "model": "gpt-4o",
        "stream": True,
        "stream_options": {"include_usage": True},
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello"},
            {"role": "user", "content": "?"},
        ],
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "calculator",
                    "description": "Works out an expression.",
                    "parameters": {
                        "type": "object",
                        "properties": {"expression": {"type": "string"}},
                        "required": ["expression"],
                    },
                },
            }
        ],
        "max_tokens": 100,
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": ["END"],
    }
    assert request.headers["authorization"] == "Bearer a-key"


async def test_a_plain_stream_is_read(fake: FakeProviderServer, connect: Connect) -> None:
    response = await answer_to(fake, connect, Raw([PLAIN]))

    assert response.parts == (TextPart("Good day"),)
    assert (response.stop_reason, response.model) == ("end", "gpt-4o-2024-08-06")
    assert response.usage == Usage(19, 10, cached_input_tokens=8, reasoning_tokens=3)


@pytest.mark.parametrize(
    "word, stop_reason",
    [
        ("stop", "end"),
        ("length", "max_tokens"),
        ("content_filter", "refusal"),
    ],
)
async def test_the_stop_reason_is_read(word: str, stop_reason: str, fake: FakeProviderServer, connect: Connect) -> None:
    assert (await answer_to(fake, connect, say("Hi", stop=word))).stop_reason == stop_reason


async def test_a_refusal_is_text_with_its_own_stop_reason(fake: FakeProviderServer, connect: Connect) -> None:
    response = await answer_to(fake, connect, stream(choice('{"refusal":"I will not."}'), STOP))

    assert (response.text, response.stop_reason) == ("I will not.", "refusal")


async def test_a_call_that_ends_with_the_reason_stop_is_a_call(fake: FakeProviderServer, connect: Connect) -> None:
    response = await answer_to(fake, connect, call("calculator", '{"expression": "1"}', stop="stop"))

    assert response.stop_reason == "tool_use"
    assert response.tool_calls[0].arguments == {"expression": "1"}


async def test_a_call_cut_by_the_limit_is_malformed(fake: FakeProviderServer, connect: Connect) -> None:
    cut = await answer_to(fake, connect, Answer([Call("calculator", '{"expression": "6*')], stop="length"))
    begun = await answer_to(fake, connect, Answer([Call("calculator", "")], stop="length"))

    assert (cut.stop_reason, cut.tool_calls[0].malformed) == ("max_tokens", '{"expression": "6*')
    assert begun.tool_calls[0].malformed is not None


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
async def test_reasoning_is_read_from_either_field(field: str, fake: FakeProviderServer, connect: Connect) -> None:
    thought = choice(f'{{"{field}":"hm","content":null}}')

    response = await answer_to(fake, connect, stream(thought, thought, choice('{"content":"Yes"}'), STOP))

    assert [type(part) for part in response.parts] == [ReasoningPart, TextPart]
    assert response.parts[0] == ReasoningPart("hmhm", origin=response.parts[0].origin)  # type: ignore[union-attr]  # as said above


async def test_content_may_come_as_parts(fake: FakeProviderServer, connect: Connect) -> None:
    content = '{"content":[{"type":"text","text":"Yes"},{"type":"thinking","thinking":[]}]}'

    assert (await answer_to(fake, connect, stream(choice(content), STOP))).text == "Yes"


async def test_a_stream_may_end_with_its_finish_reason(fake: FakeProviderServer, connect: Connect) -> None:
    response = await answer_to(fake, connect, stream(choice('{"content":"Yes"}'), STOP, done=False))

    assert (response.text, response.stop_reason) == ("Yes", "end")


async def test_an_answer_that_ends_without_a_finish_reason_is_cut(fake: FakeProviderServer, connect: Connect) -> None:
    with pytest.raises(ProviderTruncated, match="without a reason"):
        await answer_to(fake, connect, stream(choice('{"content":"Yes"}')))


async def test_usage_in_every_chunk_is_not_added_up(fake: FakeProviderServer, connect: Connect) -> None:
    chunks = (
        f'{{"choices":[{{"delta":{{"content":"x"}}}}],"usage":{{"prompt_tokens":5,"completion_tokens":{n}}}}}'
        for n in (1, 2, 3)
    )

    assert (await answer_to(fake, connect, stream(*chunks, STOP))).usage == Usage(5, 3)


async def test_other_choices_and_strange_chunks_are_left_out(fake: FakeProviderServer, connect: Connect) -> None:
    response = await answer_to(
        fake,
        connect,
        stream(
            '{"id":"x","object":"chat.completion.chunk"}',
            '{"choices":null}',
            '{"choices":[{"index":1,"delta":{"content":"no"}}]}',
            '{"choices":[{"index":0,"delta":null}]}',
            '{"choices":[{"index":0,"delta":{"content":"Yes","tool_calls":null}}],"error":null}',
            STOP,
        ),
    )

    assert response.text == "Yes"


@pytest.mark.parametrize(
    "failure, kind",
    [
        ('{"error":{"type":"server_error","code":null,"message":"secret"}}', ProviderError),
        ('{"error":{"code":429,"message":"secret"}}', ProviderRateLimited),
        ('{"error":{"type":"invalid_request_error","message":"secret"}}', ProviderRejected),
        ('{"error":"secret"}', ProviderError),
        ('{"object":"error","message":"secret","code":400}', ProviderRejected),
    ],
)
async def test_late_error(failure: str, kind: type[ProviderError], fake: FakeProviderServer, connect: Connect) -> None:
    """An error inside the stream comes after the text before it."""
    fake.script(NAME, [stream(choice('{"content":"Good day"}'), failure)])

    events, error = await events_until_error(connect(NAME), ask(NAME))

    assert "".join(event.text for event in events if isinstance(event, PartDelta)) == "Good day"
    assert (type(error), error.retryable) == (kind, kind is not ProviderRejected)
    assert "secret" not in str(error)


async def test_a_context_that_is_too_long_is_recognized_by_its_code(fake: FakeProviderServer, connect: Connect) -> None:
    body = b'{"error":{"message":"secret","type":"invalid_request_error","code":"context_length_exceeded"}}'
    fake.script(NAME, [Raw([body], status=400, headers={"content-type": "application/json"})])

    with pytest.raises(ContextExceeded, match=r"^The conversation is too long.*\(400, context_length_exceeded\)\.$"):
        await connect(NAME).complete(ask(NAME))


async def test_an_account_without_credit_is_not_asked_again(fake: FakeProviderServer, connect: Connect) -> None:
    body = b'{"error":{"message":"secret","type":"insufficient_quota","code":"insufficient_quota"}}'
    fake.script(NAME, [Raw([body], status=429, headers={"content-type": "application/json"})])

    with pytest.raises(ProviderRateLimited) as caught:
        await connect(NAME, max_retries=2).complete(ask(NAME))

    assert not caught.value.retryable
    assert len(fake.requests) == 1


async def test_no_key_for_others(fake: FakeProviderServer, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server other than OpenAI's needs no key and is sent none."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-meant-for-openai")

    await connect(NAME, api_key=None).complete(ask(NAME, model="llama"))

    assert fake.requests[0].headers["authorization"] == "Bearer none"


async def test_the_account_of_the_environment_is_told_to_openai_alone(
    fake: FakeProviderServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj_1")
    named = OpenAIProvider(name="another", base_url=fake.base_url(NAME), api_key="a-key")

    await connect(NAME).complete(ask(NAME))
    await named.complete(ask(NAME))
    await named.aclose()

    own, other = (request.headers for request in fake.requests)
    assert (own["openai-organization"], own["openai-project"]) == ("org-1", "proj_1")
    assert not {"openai-organization", "openai-project"} & set(other)


async def test_an_answer_that_is_not_streamed_is_read_too(fake: FakeProviderServer, connect: Connect) -> None:
    fake.script(NAME, [Raw([b'{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}]}'])])

    response = await connect(NAME).complete(ask(NAME))

    assert (response.text, response.stop_reason) == ("Hi", "end")


def test_calls_and_results_are_sent_as_they_were() -> None:
    calls = (ToolCallPart("call_0", "calculator", {"e": "é"}), ToolCallPart("call_1", "calculator", {}, malformed="{"))
    said = ModelMessage("assistant", (ReasoningPart("hm"), TextPart("Let me see."), *calls))
    results = ModelMessage("tool", tuple(ToolResultPart(c.tool_call_id, "calculator", [42]) for c in calls))

    rendered = sent(NAME, ask(NAME, user(), said, results))["messages"]

    first, second = (call["id"] for call in rendered[1]["tool_calls"])
    assert rendered[1:] == [
        {
            "role": "assistant",
            "content": "Let me see.",
            "tool_calls": [
                {"id": first, "type": "function", "function": {"name": "calculator", "arguments": '{"e":"é"}'}},
                {"id": second, "type": "function", "function": {"name": "calculator", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": first, "content": "[42]"},
        {"role": "tool", "tool_call_id": second, "content": "[42]"},
    ]


def test_text_parts_are_one_text_and_files_are_named() -> None:
    parts = (TextPart("Look"), TextPart(" here:"), FilePart("id", "plan.pdf", "application/pdf", 10), TextPart(""))

    rendered = sent(NAME, ask(NAME, ModelMessage("user", parts), assistant(" ")))["messages"]

    assert rendered == [{"role": "user", "content": "Look here:\n\n[file: plan.pdf (application/pdf)]"}]


@pytest.mark.parametrize(
    "model, effort, expected",
    [
        ("gpt-4o", "high", {"max_tokens": 9, "temperature": 0.5, "top_p": 0.5, "stop": ["a", "b", "c", "d"]}),
        ("gpt-5-chat-latest", None, {"max_tokens": 9, "temperature": 0.5, "top_p": 0.5, "stop": ["a", "b", "c", "d"]}),
        ("o3", "high", {"max_completion_tokens": 9, "reasoning_effort": "high"}),
        ("o4-mini", "none", {"max_completion_tokens": 9, "reasoning_effort": "low"}),
        ("gpt-5-mini", "none", {"max_completion_tokens": 9, "reasoning_effort": "minimal"}),
        ("gpt-6-sol", "none", {"max_completion_tokens": 9, "reasoning_effort": "none"}),
        ("gpt-6-sol", None, {"max_completion_tokens": 9}),
        (
            "qwen3:8b",
            "low",
            {
                "max_tokens": 9,
                "temperature": 0.5,
                "top_p": 0.5,
                "stop": ["a", "b", "c", "d"],
                "reasoning_effort": "low",
            },
        ),
    ],
)
def test_settings_have_the_form_that_the_model_takes(model: str, effort: str | None, expected: dict[str, Any]) -> None:
    settings = {
        "max_tokens": 9,
        "temperature": 0.5,
        "top_p": 0.5,
        "stop": ("a", "b", "c", "d", "e"),
        "reasoning": effort,
    }

    payload = sent(NAME, ask(NAME, model=model, settings=settings))

    assert {k: v for k, v in payload.items() if k not in {"model", "messages", "stream", "stream_options"}} == expected


def test_models_that_cannot_reason_with_tools_are_asked_not_to() -> None:
    def effort(model: str, **facts: Any) -> Any:
        return sent(NAME, ask(NAME, model=model, settings={"reasoning": "high"}, **facts))["reasoning_effort"]

    assert effort("gpt-5.6-terra", tools=(CALCULATOR,)) == "none"
    assert effort("gpt-5.6-terra") == "high"
    assert effort("gpt-5-mini", tools=(CALCULATOR,)) == "high"


def test_whether_a_model_reasons_is_known_of_openais_own() -> None:
    assert openai_facts("gpt-4o").reasoning is False
    assert openai_facts("o3").reasoning is True
    assert openai_facts("another-model").reasoning is None


async def test_deepseeks_reasoning_goes_back_with_its_tool_calls(fake: FakeProviderServer, connect: Connect) -> None:
    model = "deepseek-reasoner"
    fake.script(NAME, [Answer([Reasoning(["Let me", " see."]), Call("calculator", {"expression": "6*7"})]), say("42")])
    provider = connect(NAME)

    asked = await provider.complete(ask(NAME, model=model, tools=(CALCULATOR,)))
    thought, wish = asked.parts
    assert isinstance(thought, ReasoningPart)
    assert isinstance(wish, ToolCallPart)
    # Reasoning that is not shown is stored without its text.
    said = ModelMessage("assistant", (ReasoningPart("", origin=thought.origin), wish))
    result = ModelMessage("tool", (ToolResultPart(wish.tool_call_id, wish.name, "42"),))
    elsewhere = ModelMessage("assistant", (ToolCallPart("call_2", "calculator", {}),))
    other = ModelMessage("tool", (ToolResultPart("call_2", "calculator", "1"),))
    history = (user(), said, result, assistant("42"), user(), elsewhere, other)
    await provider.complete(ask(NAME, *history, model=model, tools=(CALCULATOR,)))

    received = fake.received(NAME)[1].json["messages"]
    assert received[1]["reasoning_content"] == "Let me see."
    assert "reasoning_content" not in received[3]
    assert received[5]["reasoning_content"] == ""
    same_words = sent(NAME, ask(NAME, *history, model="qwen3"))["messages"]
    assert not any("reasoning_content" in message for message in same_words)


async def test_cached_tokens_are_read_from_deepseeks_field(fake: FakeProviderServer, connect: Connect) -> None:
    usage = '{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2,"prompt_cache_hit_tokens":8}}'

    response = await answer_to(fake, connect, stream(choice('{"content":"x"}'), STOP, usage))

    assert response.usage == Usage(9, 2, cached_input_tokens=8)
