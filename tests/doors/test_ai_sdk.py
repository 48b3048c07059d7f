"""Pages of `useChat`, with a reader as strict as the SDK's own."""

import asyncio
import base64
import copy
from typing import Any

import httpx
import pytest

from ai_agents.core.exceptions import ProviderRejected, ProviderTruncated
from ai_agents.testing import ScriptedProvider, tool_call
from tests.api.files import SeeingProvider
from tests.api.live import Live
from tests.api.service import make_agent, make_thread
from tests.doors.sdk import PNG
from tests.doors.ui_message_stream import UiMessage

APPROVED = [{"name": "calculator", "approval": "always"}]
WEATHER = {"name": "weather", "description": "The weather of a town.", "parameters": {"type": "object"}}


class Page:
    """A page with one chat of Alice's agent, whose answers are scripted."""

    def __init__(self, live: Live, http: httpx.AsyncClient, agent: dict[str, Any], provider: ScriptedProvider) -> None:
        self.live, self.http, self.agent, self.provider = live, http, agent, provider
        self.chat, self.version, self.sent = "chat-1", 7, 0
        self.answer = UiMessage(7)

    def message(self, *parts: dict[str, Any], text: str = "") -> dict[str, Any]:
        self.sent += 1
        said = [{"type": "text", "text": text}] if text else []
        return {"id": f"u{self.sent}", "role": "user", "parts": [*said, *parts]}

    def said_by_agent(self) -> dict[str, Any]:
        return {"id": self.answer.id, "role": "assistant", "parts": self.answer.parts}

    async def post(self, message: dict[str, Any], **more: Any) -> httpx.Response:
        body = {"id": self.chat, "messages": [message], "trigger": "submit-message", "agent_id": self.agent["id"]}
        return await self.http.post(f"/ai-sdk/threads?v={self.version}", json=body | more)

    async def send(self, text: str, **more: Any) -> UiMessage:
        self.answer = self._read(await self.post(self.message(text=text), **more))
        return self.answer

    async def go_on(self) -> UiMessage:
        """Send the agent's message with what was added to it."""
        self.answer = self._read(await self.post(self.said_by_agent()), self.answer)
        return self.answer

    async def come_back(self) -> httpx.Response:
        return await self.http.get(f"/ai-sdk/threads/{self.chat}/stream?v={self.version}")

    def _read(self, answer: httpx.Response, message: UiMessage | None = None) -> UiMessage:
        assert answer.status_code == 200, answer.text
        assert answer.headers["x-vercel-ai-ui-message-stream"] == "v1"
        assert answer.headers["content-type"].startswith("text/event-stream")
        return UiMessage(self.version, message).read(answer.text)

    async def history(self) -> list[dict[str, Any]]:
        listed = await self.http.get(f"/ai-sdk/threads/{self.chat}/messages")
        found: list[dict[str, Any]] = listed.json()["messages"]
        return found


@pytest.fixture(params=[6, 7])
async def page(small_live: Live, request: pytest.FixtureRequest) -> Page:
    http = await small_live.user("alice")
    provider = SeeingProvider()
    small_live.container.providers.add(provider)
    agent = await make_agent(http, name="helper", provider="scripted", tools=["calculator"])
    page = Page(small_live, http, agent, provider)
    page.version = request.param
    return page


def check_refused(answer: httpx.Response, status: int) -> None:
    """The body is a sentence, which the page shows."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.text.endswith(".")
    assert "{" not in answer.text


async def test_text_and_tools_are_one_message_of_several_steps(page: Page) -> None:
    page.provider.answers += [["Let me ", "see.", tool_call("calculator", expression="6*7")], ["It is ", "42."]]

    found = await page.send("What is 6*7?")

    assert [part["type"] for part in found.parts] == ["step-start", "text", "dynamic-tool", "step-start", "text"]
    assert found.text == "Let me see.It is 42."
    tool = found.tools[0]
    assert (tool["state"], tool["input"], tool["output"]) == ("output-available", {"expression": "6*7"}, "42")
    assert tool["providerExecuted"], "the page would call it itself"
    assert found.end["finishReason"] == "stop"
    assert found.end["messageMetadata"]["runId"] == found.id
    assert found.end["messageMetadata"]["usage"]["input_tokens"] == 20
    asked, answered = await page.history()
    assert (asked["role"], asked["parts"][0]["text"]) == ("user", "What is 6*7?")
    assert answered["id"] == found.id
    assert [part["type"] for part in answered["parts"]] == [part["type"] for part in found.parts]
    assert (await page.come_back()).status_code == 204


async def test_an_approval_is_asked_for_and_given_in_the_message(page: Page) -> None:
    await page.http.patch(f"/agents/{page.agent['id']}", json={"tools": APPROVED})
    asks = [tool_call("calculator", expression="6*7")], [tool_call("calculator", expression="1+1")]
    page.provider.answers += [["I ask. ", *asks[0]], "It is 42.", asks[1], "Never mind."]

    asked = await page.send("What is 6*7?")
    tool = asked.tools[0]
    assert (tool["state"], asked.end["finishReason"]) == ("approval-requested", "tool-calls")
    waiting = UiMessage(page.version).read((await page.come_back()).text)
    assert waiting.tools[0]["state"] == "approval-requested"
    tool.update(state="approval-responded", approval={"id": tool["toolCallId"], "approved": True})
    approved = copy.deepcopy(page.said_by_agent())
    given = await page.go_on()
    assert (given.tools[0]["state"], given.tools[0]["output"], given.text) == (
        "output-available",
        "42",
        "I ask. It is 42.",
    )
    before = UiMessage(page.version)
    before.id, before.parts = approved["id"], copy.deepcopy(approved["parts"])
    repeated = UiMessage(page.version, before).read((await page.post(approved)).text)
    assert (repeated.id, repeated.text) == (given.id, given.text)

    second = (await page.send("And 1+1?")).tools[0]
    second.update(state="approval-responded", approval={"id": "x", "approved": False, "reason": "No."})
    denied = await page.go_on()
    assert (denied.tools[0]["state"], denied.text) == ("output-denied", "Never mind.")
    assert [each["role"] for each in await page.history()] == ["user", "assistant"] * 2


async def test_tools_of_the_page_are_its_own_to_call(page: Page) -> None:
    page.provider.answers += [["I look. ", tool_call("weather", town="Oslo")], "Cold."]

    asked = await page.send("How is Oslo?", tools=[WEATHER])
    tool = asked.tools[0]
    assert (tool["state"], tool.get("providerExecuted")) == ("input-available", None)
    tool.update(state="output-available", output={"degrees": -3})
    answered = await page.go_on()

    assert answered.text == "I look. Cold."
    results = [part for each in page.provider.requests[1].messages for part in each.parts if part.type == "tool_result"]
    assert results[0].result == {"degrees": -3}


async def test_an_answer_that_becomes_void_is_taken_back_where_the_page_knows_how(page: Page) -> None:
    page.provider.answers += [["Half an ans", ProviderTruncated("Cut.")], "A whole one.", ProviderRejected("Not this.")]

    found = await page.send("One?")
    failed = await page.send("Two?")

    if page.version == 7:
        assert (found.text, found.end["finishReason"]) == ("A whole one.", "stop")
    else:
        assert found.end["type"] == "error"
        assert "A whole" not in found.text
    assert "Half an ans" in str(found.chunks)
    assert failed.end["type"] == "error"
    assert "{" not in failed.end["errorText"]


async def test_a_page_comes_back_in_mid_answer_and_stops_it(page: Page) -> None:
    goes_on = asyncio.Event()
    page.provider.answers += [["One", goes_on, " two."], ["Three", asyncio.Event()]]
    assert (await page.come_back()).status_code == 204, "the chat is new"
    answering = asyncio.create_task(page.send("Count."))
    while not page.provider.requests:
        await asyncio.sleep(0.01)

    check_refused(await page.post(page.message(text="Me too!")), 409)
    coming_back = asyncio.create_task(page.come_back())
    await asyncio.sleep(0.1)
    goes_on.set()
    again = UiMessage(page.version).read((await coming_back).text)
    first = await answering
    assert (again.id, again.text) == (first.id, "One two.") == (first.id, first.text)

    answering = asyncio.create_task(page.send("More."))
    while len(page.provider.requests) < 2:
        await asyncio.sleep(0.01)
    stopped = [await page.http.post(f"/ai-sdk/threads/{page.chat}/stop") for _ in range(2)]
    assert [each.status_code for each in stopped] == [204, 204]
    assert (await answering).end == {"type": "abort"}


async def test_the_last_answer_is_made_anew_and_a_message_sent_twice_is_one(page: Page) -> None:
    page.provider.answers += ["First.", "Second."]
    message = page.message(text="Hello!")

    first = UiMessage(page.version).read((await page.post(message)).text)
    twice = UiMessage(page.version).read((await page.post(message)).text)
    again = await page.post(message, trigger="regenerate-message", messageId=first.id)
    anew = UiMessage(page.version).read(again.text)
    check_refused(await page.post(message, trigger="regenerate-message", messageId=first.id), 409)

    assert (twice.id, twice.text, anew.text) == (first.id, "First.", "Second.")
    assert [each["parts"][-1]["text"] for each in await page.history()] == ["Hello!", "Second."]
    assert len(page.provider.requests) == 2


async def test_files_guardrails_and_what_is_refused(page: Page) -> None:
    rules = [{"type": "pii", "kinds": ["email"], "stage": "both", "action": "redact"}]
    await page.http.patch(f"/agents/{page.agent['id']}", json={"guardrails": rules})
    page.provider.answers += [["Write to ada", "@example", ".com now."]]
    url = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    image = {"type": "file", "mediaType": "image/png", "url": url, "filename": "dot.png"}

    found = UiMessage(page.version).read((await page.post(page.message(image, text="Write to?"))).text)
    assert "ada@example.com" not in str(found.chunks)
    assert [part.type for part in page.provider.requests[0].messages[-1].parts] == ["text", "file"]
    assert (await page.history())[0]["parts"][1]["filename"] == "dot.png"

    check_refused(await page.post(page.message()), 422)
    check_refused(
        await page.http.post("/ai-sdk/threads", json={"id": "new", "messages": [page.message(text="Hi")]}), 422
    )
    check_refused(await page.http.get("/ai-sdk/nothing"), 404)
    bob = await page.live.user("bob")
    check_refused(await bob.get(f"/ai-sdk/threads/{page.chat}/messages"), 404)
    thread = await make_thread(page.http, page.agent["id"])
    own = await page.http.post(f"/ai-sdk/threads/{thread['id']}", json={"messages": [page.message(text="Hi")]})
    assert own.headers["x-thread-id"] == thread["id"]
