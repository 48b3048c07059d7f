"""Gemini: what is sent, and what is read from bytes as the API sends them."""

from typing import Any

import pytest

from ai_agents.core.exceptions import ProviderRateLimited, ProviderRejected, ProviderTruncated
from ai_agents.core.types import (
    FileContent,
    FilePart,
    ModelMessage,
    ModelResponse,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolDefinition,
    ToolResultPart,
    Usage,
)
from ai_agents.providers.gemini_generate import GeminiGenerate
from ai_agents.providers.quirks import Endpoint, Quirks
from tests.fakes.answers import Raw, say, split
from tests.fakes.provider_server import FakeProviderServer
from tests.fakes.samples import png
from tests.wire.conftest import Connect
from tests.wire.requests import CALCULATOR, MODELS, ask, assistant, check_sent, sent, user

NAME = "gemini"
ORIGIN = {"provider": NAME, "model": MODELS[NAME]}
# Thoughts, a signed call and one more, as the API streams them; the last chunk has the counts.
THINKING_AND_CALLING = b"""data: {"candidates": [{"content": {"parts": [{"text": "**Adding**\\n\\nTwo sums.","thought": true}],"role": "model"},"index": 0}],"usageMetadata": {"promptTokenCount": 60,"totalTokenCount": 60},"modelVersion": "gemini-3-flash-preview","responseId": "r1"}\r
\r
data: {"candidates": [{"content": {"parts": [{"functionCall": {"name": "calculator","args": {"expression": "6*7"}},"thoughtSignature": "RXA4Q0NRWQ=="},{"functionCall": {"name": "calculator","args": {"expression": "7*7"}}}],"role": "model"},"index": 0}],"usageMetadata": {"promptTokenCount": 60,"candidatesTokenCount": 22,"totalTokenCount": 142,"thoughtsTokenCount": 60},"modelVersion": "gemini-3-flash-preview","responseId": "r1"}\r
\r
data: {"candidates": [{"content": {"parts": [{"text": ""}],"role": "model"},"finishReason": "STOP","index": 0,"finishMessage": "Model generated function call(s)."}],"usageMetadata": {"promptTokenCount": 60,"candidatesTokenCount": 31,"totalTokenCount": 151,"cachedContentTokenCount": 40,"thoughtsTokenCount": 60},"modelVersion": "gemini-3-flash-preview","responseId": "r1"}\r
\r
"""  # noqa: E501  # as it is sent


def chunk(parts: str, finish: str = "") -> str:
    return f'{{"candidates":[{{"content":{{"parts":{parts},"role":"model"}}{finish},"index":0}}]}}'


def stream(*chunks: str) -> Raw:
    return Raw(["".join(f"data: {each}\r\n\r\n" for each in chunks).encode()])


HI = '[{"text":"Hi"}]'
STOP = ',"finishReason":"STOP"'


async def answer_to(fake: FakeProviderServer, connect: Connect, raw: Raw) -> ModelResponse:
    fake.script(NAME, [raw])
    return await connect(NAME).complete(ask(NAME, tools=(CALCULATOR,)))


async def test_the_request_is_exactly_this(fake: FakeProviderServer, connect: Connect) -> None:
    settings = {"max_tokens": 100, "stop": ("END",), "temperature": 0.5, "top_p": 0.9, "reasoning": "low"}

    await connect(NAME).complete(
        ask(NAME, user("Hi"), assistant("Hello"), user("?"), system="Be brief.", tools=(CALCULATOR,), settings=settings)
    )

    (request,) = fake.requests
    assert request.path == "/v1beta/models/gemini-3-flash-preview:streamGenerateContent?alt=sse"
    assert request.headers["x-goog-api-key"] == "a-key"
    assert request.json == {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "tools": [
            {
                "functionDeclarations": [
                    {
                        "name": "calculator",
                        "description": "Works out an expression.",
                        "parametersJsonSchema": CALCULATOR.parameters,
                    }
                ]
            }
        ],
        "generationConfig": {
            "maxOutputTokens": 100,
            "temperature": 0.5,
            "topP": 0.9,
            "stopSequences": ["END"],
            "thinkingConfig": {"thinkingLevel": "low", "includeThoughts": True},
        },
        "contents": [
            {"role": "user", "parts": [{"text": "Hi"}]},
            {"role": "model", "parts": [{"text": "Hello"}]},
            {"role": "user", "parts": [{"text": "?"}]},
        ],
    }


@pytest.mark.parametrize("size", [7, 61, 100_000])
async def test_thoughts_signatures_calls_and_counts_are_read(
    size: int, fake: FakeProviderServer, connect: Connect
) -> None:
    pieces = split(THINKING_AND_CALLING, *range(size, len(THINKING_AND_CALLING), size)) if size < 1000 else None

    response = await answer_to(fake, connect, Raw(pieces or [THINKING_AND_CALLING]))

    thought, first, second = response.parts
    assert thought == ReasoningPart("**Adding**\n\nTwo sums.")
    assert isinstance(first, ToolCallPart)
    assert isinstance(second, ToolCallPart)
    assert (first.arguments, first.origin) == ({"expression": "6*7"}, ORIGIN | {"signature": "RXA4Q0NRWQ=="})
    assert (second.arguments, second.origin) == ({"expression": "7*7"}, None)
    assert (response.stop_reason, response.model) == ("tool_use", "gemini-3-flash-preview")
    assert response.usage == Usage(60, 91, cached_input_tokens=40, reasoning_tokens=60)


async def test_signatures_go_back_with_their_parts_and_to_no_other_model(
    fake: FakeProviderServer, connect: Connect
) -> None:
    text = stream(
        chunk('[{"text":"Hm.","thought":true,"thoughtSignature":"dGhvdWdodA=="}]'),
        chunk('[{"text":"Forty-two."}]'),
        chunk('[{"text":"","thoughtSignature":"dGV4dA=="}]', STOP),
    )
    called = await answer_to(fake, connect, Raw([THINKING_AND_CALLING]))
    said = await answer_to(fake, connect, text)
    results = tuple(ToolResultPart(call.tool_call_id, call.name, "42") for call in called.tool_calls)
    history = (
        user(),
        ModelMessage("assistant", called.parts),
        ModelMessage("tool", results),
        ModelMessage("assistant", said.parts),
        user(),
    )

    contents = check_sent(NAME, ask(NAME, *history, tools=(CALCULATOR,)))["contents"]
    elsewhere = check_sent(NAME, ask(NAME, *history, tools=(CALCULATOR,), model="gemini-3-pro-preview"))["contents"]
    older = check_sent(NAME, ask(NAME, *history, tools=(CALCULATOR,), model="gemini-2.5-flash"))["contents"]

    assert [part.get("thoughtSignature") for part in contents[1]["parts"]] == ["RXA4Q0NRWQ==", None]
    assert contents[3]["parts"] == [
        {"text": "Hm.", "thought": True, "thoughtSignature": "dGhvdWdodA=="},
        {"text": "Forty-two.", "thoughtSignature": "dGV4dA=="},
    ]
    assert elsewhere[1]["parts"][0]["thoughtSignature"] == "skip_thought_signature_validator"
    assert elsewhere[3]["parts"] == [{"text": "Forty-two."}]
    assert "thoughtSignature" not in older[1]["parts"][0]


def test_results_are_as_many_as_the_calls_and_nothing_stands_among_them() -> None:
    calls = (ToolCallPart("a", "calculator", {}), ToolCallPart("b", "calculator", {}))
    results = (ToolResultPart("a", "calculator", [42]), ToolResultPart("b", "calculator", "no", is_error=True))
    history = (user(), ModelMessage("assistant", calls), ModelMessage("tool", results), user("And?"))

    contents = check_sent(NAME, ask(NAME, *history, tools=(CALCULATOR,)))["contents"]

    assert contents[2]["parts"] == [
        {"functionResponse": {"name": "calculator", "response": {"result": "[42]"}}},
        {"functionResponse": {"name": "calculator", "response": {"error": "no"}}},
    ]
    assert [content["role"] for content in contents] == ["user", "model", "user", "model", "user"]


@pytest.mark.parametrize(
    "model, effort, config",
    [
        ("gemini-2.5-flash", "none", {"thinkingBudget": 0}),
        ("gemini-2.5-pro", "none", {"thinkingBudget": 128}),
        ("gemini-2.5-pro", "high", {"thinkingBudget": 16384, "includeThoughts": True}),
        ("gemini-3-pro-preview", "none", {"thinkingLevel": "low"}),
        ("gemini-3-pro-preview", "medium", {"thinkingLevel": "high", "includeThoughts": True}),
        ("gemini-3-flash-preview", "medium", {"thinkingLevel": "medium", "includeThoughts": True}),
        ("gemini-2.0-flash", "high", None),
        ("gemma-3-27b-it", "none", None),
    ],
)
def test_each_family_is_asked_to_think_in_its_own_way(model: str, effort: str, config: object) -> None:
    payload = check_sent(NAME, ask(NAME, model=model, settings={"reasoning": effort}))

    assert payload.get("generationConfig", {}).get("thinkingConfig") == config


def test_what_a_model_does_not_take_is_left_out_and_told() -> None:
    request = ask(NAME, tools=(CALCULATOR,), system="Be brief.", model="gemma-3-27b-it", settings={"reasoning": "high"})

    payload = check_sent(NAME, request)
    notices = GeminiGenerate().left_out(request, Endpoint(NAME))
    taught = sent(NAME, request, tools=True, reasoning=True)

    assert payload["contents"] == [{"role": "user", "parts": [{"text": "Be brief."}, {"text": "Hello!"}]}]
    assert [notice["code"] for notice in notices] == ["setting_left_out", "tool_left_out"]
    assert taught["generationConfig"] == {"thinkingConfig": {"includeThoughts": True}}
    assert "tools" in taught
    assert GeminiGenerate().left_out(request, Endpoint(NAME, Quirks(tools=True, reasoning=True))) == []


def test_files_are_sent_as_data() -> None:
    content = FileContent("data", data=png(4, 4))
    picture = FilePart("1", "a.png", "image/png", 70, content=content)

    payload = check_sent(NAME, ask(NAME, ModelMessage("user", (TextPart("What is it?"), picture))))

    first, second = payload["contents"][0]["parts"]
    assert first == {"text": "What is it?"}
    assert second["inlineData"]["mimeType"] == "image/png"


def test_a_schema_keeps_what_the_api_reads_and_tells_the_rest() -> None:
    parameters = {
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 5, "description": "A name."},
            "tags": {"type": "array", "items": {"type": "string", "pattern": "^a"}, "uniqueItems": True},
        },
        "additionalProperties": False,
        "$schema": "https://json-schema.org/draft/2020-12/schema",
    }

    payload = check_sent(NAME, ask(NAME, tools=(ToolDefinition("tag", "Tags.", parameters),)))

    (declared,) = payload["tools"][0]["functionDeclarations"]
    assert declared["parametersJsonSchema"] == {
        "type": "object",
        "properties": {
            "name": {"type": "string", "description": 'A name.\n{"maxLength":5}'},
            "tags": {
                "type": "array",
                "items": {"type": "string", "description": '{"pattern":"^a"}'},
                "description": '{"uniqueItems":true}',
            },
        },
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    "raw",
    [
        Raw([b"[", chunk(HI).encode(), b",\n", chunk("[]", STOP).encode(), b"]"]),
        Raw([chunk(HI, STOP).encode()]),
        stream('{"candidates":[{"content":{"parts":[{"text":"Hi"}]},"finishReason":"stop","index":0.0}]}'),
        stream('{"candidates":[{"content":{"parts":[{"text":"Hi"},7,null]},"finishReason":"STOP"},"x"]}'),
        stream(chunk(HI, STOP), '{"usageMetadata":["odd"]}', '{"candidates":null}'),
    ],
    ids=["a list", "one object", "odd index", "odd parts", "odd counts"],
)
async def test_an_answer_in_an_odd_form_is_read(raw: Raw, fake: FakeProviderServer, connect: Connect) -> None:
    response = await answer_to(fake, connect, raw)

    assert (response.text, response.stop_reason, response.usage) == ("Hi", "end", Usage())


@pytest.mark.parametrize(
    "raw, kind",
    [
        (stream('{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"}}'), ProviderRejected),
        (stream(chunk("[]", ',"finishReason":"SAFETY"')), ProviderRejected),
        (stream(chunk("[]", ',"finishReason":"MALFORMED_FUNCTION_CALL"')), ProviderTruncated),
        (stream(chunk(HI)), ProviderTruncated),
        (stream(chunk(HI, ',"finishReason":"OTHER"')), ProviderTruncated),
        (stream('{"error":{"code":429,"message":"secret","status":"RESOURCE_EXHAUSTED"}}'), ProviderRateLimited),
    ],
    ids=["blocked", "refused", "malformed call", "no end", "other", "error inside"],
)
async def test_a_failure_is_no_answer(raw: Raw, kind: type, fake: FakeProviderServer, connect: Connect) -> None:
    with pytest.raises(kind) as failed:
        await answer_to(fake, connect, raw)

    assert "secret" not in str(failed.value)


async def test_what_the_server_said_of_a_refusal_is_kept(fake: FakeProviderServer, connect: Connect) -> None:
    body = b'[{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT","details":[]}}]'

    with pytest.raises(ProviderRejected, match=r"\(400, INVALID_ARGUMENT\)") as refused:
        await answer_to(fake, connect, Raw([body], status=400))

    assert refused.value.upstream == {"status": 400, "message": "API key not valid."}


async def test_an_integer_beyond_64_bits_is_shown_to_the_model(fake: FakeProviderServer, connect: Connect) -> None:
    call = '[{"functionCall":{"name":"calculator","args":{"n":123456789012345678901234567890}}}]'

    response = await answer_to(fake, connect, stream(chunk(call, STOP)))

    (wish,) = response.tool_calls
    assert (wish.arguments, wish.malformed) == ({}, '{"n":123456789012345678901234567890}')


async def test_only_the_first_candidate_counts(fake: FakeProviderServer, connect: Connect) -> None:
    other: Any = '{"candidates":[{"content":{"parts":[{"text":"Other"}]},"finishReason":"SAFETY","index":1}]}'

    response = await answer_to(fake, connect, stream(other, chunk(HI, STOP)))

    assert (response.text, response.stop_reason) == ("Hi", "end")


async def test_a_model_of_ones_own_is_asked_under_its_own_path(fake: FakeProviderServer, connect: Connect) -> None:
    fake.script(NAME, [say("Hi")])

    await connect(NAME).complete(ask(NAME, model="tunedModels/mine"))

    assert fake.requests[0].path == "/v1beta/tunedModels/mine:streamGenerateContent?alt=sse"
