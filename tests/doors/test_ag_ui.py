"""AG-UI's clients. Every stream passes the rules of `ag-ui-validate` (46 of them, version 0.4)."""

import asyncio
import base64
import json
from typing import Any

import httpx
import pytest
from ag_ui_validate.pytest_plugin import assert_valid_agui

from ai_agents.core.exceptions import ProviderRejected, ProviderTruncated
from ai_agents.testing import ScriptedProvider, tool_call
from tests.api.files import SeeingProvider
from tests.api.live import Live
from tests.api.service import check_problem, make_agent, make_thread
from tests.doors.sdk import PNG

WEATHER = {
    "name": "weather",
    "description": "The weather of a town.",
    "parameters": {"type": "object", "properties": {"town": {"type": "string"}}},
}
APPROVED = [{"name": "calculator", "approval": "always"}]
Events = list[dict[str, Any]]


class Page:
    """A page that talks to Alice's agent, whose answers are scripted, in one conversation. It keeps the messages."""

    def __init__(self, live: Live, http: httpx.AsyncClient, agent: dict[str, Any], provider: ScriptedProvider) -> None:
        self.live, self.http, self.agent, self.provider = live, http, agent, provider
        self.chat = "chat 1"
        self.messages: list[dict[str, Any]] = []
        self.runs = 0

    def body(self, text: str | None = None, **more: Any) -> dict[str, Any]:
        self.runs += 1
        if text is not None:
            self.messages.append({"id": f"u{self.runs}", "role": "user", "content": text})
        return {"threadId": self.chat, "runId": f"r{self.runs}", "messages": list(self.messages)} | more

    async def post(self, body: dict[str, Any]) -> httpx.Response:
        return await self.http.post(f"/ag-ui/agents/{self.agent['id']}", json=body)

    async def send(self, body: dict[str, Any]) -> Events:
        """The events of a run, which must be valid; the messages as the client has them after it."""
        answer = await self.post(body)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        return self.read(answer.text)

    def read(self, stream: str) -> Events:
        lines = [line for line in stream.split("\n") if line and not line.startswith(":")]
        assert all(line.startswith("data: ") for line in lines), lines
        assert_valid_agui([line.removeprefix("data: ") for line in lines], max_warnings=0)
        events = [json.loads(line.removeprefix("data: ")) for line in lines]
        assert "null" not in stream
        self._apply(events)
        return events

    def _apply(self, events: Events) -> None:
        for event in events:
            match event["type"]:
                case "MESSAGES_SNAPSHOT":
                    # As the client of npm does: what it has stays where it is.
                    told = {each["id"]: each for each in event["messages"]}
                    kept = [told.pop(each["id"]) for each in self.messages if each["id"] in told]
                    self.messages = [*kept, *told.values()]
                case "TEXT_MESSAGE_START":
                    self.messages.append({"id": event["messageId"], "role": event["role"], "content": ""})
                case "TEXT_MESSAGE_CONTENT":
                    self.messages[-1]["content"] += event["delta"]
                case "TOOL_CALL_START":
                    call = {"name": event["toolCallName"], "arguments": ""}
                    self._caller(event["parentMessageId"]).append(
                        {"id": event["toolCallId"], "type": "function", "function": call}
                    )
                case "TOOL_CALL_ARGS":
                    self.messages[-1]["toolCalls"][-1]["function"]["arguments"] += event["delta"]
                case "TOOL_CALL_RESULT":
                    message = {"id": event["messageId"], "role": "tool", "toolCallId": event["toolCallId"]}
                    self.messages.append(message | {"content": event["content"]})

    def _caller(self, message_id: str) -> list[Any]:
        if self.messages[-1]["id"] != message_id:
            self.messages.append({"id": message_id, "role": "assistant"})
        calls: list[Any] = self.messages[-1].setdefault("toolCalls", [])
        return calls

    @property
    def said(self) -> list[str]:
        return [each["content"] for each in self.messages if each["role"] == "assistant" and each.get("content")]


@pytest.fixture
async def page(small_live: Live) -> Page:
    http = await small_live.user("alice")
    provider = SeeingProvider()
    small_live.container.providers.add(provider)
    agent = await make_agent(http, name="helper", provider="scripted", tools=["calculator"])
    return Page(small_live, http, agent, provider)


def types(events: Events) -> list[str]:
    return [event["type"] for event in events]


async def test_text_and_tools_are_streamed_and_the_same_run_again_is_the_same_run(page: Page) -> None:
    page.provider.answers += [["Let me ", "see.", tool_call("calculator", expression="6*7")], ["It is ", "42."], "Yes."]
    body = page.body("What is 6*7?")

    events = await page.send(body)
    first = list(page.messages)
    again = await page.send(body)
    assert page.messages == first
    await page.send(body | {"messages": page.messages})
    assert page.messages == first
    more = await page.send(page.body("Sure?"))

    assert types(events)[0] == "RUN_STARTED"
    assert events[0]["protocolVersion"] == "1.0"
    assert page.said == ["Let me see.", "It is 42.", "Yes."]
    call = first[1]["toolCalls"][0]
    assert json.loads(call["function"]["arguments"]) == {"expression": "6*7"}
    assert first[2] == {"id": f"result-{call['id']}", "role": "tool", "toolCallId": call["id"], "content": "42"}
    assert (events[-1]["type"], events[-1]["outcome"]) == ("RUN_FINISHED", {"type": "success"})
    assert events[-1]["usage"][0]["inputTokens"] == 20
    assert again[1]["type"] == "MESSAGES_SNAPSHOT"
    assert events[0]["metadata"] == again[0]["metadata"] != more[0]["metadata"]
    assert "MESSAGES_SNAPSHOT" not in types(events) + types(more), "the client has it all"
    assert len(page.provider.requests) == 3


async def test_a_run_with_another_text_under_the_same_id_is_refused(page: Page) -> None:
    page.provider.answers += ["One.", "Two."]
    await page.send(page.body("Hello!"))

    refused = await page.post(page.body("Bye!") | {"runId": "r1", "messages": [page.messages[0] | {"content": "Bye!"}]})

    check_problem(refused, 422, "idempotency_key_reused")


async def test_a_call_that_waits_is_an_interrupt_which_the_next_run_answers(page: Page) -> None:
    await page.http.patch(f"/agents/{page.agent['id']}", json={"tools": APPROVED})
    asked = [tool_call("calculator", expression="6*7")]
    page.provider.answers += [asked, "It is 42.", [tool_call("calculator", expression="1+1")], "Never mind."]

    waiting = await page.send(page.body("What is 6*7?"))
    (interrupt,) = waiting[-1]["outcome"]["interrupts"]
    answer = {"interruptId": interrupt["id"], "status": "resolved", "payload": {"approved": True}}
    check_problem(await page.post(page.body("And?")), 409, "thread_busy")
    page.messages.pop()
    check_problem(await page.post(page.body(resume=[answer | {"payload": "yes"}])), 422, "invalid_request")
    resumed = page.body(resume=[answer])
    events = await page.send(resumed)
    repeated = await page.send(resumed)
    check_problem(await page.post(page.body(resume=[answer])), 409, "conflict")
    second = (await page.send(page.body("And 1+1?")))[-1]["outcome"]["interrupts"][0]
    refused = await page.send(page.body(resume=[{"interruptId": second["id"], "status": "cancelled"}]))

    assert interrupt["toolCallId"] == interrupt["id"] == asked[0].tool_call_id
    assert interrupt["expiresAt"].endswith("Z")
    assert types(events)[:4] == ["RUN_STARTED", "MESSAGES_SNAPSHOT", "TOOL_CALL_RESULT", "TEXT_MESSAGE_START"]
    assert (events[2]["content"], events[4]["delta"]) == ("42", "It is 42.")
    assert types(repeated) == types(events)
    assert page.said[-1] == "Never mind."
    assert "refused" in refused[2]["content"].lower()


async def test_tools_of_the_client_are_its_own_to_call(page: Page) -> None:
    calls = [tool_call("weather", town="Oslo"), tool_call("weather", town="Rome")]
    page.provider.answers += [["I look. ", *calls], "Cold, and warm.", [tool_call("weather", town="Bonn")], "Hello."]

    asked = await page.send(page.body("Oslo or Rome?", tools=[WEATHER]))
    ids = asked[-1]["outcome"]["pendingToolCallIds"]
    page.messages.append({"id": "t1", "role": "tool", "toolCallId": ids[0], "content": "-3"})
    check_problem(await page.post(page.body(tools=[WEATHER])), 422, "invalid_request")
    page.messages.append({"id": "t2", "role": "tool", "toolCallId": ids[1], "content": "", "error": "no signal"})
    answered = await page.send(page.body(tools=[WEATHER]))
    await page.send(page.body("And Bonn?", tools=[WEATHER]))
    other = await page.send(page.body("Never mind. Hello!"))

    assert ids == [call.tool_call_id for call in calls]
    assert page.said == ["I look. ", "Cold, and warm.", "Hello."]
    given = page.provider.requests[1].messages
    results = [part for message in given for part in message.parts if part.type == "tool_result"]
    assert [(part.result, part.is_error) for part in results] == [("-3", False), ("no signal", True)]
    assert types(answered)[:4] == ["RUN_STARTED", "MESSAGES_SNAPSHOT", "TOOL_CALL_RESULT", "TOOL_CALL_RESULT"]
    assert other[-1]["outcome"] == {"type": "success"}


async def test_failures_are_told_before_and_after_the_first_token(page: Page) -> None:
    page.provider.answers += [ProviderRejected("Not this."), ["Half an ans", ProviderTruncated("Cut.")], "A whole one."]

    before = await page.send(page.body("One?"))
    after = await page.send(page.body("Two?"))

    assert (before[-1]["type"], before[-1]["code"]) == ("RUN_ERROR", "provider_rejected")
    assert "Half an ans" in json.dumps(after)
    assert page.said == ["A whole one."]
    assert [each["content"] for each in page.messages if each["role"] == "user"] == ["One?", "Two?"]
    assert types(after).count("MESSAGES_SNAPSHOT") == 1


async def test_a_page_that_comes_back_in_mid_answer_gets_the_history_and_the_rest(page: Page) -> None:
    """Another page has written meanwhile: a client that lacks its answer is shown the whole conversation."""
    goes_on = asyncio.Event()
    page.provider.answers += ["First.", ["Sec", goes_on, "ond."], "Third."]
    other = Page(page.live, page.http, page.agent, page.provider)
    nothing = await other.send(other.body())
    await page.send(page.body("One?"))
    answering = asyncio.create_task(page.send(page.body("Two?")))
    while len(page.provider.requests) < 2:
        await asyncio.sleep(0.01)

    coming_back = asyncio.create_task(other.send(other.body()))
    check_problem(await other.post(other.body("Me too!")), 409, "thread_busy")
    other.messages.pop()
    goes_on.set()
    joined = await coming_back
    await answering
    stale = Page(page.live, page.http, page.agent, page.provider)
    stale.runs = 90
    behind = await stale.send(stale.body("Three?"))

    assert types(nothing) == ["RUN_STARTED", "MESSAGES_SNAPSHOT", "RUN_FINISHED"]
    assert types(joined)[1] == "MESSAGES_SNAPSHOT"
    assert other.said == page.said == ["First.", "Second."]
    assert types(behind)[1] == "MESSAGES_SNAPSHOT"
    assert stale.said == ["First.", "Second.", "Third."]


async def test_a_cancelled_run_says_so_and_guardrails_hold(page: Page) -> None:
    rules = [
        {"type": "blocklist", "patterns": ["swordfish"], "stage": "input", "action": "block"},
        {"type": "pii", "kinds": ["email"], "stage": "output", "action": "redact"},
    ]
    await page.http.patch(f"/agents/{page.agent['id']}", json={"guardrails": rules})
    page.provider.answers += [
        ["Write to ada", "@example", ".com now."],
        [tool_call("calculator", expression="1"), asyncio.Event()],
    ]

    redacted = await page.send(page.body("Write to?"))
    check_problem(await page.post(page.body("swordfish")), 422, "guardrail_blocked")
    page.messages.pop()
    answering = asyncio.create_task(page.send(page.body("Go on.")))
    while len(page.provider.requests) < 2:
        await asyncio.sleep(0.01)
    own = redacted[0]["metadata"]
    thread_id = own["ai-agents/thread_id"]
    run = (await page.http.get(f"/threads/{thread_id}/runs")).json()["data"][0]
    await page.http.post(f"/threads/{thread_id}/runs/{run['id']}/cancel")
    cancelled = await answering

    assert "ada@example.com" not in json.dumps(redacted)
    assert page.said[0].startswith("Write to ")
    assert cancelled[-1]["outcome"] == {"type": "cancelled"}


async def test_images_are_stored_and_what_the_agent_should_know_is_told_to_it(page: Page) -> None:
    page.provider.answers += ["A pixel."]
    source = {"type": "data", "value": base64.b64encode(PNG).decode(), "mimeType": "image/png"}
    content = [{"type": "text", "text": "What is it?"}, {"type": "image", "source": source}]
    context = [{"description": "The user's town", "value": "Oslo"}]
    body = page.body(context=context, state={"a": 1}, forwardedProps={"b": 2})

    await page.send(body | {"messages": [{"id": "u1", "role": "user", "content": content}]})

    request = page.provider.requests[0]
    assert [part.type for part in request.messages[-1].parts] == ["text", "file"]
    assert "The user's town: Oslo" in str(request.system)
    sound = {"id": "u2", "role": "user", "content": [{"type": "audio", "source": source}]}
    check_problem(await page.post(page.body() | {"messages": [sound]}), 422, "invalid_request")


async def test_a_conversation_has_one_agent_and_may_be_a_thread_of_ones_own(page: Page) -> None:
    page.provider.answers += ["One.", "Two."]
    thread = await make_thread(page.http, page.agent["id"])
    other = await make_agent(page.http, provider="scripted")
    page.chat = thread["id"]

    await page.send(page.body("Hello!"))
    page.agent = other
    check_problem(await page.post(page.body("And you?")), 409, "conflict")
    check_problem(await page.post(page.body()), 409, "conflict")
    bob = await page.live.user("bob")
    check_problem(await bob.post(f"/ag-ui/agents/{other['id']}", json=page.body("Hi")), 404, "not_found")

    assert (await page.http.get(f"/threads/{thread['id']}/messages")).json()["data"][1]["content"] == "One."
