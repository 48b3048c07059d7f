"""The request for any thread keeps the rules of its provider."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_agents.attachments.formatting import plan_files
from ai_agents.core.json import dumps
from ai_agents.core.types import (
    FilePart,
    JsonObject,
    ModelMessage,
    ModelRequest,
    ModelSettings,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolDefinition,
    ToolResultPart,
)
from ai_agents.providers.registry import built_in_capabilities
from tests.fakes import samples
from tests.fakes.rules import Server
from tests.support.examples import examples
from tests.wire.requests import WIRES, check_sent, provider_of, sent, user

MODELS = {
    "anthropic": (
        "claude-3-haiku-20240307",
        "claude-sonnet-4-20250514",
        "claude-haiku-4-5",
        "claude-opus-4-6",
        "claude-opus-4-8",
        "claude-sonnet-5-5",
        "claude-opus-5-5",
        "claude-haiku-5-5",
        "claude-next",
        "another-model",
    ),
    "openai": (
        "gpt-4o",
        "o3",
        "gpt-5",
        "gpt-5-chat-latest",
        "gpt-5.4-mini",
        "gpt-6-sol",
        "llama-3.1-8b",
        "ft:gpt-4o:me::1",
        "gpt-4",
        "deepseek-reasoner",
    ),
    "ollama": ("llama3.1", "gpt-oss:20b", "llava", "llama3.2-vision:11b"),
    "gemini": ("gemini-3-flash-preview", "gemini-3-pro", "gemini-2.5-pro", "gemini-2.0-flash", "gemma-3-27b-it"),
}
# Models that a server may have which no table knows.
SERVED = ("llama-3.1-8b", "mistral-small-latest", "gemma-3-27b-it")
ITEM = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "c2ln"}
TEXTS = st.sampled_from(["Hello", "", " ", "\n\n", "世界 😀", "two\nlines "])
NAMES = st.sampled_from(["calculator", "files/read", "files_read", "", "x" * 90, "weißt du"])
ORIGINS = (
    st.sampled_from([None, {}, {"provider": "openai", "model": "gpt-4o"}])
    | st.builds(
        lambda provider, model, rest: {"provider": provider, "model": model} | rest,
        st.sampled_from(sorted(MODELS)),
        st.sampled_from([model for models in MODELS.values() for model in models]),
        st.sampled_from([{"signature": "c2ln"}, {"text_signature": "c2ln"}, {"redacted": "ZGF0YQ"}, {}]),
    )
    | st.builds(
        lambda model: {"provider": "openai", "model": model, "item": ITEM},
        st.sampled_from(["o3", "gpt-5", "gpt-6-sol"]),  # the only ones that reason there
    )
    | st.builds(
        lambda model, rest: {"provider": "openai", "model": model} | rest,
        st.sampled_from([*SERVED, "deepseek-reasoner"]),  # OpenAI's own models do not give these
        st.sampled_from([{"raw": "rs_1"}, {"raw": ""}, {"reasoning_content": "hm"}]),
    )
)
SCHEMAS: st.SearchStrategy[JsonObject | None] = st.sampled_from(
    [
        None,
        {"type": "object"},
        {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}},
        {"type": "object", "properties": {}, "additionalProperties": False},
        {"type": "object", "properties": {"a": {"oneOf": [{"type": "string"}, {"type": "null"}]}}, "required": ["a"]},
    ]
)
RESULTS: st.SearchStrategy[Any] = st.sampled_from(["42", "", {"value": [1, None]}, 42, None, [], "é"])
CONTENTS = {
    "image/png": samples.png(),
    "image/gif": samples.gif(),
    "image/webp": samples.webp(),
    "application/pdf": samples.pdf("Hello"),
    samples.DOCX: samples.docx("Hello"),
    "text/plain": b"Hello",
}
FILES = st.builds(
    lambda media_type, name, facts: FilePart("id", name, media_type, 3, facts=facts),
    st.sampled_from(sorted(CONTENTS)),
    TEXTS,
    st.sampled_from([{"text_tokens": 0}, {"text_tokens": 3, "pages": 60}, {"width": 9_000, "height": 2}]),
)
PLAIN_PARTS = st.builds(TextPart, TEXTS) | FILES
SAID_PARTS = st.builds(TextPart, TEXTS) | st.builds(ReasoningPart, TEXTS, ORIGINS)


@st.composite
def turns(draw: st.DrawFn) -> list[ModelMessage]:
    """A user's message and what follows it: answers, and calls with their results in one or more messages."""
    messages = [ModelMessage("user", tuple(draw(st.lists(PLAIN_PARTS, max_size=3))))]
    for _ in range(draw(st.integers(0, 3))):
        said: list[Part] = list(draw(st.lists(SAID_PARTS, max_size=3)))
        arguments: JsonObject = draw(st.sampled_from([{}, {"a": "é"}]))
        calls = [
            ToolCallPart(
                f"call_{draw(st.uuids()).hex}", draw(NAMES), arguments, malformed=draw(st.sampled_from([None, "{"]))
            )
            for _ in range(draw(st.integers(0, 2)))
        ]
        messages.append(ModelMessage("assistant", (*said, *calls)))
        results = [ToolResultPart(c.tool_call_id, c.name, draw(RESULTS), is_error=draw(st.booleans())) for c in calls]
        together = draw(st.booleans())
        if results and together:
            messages.append(ModelMessage("tool", tuple(results)))
        else:
            messages += [ModelMessage("tool", (result,)) for result in results]
    return messages


SETTINGS = st.builds(
    ModelSettings,
    temperature=st.sampled_from([None, 0.0, 0.7, 2.0]),
    top_p=st.sampled_from([None, 0.5]),
    max_tokens=st.sampled_from([None, 1, 1500, 2048, 100_000]),
    stop=st.sampled_from([(), ("END",), ("a", "b", "c", "d", "e", "\n")]),
    reasoning=st.sampled_from([None, "none", "low", "medium", "high"]),
)


def filled(message: ModelMessage) -> ModelMessage:
    """The message with the contents of its files, in the planned forms."""

    def fill(part: Part) -> Part:
        if not isinstance(part, FilePart) or part.content is None:
            return part
        return replace(part, content=replace(part.content, data=CONTENTS[part.media_type], text="Hello"))

    return replace(message, parts=tuple(map(fill, message.parts)))


@st.composite
def requests(draw: st.DrawFn, provider: str, *, models: Sequence[str] = ()) -> ModelRequest:
    names = draw(st.lists(NAMES.filter(bool), unique=True, max_size=4))
    model = draw(st.sampled_from(models or MODELS[provider]))
    messages = [message for turn in draw(st.lists(turns(), min_size=1, max_size=4)) for message in turn]
    planned = plan_files(messages, built_in_capabilities(provider, model).files, strict=False)
    return ModelRequest(
        model=model,
        messages=tuple(map(filled, planned)),
        system=draw(st.sampled_from([None, "", " \n", "Be brief."])),
        tools=tuple(ToolDefinition(name, "does it") for name in names),
        settings=draw(SETTINGS),
        output_schema=draw(SCHEMAS),
    )


@given(requests("anthropic"))
@examples(300)
def test_anthropic_accepts_any_history(request: ModelRequest) -> None:
    check_sent("anthropic", request)


@given(requests("openai"))
@examples(200)
def test_openai_accepts_any_history(request: ModelRequest) -> None:
    check_sent("openai", request)


@given(requests("openai"))
@examples(200)
def test_responses_accept_any_history(request: ModelRequest) -> None:
    check_sent("responses", request)


@given(requests("ollama"))
@examples(200)
def test_ollama_accepts_any_history(request: ModelRequest) -> None:
    check_sent("ollama", request)


@given(requests("gemini"))
@examples(200)
def test_gemini_accepts_any_history(request: ModelRequest) -> None:
    check_sent("gemini", request)


@pytest.mark.parametrize(
    "wire, server",
    [
        *((wire, server) for wire in ("openai", "responses", "ollama") for server in ("mistral", "gemma")),
        *(("responses", server) for server in ("llama.cpp", "vllm")),
    ],
)
@given(data=st.data())
@examples(100)
def test_a_server_with_a_template_accepts_any_history(wire: str, server: Server, data: st.DataObject) -> None:
    request = data.draw(requests(provider_of(wire), models=SERVED))
    if request.messages[-1].role == "assistant":  # a request is an answer to a user or to a tool
        request = replace(request, messages=(*request.messages, user("And now?")))

    check_sent(wire, request, server=server)


@pytest.mark.parametrize("wire", WIRES)
@given(data=st.data())
@examples(100)
def test_no_word_of_a_history_is_lost(wire: str, data: st.DataObject) -> None:
    request = data.draw(requests(provider_of(wire)))
    number = itertools.count()
    words: list[str] = []

    def with_own_word(part: Part) -> Part:
        if isinstance(part, TextPart | ToolResultPart):
            words.append(f"word{next(number)}.")
        match part:
            case TextPart():
                return replace(part, text=words[-1])
            case ToolResultPart():
                return replace(part, result=words[-1])
        return part

    messages = tuple(replace(m, parts=tuple(map(with_own_word, m.parts))) for m in request.messages)
    payload = dumps(sent(wire, replace(request, messages=messages)))

    assert [word for word in words if word not in payload] == []


@pytest.mark.parametrize("provider", MODELS)
def test_any_prefix_of_a_thread_is_accepted(provider: str) -> None:
    thread = (
        ModelMessage("user", (TextPart("one"),)),
        ModelMessage("assistant", (ReasoningPart("hm"), TextPart("two"))),
        ModelMessage("user", (TextPart(""),)),
        ModelMessage("assistant", (TextPart(""),)),
        ModelMessage("user", (TextPart("three"),)),
    )
    for length in range(1, len(thread) + 1):
        check_sent(provider, ModelRequest(model=MODELS[provider][0], messages=thread[:length]))
