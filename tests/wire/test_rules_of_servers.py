"""The fake servers refuse what servers refuse that speak the wire format of a provider, each in its way."""

from typing import Any

import httpx
import pytest

from tests.fakes.provider_server import FakeProviderServer
from tests.fakes.rules import BrokenRule, Server, check

SYSTEM = {"role": "system", "content": "Be brief."}
USER = {"role": "user", "content": "Hi"}
SAID = {"role": "assistant", "content": "Hello"}
STRING = {"type": "string"}


def call(id_: str = "a1B2c3D4e", content: str | None = None) -> dict[str, Any]:
    function = {"name": "add", "arguments": "{}"}
    calls = [{"id": id_, "type": "function", "function": function}]
    return {"role": "assistant", "content": content, "tool_calls": calls}


def result(id_: str = "a1B2c3D4e") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": id_, "content": "42"}


def chat(*messages: dict[str, Any]) -> dict[str, Any]:
    return {"model": "a-model", "messages": list(messages)}


OLLAMA_CALL = {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "add", "arguments": {}}}]}
OLLAMA_RESULT = {"role": "tool", "tool_name": "add", "content": "42"}


def ollama(*messages: dict[str, Any]) -> dict[str, Any]:
    return chat(*messages) | {"options": {"num_ctx": 8192}}


def responses(*items: dict[str, Any]) -> dict[str, Any]:
    return {"model": "a-model", "store": False, "input": list(items)}


ASKED = {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}
ANSWERED = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello"}]}
CALLED = {"type": "function_call", "call_id": "a1B2c3D4e", "name": "add", "arguments": "{}"}
GAVE = {"type": "function_call_output", "call_id": "a1B2c3D4e", "output": "42"}
THOUGHT = {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}


@pytest.mark.parametrize("server", ["mistral", "gemma"])
@pytest.mark.parametrize(
    "provider, payload",
    [
        ("openai", chat(SYSTEM, USER)),
        ("openai", chat(USER, SAID, USER)),
        ("openai", chat(USER, call(content="Let me see."), result(), call(), result(), SAID, USER)),
        ("ollama", ollama(SYSTEM, USER, OLLAMA_CALL, OLLAMA_RESULT, SAID, USER)),
        ("responses", responses(ASKED, ANSWERED, CALLED, GAVE, ANSWERED, ASKED)),
    ],
)
def test_a_template_accepts_what_alternates(server: Server, provider: str, payload: dict[str, Any]) -> None:
    check(provider, payload, server=server)


@pytest.mark.parametrize("server", ["mistral", "gemma"])
@pytest.mark.parametrize(
    "provider, payload",
    [
        ("openai", chat(USER, USER)),
        ("openai", chat(SAID, USER)),
        ("openai", chat(USER, SAID, SAID, USER)),
        ("openai", chat(USER, SYSTEM)),
        ("openai", chat(SYSTEM, SYSTEM, USER)),
        ("openai", chat(USER, call(), result(), USER)),
        ("openai", chat(USER, SAID, call(), result(), SAID, USER)),
        ("ollama", ollama(USER, USER)),
        ("ollama", ollama(USER, OLLAMA_CALL, OLLAMA_RESULT, USER)),
        ("responses", responses(ASKED, ASKED)),
        ("responses", responses(ASKED, CALLED, GAVE, ASKED)),
    ],
)
def test_a_template_refuses_two_neighbours_of_one_role(server: Server, provider: str, payload: dict[str, Any]) -> None:
    check(provider, payload)
    with pytest.raises(BrokenRule):
        check(provider, payload, server=server)


@pytest.mark.parametrize(
    "provider, payload",
    [
        ("openai", chat(USER, SAID)),
        ("openai", chat(USER, call("call_1"), result("call_1"))),
        ("openai", chat(USER, call("a1B2c3D4"), result("a1B2c3D4"))),
        ("openai", chat(USER, call("a1B2c3D_e"), result("a1B2c3D_e"))),
        ("responses", responses(ASKED, CALLED | {"call_id": "call_1"}, GAVE | {"call_id": "call_1"})),
    ],
)
def test_mistral_refuses_other_ids_and_an_answer_begun(provider: str, payload: dict[str, Any]) -> None:
    check(provider, payload, server="gemma")
    with pytest.raises(BrokenRule):
        check(provider, payload, server="mistral")


def test_llama_cpp_accepts_items_in_the_long_form() -> None:
    check("responses", responses(ASKED, THOUGHT, ANSWERED, CALLED, GAVE, ANSWERED, ASKED), server="llama.cpp")


WHOLE: dict[str, Any] = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Hello", "annotations": []}],
}


def test_vllm_accepts_items_with_all_their_fields() -> None:
    items = [ASKED, THOUGHT | {"id": "rs_1"}, WHOLE, CALLED, GAVE, WHOLE, ASKED]

    check("responses", responses(*items), server="vllm")
    check("responses", responses(*items), server="llama.cpp")


@pytest.mark.parametrize(
    "item",
    [
        ANSWERED,
        {name: value for name, value in WHOLE.items() if name != "id"},
        WHOLE | {"content": ANSWERED["content"]},
        WHOLE | {"content": WHOLE["content"] * 2},
    ],
)
def test_vllm_refuses_items_that_lack_a_field_of_the_sdk(item: dict[str, Any]) -> None:
    check("responses", responses(ASKED, item, ASKED))
    with pytest.raises(BrokenRule):
        check("responses", responses(ASKED, item, ASKED), server="vllm")


@pytest.mark.parametrize(
    "items",
    [
        [ASKED, {"role": "assistant", "content": "Hello"}, ASKED],
        [ASKED, {"role": "assistant", "content": [{"type": "output_text", "text": "Hello"}]}, ASKED],
        [ASKED, {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "c2ln"}, ANSWERED, ASKED],
        [
            {
                "role": "user",
                "content": [
                    {
                        "type": "input_file",
                        "filename": "a.pdf",
                        "file_data": "data:application/pdf;base64,JVBERi0xLjQK",
                    }
                ],
            }
        ],
    ],
)
def test_llama_cpp_refuses_items_in_the_short_form(items: list[dict[str, Any]]) -> None:
    with pytest.raises(BrokenRule):
        check("responses", responses(*items), server="llama.cpp")


def with_tool(provider: str, schema: Any) -> dict[str, Any]:
    """A request that is right but for the schema of its tool."""
    function = {"name": "add", "description": "", "parameters": schema}
    tool = {"name": "add", "input_schema": schema}
    match provider:
        case "anthropic":
            return {"model": "claude-sonnet-5", "max_tokens": 9, "messages": [USER], "tools": [tool]}
        case "openai":
            return chat(USER) | {"tools": [{"type": "function", "function": function}]}
        case "responses":
            return responses(ASKED) | {"tools": [{"type": "function", **function, "strict": False}]}
        case _:
            return ollama(USER) | {"tools": [{"type": "function", "function": function}]}


OPENAI, ALL = ("openai", "responses"), ("anthropic", "openai", "responses", "ollama")
REFUSED_SCHEMAS: list[tuple[tuple[str, ...], Any]] = [
    (ALL, {}),
    (ALL, {"type": "array", "items": {}}),
    (OPENAI, {"type": "object"}),
    (OPENAI, {"type": "object", "properties": {}, "enum": [{}]}),
    (OPENAI, {"type": "object", "properties": {}, "not": {"required": ["a"]}}),
    (OPENAI, {"type": "object", "properties": {"a": {"type": "array"}}}),
    (OPENAI, {"type": "object", "properties": {"a": {"type": "array", "items": {"type": ["null", "array"]}}}}),
    (OPENAI, {"type": "object", "properties": {}, "$defs": {"a": {"anyOf": [{"type": "array"}]}}}),
    *(
        ((*OPENAI, "anthropic"), {"type": "object", "properties": {"a": STRING}, word: [{"required": ["a"]}]})
        for word in ("oneOf", "anyOf", "allOf")
    ),
    (("anthropic",), {"type": "object", "properties": {"$top": STRING}}),
    (("anthropic",), {"type": "object", "properties": {"filter[id]": STRING}}),
    (("anthropic",), {"type": "object", "properties": {"x" * 65: STRING}}),
    (("anthropic",), {"type": "object", "properties": {"a": {"type": "number", "exclusiveMinimum": True}}}),
    (("anthropic",), {"type": "object", "properties": {"a": {"type": "array", "items": [STRING]}}}),
    (("ollama",), {"type": "object", "properties": {"a": True}}),
    (("ollama",), {"type": "object", "properties": {"a": {"anyOf": [True]}}}),
]


@pytest.mark.parametrize("providers, schema", REFUSED_SCHEMAS)
def test_each_provider_refuses_its_own_kinds_of_legal_schemas(providers: tuple[str, ...], schema: Any) -> None:
    for provider in ALL:
        if provider in providers:
            with pytest.raises(BrokenRule):
                check(provider, with_tool(provider, schema))
        else:
            check(provider, with_tool(provider, schema))


@pytest.mark.parametrize("provider", ALL)
def test_each_provider_accepts_a_plain_schema(provider: str) -> None:
    inner = {"type": "object", "additionalProperties": {"type": ["string", "null"]}}
    properties = {"a": STRING, "b": {"type": "array", "items": STRING}, "c": inner, "d": {"oneOf": [STRING, inner]}}

    check(provider, with_tool(provider, {"type": "object", "properties": properties, "required": ["a"]}))


async def test_a_fake_server_refuses_as_the_server_that_it_stands_for() -> None:
    async with FakeProviderServer(server="mistral") as fake, httpx.AsyncClient() as client:
        url, headers = f"{fake.base_url('openai')}/chat/completions", {"authorization": "Bearer key"}
        accepted = await client.post(url, json=chat(USER), headers=headers)
        refused = await client.post(url, json=chat(USER, USER), headers=headers)

    assert (accepted.status_code, refused.status_code) == (200, 400)
    assert "must alternate" in refused.text
