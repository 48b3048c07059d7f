"""One turn after another, on both databases: what is answered, stored, streamed and refused."""

import asyncio
from typing import Any

import pytest

from ai_agents import (
    DatabaseHandle,
    MessageStore,
    RoleAuth,
    RunLimits,
    RunStore,
    ThreadStore,
    Tool,
    ToolDefinition,
    ToolRegistry,
)
from ai_agents.core.exceptions import (
    IdempotencyKeyReused,
    InvalidRequest,
    PermissionDenied,
    ProviderRejected,
    ProviderTruncated,
    QueueFull,
    RunCancelled,
    ThreadBusy,
    ThreadNotFound,
    ToolLoopLimit,
)
from ai_agents.core.types import TextPart, ToolResultPart
from ai_agents.runner.message_placing import MAX_QUEUED
from ai_agents.store import thread_log
from ai_agents.testing import tool_call
from tests.present import present
from tests.unit.runner.conftest import USER, MakeTalk, Talk


async def history(talk: Talk) -> list[Any]:
    page = await MessageStore(talk.conn).list(talk.thread_id, limit=100)
    return page["data"]


async def log_types(conn: DatabaseHandle, thread_id: str) -> list[str]:
    rows = await conn.database.read(lambda c: thread_log.list_after(c, thread_id, 0, limit=1000))
    assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
    return [row.type for row in rows]


async def until_asked(talk: Talk) -> None:
    """Wait until the model has been asked."""
    async with asyncio.timeout(60):
        while not talk.provider.requests:
            await asyncio.sleep(0.005)


async def until_text(talk: Talk, run_id: str, text: str) -> None:
    """Wait until a reader of the run has seen this much of its text."""
    reader = await talk.runner.read_run(talk.thread_id, run_id)
    assert reader is not None
    seen = ""
    async for event in reader.events():
        seen += str(event)
        if seen.startswith(text):
            return


async def test_the_answer_is_returned_and_stored_with_its_run(make_talk: MakeTalk) -> None:
    talk = await make_talk("Hello, Ada.")
    answer = await talk.runner.run(talk.thread_id, USER, "Hello!")
    assert (answer["content"], answer["role"], answer["status"]) == ("Hello, Ada.", "assistant", "completed")
    assert [message["content"] for message in await history(talk)] == ["Hello!", "Hello, Ada."]
    run = await RunStore(talk.conn).get(talk.thread_id, present(answer["run_id"]))
    assert (run["status"], run["stop_reason"], run["attempt"]) == ("completed", "end", 1)
    assert present(run["usage"])["input_tokens"] == 10
    assert await log_types(talk.conn, talk.thread_id) == ["run.started", "message.completed", "run.completed"]


async def test_printing_a_stream_prints_the_answer(make_talk: MakeTalk) -> None:
    talk = await make_talk(["Hel", "lo, ", "Ada."])
    events = [event async for event in talk.runner.stream(talk.thread_id, USER, "Hello!")]
    assert "".join(map(str, events)) == "Hello, Ada."
    assert events[0].type == "run.started"
    assert events[1].type == "message.started"
    assert [event.type for event in events[-2:]] == ["message.completed", "run.completed"]


async def test_a_second_turn_is_sent_with_the_first(make_talk: MakeTalk) -> None:
    talk = await make_talk("one", "two")
    await talk.runner.run(talk.thread_id, USER, "first")
    await talk.runner.run(talk.thread_id, USER, "second")
    sent = talk.provider.requests[1].messages
    assert [(message.role, message.parts) for message in sent] == [
        ("user", (TextPart("first"),)),
        ("assistant", (TextPart("one"),)),
        ("user", (TextPart("second"),)),
    ]


async def test_tools_run_and_their_results_go_back_to_the_model(make_talk: MakeTalk) -> None:
    calls = [tool_call("calculator", expression="6*7"), tool_call("calculator", expression="1/0")]
    talk = await make_talk(["Let me see. ", *calls], "It is 42.", tools=ToolRegistry())
    answer = await talk.runner.run(talk.thread_id, USER, "6*7?")
    assert answer["content"] == "It is 42."
    results = [part for part in talk.provider.requests[1].messages[-1].parts if isinstance(part, ToolResultPart)]
    assert [(result.tool_call_id, result.is_error) for result in results] == [
        (calls[0].tool_call_id, False),
        (calls[1].tool_call_id, True),
    ]
    roles = [message["role"] for message in await history(talk)]
    assert roles == ["user", "assistant", "tool", "tool", "assistant"]
    types = await log_types(talk.conn, talk.thread_id)
    assert types[:4] == ["run.started", "message.completed", "tool.started", "tool.started"]
    assert types[4:] == ["tool.completed", "tool.completed", "message.completed", "run.completed"]


async def test_a_model_that_never_stops_calling_tools_is_stopped(make_talk: MakeTalk) -> None:
    rounds = [[tool_call("calculator", expression=str(number))] for number in range(4)]
    talk = await make_talk(*rounds, tools=ToolRegistry(), settings={"tool_rounds": 2})
    with pytest.raises(ToolLoopLimit):
        await talk.runner.run(talk.thread_id, USER, "go")
    assert len(talk.provider.requests) == 3


async def test_the_same_call_again_and_again_is_answered_with_an_error(make_talk: MakeTalk) -> None:
    rounds = [[tool_call("calculator", expression="1+1")] for _ in range(4)]
    talk = await make_talk(*rounds, "done", tools=ToolRegistry())
    await talk.runner.run(talk.thread_id, USER, "go")
    results = [message["parts"][0]["is_error"] for message in await history(talk) if message["role"] == "tool"]
    assert results == [False, False, False, True]


async def test_a_failed_run_keeps_the_question_and_leaves_the_thread_usable(make_talk: MakeTalk) -> None:
    talk = await make_talk(ProviderRejected("The key is refused.", provider="scripted"), "back again")
    with pytest.raises(ProviderRejected, match="The key is refused"):
        await talk.runner.run(talk.thread_id, USER, "Hello!")
    assert [message["content"] for message in await history(talk)] == ["Hello!"]
    assert (await talk.runner.run(talk.thread_id, USER, "And now?"))["content"] == "back again"


async def test_a_stream_cut_in_the_middle_is_tried_again_and_its_text_is_void(make_talk: MakeTalk) -> None:
    talk = await make_talk(["Half an ans", ProviderTruncated()], "A whole answer.")
    events = [event async for event in talk.runner.stream(talk.thread_id, USER, "Hello!")]
    retrying = next(event for event in events if event.type == "run.retrying")
    started = [event.data["message_id"] for event in events if event.type == "message.started"]
    assert retrying.data["discard"] == started[:1]
    assert retrying.data["attempt"] == 2
    assert [message["content"] for message in await history(talk)] == ["Hello!", "A whole answer."]


async def test_a_stream_cut_three_times_fails(make_talk: MakeTalk) -> None:
    talk = await make_talk(*(["cut", ProviderTruncated()] for _ in range(3)))
    with pytest.raises(ProviderTruncated):
        await talk.runner.run(talk.thread_id, USER, "Hello!")
    assert len(talk.provider.requests) == 3


async def test_a_reader_that_leaves_does_not_stop_the_run(make_talk: MakeTalk) -> None:
    go = asyncio.Event()
    talk = await make_talk(["Hel", go, "lo"])
    stream = talk.runner.stream(talk.thread_id, USER, "Hello!")
    async for event in stream:
        if event.type == "message.delta":
            break
    await stream.aclose()
    go.set()
    run_id = str(event.run_id)
    outcome = await talk.runner.wait(talk.thread_id, run_id)
    assert outcome.message is not None
    assert outcome.message["content"] == "Hello"


async def test_the_terminal_event_is_stored_before_it_is_published(make_talk: MakeTalk) -> None:
    talk = await make_talk("Hello")
    stream = talk.runner.stream(talk.thread_id, USER, "Hello!")
    first = await anext(stream)
    await stream.aclose()
    page = await MessageStore(talk.conn).list(talk.thread_id)
    assert page["data"][0]["id"] == first.data["user_message"]["id"]


async def test_cancelling_keeps_the_text_so_far(make_talk: MakeTalk) -> None:
    talk = await make_talk(["Partial", asyncio.Event()])
    started = await talk.runner.start(talk.thread_id, USER, "Hello!")
    await until_text(talk, started.run["id"], "Partial")
    run = await talk.runner.cancel(talk.thread_id, started.run["id"])
    assert run["status"] == "cancelled"
    assert present(run["usage"])["estimated"] is True
    assert talk.provider.closed == 1
    said = (await history(talk))[-1]
    assert (said["content"], said["status"]) == ("Partial", "incomplete")
    assert await talk.runner.cancel(talk.thread_id, started.run["id"]) == run


async def test_cancelling_before_any_text_stores_no_message(make_talk: MakeTalk) -> None:
    talk = await make_talk([asyncio.Event()], "next")
    started = await talk.runner.start(talk.thread_id, USER, "Hello!")
    await until_asked(talk)
    waiting = asyncio.create_task(talk.runner.run(talk.thread_id, USER, "too", on_busy="queue"))
    run = await talk.runner.cancel(talk.thread_id, started.run["id"])
    assert run["status"] == "cancelled"
    assert (await waiting)["content"] == "next"
    assert [message["role"] for message in await history(talk)] == ["user", "user", "assistant"]


async def test_a_cancelled_waiting_call_raises(make_talk: MakeTalk) -> None:
    talk = await make_talk([asyncio.Event()])
    waiting = asyncio.create_task(talk.runner.run(talk.thread_id, USER, "Hello!"))
    while not (runs := (await RunStore(talk.conn).list(talk.thread_id))["data"]):
        await asyncio.sleep(0)
    await talk.runner.cancel(talk.thread_id, runs[0]["id"])
    with pytest.raises(RunCancelled):
        await waiting


async def test_cancelling_during_a_tool_answers_its_call(make_talk: MakeTalk) -> None:
    began = asyncio.Event()

    class Slow(Tool):
        name = "slow"

        async def execute(self) -> str:
            began.set()
            await asyncio.Event().wait()
            return "never"

    talk = await make_talk(["Wait. ", tool_call("slow")], "later", tools=ToolRegistry([Slow()]))
    started = await talk.runner.start(talk.thread_id, USER, "go")
    await began.wait()
    await talk.runner.cancel(talk.thread_id, started.run["id"])
    last = (await history(talk))[-1]
    assert (last["role"], last["parts"][0]["is_error"]) == ("tool", True)
    await talk.runner.run(talk.thread_id, USER, "and now?")


async def test_a_busy_thread_rejects(make_talk: MakeTalk) -> None:
    talk = await make_talk([asyncio.Event()])
    started = await talk.runner.start(talk.thread_id, USER, "Hello!")
    with pytest.raises(ThreadBusy) as busy:
        await talk.runner.start(talk.thread_id, USER, "Me too!")
    assert busy.value.run_id == started.run["id"]
    assert len(await history(talk)) == 1


async def test_queued_messages_run_in_order_and_get_their_seq_when_they_start(make_talk: MakeTalk) -> None:
    go = asyncio.Event()
    talk = await make_talk([go, "zero"], *(f"answer {number}" for number in range(5)))
    await talk.runner.start(talk.thread_id, USER, "question zero")
    starts = [await talk.runner.start(talk.thread_id, USER, f"question {n}", on_busy="queue") for n in range(5)]
    assert [start.run["status"] for start in starts] == ["queued"] * 5
    assert len(await history(talk)) == 1
    go.set()
    await talk.runner.wait(talk.thread_id, starts[-1].run["id"])
    contents = [message["content"] for message in await history(talk)]
    assert contents[2:] == [text for n in range(5) for text in (f"question {n}", f"answer {n}")]


async def test_more_than_a_hundred_waiting_are_refused(make_talk: MakeTalk) -> None:
    talk = await make_talk([asyncio.Event()])
    await talk.runner.start(talk.thread_id, USER, "first")
    for number in range(MAX_QUEUED):
        await talk.runner.start(talk.thread_id, USER, str(number), on_busy="queue")
    with pytest.raises(QueueFull):
        await talk.runner.start(talk.thread_id, USER, "one too many", on_busy="queue")


async def test_interrupting_cancels_running_and_queued_runs(make_talk: MakeTalk) -> None:
    talk = await make_talk(["Cut he", asyncio.Event()], "new answer")
    running = await talk.runner.start(talk.thread_id, USER, "old")
    queued = await talk.runner.start(talk.thread_id, USER, "never answered", on_busy="queue")
    await until_text(talk, running.run["id"], "Cut he")
    answer = await talk.runner.run(talk.thread_id, USER, "new", on_busy="interrupt")
    assert answer["content"] == "new answer"
    statuses = {run["id"]: run["status"] for run in (await RunStore(talk.conn).list(talk.thread_id))["data"]}
    assert statuses[running.run["id"]] == statuses[queued.run["id"]] == "cancelled"
    said = [message["content"] for message in await history(talk)]
    assert said == ["old", "Cut he", "never answered", "new", "new answer"]
    log = await log_types(talk.conn, talk.thread_id)
    assert log[-6:-3] == ["run.cancelled", "message.completed", "run.cancelled"]


@pytest.mark.parametrize("on_busy", ["reject", "queue", "interrupt"])
async def test_thirty_messages_at_once_leave_a_thread_in_order(make_talk: MakeTalk, on_busy: Any) -> None:
    talk = await make_talk(*(f"answer {number}" for number in range(30)))
    starts = await asyncio.gather(
        *(talk.runner.start(talk.thread_id, USER, str(n), on_busy=on_busy) for n in range(30)), return_exceptions=True
    )
    let_in = [start for start in starts if not isinstance(start, BaseException)]
    refused = [start for start in starts if isinstance(start, BaseException)]
    assert all(isinstance(error, ThreadBusy) for error in refused)
    assert (len(let_in) == 30) or on_busy == "reject"
    outcomes = [await talk.runner.wait(talk.thread_id, start.run["id"]) for start in let_in]
    assert {outcome.run["status"] for outcome in outcomes} <= {"completed", "cancelled"}
    if on_busy == "queue":
        assert {outcome.run["status"] for outcome in outcomes} == {"completed"}
    await log_types(talk.conn, talk.thread_id)
    accepted = [str(number) for number, start in enumerate(starts) if not isinstance(start, BaseException)]
    assert sorted(each["content"] for each in await history(talk) if each["role"] == "user") == sorted(accepted)
    assert (await RunStore(talk.conn).list(talk.thread_id, limit=100))["data"]


async def test_fifty_equal_requests_with_one_key_are_one_run(make_talk: MakeTalk) -> None:
    talk = await make_talk("once")
    starts = await asyncio.gather(
        *(
            talk.runner.start(talk.thread_id, USER, "Hello!", idempotency_key="k1", fingerprint="same")
            for _ in range(50)
        )
    )
    assert len({start.run["id"] for start in starts}) == 1
    assert sum(not start.replayed for start in starts) == 1
    outcome = await talk.runner.wait(talk.thread_id, starts[0].run["id"])
    assert outcome.message is not None
    assert outcome.message["content"] == "once"
    with pytest.raises(IdempotencyKeyReused):
        await talk.runner.start(talk.thread_id, USER, "Else", idempotency_key="k1", fingerprint="other")


async def test_a_stranger_finds_no_thread_and_a_viewer_may_not_send(make_talk: MakeTalk) -> None:
    talk = await make_talk("never said")
    with pytest.raises(ThreadNotFound):
        await talk.runner.run(talk.thread_id, "mallory", "Hello!")
    await RoleAuth(talk.conn).assign_role("eve", "viewer", "thread", talk.thread_id)
    with pytest.raises(PermissionDenied):
        await talk.runner.run(talk.thread_id, "eve", "Hello!")
    assert talk.provider.requests == []


@pytest.mark.parametrize("content", ["", [], [TextPart("")]])
async def test_a_message_without_content_is_refused(make_talk: MakeTalk, content: Any) -> None:
    talk = await make_talk("never said")
    with pytest.raises(InvalidRequest):
        await talk.runner.run(talk.thread_id, USER, content)


async def test_deleting_the_thread_stops_its_run_and_ends_its_streams(make_talk: MakeTalk) -> None:
    talk = await make_talk(["Hel", asyncio.Event()])
    started = await talk.runner.start(talk.thread_id, USER, "Hello!")
    await until_text(talk, started.run["id"], "Hel")
    reader = await talk.runner.read_thread(talk.thread_id)
    reading = asyncio.create_task(_types(reader))
    await asyncio.sleep(0)
    await ThreadStore(talk.conn).delete(talk.thread_id)
    assert (await asyncio.wait_for(reading, 60))[-1] == "thread.deleted"
    while talk.conn.executor.running:
        await asyncio.sleep(0.01)
    assert talk.provider.closed == 1


async def _types(reader: Any) -> list[str]:
    return [event.type async for event in reader.events()]


async def test_no_connection_is_held_while_the_model_answers(make_talk: MakeTalk) -> None:
    talk = await make_talk(["Hel", asyncio.Event()])
    started = await talk.runner.start(talk.thread_id, USER, "Hello!")
    await until_text(talk, started.run["id"], "Hel")
    assert talk.conn.database.checked_out() == 0


async def test_a_run_that_takes_too_long_fails(make_talk: MakeTalk) -> None:
    talk = await make_talk(["Hel", asyncio.Event()], limits=RunLimits(run_time_s=0.05))
    started = await talk.runner.start(talk.thread_id, USER, "Hello!")
    outcome = await talk.runner.wait(talk.thread_id, started.run["id"])
    assert (outcome.run["status"], present(outcome.run["error"])["code"]) == ("failed", "provider_timeout")


async def test_a_registered_tool_gets_its_arguments(make_talk: MakeTalk) -> None:
    class Shout(Tool):
        name = "shout"
        description = "Says it louder"

        async def execute(self, text: str) -> str:
            return text.upper()

        def get_definition(self) -> ToolDefinition:
            return ToolDefinition(
                name=self.name,
                description=self.description,
                parameters={"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
            )

    talk = await make_talk([tool_call("shout", text="hey")], "said", tools=ToolRegistry([Shout()]))
    await talk.runner.run(talk.thread_id, USER, "go")
    assert (await history(talk))[2]["content"] == "HEY"


async def test_two_runners_of_one_handle_keep_to_their_own_defaults(make_talk: MakeTalk) -> None:
    one = await make_talk("from one")
    two = await make_talk("from two")
    assert (await one.runner.run(one.thread_id, USER, "Hello!"))["content"] == "from one"
    assert (await two.runner.run(two.thread_id, USER, "Hello!"))["content"] == "from two"


async def test_a_run_that_is_stopped_before_its_first_step_still_ends(make_talk: MakeTalk) -> None:
    talk = await make_talk("never said")
    started = await talk.runner.start(talk.thread_id, USER, "Hello!")
    talk.conn.executor.stop(started.run["id"], "cancel")
    outcome = await asyncio.wait_for(talk.runner.wait(talk.thread_id, started.run["id"]), 60)
    assert outcome.run["status"] == "cancelled"


@pytest.mark.parametrize("user_id", ["", "*"])
async def test_a_message_is_sent_by_one_user(make_talk: MakeTalk, user_id: str) -> None:
    talk = await make_talk("never said")
    await talk.runner.auth.assign_role("*", "editor", "thread", talk.thread_id)

    with pytest.raises(InvalidRequest, match="one user"):
        await talk.runner.run(talk.thread_id, user_id, "Hello!")
    with pytest.raises(InvalidRequest, match="one user"):
        async for _ in talk.runner.stream(talk.thread_id, user_id, "Hello!"):
            pass

    assert await history(talk) == []
    assert not talk.provider.requests
