"""Any part of any history becomes one that every provider accepts."""

import time

from hypothesis import example, given
from hypothesis import strategies as st

from ai_agents.context.repair import NOT_FINISHED, repair
from ai_agents.core.types import ModelMessage, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from ai_agents.providers.rendering import ASSISTANT_BEGINS
from tests.unit.context.rules import check, messages_of_any_kind
from tests.unit.memory.histories import assistant, calls, result, threads, user


def orphan(id_: str) -> ModelMessage:
    return ModelMessage("tool", (ToolResultPart(id_, "calculator", NOT_FINISHED, is_error=True),))


def ids(messages: list[ModelMessage]) -> list[str]:
    return [part.tool_call_id for m in messages for part in m.parts if isinstance(part, ToolCallPart | ToolResultPart)]


@given(threads(), st.data())
def test_any_prefix_of_any_thread_can_be_sent(messages: list[ModelMessage], data: st.DataObject) -> None:
    check(repair(messages[: data.draw(st.integers(0, len(messages)))]))


@given(threads(), st.data())
def test_any_part_of_any_thread_can_be_sent(messages: list[ModelMessage], data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(messages)))
    check(repair(messages[start : data.draw(st.integers(start, len(messages)))]))


@given(messages_of_any_kind())
def test_anything_can_be_sent_once_it_is_repaired(messages: list[ModelMessage]) -> None:
    check(repair(messages))


@example(
    [
        ModelMessage("assistant", (ToolCallPart("", "a", {}), ToolCallPart("", "b", {})), 0),
        ModelMessage("tool", (ToolResultPart("", "a", "1"), ToolResultPart("", "b", "2")), 1),
    ]
)
@given(messages_of_any_kind())
def test_repairing_twice_changes_nothing_more(messages: list[ModelMessage]) -> None:
    repaired = repair(messages)
    assert repair(repaired) == repaired


@given(threads())
def test_only_missing_results_are_added(messages: list[ModelMessage]) -> None:
    repaired = repair(messages)
    assert [message for message in repaired if message.seq is not None] == messages


def test_a_sound_history_stays_as_it_is() -> None:
    sound = [user(1), calls(2, "a", "b", text="Let me see."), result(3, "a"), result(4, "b"), assistant(5), user(6)]
    assert repair(sound) == sound


def test_a_call_without_a_result_gets_one_that_says_so() -> None:
    assert repair([user(1), calls(2, "a", "b"), result(3, "b"), user(4)]) == [
        user(1),
        calls(2, "a", "b"),
        orphan("a"),
        result(3, "b"),
        user(4),
    ]


def test_results_take_the_order_of_their_calls() -> None:
    repaired = repair([user(1), calls(2, "a", "b", "c"), result(3, "c"), result(4, "a"), result(5, "b")])
    assert [message.seq for message in repaired] == [1, 2, 4, 5, 3]


def test_a_result_that_comes_late_stands_right_after_its_call() -> None:
    repaired = repair([user(1), calls(2, "a"), user(3), result(4, "a"), assistant(5)])
    assert repaired == [user(1), calls(2, "a"), result(4, "a"), user(3), assistant(5)]


def test_results_without_a_call_are_dropped() -> None:
    assert repair([user(1), result(2, "a"), calls(3, "b"), result(4, "b"), result(5, "b")]) == [
        user(1),
        calls(3, "b"),
        result(4, "b"),
    ]


def test_several_results_in_one_message_become_several_messages() -> None:
    both = ModelMessage("tool", (*result(3, "b").parts, *result(3, "a").parts), 3)
    assert repair([user(1), calls(2, "a", "b"), both]) == [user(1), calls(2, "a", "b"), result(3, "a"), result(3, "b")]


def test_a_greeting_is_introduced_by_a_users_message() -> None:
    begins = ModelMessage("user", (TextPart(ASSISTANT_BEGINS),))
    greeting = [assistant(1, "Hello!"), calls(2, "a"), result(3, "a"), user(4)]
    assert repair(greeting) == [begins, *greeting]
    assert repair([assistant(1)]) == [begins, assistant(1)]
    assert repair([user(1, " "), assistant(2), user(3)]) == [begins, assistant(2), user(3)]
    assert repair([assistant(1, " "), result(2, "gone"), user(3)]) == [user(3)]


def test_empty_messages_are_dropped() -> None:
    thinking = ModelMessage("assistant", (ReasoningPart("Hm.", {"provider": "anthropic"}),), 3)
    assert repair([user(1, " \n"), user(2), thinking, assistant(4, ""), user(5)]) == [user(2), user(5)]


def test_blank_text_beside_a_call_goes_and_blank_text_within_text_stays() -> None:
    (_, called, _) = repair([user(1), calls(2, "a", text="\n"), result(3, "a")])
    assert called == calls(2, "a")
    parts = (TextPart("one"), TextPart(" "), TextPart(""), TextPart("two"))
    (kept,) = repair([ModelMessage("user", parts, 1)])
    assert kept.parts == (TextPart("one"), TextPart(" "), TextPart("two"))


def test_reasoning_stays_with_the_text_after_it() -> None:
    signed = ReasoningPart("", {"provider": "anthropic", "signature": "s"})
    said = ModelMessage("assistant", (signed, ReasoningPart(""), TextPart("Yes.")), 2)
    assert repair([user(1), said])[1].parts == (signed, TextPart("Yes."))


def test_an_incomplete_answer_stays() -> None:
    cut = [user(1), assistant(2, "The answer is"), user(3)]
    assert repair(cut) == cut


def test_a_message_that_comes_twice_is_sent_once() -> None:
    assert repair([user(1), assistant(2), user(1), assistant(2), user(3)]) == [user(1), assistant(2), user(3)]


def test_repeated_ids_become_unique_and_results_stay_with_their_calls() -> None:
    messages = [
        user(1),
        calls(2, "a"),
        result(3, "a", "first"),
        calls(4, "a", "a"),
        result(5, "a", "second"),
        result(6, "a", "third"),
    ]
    repaired = repair(messages)
    assert ids(repaired) == ["a", "a", "a_2", "a_3", "a_2", "a_3"]
    assert [p.result for m in repaired for p in m.parts if isinstance(p, ToolResultPart)] == [
        "first",
        "second",
        "third",
    ]


def test_a_result_answers_the_latest_call_of_its_id() -> None:
    repaired = repair([user(1), calls(2, "a"), user(3), calls(4, "a"), result(5, "a", "late")])
    assert repaired[2] == orphan("a")
    assert repaired[5].parts == (ToolResultPart("a_2", "calculator", "late"),)


def test_a_new_id_is_not_one_that_another_call_has() -> None:
    assert ids(repair([user(1), calls(2, "a", "a", "a_2")]))[:3] == ["a", "a_3", "a_2"]
    assert ids(repair([user(1), calls(2, "", "x" * 40, "x" * 40)]))[:3] == ["call_2", "x" * 40, "x" * 38 + "_2"]


def test_a_long_history_is_repaired_in_a_moment() -> None:
    messages = [user(1)]
    for turn in range(3_000):
        messages += [calls(4 * turn + 2, "a"), result(4 * turn + 3, "a"), assistant(4 * turn + 4), user(4 * turn + 5)]
    began = time.process_time()
    check(repair(messages))
    assert time.process_time() - began < 2


def test_the_given_messages_are_not_changed() -> None:
    messages = [user(1), calls(2, "a", "a"), result(3, "b")]
    before = list(messages)
    repair(messages)
    assert messages == before
    assert ids(messages) == ["a", "a", "b"]
    assert isinstance(messages[1].parts[0], ToolCallPart)
