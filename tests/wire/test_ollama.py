"""Ollama: the exact requests, and how its own bytes are parsed."""

from typing import Any

import pytest

from ai_agents.core.exceptions import ProviderRejected
from ai_agents.core.types import ModelMessage, PartDelta, ReasoningPart, TextPart, ToolCallPart, ToolResultPart, Usage
from ai_agents.providers.ollama import base_url_from
from ai_agents.providers.ollama_chat import OllamaChat
from ai_agents.providers.quirks import Endpoint
from tests.fakes.answers import Raw, say
from tests.fakes.provider_server import FakeProviderServer
from tests.wire.conftest import Connect
from tests.wire.requests import CALCULATOR, ask, assistant, events_until_error, sent, user

NAME = "ollama"

# As https://docs.ollama.com/api/chat and https://ollama.com/blog/streaming-tool show, read 2026-11-22; words changed.
THINKING_AND_CALLING = rb"""{"model":"qwen3","created_at":"2026-11-22T10:54:57.641643Z","message":{"role":"assistant","content":"","thinking":"The user"},"done":false}
{"model":"qwen3","created_at":"2026-11-22T10:54:57.741643Z","message":{"role":"assistant","content":"","thinking":" wants 6*7 and 7*8."},"done":false}
{"model":"qwen3","created_at":"2026-11-22T10:54:57.841643Z","message":{"role":"assistant","content":"Let me"},"done":false}
{"model":"qwen3","created_at":"2026-11-22T10:54:57.941643Z","message":{"role":"assistant","content":" work it out."},"done":false}
{"model":"qwen3","created_at":"2026-11-22T10:54:58.041643Z","message":{"role":"assistant","content":"","tool_calls":[{"function":{"name":"calculator","arguments":{"expression":"6*7"}}},{"function":{"index":1,"name":"calculator","arguments":{"expression":"7*8 \ud83d\ude00"}}}]},"done":false}
{"model":"qwen3","created_at":"2026-11-22T10:54:58.141643Z","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","total_duration":5063520417,"load_duration":29600250,"prompt_eval_count":229,"prompt_eval_duration":101000000,"eval_count":41,"eval_duration":505000000}
"""  # noqa: E501  # as it is sent


async def test_the_request_is_exactly_this(fake: FakeProviderServer, connect: Connect) -> None:
    settings = {"max_tokens": 100, "stop": ("END",), "temperature": 0.5, "top_p": 0.9}

    await connect(NAME).complete(
        ask(NAME, user("Hi"), assistant("Hello"), user("?"), system="Be brief.", tools=(CALCULATOR,), settings=settings)
    )

    (request,) = fake.requests
    assert request.path == "/api/chat"
    assert request.json == {
        "model": "llama3.1",
        "stream": True,
        "truncate": False,
        "shift": False,
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
        "options": {"num_ctx": 8192, "num_predict": 100, "temperature": 0.5, "top_p": 0.9, "stop": ["END"]},
    }
    assert "authorization" not in request.headers


async def test_thinking_text_and_calls_are_read(fake: FakeProviderServer, connect: Connect) -> None:
    fake.script(NAME, [Raw([THINKING_AND_CALLING])])

    response = await connect(NAME).complete(ask(NAME, model="qwen3", tools=(CALCULATOR,)))

    reasoning, text, *calls = response.parts
    assert reasoning == ReasoningPart("The user wants 6*7 and 7*8.", origin={"provider": "ollama", "model": "qwen3"})
    assert text == TextPart("Let me work it out.")
    assert [part.arguments for part in calls if isinstance(part, ToolCallPart)] == [
        {"expression": "6*7"},
        {"expression": "7*8 😀"},
    ]
    assert (response.stop_reason, response.model) == ("tool_use", "qwen3")
    assert response.usage == Usage(229, 41)


@pytest.mark.parametrize(
    "word, limit, reason",
    [
        ("stop", None, "end"),
        ("length", 7, "max_tokens"),
        ("length", 8, "context_exceeded"),
        ("length", None, "context_exceeded"),
    ],
)
async def test_stop_word(word: str, limit: int | None, reason: str, fake: FakeProviderServer, connect: Connect) -> None:
    """The stop reason is read."""
    fake.script(NAME, [say("Hi", stop=word, output_tokens=7)])

    response = await connect(NAME).complete(ask(NAME, settings={"max_tokens": limit}))

    assert response.stop_reason == reason


async def test_late_error(fake: FakeProviderServer, connect: Connect) -> None:
    """An error inside the stream comes after the text before it."""
    fake.script(NAME, [Raw([b'{"message":{"content":"Good day"},"done":false}\n{"error":"secret"}\n'])])

    events, error = await events_until_error(connect(NAME), ask(NAME))

    assert "".join(event.text for event in events if isinstance(event, PartDelta)) == "Good day"
    assert error.retryable
    assert "secret" not in str(error)


async def test_an_unknown_model_is_refused(fake: FakeProviderServer, connect: Connect) -> None:
    fake.script(NAME, [Raw([b'{"error":"model \\"llama3.1\\" not found"}'], status=404)])

    with pytest.raises(ProviderRejected, match="404"):
        await connect(NAME).complete(ask(NAME))


async def test_a_key_is_sent_where_there_is_one(fake: FakeProviderServer, connect: Connect) -> None:
    await connect(NAME, api_key="cloud-key").complete(ask(NAME))

    assert fake.requests[0].headers["authorization"] == "Bearer cloud-key"


def test_results_name_their_tool_and_thinking_goes_back_in_the_current_turn() -> None:
    origin = {"provider": "ollama", "model": "llama3.1"}
    said = ModelMessage(
        "assistant", (ReasoningPart("hm", origin=origin), ToolCallPart("call_0", "calculator", {"n": 1}))
    )
    result = ModelMessage("tool", (ToolResultPart("call_0", "calculator", {"value": 42}),))
    call_wire = {"function": {"name": "calculator", "arguments": {"n": 1}}}

    under_way = sent(NAME, ask(NAME, user(), said, result))["messages"]
    over = sent(NAME, ask(NAME, user(), said, result, user()))["messages"]
    elsewhere = sent(NAME, ask(NAME, user(), said, result, model="qwen3"))["messages"]

    assert under_way[1] == {"role": "assistant", "content": "", "thinking": "hm", "tool_calls": [call_wire]}
    assert under_way[2] == {"role": "tool", "tool_name": "calculator", "content": '{"value":42}'}
    assert "thinking" not in over[1]
    assert "thinking" not in elsewhere[1]


@pytest.mark.parametrize(
    "model, effort, think",
    [
        ("qwen3", None, None),
        ("qwen3", "none", False),
        ("qwen3", "low", True),
        ("gpt-oss:20b", "low", "low"),
        ("gpt-oss:20b", "none", False),
    ],
)
def test_thinking_is_asked_for_in_the_models_own_way(model: str, effort: str | None, think: Any) -> None:
    payload = sent(NAME, ask(NAME, model=model, settings={"reasoning": effort}))

    assert payload.get("think") == think
    assert ("think" in payload) is (effort is not None)


def test_the_context_grows_with_the_request_up_to_a_limit() -> None:
    def size(characters: int, **facts: Any) -> Any:
        endpoint = Endpoint(NAME)
        return OllamaChat(**facts).to_wire(ask(NAME, user("x" * characters)), endpoint)["options"]["num_ctx"]

    assert [size(10), size(30_000), size(60_000), size(900_000)] == [8192, 16384, 32768, 32768]
    assert size(900_000, num_ctx=4096) == 4096


@pytest.mark.parametrize(
    "host, address",
    [
        (None, "http://localhost:11434"),
        (" ", "http://localhost:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("gpu-box", "http://gpu-box:11434"),
        ("[::1]", "http://[::1]:11434"),
        ("[::1]:8080", "http://[::1]:8080"),
        ("https://ollama.example/", "https://ollama.example"),
    ],
)
def test_an_address_may_have_each_form_of_ollama_host(host: str | None, address: str) -> None:
    assert base_url_from(host) == address
