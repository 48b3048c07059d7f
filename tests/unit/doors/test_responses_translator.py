"""A run's events as the frames of a response."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_agents.core.types import JsonObject
from app.doors.responses.ids import ResponseId, parse_response_id
from app.doors.responses.resource import Asked, ResponseHead
from app.doors.responses.translator import DELTA_LENGTH, DONE, ResponseFrames
from tests.doors.openresponses import check_response, read_frames

RUN = "01890a5d-ac96-774b-bcce-b302099a8057"
MESSAGE = "01890a5d-ac96-774b-bcce-b302099a8058"
TIME = "2026-11-22T10:00:00.000000Z"
HEAD = ResponseHead(str(ResponseId(RUN)), TIME, "assistant", Asked(metadata={"a": "b"}))
USAGE = {"input_tokens": 3, "output_tokens": 2, "cached_input_tokens": None, "reasoning_tokens": None}
Event = tuple[str, JsonObject]
STARTED: Event = ("run.started", {"attempt": 1, "user_message": {}})


def said(*parts: JsonObject, status: str = "completed", role: str = "assistant", message_id: str = MESSAGE) -> Event:
    message = {
        "id": message_id,
        "role": role,
        "parts": list(parts),
        "status": status,
        "usage": USAGE,
        "created_at": TIME,
    }
    return "message.completed", {"message": message}


def text(value: str) -> JsonObject:
    return {"type": "text", "text": value}


def reasoning(value: str) -> JsonObject:
    return {"type": "reasoning", "text": value}


def delta(value: str, kind: str = "message") -> Event:
    return f"{kind}.delta", {"message_id": MESSAGE, "text": value, "offset": 0}


def ended(status: str = "completed", **facts: Any) -> Event:
    run = {"usage": USAGE, "stop_reason": "end", "finished_at": TIME} | facts.pop("run", {})
    return f"run.{status}", {"run": run, "discard": []} | facts


def call(nth: int, name: str = "calculator") -> JsonObject:
    return {"tool_call_id": f"call_{nth}", "name": name, "arguments": {"n": nth}}


def result(nth: int, *, is_error: bool = False) -> Event:
    return "tool.completed", {"tool_call_id": f"call_{nth}", "name": "x", "result": {"r": nth}, "is_error": is_error}


def chunks(events: list[Event], **options: Any) -> list[str]:
    frames = ResponseFrames(HEAD, **options)
    return [chunk for name, data in events for chunk in frames.take(name, data)]


WHOLE = [
    ("run.queued", {"position": 1}),
    STARTED,
    said(reasoning("I think so"), text("Let me"), text(" see"), role="assistant"),
    ("tool.started", call(1)),
    ("tool.started", call(2, "server/search")),
    result(2, is_error=True),
    result(1),
    said(reasoning("Hm"), text("Fünf"), reasoning("no"), text("6"), message_id=RUN),
    ended(),
]


def test_every_frame_is_what_the_document_says_and_the_numbers_have_no_gaps() -> None:
    out = chunks(WHOLE)
    frames = read_frames(out)
    assert [frame["sequence_number"] for frame in frames] == list(range(len(frames)))
    assert out[-1] == DONE
    assert [frame["type"] for frame in frames[:4]] == [
        "response.created",
        "response.queued",
        "response.in_progress",
        "response.output_item.added",
    ]
    response = frames[-1]["response"]
    assert [item["type"] for item in response["output"]] == [
        "reasoning", "message", "mcp_call", "mcp_call", "reasoning", "message", "reasoning", "message",
    ]  # fmt: skip
    assert response["status"] == "completed"
    assert response["metadata"] == {"a": "b"}
    assert response["usage"]["total_tokens"] == 5
    assert response["output"][1]["content"][0]["text"] == "Let me see"
    failed = response["output"][3]
    assert (failed["server_label"], failed["name"], failed["status"]) == ("server", "search", "failed")
    assert failed["error"]["content"] == [{"type": "text", "text": '{"r":2}'}]
    done = [frame["item"] for frame in frames if frame["type"] == "response.output_item.done"]
    assert sorted(done, key=response["output"].index) == response["output"]


@given(st.text(max_size=60), st.text(max_size=60), st.data())
def test_any_cuts_give_the_same_frames_and_so_does_the_log_alone(before: str, after: str, data: st.DataObject) -> None:
    """A reader that takes part in the message while it comes gets what one gets who reads the log."""
    kinds = [("reasoning", before), ("message", after)]
    pieces: list[Event] = []
    for kind, whole in kinds:
        cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=5)))
        bounds = [0, *cuts, len(whole)]
        pieces += [delta(whole[a:b], kind) for a, b in itertools.pairwise(bounds) if a < b]
    whole_message = said(reasoning(before), text(after))
    live = chunks([STARTED, *pieces[: data.draw(st.integers(0, len(pieces)))], whole_message, ended()])
    replayed = chunks([STARTED, whole_message, ended()])
    assert "".join(live) == "".join(replayed)
    frames = read_frames(live)
    for at in (0, len(frames) // 2, len(frames) - 1):
        assert read_frames(chunks([STARTED, whole_message, ended()], after=at)) == frames[at + 1 :]
    assert chunks([STARTED, whole_message, ended()], after=len(frames) - 1) == [DONE]


def test_a_silent_reading_counts_the_same_frames() -> None:
    loud, silent = ResponseFrames(HEAD), ResponseFrames(HEAD, silent=True)
    for name, data in WHOLE:
        loud.take(name, data)
        assert silent.take(name, data) == []
        assert silent.next_number == loud.next_number
    assert silent.state == loud.state
    assert silent.ended


def test_text_leaves_in_pieces_of_one_length() -> None:
    frames = ResponseFrames(HEAD)
    frames.take(*STARTED)
    first = read_frames(frames.take(*delta("ab")))
    assert [frame["type"] for frame in first] == ["response.output_item.added", "response.content_part.added"]
    rest = read_frames(frames.take(*delta("cdefghi")))
    assert [frame["delta"] for frame in rest] == ["abcd", "efgh"]
    assert all(len(frame["delta"]) == DELTA_LENGTH for frame in rest)


def test_calls_that_wait_are_the_end_of_a_response_and_their_answers_begin_the_next() -> None:
    waiting: Event = ("run.waiting", {"approvals": [call(1, "mail/send")], "client_calls": [call(2, "open_door")]})
    frames = read_frames(chunks([STARTED, said(text("I ask")), waiting]))
    response = frames[-1]["response"]
    assert frames[-1]["type"] == "response.completed"
    _, function, approval = response["output"]
    assert (function["type"], function["call_id"], function["arguments"]) == ("function_call", "call_2", '{"n":2}')
    assert (approval["type"], approval["id"], approval["server_label"]) == ("mcp_approval_request", "mcpr_1", "mail")
    assert response["usage"]["input_tokens"] == 3

    head = ResponseHead(str(ResponseId(RUN, 7)), TIME, "assistant")
    second = ResponseFrames(head, approved_calls=["call_1"])
    out = second.begin()
    answers = [result(2), ("tool.started", call(1, "mail/send")), result(1), said(text("Done")), ended()]
    for name, data in answers:
        out += second.take(name, data)
    frames = read_frames(out)
    assert [frame["sequence_number"] for frame in frames] == list(range(len(frames)))
    response = frames[-1]["response"]
    assert [item["type"] for item in response["output"]] == ["mcp_call", "message"]
    assert response["output"][0]["approval_request_id"] == "mcpr_1"
    assert response["id"].endswith("_7")


@pytest.mark.parametrize(
    "event, kind, status, reason",
    [
        (ended(run={"stop_reason": "max_tokens"}), "incomplete", "incomplete", "max_output_tokens"),
        (ended(run={"stop_reason": "cut"}), "incomplete", "incomplete", "provider_truncated"),
        (ended("cancelled"), "incomplete", "cancelled", None),
        (ended("failed", problem={"code": "provider_error", "detail": "No."}), "failed", "failed", None),
    ],
)
def test_other_endings_are_told_as_the_protocol_has_them(
    event: Event, kind: str, status: str, reason: str | None
) -> None:
    out = chunks([STARTED, said(text("So"), status="incomplete"), event])
    last = read_frames(out)[-1]
    assert out[-1] == DONE
    assert last["type"] == f"response.{kind}"
    assert last["response"]["status"] == status
    assert last["response"]["completed_at"] is None
    assert last["response"]["incomplete_details"] == (reason and {"reason": reason})
    assert last["response"]["output"][0]["status"] == "incomplete"
    assert last["response"]["error"] == ({"code": "provider_error", "message": "No."} if status == "failed" else None)


def test_void_text_ends_the_stream_of_its_reader_and_no_replay_has_it() -> None:
    retrying: Event = ("run.retrying", {"attempt": 2, "reason": "process_lost", "discard": [MESSAGE]})
    live = ResponseFrames(HEAD)
    out = [
        *live.take(*STARTED),
        *live.take(*delta("void text")),
        *live.take(*retrying),
        *live.take(*said(text("good"))),
    ]
    frames = read_frames(out)
    assert out[-1] == DONE
    assert frames[-1]["type"] == "error"
    assert frames[-1]["error"]["code"] == "answer_restarted"
    replay = ResponseFrames(HEAD)
    again = read_frames(
        [chunk for each in (STARTED, retrying, said(text("good")), ended()) for chunk in replay.take(*each)]
    )
    assert [frame["sequence_number"] for frame in again] == list(range(len(again)))
    assert again[-1]["response"]["output"][0]["content"][0]["text"] == "good"
    # From here on a number may be of the void text or of what took its place.
    assert live.first_void == replay.first_void == 2


def test_a_number_that_turns_out_not_to_exist_ends_the_stream() -> None:
    began = len(chunks([STARTED]))
    whole = [STARTED, said(text("Hello")), ended()]
    number = len(read_frames(chunks(whole[:2])))
    frames = ResponseFrames(HEAD, after=number, known=began)
    out = [chunk for event in whole for chunk in frames.take(*event)]
    assert [frame["error"]["code"] for frame in read_frames(out)] == ["invalid_request"]
    frames = ResponseFrames(HEAD, after=number - 1, known=began)
    out = [chunk for event in whole for chunk in frames.take(*event)]
    assert read_frames(out) == read_frames(chunks(whole))[number:]


def test_a_text_that_is_not_kept_is_closed_and_not_in_the_response() -> None:
    failed = ended("failed", problem={"code": "provider_error", "detail": "No."}, discard=[MESSAGE])
    frames = read_frames(chunks([STARTED, delta("hello", "reasoning"), delta("some text"), failed]))
    assert [frame["item"]["type"] for frame in frames if frame["type"] == "response.output_item.done"] == [
        "reasoning",
        "message",
    ]
    assert frames[-1]["response"]["output"] == []
    check_response(frames[-1]["response"])


def test_a_deleted_conversation_ends_the_stream() -> None:
    frames = read_frames(chunks([STARTED, delta("hello"), ("thread.deleted", {"thread": {"id": RUN}}), ended()]))
    assert (frames[-1]["type"], frames[-1]["error"]["code"]) == ("error", "not_found")


def test_ids_of_responses_name_a_run_and_where_in_it_they_begin() -> None:
    assert parse_response_id(str(ResponseId(RUN))) == ResponseId(RUN)
    assert parse_response_id(str(ResponseId(RUN, 12))) == ResponseId(RUN, 12)
    for other in ("resp_", f"resp_{RUN}", str(ResponseId(RUN)) + "_0", str(ResponseId(RUN)) + "_01", RUN, "x"):
        assert parse_response_id(other) is None
