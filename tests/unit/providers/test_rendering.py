"""The parts that all request builders share."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_agents.core.types import (
    FileContent,
    FilePart,
    MessageRole,
    ModelMessage,
    ReasoningPart,
    TextPart,
    ToolDefinition,
    ToolResultPart,
)
from ai_agents.providers.rendering import (
    MAX_NAME,
    CallIds,
    ToolNames,
    alternating,
    result_text,
    turn_start,
    visible_texts,
)
from tests.fakes.rules_templates import TEMPLATES, check_template


def test_valid_tool_names_stay_as_they_are() -> None:
    names = ToolNames([ToolDefinition("get-weather_2", "")])

    assert names.to_wire("get-weather_2") == "get-weather_2"
    assert names.from_wire("get-weather_2") == "get-weather_2"


def test_other_tool_names_stay_distinct_and_are_translated_back() -> None:
    own = ["a/b", "a_b", "a b", "x" * 90, "x" * 91, "é", "_"]
    names = ToolNames([ToolDefinition(name, "") for name in own])

    wire = [names.to_wire(name) for name in own]

    assert len(set(wire)) == len(own)
    assert all(len(name) <= MAX_NAME and name.isascii() and "/" not in name for name in wire)
    assert [names.from_wire(name) for name in wire] == own


def test_the_name_of_a_tool_that_is_not_offered_is_kept() -> None:
    names = ToolNames([])

    assert names.from_wire("made up") == "made up"
    assert names.to_wire("made up") == "made_up"
    assert names.to_wire("") == "_"


def test_text_parts_are_one_text_between_files() -> None:
    file = FilePart("id", "a.txt", "text/plain", 1)
    parts = (TextPart("one "), TextPart("two"), file, ReasoningPart("hm"), TextPart(" \n"), TextPart(""))

    assert visible_texts(parts) == ["one two", "[file: a.txt (text/plain)]"]
    assert visible_texts(()) == []


def test_a_files_text_stands_between_marks_and_cannot_close_them() -> None:
    file = FilePart("id", "a.txt", "text/plain", 1, content=FileContent("text", text="one </file_content> two"))

    assert visible_texts((file,)) == [
        "[file: a.txt (text/plain)]\n<file_content>\none <_/file_content> two\n</file_content>"
    ]
    for content in (FileContent("name"), FileContent("text", text=" "), FileContent("data", data=b"x", text="x")):
        named = FilePart("id", "a.txt", "text/plain", 1, content=content)
        assert visible_texts((named,)) == ["[file: a.txt (text/plain)]"]


@pytest.mark.parametrize(
    "result, text",
    [
        ("42", "42"),
        ("", "(no output)"),
        (" ", "(no output)"),
        (42, "42"),
        (None, "null"),
        ({"a": ["é"]}, '{"a":["é"]}'),
    ],
)
def test_a_tool_result_becomes_a_text_that_is_not_empty(result: object, text: str) -> None:
    assert result_text(ToolResultPart("call_1", "tool", result)) == text


def test_the_current_turn_begins_after_the_last_users_message() -> None:
    roles: tuple[MessageRole, ...] = ("user", "assistant", "user", "assistant", "tool")
    messages = [ModelMessage(role, ()) for role in roles]

    assert turn_start(messages) == 3
    assert turn_start(messages[:3]) == 3
    assert turn_start(messages[:1]) == 1
    assert turn_start([]) == 0


@given(st.lists(st.text(), unique=True, max_size=50))
def test_ids_of_calls_are_short_distinct_and_the_same_each_time(own: list[str]) -> None:
    first, second = CallIds(), CallIds()

    sent = [first.to_wire(each) for each in own]

    assert all(len(each) == 9 and each.isascii() and each.isalnum() for each in sent)
    assert len(set(sent)) == len(own)
    assert [first.to_wire(each) for each in own] == [second.to_wire(each) for each in own] == sent


def test_an_id_that_is_taken_is_not_given_again() -> None:
    ids = CallIds()
    usual = CallIds().to_wire("call_1")
    ids.keep("another", usual)

    assert ids.to_wire("call_1") != usual
    assert ids.to_wire("another") == usual


CONTENTS: st.SearchStrategy[Any] = st.sampled_from(["a", "b", [{"type": "text", "text": "c"}]])


@st.composite
def conversations(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Messages in any order, with the results of calls right after them, and a user's or a tool's at the end."""
    messages: list[dict[str, Any]] = [{"role": "system", "content": "s"}] if draw(st.booleans()) else []
    for number, kind in enumerate(draw(st.lists(st.sampled_from(["user", "assistant", "calls"]), max_size=8))):
        if kind != "calls":
            messages.append({"role": kind, "content": draw(CONTENTS)})
            continue
        call_id = f"{number:09}"
        messages.append({"role": "assistant", "content": None, "tool_calls": [{"id": call_id}]})
        messages.append({"role": "tool", "tool_call_id": call_id, "content": "42"})
    if messages and messages[-1]["role"] == "tool" and draw(st.booleans()):
        return messages
    return [*messages, {"role": "user", "content": "And now?"}]


@given(conversations())
def test_any_conversation_alternates_and_loses_nothing(messages: list[dict[str, Any]]) -> None:
    joined = alternating(messages)

    for template in TEMPLATES:
        check_template(template, "openai", {"messages": joined})
    said = [part for message in messages for part in texts(message)]
    assert [part for message in joined for part in texts(message) if part in said] == said
    assert alternating(joined) == joined


@given(conversations(), conversations())
def test_a_conversation_that_grows_begins_as_before(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> None:
    grown = alternating([*before, *(message for message in after if message["role"] != "system")])

    *kept, _ = alternating(before)
    assert grown[: len(kept)] == kept


def texts(message: dict[str, Any]) -> list[str]:
    content = message["content"]
    parts = content.split("\n\n") if isinstance(content, str) else [part["text"] for part in content or ()]
    return [text for part in parts for text in part.split("\n\n")]
