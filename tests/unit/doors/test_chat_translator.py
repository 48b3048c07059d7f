"""Events of runs as chunks and answers of chat completions, without a service."""

import json
from typing import Any

import pytest

from ai_agents.core.ids import new_id
from ai_agents.streams.cursor import Frame
from app.doors.chat_completions.translator import ChatStream, Progress, whole_answer
from app.doors.openai_errors import error_object

RUN_ID = new_id()
CALL = {"tool_call_id": "call_1", "name": "weather", "arguments": {"town": "Oslo"}}


def message(text: str, message_id: str = "m1", **more: Any) -> dict[str, Any]:
    usage = {"input_tokens": 3, "output_tokens": 2}
    whole = {"id": message_id, "role": "assistant", "content": text, "parts": [], "usage": usage}
    return {"message": whole | more}


def ended(status: str, **more: Any) -> dict[str, Any]:
    return {"run": {"id": RUN_ID, "status": status, "stop_reason": "end", "usage": None} | more, "discard": []}


class Client:
    """What a client sees of a stream."""

    def __init__(self, *, include_usage: bool = False, progress: Progress | None = None) -> None:
        self.stream = ChatStream(
            RUN_ID,
            progress or Progress(),
            model="helper",
            include_usage=include_usage,
            error_object=error_object,
        )
        self.sent = self.stream.begin()

    def take(self, *events: tuple[str, dict[str, Any]]) -> None:
        """Events that come together."""
        for kind, data in events:
            whole = {"thread_id": "t", "run_id": RUN_ID, **data}
            self.sent += self.stream.take(Frame(kind, "1-0", json.dumps(whole)))  # type: ignore[arg-type]  # known types
        self.sent += self.stream.settle()

    @property
    def lines(self) -> list[Any]:
        """The data of each line."""
        blocks = (self.sent + self.stream.end()).decode().split("\n\n")
        assert blocks.pop() == ""
        assert all(block.startswith("data: ") for block in blocks)
        return [each if each == "[DONE]" else json.loads(each) for each in (block[6:] for block in blocks)]

    @property
    def deltas(self) -> list[dict[str, Any]]:
        """The deltas of the chunks, without the first."""
        return [line["choices"][0]["delta"] for line in self.lines[1:] if line != "[DONE]" and line.get("choices")]


def test_a_finished_run_is_sent_without_previews_once() -> None:
    client = Client()
    delta = {"message_id": "m1", "text": "Hel", "offset": 0}
    client.take(("message.started", {"message_id": "m1"}), ("message.delta", delta))
    client.take(("message.completed", message("Hello")), ("run.completed", ended("completed")))

    assert client.deltas == [{"content": "Hel"}, {"content": "lo"}, {}]
    assert client.lines[-1] == "[DONE]"


@pytest.mark.parametrize(
    "status, reason, finish",
    [
        ("completed", "end", "stop"),
        ("completed", "stop_sequence", "stop"),
        ("completed", "max_tokens", "length"),
        ("completed", "cut", "length"),
        ("completed", "refusal", "content_filter"),
        ("cancelled", "cancelled", "length"),
    ],
)
def test_the_reason_of_the_end_is_told_in_openais_words(status: str, reason: str, finish: str) -> None:
    client, progress = Client(), Progress()
    last = (f"run.{status}", ended(status, stop_reason=reason))
    client.take(("message.completed", message("Hello")), last)
    progress.take("message.completed", message("Hello"))
    progress.take(*last)

    assert client.lines[-2]["choices"][0]["finish_reason"] == finish
    assert whole_answer(progress, RUN_ID, model="helper")["choices"][0]["finish_reason"] == finish


def test_a_wait_that_is_over_in_the_same_breath_is_no_end() -> None:
    """As where a run that has waited is read again from its beginning."""
    client = Client(include_usage=True)
    approval = {"approvals": [CALL], "client_calls": []}
    client.take(
        ("message.completed", message("I ask. ")),
        ("run.waiting", approval),
        ("tool.started", {**CALL}),
        ("tool.completed", {**CALL, "result": "cold"}),
        ("run.waiting", {"approvals": [], "client_calls": [CALL]}),
        ("tool.completed", {**CALL, "result": "cold"}),
        ("message.completed", message("Cold.", "m2")),
        ("run.completed", ended("completed", usage={"input_tokens": 9, "output_tokens": 4})),
    )

    assert client.deltas == [{"content": "I ask. "}, {"content": "\n\nCold."}, {}]
    assert client.lines[-2]["usage"]["total_tokens"] == 13


def test_the_usage_of_an_answer_that_goes_on_with_results_is_its_own() -> None:
    client = Client(include_usage=True, progress=Progress(goes_on=True))
    usage = {"input_tokens": 9, "output_tokens": 4}
    client.take(("message.completed", message("Cold.")), ("run.completed", ended("completed", usage=usage)))

    assert client.lines[-2]["usage"]["total_tokens"] == 5


def test_one_of_two_results_leaves_the_other_call() -> None:
    progress = Progress()
    calls = [CALL, CALL | {"tool_call_id": "call_2"}]
    progress.take("run.waiting", {"thread_id": "t", "run_id": RUN_ID, "client_calls": calls, "approvals": []})
    progress.take("tool.completed", {"tool_call_id": "call_1"})

    left = whole_answer(progress, RUN_ID, model="helper")["choices"][0]["message"]["tool_calls"]
    assert [call["id"] for call in left] == ["call_2"]


def test_an_attempt_of_which_nothing_was_sent_leaves_no_trace() -> None:
    client = Client()
    client.take(
        ("reasoning.delta", {"message_id": "m1", "text": "Hm", "offset": 0}),
        ("run.retrying", {"attempt": 2, "reason": "cut", "discard": ["m1"]}),
        ("message.completed", message("Hello", "m2", parts=[{"type": "reasoning", "text": "Ah"}])),
        ("run.completed", ended("completed")),
    )

    assert client.deltas == [{"reasoning_content": "Hm"}, {"reasoning_content": "Ah"}, {"content": "Hello"}, {}]


@pytest.mark.parametrize("event", ["run.retrying", "run.failed", None])
def test_what_is_not_complete_ends_with_an_error_and_without_done(event: str | None) -> None:
    client = Client()
    client.take(("message.delta", {"message_id": "m1", "text": "Hel", "offset": 0}))
    if event == "run.retrying":
        client.take((event, {"attempt": 2, "reason": "cut", "discard": ["m1"]}))
        client.take(("message.completed", message("Hello", "m2")), ("run.completed", ended("completed")))
    elif event is not None:
        problem = {"status": 502, "code": "provider_error", "detail": "It broke.", "title": "", "type": ""}
        client.take((event, {**ended("failed"), "problem": problem}))

    assert set(client.lines[-1]) == {"error"}
    assert client.deltas == [{"content": "Hel"}]
    assert "[DONE]" not in client.lines


def test_a_run_that_was_cancelled_before_it_said_anything_is_an_error() -> None:
    client = Client()
    client.take(("run.cancelled", ended("cancelled")))

    assert client.lines[-1]["error"]["code"] == "run_cancelled"
