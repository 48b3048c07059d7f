"""A message that its provider will always refuse does not block its thread: later requests leave it out."""

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest

from ai_agents import AgentRunner, AgentStore, Attachments, DatabaseHandle, DiskStore, MessageStore, ThreadStore
from ai_agents.core.exceptions import ProviderError, ProviderRejected
from ai_agents.providers.errors import error_from_response
from ai_agents.testing import ScriptedProvider
from tests.fakes.answers import Answer, Call, Raw, say
from tests.fakes.provider_server import FakeProviderServer
from tests.present import present
from tests.unit.runner.conftest import USER, MakeTalk, OpenThread
from tests.unit.runner.failing import REFUSED, page
from tests.unit.runner.test_attachments import PICTURE, Seeing
from tests.wire.requests import WIRES

FORBIDDEN = "forbidden words"
LEFT_OUT = "Later requests leave this message out."
AZURE = {
    "code": "content_filter",
    "message": "The response was filtered due to the prompt triggering the content management policy.",
    "param": "prompt",
    "innererror": {"code": "ResponsibleAIPolicyViolation"},
}


def refusal(number: int, **error: Any) -> Raw:
    return Raw([orjson.dumps({"error": error})], status=number, headers={"content-type": "application/json"})


ABOUT_CONTENT = {
    "a code": refusal(400, **AZURE),
    "a sentence": refusal(400, type="invalid_request_error", message="Output blocked by content filtering policy"),
    "a sentence with 403": refusal(403, message="Content violates usage guidelines. Failed check: SAFETY_CHECK"),
    "an image": refusal(400, code="invalid_image_format", message="?"),
    "too many bytes": page(413),
}
INSIDE = Raw([b'data: {"error":{"code":"content_filter","message":"Filtered."}}\n\n'])
OTHERS = {
    "a key": refusal(401, type="authentication_error", message="invalid x-api-key"),
    "a key with 403": refusal(403, type="permission_error", message="Not with this key."),
    "a model": refusal(404, code="model_not_found", message="There is no such model."),
    "a model with 400": refusal(400, code="model_not_found", message="There is no such model."),
    "a parameter": refusal(400, param="temperature", message="temperature is deprecated for this model."),
    "no reason": refusal(400, message="Bad Request"),
    "a text": Raw([b"Bad Request"], status=400, headers={"content-type": "text/plain"}),
    "money": refusal(402, message="Payment required"),
    "a limit": refusal(429, code="insufficient_quota", message="You exceeded your quota."),
    "an earlier offence": refusal(400, message="Temporarily blocked for violations of the content policy."),
}


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("name", ABOUT_CONTENT)
async def test_the_next_turn_works_without_what_was_refused(
    name: str, wire: str, fake: FakeProviderServer, open_thread: OpenThread
) -> None:
    fake.script(wire, [say("Good morning."), ABOUT_CONTENT[name]])
    thread = await open_thread(wire)

    await thread.ask("Good morning!")
    refused = await thread.ask(FORBIDDEN)
    again = await thread.ask("And now?")

    assert present(refused.run["error"])["code"] == "provider_rejected"
    assert present(refused.run["error"])["detail"].endswith(LEFT_OUT)
    assert again.run["status"] == "completed"
    last = str(fake.requests[-1].json)
    assert FORBIDDEN not in last
    assert "Good morning!" in last
    assert [request.refused for request in fake.requests] == [None] * 3
    shown = [(message["content"], message.get("refused")) for message in await thread.history()]
    assert shown[:4] == [
        *(("Good morning!", None), ("Good morning.", None), (FORBIDDEN, True), ("And now?", None)),
    ]
    context = await thread.runner.context(thread.id, USER)
    assert [(each["seq"], each["reason"]) for each in context["left_out"]] == [(4, "refused")]


async def test_a_refusal_inside_a_stream_is_about_the_message_too(
    fake: FakeProviderServer, open_thread: OpenThread
) -> None:
    fake.script("openai", [INSIDE])
    thread = await open_thread("openai")

    refused = await thread.ask(FORBIDDEN)
    await thread.ask("And now?")

    assert present(refused.run["error"])["code"] == "provider_rejected"
    assert FORBIDDEN not in str(fake.requests[-1].json)
    assert len(fake.requests) == 2


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("name", OTHERS)
async def test_other_refusals_leave_the_message_where_it_is(
    name: str, wire: str, fake: FakeProviderServer, open_thread: OpenThread
) -> None:
    fake.script(wire, [OTHERS[name]])
    thread = await open_thread(wire)

    failed = await thread.ask("a question")
    await thread.ask("And now?")

    assert LEFT_OUT not in present(failed.run["error"])["detail"]
    assert "a question" in str(fake.requests[-1].json)
    assert all("refused" not in message for message in await thread.history())


@pytest.mark.parametrize("wire", [wire for wire, word in REFUSED.items() if word])
async def test_a_refusal_without_a_word_is_about_the_message(
    wire: str, fake: FakeProviderServer, open_thread: OpenThread
) -> None:
    fake.script(wire, [say(stop=REFUSED[wire])])
    thread = await open_thread(wire)

    await thread.ask(FORBIDDEN)
    await thread.ask("And now?")

    assert FORBIDDEN not in str(fake.requests[-1].json)


@pytest.mark.parametrize("wire", WIRES)
async def test_what_a_tool_returned_is_left_out_with_its_turn(
    wire: str, fake: FakeProviderServer, open_thread: OpenThread
) -> None:
    # The model took the question before: what it refuses now is the call or its result.
    fake.script(wire, [Answer([Call("counter", {"expression": "6*7"})]), refusal(400, message="Bad Request")])
    thread = await open_thread(wire)

    refused = await thread.ask("a question")
    again = await thread.ask("And now?")

    assert refused.run["status"] == "failed"
    assert [message.get("refused") for message in await thread.history()] == [True, True, True, None, None]
    assert again.run["status"] == "completed"
    assert "a question" not in str(fake.requests[-1].json)
    assert "counter" not in str(fake.requests[-1].json.get("messages"))


@pytest.mark.parametrize("has_file", [True, False])
async def test_a_refusal_without_a_reason_is_about_a_new_file(
    has_file: bool, conn: DatabaseHandle, tmp_path: Path
) -> None:
    error = error_from_response("scripted", 400, {}, b'{"error": {"message": "Bad Request"}}')
    attachments = Attachments(conn, DiskStore(tmp_path / "files"))
    provider = Seeing("A square.", error, "Still a square.")
    runner = AgentRunner(conn, provider=provider, blobs=attachments.blobs)
    agent = await AgentStore(conn).create("assistant")
    thread_id = (await ThreadStore(conn).create(agent["id"], owner_id=USER))["id"]
    file = await attachments.add(USER, "square.png", PICTURE)

    await runner.run(thread_id, USER, "What is it?", attachments=[file["id"]])
    with pytest.raises(ProviderRejected):
        await runner.run(thread_id, USER, "And this?", attachments=[file["id"]] if has_file else [])
    await runner.run(thread_id, USER, "And now?")

    assert seqs_sent(provider) == ([1, 2, 6] if has_file else [1, 2, 4, 6])


def rejected() -> ProviderRejected:
    error = ProviderRejected("No.", provider="scripted")
    error.about_content = True
    return error


def seqs_sent(provider: ScriptedProvider) -> list[int | None]:
    return [message.seq for message in provider.requests[-1].messages]


async def test_messages_that_no_model_answered_are_left_out_too(make_talk: MakeTalk) -> None:
    talk = await make_talk("One.", ProviderError("down"), rejected(), "Four.")

    await talk.runner.run(talk.thread_id, USER, "one")
    for content in ("two", "three"):
        with pytest.raises(ProviderError):
            await talk.runner.run(talk.thread_id, USER, content)
    await talk.runner.run(talk.thread_id, USER, "four")

    texts = [part.text for message in talk.provider.requests[-1].messages for part in message.parts]  # type: ignore[union-attr]
    assert texts == ["one", "One.", "four"]


async def test_the_refused_turn_before_is_left_out_with_it(fake: FakeProviderServer, open_thread: OpenThread) -> None:
    fake.script("anthropic", [say("Hello."), say("I will not.", stop="refusal"), say(stop="refusal")])
    thread = await open_thread("anthropic")

    for content in ("Hi!", FORBIDDEN, "Why not?"):
        await thread.ask(content)
    await thread.ask("And now?")

    refused = [message.get("refused") for message in await thread.history()]
    assert refused == [None, None, True, True, True, None, None]
    assert FORBIDDEN not in str(fake.requests[-1].json)


async def test_the_mark_is_there_when_the_failure_is_told(make_talk: MakeTalk) -> None:
    talk = await make_talk(rejected())

    stream = talk.runner.stream(talk.thread_id, USER, FORBIDDEN)
    while (await anext(stream)).type != "run.failed":
        pass

    [message] = (await MessageStore(talk.conn).list(talk.thread_id))["data"]
    assert message.get("refused") is True
    await stream.aclose()


async def test_a_fork_keeps_the_mark(make_talk: MakeTalk) -> None:
    talk = await make_talk("One.", rejected(), "Three.")
    await talk.runner.run(talk.thread_id, USER, "one")
    with pytest.raises(ProviderRejected):
        await talk.runner.run(talk.thread_id, USER, FORBIDDEN)
    newest = (await MessageStore(talk.conn).list(talk.thread_id, order="desc", limit=1))["data"][0]

    fork = await ThreadStore(talk.conn).fork(talk.thread_id, newest["id"], owner_id=USER)
    await talk.runner.run(fork["id"], USER, "three")

    messages = (await MessageStore(talk.conn).list(fork["id"]))["data"]
    assert [message.get("refused") for message in messages] == [None, None, True, None, None]
    assert seqs_sent(talk.provider) == [1, 2, 4]


async def test_a_message_that_waits_behind_it_is_answered(make_talk: MakeTalk) -> None:
    gate = asyncio.Event()
    talk = await make_talk("One.", [gate, rejected()], "Three.")
    await talk.runner.run(talk.thread_id, USER, "one")
    refused = await talk.runner.start(talk.thread_id, USER, FORBIDDEN)
    waits = await talk.runner.start(talk.thread_id, USER, "three", on_busy="queue")
    gate.set()

    outcome = await talk.runner.wait(talk.thread_id, waits.run["id"])

    assert (await talk.runner.wait(talk.thread_id, refused.run["id"])).run["status"] == "failed"
    assert present(outcome.message)["content"] == "Three."
    messages = (await MessageStore(talk.conn).list(talk.thread_id))["data"]
    assert [message.get("refused") for message in messages] == [None, None, True, None, None]
