"""The echo provider, a stand-in for a model."""

from ai_agents.core.types import (
    FilePart,
    ModelMessage,
    ModelRequest,
    ModelSettings,
    PartDelta,
    TextPart,
    ToolCallPart,
    ToolDefinition,
    ToolResultPart,
)
from ai_agents.providers.echo import NOTICE, EchoProvider

CALCULATOR = ToolDefinition("calculator", "Works out an expression.")


def user(text: str) -> ModelMessage:
    return ModelMessage("user", (TextPart(text),))


def request(*messages: ModelMessage, **facts: object) -> ModelRequest:
    return ModelRequest(model="echo", messages=messages, **facts)  # type: ignore[arg-type]  # each test gives few


async def test_it_repeats_the_message_and_says_that_it_is_no_model() -> None:
    response = await EchoProvider().complete(request(user("first"), user("Grüße,\n  zweite Zeile 😀")))

    assert response.text == f"echo: Grüße,\n  zweite Zeile 😀\n\n{NOTICE}"
    assert response.stop_reason == "end"
    assert response.usage.estimated is True
    assert response.usage.output_tokens == len(response.text) // 4


async def test_it_streams_word_by_word() -> None:
    pieces = [e.text async for e in EchoProvider().stream(request(user("one two"))) if isinstance(e, PartDelta)]

    assert pieces[:3] == ["echo:", " one", " two"]
    assert "".join(pieces) == f"echo: one two\n\n{NOTICE}"


async def test_it_answers_the_same_each_time() -> None:
    same = request(user("Hello"))

    assert await EchoProvider().complete(same) == await EchoProvider().complete(same)


async def test_it_calls_a_tool_on_request_and_reports_the_result() -> None:
    asked = user('/tool calculator {"expression": "6*7"}')

    response = await EchoProvider().complete(request(asked, tools=(CALCULATOR,)))

    (call,) = response.tool_calls
    assert (call.name, call.arguments, response.stop_reason) == ("calculator", {"expression": "6*7"}, "tool_use")
    result = ModelMessage("tool", (ToolResultPart(call.tool_call_id, "calculator", "42"),))
    answer = await EchoProvider().complete(
        request(asked, ModelMessage("assistant", (call,)), result, tools=(CALCULATOR,))
    )
    assert answer.text.startswith("echo: calculator answered: 42\n")
    assert not answer.tool_calls


async def test_it_reports_a_tool_that_failed() -> None:
    call = ToolCallPart("call_1", "calculator", {})
    result = ModelMessage("tool", (ToolResultPart("call_1", "calculator", "division by zero", is_error=True),))

    response = await EchoProvider().complete(request(user("x"), ModelMessage("assistant", (call,)), result))

    assert response.text.startswith("echo: calculator failed: division by zero\n")


async def test_a_tool_that_is_not_offered_is_only_repeated() -> None:
    response = await EchoProvider().complete(request(user("/tool calculator {}")))

    assert response.text.startswith("echo: /tool calculator {}\n")
    assert response.stop_reason == "end"


async def test_broken_arguments_make_a_malformed_call() -> None:
    response = await EchoProvider().complete(request(user('/tool calculator {"a":'), tools=(CALCULATOR,)))

    assert response.tool_calls[0].malformed == '{"a":'


async def test_max_tokens_cuts_it_after_that_many_words() -> None:
    response = await EchoProvider().complete(request(user("one two three"), settings=ModelSettings(max_tokens=2)))

    assert response.text == "echo: one"
    assert response.stop_reason == "max_tokens"


async def test_a_file_is_named() -> None:
    file = FilePart("id", "plan.pdf", "application/pdf", 10)

    response = await EchoProvider().complete(request(ModelMessage("user", (file,))))

    assert response.text.startswith("echo: [file: plan.pdf (application/pdf)]\n")


def test_a_provider_in_front_of_the_model_is_shown_apart_from_it() -> None:
    echo = EchoProvider()
    beginning = "echo, the stand-in, is not the model"
    apart = 'name them apart: "provider": "openai", "model": "gpt-4o".'
    assert echo.refusal_of("openai:gpt-4o") == f"{beginning} openai:gpt-4o: {apart}"
    advice = "name the model's provider, or set that provider's key."
    assert echo.refusal_of("llama3:8b") == f"{beginning} llama3:8b: {advice}"
