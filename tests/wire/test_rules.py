"""The fake provider refuses what the real ones refuse. Without that, the other wire tests would prove nothing."""

from typing import Any

import httpx
import pytest

from tests.fakes.provider_server import FakeProviderServer
from tests.fakes.rules import BrokenRule, check

TEXT = {"type": "text", "text": "Hi"}
USE = {"type": "tool_use", "id": "call_1", "name": "calculator", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "call_1", "content": "42"}
USER = {"role": "user", "content": [TEXT]}
TOOL = {"name": "calculator", "description": "", "input_schema": {"type": "object"}}
ANTHROPIC = {"model": "claude-sonnet-5", "max_tokens": 10, "messages": [USER]}
CALL = {"id": "call_1", "type": "function", "function": {"name": "calculator", "arguments": "{}"}}
OPENAI: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}
OLLAMA = {"model": "qwen3", "messages": [{"role": "user", "content": "Hi"}], "options": {"num_ctx": 8192}}
USED = {"function": {"name": "calculator", "arguments": {}}}


def turns(*contents: Any) -> dict[str, Any]:
    roles = ("user", "assistant")
    return ANTHROPIC | {"messages": [{"role": roles[n % 2], "content": c} for n, c in enumerate(contents)]}


def chat(base: dict[str, Any], *messages: dict[str, Any]) -> dict[str, Any]:
    return base | {"messages": list(messages)}


@pytest.mark.parametrize(
    "provider, payload",
    [
        ("anthropic", ANTHROPIC),
        ("anthropic", turns([TEXT], [TEXT, USE], [RESULT, TEXT]) | {"tools": [TOOL]}),
        ("openai", OPENAI),
        ("openai", chat(OPENAI, OPENAI["messages"][0], {"role": "assistant", "content": None, "tool_calls": [CALL]},
                        {"role": "tool", "tool_call_id": "call_1", "content": "42"})),
        ("ollama", OLLAMA),
        ("ollama", chat(OLLAMA, {"role": "assistant", "content": "", "tool_calls": [USED]},
                        {"role": "tool", "tool_name": "calculator", "content": "42"})),
    ],
)  # fmt: skip
def test_a_correct_request_is_accepted(provider: str, payload: dict[str, Any]) -> None:
    check(provider, payload)


@pytest.mark.parametrize(
    "payload",
    [
        [],
        ANTHROPIC | {"model": ""},
        ANTHROPIC | {"max_tokens": 0},
        ANTHROPIC | {"temperature": 1.0},
        ANTHROPIC | {"surprise": 1},
        ANTHROPIC | {"system": " "},
        ANTHROPIC | {"stop_sequences": ["\n"]},
        ANTHROPIC | {"tools": [TOOL, TOOL]},
        ANTHROPIC | {"tools": [TOOL | {"name": "a/b"}]},
        ANTHROPIC | {"tools": [TOOL | {"input_schema": {}}]},
        ANTHROPIC | {"messages": []},
        ANTHROPIC | {"messages": [USER, USER]},
        ANTHROPIC | {"messages": [{"role": "assistant", "content": "Hi"}, USER]},
        ANTHROPIC | {"thinking": {"type": "enabled", "budget_tokens": 1024}},
        ANTHROPIC | {"thinking": {"type": "adaptive", "budget_tokens": 1024}},
        ANTHROPIC | {"thinking": {"type": "on"}},
        turns([]),
        turns(" "),
        turns([TEXT], "an answer begun"),
        turns([TEXT], [], [TEXT]),
        turns([TEXT], [USE], [TEXT]),
        turns([TEXT], [USE], [TEXT, RESULT]),
        turns([TEXT], [TEXT], [RESULT]),
        turns([TEXT], [USE, USE], [RESULT]),
        turns([TEXT], [USE | {"input": "{}"}], [RESULT]),
        turns([TEXT], [{"type": "thinking", "thinking": "hm", "signature": ""}], [TEXT]),
        turns([TEXT], [RESULT], [TEXT]),
        turns([TEXT], [USE], [RESULT]),
        turns([TEXT], [USE], [RESULT])
        | {"tools": [TOOL], "max_tokens": 5000, "thinking": {"type": "enabled", "budget_tokens": 1024}},
    ],
)
def test_anthropic_refuses_wrong_requests(payload: Any) -> None:
    with pytest.raises(BrokenRule):
        check("anthropic", payload)


def test_anthropics_older_version_takes_one_kind_of_sampling() -> None:
    older = {"anthropic-version": "2023-06-01"}
    check("anthropic", ANTHROPIC | {"temperature": 0.5}, older)
    with pytest.raises(BrokenRule):
        check("anthropic", ANTHROPIC | {"temperature": 0.5, "top_p": 0.5}, older)
    with pytest.raises(BrokenRule):
        check("anthropic", ANTHROPIC | {"temperature": 0.5, "thinking": {"type": "adaptive"}}, older)
    with pytest.raises(BrokenRule):
        check("anthropic", ANTHROPIC, {"anthropic-version": "2019-01-01"})


@pytest.mark.parametrize(
    "payload",
    [
        OPENAI | {"surprise": 1},
        OPENAI | {"stream_options": {"include_usage": True}},
        OPENAI | {"stop": ["a", "b", "c", "d", "e"]},
        OPENAI | {"tools": []},
        OPENAI | {"tools": [{"type": "function", "function": {"name": "a b", "parameters": {"type": "object"}}}]},
        OPENAI | {"reasoning_effort": "low"},
        OPENAI | {"model": "o3", "temperature": 1.0},
        OPENAI | {"model": "gpt-5", "max_tokens": 5},
        OPENAI | {"model": "gpt-6-sol", "tools": [{"type": "function", "function": {"name": "a", "parameters": {}}}]},
        chat(OPENAI),
        chat(OPENAI, {"role": "user", "content": ""}),
        chat(OPENAI, {"role": "assistant"}),
        chat(OPENAI, {"role": "robot", "content": "Hi"}),
        chat(OPENAI, {"role": "tool", "tool_call_id": "call_1", "content": "42"}),
        chat(OPENAI, {"role": "assistant", "tool_calls": []}),
        chat(OPENAI, {"role": "assistant", "tool_calls": [CALL]}),
        chat(OPENAI, {"role": "assistant", "tool_calls": [CALL]}, {"role": "user", "content": "Hi"}),
        chat(OPENAI, {"role": "assistant", "tool_calls": [CALL | {"id": "c" * 41}]}),
        chat(OPENAI, {"role": "assistant", "tool_calls": [CALL | {"function": {"name": "a", "arguments": "[]"}}]}),
    ],
)
def test_openai_refuses_wrong_requests(payload: Any) -> None:
    with pytest.raises(BrokenRule):
        check("openai", payload)


@pytest.mark.parametrize(
    "payload",
    [
        OLLAMA | {"surprise": 1},
        OLLAMA | {"options": {}},
        OLLAMA | {"options": {"num_ctx": 8192, "max_tokens": 5}},
        chat(OLLAMA),
        chat(OLLAMA, {"role": "user", "content": " "}),
        chat(OLLAMA, {"role": "user", "content": [TEXT]}),
        chat(OLLAMA, {"role": "tool", "tool_name": "calculator", "content": "42"}),
        chat(OLLAMA, {"role": "assistant", "content": "", "tool_calls": [USED]}),
        chat(OLLAMA, {"role": "assistant", "content": "", "tool_calls": [USED]}, {"role": "user", "content": "Hi"}),
        chat(OLLAMA, {"role": "assistant", "content": "", "tool_calls": [{"function": CALL["function"]}]}),
    ],
)
def test_ollama_refuses_wrong_requests(payload: Any) -> None:
    with pytest.raises(BrokenRule):
        check("ollama", payload)


@pytest.mark.parametrize(
    "path, headers, body, status",
    [
        ("/v1/messages", {"authorization": "Bearer key"}, turns([]), 400),
        ("/v1/messages", {}, ANTHROPIC, 401),
        ("/v1/chat/completions", {"authorization": "Bearer key"}, OPENAI | {"tools": []}, 400),
        ("/api/chat", {}, OLLAMA | {"options": {}}, 400),
        ("/nowhere", {}, {}, 404),
        ("/api/chat", {}, OLLAMA, 200),
    ],
)
async def test_statuses(path: str, headers: dict[str, str], body: Any, status: int, fake: FakeProviderServer) -> None:
    """The fake server refuses wrong requests as the providers do."""
    async with httpx.AsyncClient() as client:
        response = await client.post(f"http://127.0.0.1:{fake.port}{path}", json=body, headers=headers)

    assert response.status_code == status
