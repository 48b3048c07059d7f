"""OpenAI's own SDK as a client of chat completions."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionChunk

from ai_agents.core.exceptions import ProviderRejected, ProviderTruncated
from ai_agents.testing import tool_call
from tests.api.live import Live, serve
from tests.api.service import give_role, make_agent, make_thread, settings_for
from tests.doors.sdk import HELLO, PNG, Sdk, listed, open_sdk, shown, text_of
from tests.doors.support import check_openai_error

WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a town.",
        "parameters": {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]},
    },
}


@pytest.fixture
async def sdk(small_live: Live) -> AsyncIterator[Sdk]:
    async with open_sdk(small_live) as opened:
        yield opened


@pytest.fixture
async def sdk_on_each(live: Live) -> AsyncIterator[Sdk]:
    """Once for each kind of database."""
    async with open_sdk(live) as opened:
        yield opened


async def test_a_call_without_a_conversation_is_complete_in_itself_whole_and_streamed(sdk: Sdk) -> None:
    sdk.provider.answers += ["Hi there.", ["Hi ", "there."]]
    past: Any = [
        {"role": "user", "content": "My name is Ada."},
        {"role": "assistant", "content": "Hello Ada."},
        {"role": "user", "content": [{"type": "text", "text": "Who am I?"}]},
        {"role": "user", "content": "Say."},
    ]

    raw = await sdk.client.chat.completions.with_raw_response.create(
        model="helper", messages=past, extra_body={"prompt_cache_key": "x", "verbosity": "low"}, metadata={"a": "b"}
    )
    whole = raw.parse()
    chunks = await sdk.stream()

    assert (whole.choices[0].message.content, whole.choices[0].finish_reason) == ("Hi there.", "stop")
    assert (whole.model, whole.usage and whole.usage.total_tokens) == ("helper", 15)
    assert (text_of(chunks), chunks[-2].choices[0].finish_reason) == ("Hi there.", "stop")
    assert (chunks[-1].choices, chunks[-1].usage) == ([], whole.usage)
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1
    assert [(each.role, each.parts) for each in sdk.provider.requests[0].messages][:2] != []
    sdk.provider.requests.pop()
    assert shown(sdk) == [
        ("user", "My name is Ada."),
        ("assistant", "Hello Ada."),
        ("user", "Who am I?\n\nSay."),
    ]
    # The thread is there for a day, by its id alone.
    thread_id, run_id = raw.headers["x-thread-id"], raw.headers["x-run-id"]
    messages = (await sdk.http.get(f"/threads/{thread_id}/messages")).json()["data"]
    assert [message["content"] for message in messages][-1] == "Hi there."
    assert messages[-2]["metadata"] == {"a": "b"}
    assert (await sdk.http.get(f"/threads/{thread_id}/runs/{run_id}")).json()["status"] == "completed"
    assert await listed(sdk) == []
    assert (await sdk.http.get("/me")).json()["limits"]["threads"]["used"] in (0, None)


async def test_tools_of_the_agent_run_here_and_are_not_shown(sdk: Sdk) -> None:
    answer = [["Let me see.", tool_call("calculator", expression="6*7")], "It is 42."]
    sdk.provider.answers += [*answer, *answer]

    whole, chunks = await sdk.ask(), await sdk.stream()

    assert whole.choices[0].message.content == text_of(chunks) == "Let me see.\n\nIt is 42."
    assert whole.choices[0].message.tool_calls is None
    assert all(chunk.choices[0].delta.tool_calls is None for chunk in chunks if chunk.choices)
    assert whole.usage == chunks[-1].usage
    assert whole.usage.prompt_tokens == 20


@pytest.mark.parametrize("conversation", [None, "chat-7"])
async def test_tools_of_the_client_are_its_own_to_call(sdk_on_each: Sdk, conversation: str | None) -> None:
    """The run waits for the results by the ids of the calls, with or without a conversation's id."""
    sdk = sdk_on_each
    headers = {} if conversation is None else {"x-thread-id": conversation}
    asks = [["I look. ", tool_call("weather", town="Oslo"), tool_call("weather", town="Rome")], "Cold, and warm."]
    sdk.provider.answers += [*asks, "You are welcome."]
    messages: list[Any] = [{"role": "user", "content": "Oslo or Rome?"}]

    asked = (await sdk.ask(messages, tools=[WEATHER], extra_headers=headers)).choices[0]
    messages.append(asked.message.model_dump(exclude_none=True))
    calls = asked.message.tool_calls
    messages += [{"role": "tool", "tool_call_id": call.id, "content": call.function.arguments} for call in calls]
    answered = await sdk.ask(messages, tools=[WEATHER], extra_headers=headers)
    again: Any = {"messages": messages, "tools": [WEATHER]}
    repeated = await sdk.ask(**again, extra_headers=headers | {"x-stainless-retry-count": "1"})

    assert asked.finish_reason == "tool_calls"
    assert [(call.function.name, json.loads(call.function.arguments)["town"]) for call in calls] == [
        ("weather", "Oslo"), ("weather", "Rome"),
    ]  # fmt: skip
    assert answered.choices[0].message.content == repeated.choices[0].message.content == "Cold, and warm."
    assert answered.id == repeated.id
    assert (answered.usage.prompt_tokens, answered.choices[0].finish_reason) == (10, "stop")
    assert shown(sdk)[-1][0] == "tool"
    with pytest.raises(openai.NotFoundError):
        await sdk.ask(messages, tools=[WEATHER], extra_headers=headers)

    messages += [{"role": "assistant", "content": "Cold, and warm."}, {"role": "user", "content": "Thanks."}]
    assert (await sdk.ask(messages, tools=[WEATHER], extra_headers=headers)).choices[0].message.content
    assert [role for role, _ in shown(sdk)] == ["user", "assistant", "tool", "assistant", "user"] or [
        role for role, _ in shown(sdk)
    ] == ["user", "assistant", "tool", "tool", "assistant", "user"]


async def test_calls_of_the_client_are_streamed_in_pieces(sdk: Sdk) -> None:
    sdk.provider.answers += [[tool_call("weather", town="Oslo")], ["Co", "ld."]]

    chunks = await sdk.stream(tools=[WEATHER], tool_choice="auto")
    calls = [call for chunk in chunks if chunk.choices for call in chunk.choices[0].delta.tool_calls or []]
    result = {"role": "tool", "tool_call_id": calls[0].id, "content": "-3"}
    called = {"id": calls[0].id, "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    rest = await sdk.stream([*HELLO, {"role": "assistant", "tool_calls": [called]}, result], tools=[WEATHER])

    assert [(call.index, call.function and call.function.name) for call in calls] == [(0, "weather"), (0, None)]
    assert json.loads("".join(call.function.arguments or "" for call in calls if call.function)) == {"town": "Oslo"}
    assert chunks[-2].choices[0].finish_reason == "tool_calls"
    assert chunks[-1].usage is not None
    assert (text_of(rest), rest[-1].usage and rest[-1].usage.prompt_tokens) == ("Cold.", 10)


async def test_the_client_chooses_among_its_tools(sdk: Sdk) -> None:
    other = {"type": "function", "function": {"name": "other"}}
    named = {"type": "function", "function": {"name": "weather"}}
    choices: dict[str, tuple[Any, set[str], bool]] = {
        "none": ("none", set(), False),
        "required": ("required", {"weather", "other"}, True),
        "named": (named, {"weather"}, True),
        "allowed": ({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [other]}}, {"other"}, False),
    }

    for choice, names, is_required in choices.values():
        await sdk.ask(tools=[WEATHER, other], tool_choice=choice)
        request = sdk.provider.requests[-1]
        assert {tool.name for tool in request.tools} == names | {"calculator"}
        assert ("calling one of these tools" in (request.system or "")) is is_required


async def test_a_call_that_waits_for_a_person_is_an_error_with_thread_and_run(sdk: Sdk) -> None:
    sdk.provider.answers += [[tool_call("calculator", expression="6*7")], [tool_call("calculator", expression="6*7")]]
    await sdk.http.patch(f"/agents/{sdk.agent['id']}", json={"tools": [{"name": "calculator", "approval": "always"}]})

    with pytest.raises(openai.ConflictError) as whole:
        await sdk.ask()
    with pytest.raises(openai.APIError) as streamed:
        await sdk.stream()

    for error in (whole.value, streamed.value):
        told: Any = error.body
        run = await sdk.http.get(f"/threads/{told['thread_id']}/runs/{told['run_id']}")
        assert (error.code, run.json()["status"]) == ("approval_required", "waiting")
    assert whole.value.response.headers["x-should-retry"] == "false"
    assert len(sdk.provider.requests) == 2, "the SDK sent it again"


async def test_an_error_before_the_first_token_is_told_and_not_sent_again(sdk: Sdk) -> None:
    sdk.provider.answers += [ProviderRejected("Not this."), ProviderRejected("Not this.")]

    with pytest.raises(openai.InternalServerError) as whole:
        await sdk.ask()
    with pytest.raises(openai.APIError) as streamed:
        await sdk.stream()

    assert whole.value.code == streamed.value.code == "provider_rejected"
    assert (whole.value.status_code, whole.value.response.headers["x-should-retry"]) == (502, "false")
    assert whole.value.response.headers["x-run-id"]
    assert len(sdk.provider.requests) == 2, "the SDK sent it again"


async def test_an_answer_that_becomes_void_after_text_has_left_ends_with_an_error(sdk: Sdk) -> None:
    """Never two attempts' text in one answer. Who waits for the whole gets the attempt that held."""
    cut = ProviderTruncated("It broke off.")
    sdk.provider.answers += [["Half an ans", cut], "A whole answer.", ["Half an ans", cut], "A whole answer."]

    raw = await sdk.client.chat.completions.with_streaming_response.create(
        model="helper", messages=HELLO, stream=True
    ).__aenter__()
    lines = [line async for line in raw.iter_lines() if line.startswith("data: ")]
    whole = await sdk.ask()

    assert "Half an ans" in "".join(lines)
    assert "A whole" not in "".join(lines)
    assert json.loads(lines[-1].removeprefix("data: "))["error"]["code"] == "provider_truncated"
    assert whole.choices[0].message.content == "A whole answer."


async def test_a_busy_thread_is_refused_once_and_a_cancelled_answer_is_cut(sdk: Sdk) -> None:
    goes_on = asyncio.Event()
    sdk.provider.answers += [["One", goes_on, " two."]]
    conversation: Any = {"extra_headers": {"x-openwebui-chat-id": "7"}}
    chunks: list[ChatCompletionChunk] = []
    stream = await sdk.client.chat.completions.with_raw_response.create(
        model="helper", messages=HELLO, stream=True, **conversation
    )
    thread_id, run_id = stream.headers["x-thread-id"], stream.headers["x-run-id"]
    parts = aiter(stream.parse())
    while text_of(chunks) != "One":
        chunks.append(await anext(parts))

    with pytest.raises(openai.ConflictError) as busy:
        await sdk.ask(**conversation)
    cancelled = await sdk.http.post(f"/threads/{thread_id}/runs/{run_id}/cancel")
    chunks += [chunk async for chunk in parts]

    assert (busy.value.code, busy.value.response.headers["x-should-retry"]) == ("thread_busy", "false")
    assert busy.value.response.headers.get("x-run-id") is None
    assert cancelled.json()["status"] == "cancelled"
    assert (text_of(chunks), chunks[-1].choices[0].finish_reason) == ("One", "length")
    assert len(sdk.provider.requests) == 1
    assert await listed(sdk) == [thread_id], "a conversation is in the lists"


async def test_a_client_that_leaves_finds_the_answer_on_our_own_stream(sdk: Sdk) -> None:
    goes_on = asyncio.Event()
    sdk.provider.answers += [["One", goes_on, " two."]]
    async with sdk.http.stream(
        "POST", "/v1/chat/completions", json={"model": "helper", "messages": HELLO, "stream": True}
    ) as response:
        async for line in response.aiter_lines():
            if "One" in line:
                break
        thread_id, run_id = response.headers["x-thread-id"], response.headers["x-run-id"]
    goes_on.set()

    events = await sdk.http.get(f"/threads/{thread_id}/runs/{run_id}/events")

    assert '"content":"One two."' in events.text
    assert "event: run.completed" in events.text


async def test_guardrails_hold_at_the_door(sdk: Sdk) -> None:
    rules = [
        {"type": "blocklist", "patterns": ["swordfish"], "stage": "input", "action": "block"},
        {"type": "pii", "kinds": ["email"], "stage": "output", "action": "redact"},
    ]
    await sdk.http.patch(f"/agents/{sdk.agent['id']}", json={"guardrails": rules})
    said = ["Write to ada", "@example", ".com now."]
    sdk.provider.answers += [said, said]
    past = [{"role": "user", "content": "swordfish"}, {"role": "assistant", "content": "Hm."}, *HELLO]

    whole, chunks = await sdk.ask(), await sdk.stream()
    for messages in ([{"role": "user", "content": "swordfish"}], past):
        with pytest.raises(openai.BadRequestError) as blocked:
            await sdk.ask(messages)
        assert blocked.value.code == "guardrail_blocked"

    assert text_of(chunks) == whole.choices[0].message.content
    assert "ada@example.com" not in text_of(chunks)
    assert text_of(chunks).startswith("Write to ")


async def test_images_and_files_are_stored_as_attachments(sdk: Sdk) -> None:
    sdk.provider.answers += ["A pixel.", "A note."]
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{base64.b64encode(PNG).decode()}"}}
    note = {"type": "file", "file": {"file_data": "data:text/plain;base64,QSBub3RlLg==", "filename": "note.txt"}}
    text = {"type": "text", "text": "What is it?"}

    asked: list[Any] = [{"role": "user", "content": [text, image]}]
    await sdk.ask(asked)
    stored = (await sdk.http.post("/files", files={"file": ("mine.txt", b"Mine.", "text/plain")})).json()
    own = {"type": "file", "file": {"file_id": stored["id"]}}
    with_files: list[Any] = [{"role": "user", "content": [text, note, own]}]
    raw = await sdk.client.chat.completions.with_raw_response.create(
        model="helper", messages=with_files, extra_headers={"x-thread-id": "c"}
    )

    sent = [part for request in sdk.provider.requests for part in request.messages[-1].parts if part.type == "file"]
    assert [(part.media_type, part.size_bytes) for part in sent] == [
        ("image/png", len(PNG)), ("text/plain", 7), ("text/plain", 5),
    ]  # fmt: skip
    history = (await sdk.http.get(f"/threads/{raw.headers['x-thread-id']}/messages")).json()["data"]
    assert [part.get("filename") for part in history[0]["parts"]] == [None, "note.txt", "mine.txt"]


REFUSED: list[Any] = [
    [{"type": "image_url", "image_url": {"url": "http://127.0.0.1:9/image.png"}}],
    [{"type": "image_url", "image_url": {"url": "ftp://example.com/image.png"}}],
    [{"type": "image_url", "image_url": {"url": "data:image/png;base64,???"}}],
    [{"type": "image_url", "image_url": {"url": "data:text/html,<p>"}}],
    [{"type": "file", "file": {"file_id": "01890a5d-ac96-774b-bcce-b302099a8057"}}],
    [{"type": "file", "file": {"file_data": "no base64"}}],
    [{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}],
    [{"type": "video"}],
    "a NUL \0",
    "",
]


async def test_what_cannot_be_taken_is_400_and_names_the_place(sdk: Sdk) -> None:
    for content in REFUSED:
        with pytest.raises(openai.BadRequestError) as refused:
            await sdk.ask([{"role": "user", "content": content}])
        assert refused.value.code == "invalid_request", content
        assert "x-should-retry" not in refused.value.response.headers, "nothing was stored"
    assert sdk.provider.requests == []


NOT_DONE: list[dict[str, Any]] = [
    {"messages": [{"role": "assistant", "content": "I"}]},
    {"messages": [{"role": "system", "content": "You are"}]},
    {"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}},
    {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "nothing"}}}},
    {"temperature": 3},
    {"messages": []},
    {"n": 2},
    {"tools": [WEATHER], "tool_choice": {"type": "function", "function": {"name": "other"}}},
    {"tools": [WEATHER], "tool_choice": "perhaps"},
    {"tools": [{"type": "web_search"}]},
    {"metadata": {"thread_id": 7}},
]


async def test_what_is_not_done_here_is_400(sdk: Sdk) -> None:
    for body in NOT_DONE:
        answer = await sdk.http.post("/v1/chat/completions", json={"model": "helper", "messages": HELLO} | body)
        check_openai_error(answer, 400, "invalid_request")


async def test_a_conversation_has_its_history_here_and_one_agent(sdk_on_each: Sdk) -> None:
    """By either header or by metadata; two first requests make one thread; one's own thread id means that thread."""
    sdk = sdk_on_each
    sdk.provider.answers += ["One.", "Two.", "Three."]
    await make_agent(sdk.http, name="other", provider="scripted")
    own = await make_thread(sdk.http, sdk.agent["id"])
    url, body = "/v1/chat/completions", {"model": "helper", "messages": HELLO}

    first = await sdk.http.post(url, json=body, headers={"x-thread-id": "chat 1"})
    whole_history = [*HELLO, {"role": "assistant", "content": "Made up."}, {"role": "user", "content": "And?"}]
    changed = body | {"messages": whole_history, "metadata": {"thread_id": "chat 1"}}
    second = await sdk.http.post(url, json=changed)
    by_own_id = await sdk.http.post(url, json=body, headers={"x-openwebui-chat-id": own["id"]})
    elsewhere = await sdk.http.post(url, json=body | {"model": "other"}, headers={"x-thread-id": "chat 1"})

    assert first.headers["x-thread-id"] == second.headers["x-thread-id"]
    assert by_own_id.headers["x-thread-id"] == own["id"]
    check_openai_error(elsewhere, 400, "conflict")
    sdk.provider.requests.pop()
    assert shown(sdk) == [("user", "Hello!"), ("assistant", "One."), ("user", "And?")]
    at_once = [sdk.http.post(url, json=body, headers={"x-thread-id": "chat 2"}) for _ in range(3)]
    answers = await asyncio.gather(*at_once)
    assert len({answer.headers["x-thread-id"] for answer in answers if answer.is_success}) == 1
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert len(await listed(sdk)) == 3


@pytest.mark.parametrize("chat", [None, "chat"])
async def test_a_request_that_an_sdk_sends_again_has_the_same_run(sdk_on_each: Sdk, chat: str | None) -> None:
    sdk = sdk_on_each
    sdk.provider.answers += ["First.", "Second.", "Third.", "Fourth."]
    in_chat = {} if chat is None else {"x-thread-id": chat}

    async def send(count: str | None, *, key: str | None = None, text: str = "Hello!") -> str:
        more = ({"x-stainless-retry-count": count} if count else {}) | ({"idempotency-key": key} if key else {})
        body = {"model": "helper", "messages": [{"role": "user", "content": text}]}
        answer = await sdk.http.post("/v1/chat/completions", json=body, headers=in_chat | more)
        return str(answer.json()["choices"][0]["message"]["content"])

    assert await send("0") == "First."
    assert await send("1") == "First."
    assert await send(None) == "Second.", "the same once more is a new message"
    assert await send("2") == "Second."
    assert await send("1", text="Another.") == "Third."
    assert await send("1", key="k") == "Fourth."
    assert await send("0", key="k") == "Fourth."
    assert len(sdk.provider.requests) == 4


async def test_what_a_client_says_for_one_call_holds_for_that_call_within_the_agents_limits(sdk: Sdk) -> None:
    await sdk.http.patch(
        f"/agents/{sdk.agent['id']}",
        json={"system_prompt": "Be kind.", "settings": {"temperature": 1.0, "max_tokens": 100}, "tools": []},
    )
    sdk.provider.answers += ['{"n": 7}', "Yes.", "Yes.", "Yes."]
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    system: list[Any] = [{"role": "developer", "content": [{"type": "text", "text": "Be brief."}]}, *HELLO]
    chat = {"x-thread-id": "chat"}

    answer = await sdk.ask(
        system,
        temperature=0,
        max_completion_tokens=500,
        stop="END",
        reasoning_effort="minimal",
        response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": schema}},
        extra_headers=chat,
    )
    await sdk.ask(max_tokens=50, extra_headers=chat)
    first, second = sdk.provider.requests

    assert json.loads(answer.choices[0].message.content) == {"n": 7}
    assert first.system == "Be kind.\n\nBe brief."
    assert (first.settings.temperature, first.settings.max_tokens, first.settings.stop) == (0, 100, ("END",))
    assert first.settings.reasoning == "low"
    assert (second.system, second.settings.temperature, second.settings.max_tokens) == ("Be kind.", 1.0, 50)

    # A user who may not change the agent says it as a part of the message.
    await give_role(sdk.http, "bob", "user", "agent", sdk.agent["id"])
    bob = await sdk.live.user("bob")
    sent = {"model": sdk.agent["id"], "messages": system}
    assert (await bob.post("/v1/chat/completions", json=sent)).json()["choices"][0]["message"]["content"] == "Yes."
    assert sdk.provider.requests[-1].system == "Be kind."
    assert shown(sdk) == [("user", "Be brief.\n\nHello!")]


async def test_a_stream_that_the_process_ends_says_that_it_is_not_complete(sdk: Sdk) -> None:
    sdk.provider.answers += [["One", asyncio.Event()]]
    parts = aiter(await sdk.ask(stream=True))
    while (await anext(parts)).choices[0].delta.content != "One":
        pass
    sdk.live.app.state.begin_drain()

    with pytest.raises(openai.APIError) as cut:
        await anext(parts)

    assert cut.value.code == "run_interrupted"


async def test_nothing_is_made_of_a_call_without_a_conversation(sqlite_url: str, tmp_path: Path) -> None:
    """No title, no webhook, nothing found, nothing told to those who follow their threads."""
    settings = settings_for(sqlite_url, tmp_path, auto_title=True, outbound_allow="127.0.0.1")
    async with serve(settings) as live, open_sdk(live) as sdk:
        hook = {"url": "http://127.0.0.1:9/", "events": ["run.completed"], "agent_id": sdk.agent["id"]}
        hook_id = (await sdk.http.post("/webhooks", json=hook)).json()["id"]
        sdk.provider.answers += ["Alone.", "Together.", "A title"]

        alone = await sdk.client.chat.completions.with_raw_response.create(model="helper", messages=HELLO)
        await sdk.ask(extra_headers={"x-thread-id": "chat"})
        deliveries = (await sdk.http.get(f"/webhooks/{hook_id}/deliveries")).json()["data"]
        found = (await sdk.http.get("/search", params={"q": "Hello"})).json()["data"]
        jobs = (await (await live.admin()).get("/jobs")).json()["data"]

        (thread_id,) = await listed(sdk)
        assert alone.headers["x-thread-id"] != thread_id
        assert len(deliveries) == 1
        assert {each["thread"]["id"] for each in found} == {thread_id}
        assert [each["thread_id"] for each in jobs if each["kind"] == "title"] == [thread_id]
