"""Every failure of a provider ends the run in one clear way; no tool runs on half a call, and the thread goes on."""

import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.fakes.answers import Answer, Call, Raw, say
from tests.fakes.provider_server import FakeProviderServer
from tests.present import present
from tests.unit.runner.conftest import OpenThread
from tests.unit.runner.failing import (
    CUT,
    REFUSED,
    Script,
    begun,
    body,
    cut_in_arguments,
    failure_inside,
    page,
    status,
)
from tests.wire.requests import WIRES


@dataclass(frozen=True)
class Fails:
    """A way to fail: what the provider does, the code that the run ends with, how often it was asked and began anew."""

    script: Script
    code: str
    requests: int
    retries: int = 0
    settings: dict[str, Any] = field(default_factory=dict)


FAILURES = {
    "429": Fails(lambda _: [status(429)] * 3, "provider_rate_limited", 3),
    "429 with a short wait": Fails(lambda _: [status(429, retry_after="0")] * 3, "provider_rate_limited", 3),
    "429 with a long wait": Fails(lambda _: [status(429, retry_after="3600")], "provider_rate_limited", 1),
    "500": Fails(lambda _: [status(500)] * 3, "provider_error", 3),
    "529": Fails(lambda _: [status(529)] * 3, "provider_error", 3),
    "400": Fails(lambda _: [status(400)], "provider_rejected", 1),
    "401": Fails(lambda _: [status(401)], "provider_rejected", 1),
    "HTML error page": Fails(lambda _: [page(502)] * 3, "provider_error", 3),
    "HTML page with 200": Fails(lambda _: [page(200)] * 3, "provider_truncated", 3),
    # Each try sends the request twice: the connection may have been closed before it went out.
    "no answer": Fails(lambda _: [Raw([], status=0, end="reset")] * 6, "provider_error", 6),
    "error inside": Fails(lambda wire: [failure_inside(wire)] * 3, "provider_error", 3),
    "silence": Fails(lambda _: [Raw([], status=0, end="hang")] * 3, "provider_timeout", 3, settings={"timeout_s": 0.1}),
    "silence after the head": Fails(
        lambda _: [Raw([], end="hang")] * 3, "provider_timeout", 3, settings={"timeout_s": 0.1}
    ),
    "silence in the midst": Fails(
        lambda wire: [Raw(begun(wire), end="hang")] * 3, "provider_timeout", 3, 2, settings={"timeout_s": 0.1}
    ),
    "reset in the midst": Fails(lambda wire: [Raw(begun(wire), end="reset")] * 3, "provider_truncated", 3, 2),
    "end without its end": Fails(lambda wire: [Raw(begun(wire))] * 3, "provider_truncated", 3, 2),
    "garbled JSON": Fails(
        lambda wire: [Raw([*begun(wire), b'data: {"ty\xffpe\n\n{"mes\n'])] * 3, "provider_truncated", 3, 2
    ),
    "garbled JSON at once": Fails(lambda _: [Raw([b'data: {"ty\xffpe\n\n{"mes\n'])] * 3, "provider_truncated", 3),
    "empty body": Fails(lambda _: [Raw([])] * 3, "provider_truncated", 3),
    "cut in a call's arguments": Fails(lambda wire: [cut_in_arguments(wire)] * 3, "provider_truncated", 3),
}


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("name", FAILURES)
async def test_a_failure_ends_one_run(name: str, wire: str, fake: FakeProviderServer, open_thread: OpenThread) -> None:
    case = FAILURES[name]
    fake.script(wire, case.script(wire))
    thread = await open_thread(wire, settings=case.settings)

    failed = await thread.ask()

    assert (failed.run["status"], present(failed.run["error"])["code"]) == ("failed", case.code)
    assert "secret" not in str(failed.run)
    assert len(fake.requests) == case.requests
    events = await thread.events(failed.run["id"])
    assert events == ["run.started", *["run.retrying"] * case.retries, "run.failed"]
    assert [message["role"] for message in await thread.history()] == ["user"]

    again = await thread.ask("And now?")

    assert again.message is not None
    assert again.message["content"].startswith("word0 ")
    assert [request.refused for request in fake.requests] == [None] * (case.requests + 1)
    assert thread.tool.ran == 0


PASSING: dict[str, Script] = {
    "429": lambda _: [status(429, retry_after="0"), status(429)],
    "500": lambda _: [status(500)],
    "529": lambda _: [status(529), status(503)],
    "HTML error page": lambda _: [page(502)],
    "error inside": lambda wire: [failure_inside(wire), failure_inside(wire)],
    "empty body": lambda _: [Raw([])],
    "reset in the midst": lambda wire: [Raw(begun(wire), end="reset")],
    "end without its end": lambda wire: [Raw(begun(wire)), Raw(begun(wire))],
    "cut in a call's arguments": lambda wire: [cut_in_arguments(wire)],
}


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("name", PASSING)
async def test_a_retry_leaves_no_trace(name: str, wire: str, fake: FakeProviderServer, open_thread: OpenThread) -> None:
    fake.script(wire, [*PASSING[name](wire), say("A whole ", "answer.")])
    thread = await open_thread(wire)

    outcome = await thread.ask()

    assert outcome.run["status"] == "completed"
    assert [message["content"] for message in await thread.history()] == ["Hello!", "A whole answer."]
    assert thread.tool.ran == 0


@pytest.mark.parametrize("wire", WIRES)
async def test_a_reset_anywhere_is_recovered_from(wire: str, fake: FakeProviderServer, open_thread: OpenThread) -> None:
    answer = say("Grüße, ", "世界 ", "😀.")
    data = body(wire, answer)
    thread = await open_thread(wire)

    for offset in random.Random(wire).sample(range(len(data) - 40), 12):
        fake.script(wire, [Raw([data[:offset]], end="reset"), answer])
        outcome = await thread.ask()
        assert outcome.message is not None
        assert outcome.message["content"] == "Grüße, 世界 😀."

    assert {request.refused for request in fake.requests} == {None}


@pytest.mark.parametrize("wire", WIRES)
async def test_no_provider_is_an_error(wire: str, fake: FakeProviderServer, open_thread: OpenThread) -> None:
    async with FakeProviderServer() as gone:
        addresses = {name: gone.base_url(name) for name in ("anthropic", "openai", "ollama", "gemini")}
    thread = await open_thread(wire, addresses=addresses)

    outcome = await thread.ask()

    assert present(outcome.run["error"])["code"] == "provider_error"
    assert present(outcome.run["error"])["detail"].endswith("cannot be reached.")


@pytest.mark.parametrize("wire", WIRES)
async def test_a_first_answer_of_nothing_is_a_cut(wire: str, fake: FakeProviderServer, open_thread: OpenThread) -> None:
    fake.script(wire, [Answer()] * 3)
    thread = await open_thread(wire)

    empty = await thread.ask()
    again = await thread.ask("And now?")

    assert empty.message is None
    assert present(empty.run["error"])["code"] == "provider_truncated"
    assert again.run["status"] == "completed"
    assert [request.refused for request in fake.requests] == [None] * len(fake.requests)


@pytest.mark.parametrize("wire", [wire for wire, word in REFUSED.items() if word])
async def test_a_refusal(wire: str, fake: FakeProviderServer, open_thread: OpenThread) -> None:
    fake.script(wire, [say("I will not.", stop=REFUSED[wire])])
    thread = await open_thread(wire)

    refused = await thread.ask()
    again = await thread.ask("And now?")

    assert refused.message is not None
    assert (refused.run["status"], refused.run["stop_reason"]) == ("completed", "refusal")
    assert refused.message["content"] == "I will not."
    assert again.run["status"] == "completed"


@pytest.mark.parametrize("wire", [wire for wire, word in REFUSED.items() if word])
async def test_a_refusal_without_a_word_fails(wire: str, fake: FakeProviderServer, open_thread: OpenThread) -> None:
    fake.script(wire, [say(stop=REFUSED[wire])])
    thread = await open_thread(wire)

    refused = await thread.ask()
    again = await thread.ask("And now?")

    assert refused.message is None
    assert present(refused.run["error"])["code"] == "provider_rejected"
    assert again.run["status"] == "completed"


@pytest.mark.parametrize("wire", [wire for wire, word in CUT.items() if word])
async def test_cut_arguments_are_not_run(wire: str, fake: FakeProviderServer, open_thread: OpenThread) -> None:
    cut = Answer([Call("counter", '{"expression": "6*')], stop=CUT[wire])
    fake.script(wire, [cut, say("Done.")])
    thread = await open_thread(wire)

    outcome = await thread.ask()

    assert outcome.message is not None
    assert outcome.message["content"] == "Done."
    assert thread.tool.ran == 0
    result = (await thread.history())[2]["parts"][0]
    assert result["is_error"]
    assert [request.refused for request in fake.requests] == [None, None]


async def test_the_usage_of_failed_models_is_counted(fake: FakeProviderServer, open_thread: OpenThread) -> None:
    fake.script("anthropic", [Raw(begun("anthropic"), end="reset"), say("Whole.", input_tokens=11, output_tokens=7)])
    thread = await open_thread("anthropic")

    usage = present((await thread.ask()).run["usage"])

    # The broken one said what it had read, and that is known; what it wrote is estimated.
    assert usage["input_tokens"] == 22
    assert present(usage["output_tokens"]) > 7
    assert usage["estimated"] is True


@pytest.mark.parametrize("wire", WIRES)
async def test_an_agent_may_keep_cut_answers(wire: str, fake: FakeProviderServer, open_thread: OpenThread) -> None:
    fake.script(wire, [Raw(begun(wire), end="reset")])
    thread = await open_thread(wire, settings={"on_cut": "keep"})

    kept = await thread.ask()
    again = await thread.ask("Go on.")

    assert kept.message is not None
    assert (kept.message["content"], kept.message["status"]) == ("Half ", "incomplete")
    assert (kept.run["status"], kept.run["stop_reason"], kept.run["error"]) == ("completed", "cut", None)
    assert await thread.events(kept.run["id"]) == ["run.started", "message.completed", "run.completed"]
    assert again.run["status"] == "completed"
    assert [request.refused for request in fake.requests] == [None] * len(fake.requests)


async def test_a_cut_call_is_not_kept_and_not_run(fake: FakeProviderServer, open_thread: OpenThread) -> None:
    fake.script("openai", [cut_in_arguments("openai"), say("Whole.")])
    thread = await open_thread("openai", settings={"on_cut": "keep"})

    outcome = await thread.ask()

    assert outcome.message is not None
    assert (outcome.message["content"], outcome.message["status"]) == ("Whole.", "completed")
    assert thread.tool.ran == 0


@pytest.mark.parametrize("wire", WIRES)
async def test_the_same_unknown_reason_twice_running_ends_the_retries(
    wire: str, fake: FakeProviderServer, open_thread: OpenThread
) -> None:
    fake.script(wire, [say("Hi", stop="eos_token")] * 3)
    thread = await open_thread(wire)

    failed = await thread.ask()

    assert present(failed.run["error"])["code"] == "provider_truncated"
    assert 'finish_reasons {"eos_token": "stop"}' in present(failed.run["error"])["detail"]
    assert await thread.events(failed.run["id"]) == ["run.started", "run.retrying", "run.failed"]
    assert len(fake.requests) == 2


@pytest.mark.parametrize("wire", WIRES)
async def test_an_answer_with_an_unknown_reason_may_be_kept(
    wire: str, fake: FakeProviderServer, open_thread: OpenThread
) -> None:
    fake.script(wire, [Answer([Call("counter", {"expression": "1"})], stop="eos_token"), say("Hi", stop="eos_token")])
    thread = await open_thread(wire, settings={"on_cut": "keep"})

    kept = await thread.ask()

    # The first answer has no text that could be kept.
    assert (present(kept.message)["content"], present(kept.message)["status"]) == ("Hi", "incomplete")
    assert thread.tool.ran == 0
