"""The parts that all request builders share."""

import pytest

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
from ai_agents.providers.rendering import MAX_NAME, ToolNames, result_text, turn_start, visible_texts


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
