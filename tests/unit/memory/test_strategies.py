"""Each strategy on small, regular threads."""

from dataclasses import replace

import pytest

from ai_agents.core.types import ModelMessage, StoredSummary
from ai_agents.memory.base import MemoryStrategy, Window
from ai_agents.memory.strategies import FirstLast, LastN, Summarize, TokenWindow
from ai_agents.memory.turns import shrink_to_turn_end, shrink_to_turn_start, starts_of_turns
from tests.unit.memory.histories import (
    ListHistory,
    assistant,
    calls,
    exchanges,
    result,
    seq_of,
    user,
)

TOOL_THREAD = [
    user(1),
    calls(2, "a", "b"),
    result(3, "a"),
    result(4, "b"),
    assistant(5),
    user(6),
    calls(7, "c"),
    result(8, "c"),
    assistant(9),
    user(10),
]


def seqs(window: Window) -> list[int]:
    return [seq_of(message) for message in window.messages]


def ten_tokens_each(message: ModelMessage) -> int:
    return 10


def test_turns_begin_at_users_messages() -> None:
    assert starts_of_turns(TOOL_THREAD) == [0, 5, 9]
    assert starts_of_turns([]) == []


def test_shrinking_drops_the_rest_of_a_turn_at_either_end() -> None:
    assert shrink_to_turn_start(TOOL_THREAD[2:]) == tuple(TOOL_THREAD[5:])
    assert shrink_to_turn_start(TOOL_THREAD[1:5]) == ()
    assert shrink_to_turn_end(TOOL_THREAD[:7], TOOL_THREAD[7]) == tuple(TOOL_THREAD[:5])
    assert shrink_to_turn_end(TOOL_THREAD[:5], TOOL_THREAD[5]) == tuple(TOOL_THREAD[:5])
    assert shrink_to_turn_end(TOOL_THREAD, None) == tuple(TOOL_THREAD)


def test_last_n_counts_the_new_message() -> None:
    assert seqs(LastN(3).window(ListHistory(exchanges(5)))) == [9, 10, 11]
    assert seqs(LastN(1).window(ListHistory(exchanges(5)))) == [11]


def test_last_n_shrinks_to_the_start_of_a_turn() -> None:
    assert seqs(LastN(4).window(ListHistory(exchanges(5)))) == [9, 10, 11]
    assert seqs(LastN(9).window(ListHistory(TOOL_THREAD))) == [6, 7, 8, 9, 10]


def test_last_n_gives_a_newest_turn_that_is_longer_than_n_whole() -> None:
    assert seqs(LastN(2).window(ListHistory(TOOL_THREAD[:9]))) == [6, 7, 8, 9]


def test_questions_without_an_answer_are_turns_too() -> None:
    assert seqs(LastN(2).window(ListHistory([user(1), user(2), user(3)]))) == [2, 3]


def test_first_last_gives_both_ends_and_the_place_of_the_gap() -> None:
    window = FirstLast(2, 3).window(ListHistory(exchanges(5)))
    assert seqs(window) == [1, 2, 9, 10, 11]
    assert window.gap_before_seq == 9


def test_first_last_gives_everything_once_where_the_ends_meet_or_overlap() -> None:
    for first, last in [(4, 7), (6, 7), (11, 11), (100, 100)]:
        window = FirstLast(first, last).window(ListHistory(exchanges(5)))
        assert seqs(window) == list(range(1, 12))
        assert window.gap_before_seq is None


def test_the_first_part_ends_where_a_turn_ends() -> None:
    assert seqs(FirstLast(7, 1).window(ListHistory(TOOL_THREAD))) == [1, 2, 3, 4, 5, 10]


def test_of_a_first_turn_that_is_too_long_the_question_is_kept() -> None:
    assert seqs(FirstLast(3, 1).window(ListHistory(TOOL_THREAD))) == [1, 10]
    assert seqs(FirstLast(1, 3).window(ListHistory(exchanges(5)))) == [1, 9, 10, 11]


def test_first_may_be_zero() -> None:
    assert FirstLast(0, 3).window(ListHistory(exchanges(5))) == LastN(3).window(ListHistory(exchanges(5)))


def test_a_token_window_uses_the_given_estimate() -> None:
    strategy = TokenWindow(59).fitted(max_tokens=100, estimate=ten_tokens_each)
    assert seqs(strategy.window(ListHistory(exchanges(50)))) == [97, 98, 99, 100, 101]


def test_a_token_window_is_never_wider_than_the_model_takes() -> None:
    strategy = TokenWindow(1_000).fitted(max_tokens=30, estimate=ten_tokens_each)
    assert seqs(strategy.window(ListHistory(exchanges(50)))) == [99, 100, 101]


def test_a_token_window_gives_a_newest_turn_that_is_too_long_whole() -> None:
    thread = [user(1), assistant(2), user(3, "word " * 1_000), assistant(4)]
    assert seqs(TokenWindow(50).window(ListHistory(thread))) == [3, 4]


def test_summarize_gives_the_summary_and_what_came_after_it() -> None:
    window = Summarize().window(ListHistory(exchanges(30), StoredSummary("Much was said.", 50)))
    assert seqs(window) == list(range(51, 62))
    assert (window.summary, window.covers_through_seq) == ("Much was said.", 50)


def test_summarize_without_a_summary_gives_everything() -> None:
    window = Summarize(recent=2).window(ListHistory(exchanges(30)))
    assert seqs(window) == list(range(1, 62))
    assert (window.summary, window.covers_through_seq) == (None, None)


def test_a_summary_that_ends_inside_a_turn_leaves_the_turn_whole() -> None:
    window = Summarize().window(ListHistory(TOOL_THREAD, StoredSummary("The first turn.", 7)))
    assert seqs(window) == [6, 7, 8, 9, 10]


def test_a_summary_of_everything_leaves_the_newest_turn() -> None:
    assert seqs(Summarize().window(ListHistory(TOOL_THREAD, StoredSummary("All.", 10)))) == [10]


def test_summarize_reads_only_what_the_model_takes_and_says_where_it_stopped() -> None:
    history = ListHistory(exchanges(1_000))
    window = Summarize().fitted(max_tokens=100, estimate=ten_tokens_each).window(history)
    assert seqs(window) == list(range(1993, 2002))
    assert window.unread_before_seq == 1993
    assert history.rows_read < 40


@pytest.mark.parametrize(
    "strategy",
    [LastN(20), FirstLast(2, 10), TokenWindow(500), Summarize(10)],
    ids=lambda strategy: strategy.name,
)
def test_a_window_costs_the_same_in_a_long_thread_as_in_a_short_one(strategy: MemoryStrategy) -> None:
    def cost(turns: int) -> tuple[int, int]:
        messages = exchanges(turns)
        history = ListHistory(messages, StoredSummary("Before.", seq_of(messages[-1]) - 11))
        strategy.window(history)
        return history.rows_read, history.queries

    assert cost(5_000) == cost(100)
    assert cost(100)[0] < 120


@pytest.mark.parametrize("strategy", [LastN(20, step=5), FirstLast(2, 18, step=5)], ids=["last_n", "first_last"])
def test_steps_cost_a_part_of_a_block_in_any_thread(strategy: MemoryStrategy) -> None:
    for turns in (20, 150, 160, 170, 5_000, 20_000):
        history = ListHistory(exchanges(turns))
        strategy.window(history)
        assert history.rows_read < 20 + 2 * 5 + 64 * 5 + 2, turns
        assert history.queries <= 4


EVERY = pytest.mark.parametrize(
    "strategy",
    [LastN(), LastN(step=5), FirstLast(), TokenWindow(), Summarize()],
    ids=["last_n", "last_n in steps", "first_last", "token_window", "summarize"],
)


@EVERY
def test_a_new_thread_has_an_empty_window(strategy: MemoryStrategy) -> None:
    assert strategy.window(ListHistory([])).messages == ()


@EVERY
def test_a_greeting_is_a_turn_of_its_own(strategy: MemoryStrategy) -> None:
    greeting = [assistant(1, "Hello!"), assistant(2, "What can I do?")]
    assert seqs(strategy.window(ListHistory(greeting))) == [1, 2]
    assert seqs(strategy.window(ListHistory([*greeting, user(3)]))) == [1, 2, 3]


def test_a_greeting_is_left_out_whole() -> None:
    thread = [assistant(1), assistant(2), user(3), assistant(4), user(5)]
    for strategy in LastN(4), TokenWindow(49).fitted(max_tokens=100, estimate=ten_tokens_each):
        assert seqs(strategy.window(ListHistory(thread))) == [3, 4, 5]


def test_a_greeting_is_the_opening_of_a_long_thread() -> None:
    thread = [assistant(1), *(replace(message, seq=seq_of(message) + 1) for message in exchanges(10))]
    assert seqs(FirstLast(1, 1).window(ListHistory(thread))) == [1, 22]
    assert seqs(FirstLast(2, 1).window(ListHistory(thread))) == [1, 22]
    assert seqs(FirstLast(3, 1).window(ListHistory(thread))) == [1, 2, 3, 22]


def test_a_greeting_with_a_tool_round_is_not_cut() -> None:
    thread = [calls(1, "a"), result(2, "a"), assistant(3), user(4), assistant(5), user(6)]
    window = FirstLast(2, 1).window(ListHistory(thread))
    assert seqs(window) == [6]
    assert window.gap_before_seq is None


def test_the_edge_of_last_n_moves_by_a_step() -> None:
    edges = [seqs(LastN(4, step=6).window(ListHistory(exchanges(count))))[0] for count in range(13)]
    assert edges == [1, 1, 1, 1, 1, 7, 7, 7, 13, 13, 13, 19, 19]


def test_the_edge_of_the_last_messages_moves_by_a_step() -> None:
    windows = [seqs(FirstLast(2, 4, step=6).window(ListHistory(exchanges(count)))) for count in (6, 7, 8)]
    assert windows == [[1, 2, *range(7, 14)], [1, 2, *range(7, 16)], [1, 2, *range(13, 18)]]


def test_a_token_window_drops_to_three_quarters_and_then_grows() -> None:
    strategy = TokenWindow(800).fitted(max_tokens=10_000, estimate=ten_tokens_each)
    windows = [seqs(strategy.window(ListHistory(exchanges(count)))) for count in range(200)]
    assert all(60 <= len(window) <= 80 for window in windows if window[0] > 1)
    edges = [window[0] for window in windows if window[0] > 1]
    assert edges == sorted(edges)
    assert len(set(edges)) <= len(edges) / 5


def test_a_token_window_of_long_turns_has_those_that_fit() -> None:
    strategy = TokenWindow(50).fitted(max_tokens=100, estimate=ten_tokens_each)
    thread = [user(1), *map(assistant, range(2, 7)), user(7), assistant(8), user(9)]
    assert seqs(strategy.window(ListHistory(thread))) == [7, 8, 9]


def test_other_strategies_ignore_the_size_of_the_model() -> None:
    assert LastN(7).fitted(max_tokens=1, estimate=ten_tokens_each) == LastN(7)
