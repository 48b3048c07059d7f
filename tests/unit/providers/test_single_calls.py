"""Histories for templates that allow one tool call in a message."""

import pytest

from ai_agents.core.types import ModelMessage, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from ai_agents.providers.single_calls import one_call_at_a_time, wants_single_calls

FIRST, SECOND = ToolCallPart("a", "add", {"n": 1}), ToolCallPart("b", "add", {"n": 2})
RESULTS = (ToolResultPart("a", "add", "1"), ToolResultPart("b", "add", "2"))
QUESTION = ModelMessage("user", (TextPart("?"),))


def shape(messages: tuple[ModelMessage, ...]) -> list[tuple[str, list[str]]]:
    return [
        (each.role, [getattr(part, "text", getattr(part, "tool_call_id", "")) for part in each.parts])
        for each in messages
    ]


@pytest.mark.parametrize(
    "results",
    [[ModelMessage("tool", RESULTS)], [ModelMessage("tool", (part,)) for part in RESULTS]],
    ids=["in one message", "in two messages"],
)
def test_each_call_has_its_own_message_and_its_result_right_after_it(results: list[ModelMessage]) -> None:
    said = ModelMessage("assistant", (ReasoningPart("hm"), TextPart("Two sums."), FIRST, SECOND))
    answer = ModelMessage("assistant", (TextPart("3"),))

    split = one_call_at_a_time([QUESTION, said, *results, answer])

    assert shape(split) == [
        ("user", ["?"]),
        ("assistant", ["hm", "Two sums.", "a"]),
        ("tool", ["a"]),
        ("assistant", ["b"]),
        ("tool", ["b"]),
        ("assistant", ["3"]),
    ]


def test_words_after_the_last_call_are_kept_before_the_first() -> None:
    said = ModelMessage("assistant", (FIRST, SECOND, TextPart("Wait.")))

    split = one_call_at_a_time([QUESTION, said, ModelMessage("tool", RESULTS)])

    assert shape(split)[1:] == [("assistant", ["Wait.", "a"]), ("tool", ["a"]), ("assistant", ["b"]), ("tool", ["b"])]


def test_a_message_with_one_call_stays_as_it_is() -> None:
    messages = (QUESTION, ModelMessage("assistant", (FIRST,)), ModelMessage("tool", RESULTS[:1]), QUESTION)

    assert one_call_at_a_time(messages) == messages


@pytest.mark.parametrize(
    "said, wanted",
    [
        ("Jinja Exception: This model only supports single tool-calls at once!", True),
        ("this template does not support parallel tool calls", True),
        ("The model calls no tools.", False),
        ("only single messages are supported", False),
    ],
)
def test_the_refusal_is_known_by_its_words(said: str, wanted: bool) -> None:
    assert wants_single_calls(said) is wanted
