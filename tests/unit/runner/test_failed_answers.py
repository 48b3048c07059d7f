"""Answers of compatible servers that failed after they began: tried again, then failed or kept, as the agent says."""

import pytest

from tests.fakes.answers import Raw, say
from tests.fakes.provider_server import FakeProviderServer
from tests.present import present
from tests.unit.runner.conftest import OpenThread

BEGUN = '{"choices":[{"index":0,"delta":{"content":"The first step is to"}}]}'
FAILED = {
    "a reason that means failure": '{"choices":[{"index":0,"delta":{},"finish_reason":"error"}]}',
    "an error in the choice": '{"choices":[{"index":0,"delta":{},"error":{"code":502,"message":"gone"}}]}',
    "an error of the server": '{"error":{"code":"503","message":"gone"}}',
    "no reason at all": '{"choices":[{"index":0,"delta":{"content":"…"}}]}',
    "a call that does not come": '{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}',
}


def stream(last: str) -> Raw:
    """An answer that begins, and ends with this."""
    return Raw([f"data: {BEGUN}\n\ndata: {last}\n\ndata: [DONE]\n\n".encode()])


@pytest.mark.parametrize("last", FAILED.values(), ids=FAILED.keys())
async def test_an_answer_that_failed_is_asked_for_again(
    last: str, fake: FakeProviderServer, open_thread: OpenThread
) -> None:
    thread = await open_thread("openai")
    fake.script("openai", [stream(last), say("A whole answer.")])

    outcome = await thread.ask()

    assert (outcome.run["status"], outcome.run["stop_reason"]) == ("completed", "end")
    assert present(outcome.message)["content"] == "A whole answer."


@pytest.mark.parametrize("last", FAILED.values(), ids=FAILED.keys())
async def test_an_answer_that_fails_each_time_is_no_answer(
    last: str, fake: FakeProviderServer, open_thread: OpenThread
) -> None:
    thread = await open_thread("openai")
    fake.script("openai", [stream(last)] * 10)

    outcome = await thread.ask()

    assert outcome.run["status"] == "failed"
    assert present(outcome.run["error"])["code"] in {"provider_truncated", "provider_error"}


@pytest.mark.parametrize("last", FAILED.values(), ids=FAILED.keys())
async def test_an_agent_may_keep_what_came_of_it(last: str, fake: FakeProviderServer, open_thread: OpenThread) -> None:
    thread = await open_thread("openai", settings={"on_cut": "keep"})
    fake.script("openai", [stream(last)] * 10)

    outcome = await thread.ask()

    assert (outcome.run["status"], outcome.run["stop_reason"]) == ("completed", "cut")
    assert present(outcome.message)["content"].startswith("The first step is to")
