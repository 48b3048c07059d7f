"""What a refusal teaches about a compatible server, and what its quirks and models leave out of a request."""

import json
from typing import Any

import pytest

from ai_agents.core.exceptions import ProviderRejected
from ai_agents.core.notices import Notice
from ai_agents.core.types import FileContent, FilePart, ModelMessage, ModelRequest, ReasoningPart, ToolCallPart
from ai_agents.core.types import ToolResultPart as Result
from ai_agents.providers.openai import OpenAIProvider
from ai_agents.providers.quirks import Quirks
from tests.fakes.answers import Raw, say
from tests.fakes.provider_server import FakeProviderServer
from tests.wire.conftest import Connect
from tests.wire.requests import CALCULATOR, ask, sent, user

NAME = "openai"
MODEL = "some-model"
ORIGIN = {"provider": NAME, "model": MODEL}
CALL = ToolCallPart("call_1", "calculator", {})
HISTORY = (
    user(),
    ModelMessage("assistant", (ReasoningPart("Hm", origin=ORIGIN | {"reasoning_content": "Hm"}), CALL)),
    ModelMessage("tool", (Result("call_1", "calculator", "42"),)),
)
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}


def refusal(said: str, status: int = 400, **more: Any) -> Raw:
    """OpenAI's form of a refusal."""
    body = {"error": {"message": said, "type": "invalid_request_error", "param": None, "code": None} | more}
    return Raw([json.dumps(body).encode()], status=status, headers={"content-type": "application/json"})


def body(value: Any, status: int = 422) -> Raw:
    """A refusal in another form."""
    return Raw([json.dumps(value).encode()], status=status, headers={"content-type": "application/json"})


EXTRA = {"type": "extra_forbidden", "loc": ["body", "stream_options"], "msg": "Extra inputs are not permitted"}
ASKED: dict[str, Any] = {"settings": {"max_tokens": 99}}
REMEDIES: dict[str, tuple[Raw, dict[str, Any], dict[str, Any]]] = {
    "a parameter by its name": (
        refusal("Unsupported parameter", param="stream_options"),
        ASKED,
        {"stream_options": False},
    ),
    "a parameter in words": (refusal("Unknown field: stream_options"), ASKED, {"stream_options": False}),
    "FastAPI's list": (body({"detail": [EXTRA]}), ASKED, {"stream_options": False}),
    "Mistral's list": (
        body({"object": "error", "message": {"detail": [EXTRA]}, "type": "invalid_request_error", "param": None}),
        ASKED,
        {"stream_options": False},
    ),
    "vLLM's words": (
        body({"object": "error", "message": str([EXTRA]), "type": "BadRequestError", "param": None, "code": 400}, 400),
        ASKED,
        {"stream_options": False},
    ),
    "the newer limit": (
        refusal("Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens'."),
        ASKED,
        {"max_tokens_field": "max_completion_tokens"},
    ),
    "the older limit": (
        refusal("Unrecognized request argument supplied: max_completion_tokens", param="max_completion_tokens"),
        ASKED | {"model": "codex-of-another"},
        {"max_tokens_field": "max_tokens"},
    ),
    "an effort that was added": (
        refusal("Unsupported value: 'reasoning_effort' does not support 'none'", param="reasoning_effort"),
        {"model": "codex-of-another", "settings": {"reasoning": "none"}},
        {"reasoning": False},
    ),
    "a form for the answer": (
        refusal("This model does not support response_format json_schema"),
        {"output_schema": SCHEMA},
        {"schema": "instructed"},
    ),
    "a path into the form": (
        refusal("Unknown parameter", param="response_format.json_schema.strict"),
        {"model": "gpt-4o", "output_schema": SCHEMA},
        {"schema": "instructed"},
    ),
    "reasoning that goes back": (
        body({"detail": [{"loc": ["body", "messages", 1, "reasoning_content"], "msg": "Extra inputs"}]}),
        {"messages": HISTORY},
        {"keeps_reasoning": False},
    ),
    "reasoning that is missed": (
        refusal("thinking is enabled but reasoning_content is missing in assistant tool call message at index 1"),
        {"messages": (HISTORY[0], ModelMessage("assistant", (CALL,)), HISTORY[2])},
        {"keeps_reasoning": True},
    ),
}


@pytest.mark.parametrize("name", REMEDIES)
async def test_a_refusal_of_what_was_added_is_answered_and_remembered(
    name: str, fake: FakeProviderServer, connect: Connect
) -> None:
    refused, asked, quirks = REMEDIES[name]
    request = ask(
        NAME, *asked.get("messages", ()), **{"model": MODEL} | {k: v for k, v in asked.items() if k != "messages"}
    )
    fake.script(NAME, [refused, say("Yes"), say("Yes again")])
    provider = connect(NAME)
    assert isinstance(provider, OpenAIProvider)

    assert (await provider.complete(request)).text == "Yes"
    assert (await provider.complete(request)).text == "Yes again"

    first, second, third = (each.json for each in fake.requests)
    assert first != second == third
    assert provider.learned.all() == {request.model: Quirks(**quirks)}


@pytest.mark.parametrize(
    "said, facts",
    [
        ("max_tokens is too large: 99. This model supports at most 50 completion tokens", {}),
        ("max_tokens must be at least 100", {}),
        ("temperature does not support 0.5 with this model", {"settings": {"temperature": 0.5}}),
        ("Unsupported parameter: 'stop'", {"settings": {"stop": ("END",)}}),
        ("Unsupported value: 'reasoning_effort' does not support 'high'", {"settings": {"reasoning": "high"}}),
        ("auto tool choice requires --enable-auto-tool-choice", {"tools": (CALCULATOR,)}),
        ("The model cannot read image_url", {}),
    ],
)
async def test_a_refusal_of_what_the_agent_asks_for_is_told(
    said: str, facts: dict[str, Any], fake: FakeProviderServer, connect: Connect
) -> None:
    fake.script(NAME, [refusal(said)])

    with pytest.raises(ProviderRejected) as caught:
        await connect(NAME).complete(ask(NAME, **{"model": MODEL, "settings": {"max_tokens": 99}} | facts))

    assert len(fake.requests) == 1
    assert caught.value.upstream == {"status": 400, "message": said}


@pytest.mark.parametrize("status", [401, 402, 403, 404])
async def test_a_refusal_for_another_reason_does_not_change_the_form(
    status: int, fake: FakeProviderServer, connect: Connect
) -> None:
    fake.script(NAME, [refusal("No.", status)])

    with pytest.raises(ProviderRejected):
        await connect(NAME).complete(ask(NAME, model=MODEL, output_schema=SCHEMA))

    assert len(fake.requests) == 1


async def test_a_server_that_refuses_both_limits_is_asked_twice(fake: FakeProviderServer, connect: Connect) -> None:
    either = (
        refusal(f"Unsupported parameter: '{name}'", param=name) for name in ("max_tokens", "max_completion_tokens")
    )
    fake.script(NAME, list(either))

    with pytest.raises(ProviderRejected):
        await connect(NAME).complete(ask(NAME, model=MODEL, settings={"max_tokens": 99}))

    assert len(fake.requests) == 2


async def test_a_template_without_tools_is_told_of_calls_in_words(fake: FakeProviderServer, connect: Connect) -> None:
    fake.script(NAME, [refusal("Conversation roles must alternate user/assistant/user/assistant/..."), say("Yes")])
    provider = connect(NAME)
    assert isinstance(provider, OpenAIProvider)
    request = ask(NAME, *HISTORY, model=MODEL, tools=(CALCULATOR,))

    assert (await provider.complete(request)).text == "Yes"

    payload = fake.requests[1].json
    assert "tools" not in payload
    assert [(message["role"], message["content"]) for message in payload["messages"]] == [
        ("user", "Hello!"),
        ("assistant", "(Call of calculator: {})"),
        ("user", "(Result of calculator: 42)"),
    ]
    assert [notice["code"] for notice in provider.left_out(request)] == ["tool_left_out"]


EVERYTHING: dict[str, Any] = {
    "max_tokens": 9,
    "temperature": 0.5,
    "top_p": 0.5,
    "stop": ("a", "b", "c", "d", "e"),
    "reasoning": "high",
}


@pytest.mark.parametrize(
    "quirks, left",
    [
        ({"stream_options": False}, {"stream_options"}),
        ({"sampling": False}, {"temperature", "top_p"}),
        ({"stop": False}, {"stop"}),
        ({"reasoning": False}, {"reasoning_effort"}),
        ({"tools": False}, {"tools"}),
        ({"schema": "instructed"}, {"response_format"}),
        ({"max_tokens_field": "max_completion_tokens"}, {"max_tokens"}),
    ],
)
def test_quirks_leave_out_what_the_server_does_not_take(quirks: dict[str, Any], left: set[str]) -> None:
    request = ask(NAME, model=MODEL, settings=EVERYTHING, tools=(CALCULATOR,), output_schema=SCHEMA)

    usual, changed = sent(NAME, request), sent(NAME, request, **quirks)

    assert usual.keys() - changed.keys() == left
    assert changed.keys() - usual.keys() == ({"max_completion_tokens"} if "max_tokens_field" in quirks else set())


def test_quirks_overrule_what_is_known_of_a_model() -> None:
    quirks = {"sampling": True, "stop": True, "max_tokens_field": "max_tokens"}

    payload = sent(NAME, ask(NAME, model="o3", settings=EVERYTHING), **quirks)

    assert {"temperature", "top_p", "stop", "max_tokens", "reasoning_effort"} <= payload.keys()
    assert "reasoning_effort" in sent(NAME, ask(NAME, settings=EVERYTHING), reasoning=True)


def notices(request: ModelRequest, **quirks: Any) -> list[Notice]:
    provider = OpenAIProvider(api_key="a-key", quirks=Quirks(**quirks))
    return list(provider.left_out(request))


def settings_in(found: list[Notice]) -> list[str]:
    return [notice["setting"] for notice in found if notice["code"] == "setting_left_out"]


@pytest.mark.parametrize(
    "model, quirks, left",
    [
        (MODEL, {}, ["stop"]),
        ("o3", {}, ["temperature", "top_p", "stop"]),
        ("gpt-4o", {}, ["stop", "reasoning"]),
        ("gpt-4o", {"reasoning": True}, ["stop"]),
        ("o3", {"sampling": True, "stop": True}, ["stop"]),
        (MODEL, {"sampling": False, "stop": False, "reasoning": False}, ["temperature", "top_p", "stop", "reasoning"]),
    ],
)
def test_what_is_left_out_is_said(model: str, quirks: dict[str, Any], left: list[str]) -> None:
    assert settings_in(notices(ask(NAME, model=model, settings=EVERYTHING), **quirks)) == left
    assert notices(ask(NAME, model=model), **quirks) == []


def test_an_effort_that_tools_rule_out_is_said() -> None:
    request = ask(NAME, model="gpt-5.6-terra", settings={"reasoning": "high"}, tools=(CALCULATOR,))

    assert settings_in(notices(request)) == ["reasoning"]
    assert settings_in(notices(ask(NAME, model="gpt-5.6-terra", settings={"reasoning": "high"}))) == []


def test_tools_and_pictures_that_are_left_out_are_said() -> None:
    picture = FilePart("id", "a.png", "image/png", 3, content=FileContent("name"))
    request = ask(NAME, ModelMessage("user", (picture,)), model=MODEL, tools=(CALCULATOR,))

    found = notices(request, tools=False, images=False)

    assert [notice["code"] for notice in found] == ["tool_left_out", "setting_left_out"]
    assert settings_in(found) == ["images"]
    assert notices(request) == []


def test_quirks_say_which_files_a_model_takes_and_how_much_fits() -> None:
    plain = OpenAIProvider(api_key="a-key").capabilities(MODEL)
    quirks = Quirks(images=False, documents=True, context_window=9000)
    told = OpenAIProvider(api_key="a-key", quirks=quirks).capabilities(MODEL)

    assert ("image/png" in plain.files.media_types, "application/pdf" in plain.files.media_types) == (True, False)
    assert (set(told.files.media_types), told.context_window) == ({"application/pdf"}, 9000)
