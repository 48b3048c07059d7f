"""What holds for every strategy and every thread."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from ai_agents.core.tokens import estimate_message
from ai_agents.core.types import ModelMessage, StoredSummary, ToolCallPart, ToolResultPart
from ai_agents.memory.base import MemoryStrategy, Window
from ai_agents.memory.strategies import FirstLast, LastN, Summarize, TokenWindow
from ai_agents.memory.turns import starts_of_turns
from tests.support.examples import examples
from tests.unit.memory.histories import ListHistory, assistant, seq_of, threads, user

counts = st.integers(1, 14)
steps = st.integers(1, 9)
any_strategy: st.SearchStrategy[MemoryStrategy] = st.one_of(
    st.builds(LastN, n=counts, step=steps),
    st.builds(FirstLast, first=st.integers(0, 14), last=counts, step=steps),
    st.builds(TokenWindow, max_tokens=st.integers(1, 600)),
    st.builds(Summarize, recent=counts, max_tokens=st.sampled_from([1, 100, 400, 2_000_000])),
)


@st.composite
def histories(draw: st.DrawFn) -> ListHistory:
    messages = draw(threads())
    covered = draw(st.one_of(st.none(), st.integers(1, seq_of(messages[-1]))))
    return ListHistory(messages, StoredSummary("What was said.", covered) if covered else None)


def newest_turn_of(messages: list[ModelMessage]) -> list[ModelMessage]:
    return messages[starts_of_turns(messages)[-1] :]


def ids_called(messages: tuple[ModelMessage, ...] | list[ModelMessage]) -> set[str]:
    return {part.tool_call_id for m in messages for part in m.parts if isinstance(part, ToolCallPart)}


def ids_answered(messages: tuple[ModelMessage, ...] | list[ModelMessage]) -> set[str]:
    return {part.tool_call_id for m in messages for part in m.parts if isinstance(part, ToolResultPart)}


@given(histories(), any_strategy)
def test_a_window_begins_where_a_turn_begins(history: ListHistory, strategy: MemoryStrategy) -> None:
    first = strategy.window(history).messages[0]
    assert first.role == "user" or first == history.messages[0]


@given(histories(), any_strategy)
def test_a_window_ascends_and_repeats_nothing(history: ListHistory, strategy: MemoryStrategy) -> None:
    seqs = [seq_of(message) for message in strategy.window(history).messages]
    assert seqs == sorted(set(seqs))


@given(histories(), any_strategy)
def test_the_newest_turn_is_always_inside_and_whole(history: ListHistory, strategy: MemoryStrategy) -> None:
    newest = newest_turn_of(list(history.messages))
    assert list(strategy.window(history).messages[-len(newest) :]) == newest


@given(histories(), any_strategy)
def test_a_call_and_its_result_are_never_separated(history: ListHistory, strategy: MemoryStrategy) -> None:
    inside = strategy.window(history).messages
    answered = ids_answered(list(history.messages))
    assert ids_answered(inside) == ids_called(inside) & answered


@given(histories(), any_strategy)
def test_messages_are_missing_only_at_the_reported_gap(history: ListHistory, strategy: MemoryStrategy) -> None:
    window = strategy.window(history)
    everything = list(history.messages)
    inside = [everything.index(message) for message in window.messages]
    jumps = [everything[b].seq for a, b in itertools.pairwise(inside) if b != a + 1]
    assert jumps == ([window.gap_before_seq] if window.gap_before_seq is not None else [])


@given(histories(), counts)
def test_last_n_gives_at_most_n_messages_beyond_the_newest_turn(history: ListHistory, n: int) -> None:
    newest = newest_turn_of(list(history.messages))
    assert len(LastN(n).window(history).messages) <= max(n, len(newest))
    # One more says whether the thread begins before them.
    assert history.rows_read <= n + 1 + len(newest)


@given(histories(), counts)
def test_last_n_gives_every_whole_turn_that_n_messages_hold(history: ListHistory, n: int) -> None:
    messages = list(history.messages)
    window = LastN(n).window(history).messages
    longer = [messages[start:] for start in starts_of_turns(messages) if len(messages) - start > len(window)]
    assert all(len(turns) > n for turns in longer)


@given(histories(), counts, steps)
def test_steps_only_make_a_window_longer(history: ListHistory, n: int, step: int) -> None:
    plain, stepped = LastN(n).window(history), LastN(n, step).window(history)
    assert stepped.messages[len(stepped.messages) - len(plain.messages) :] == plain.messages
    longest = max(n + 2 * step, len(newest_turn_of(list(history.messages))))
    assert len(stepped.messages) <= longest


@st.composite
def growing(draw: st.DrawFn) -> list[ModelMessage]:
    """A long thread. Its log may have any number of other rows between two messages, and its blocks may end anywhere.

    The last message of what a model is sent is a user's, so only such beginnings of it count.
    """
    messages: list[ModelMessage] = []
    seq = draw(st.integers(0, 600))
    most = draw(st.sampled_from([1, 2, 8]))
    randomly = draw(st.randoms(use_true_random=False))
    while len(messages) < 150:
        for make in (user, *[assistant] * randomly.randint(0, 3)):
            seq += randomly.randint(1, most)
            messages.append(make(seq))
    return messages


def edges_of(messages: list[ModelMessage], strategy: MemoryStrategy) -> list[tuple[int, int]]:
    """For each beginning of the thread that ends with a question: how long it is, and the index of the edge."""
    found = []
    for end in starts_of_turns(messages):
        window = strategy.window(ListHistory(messages[: end + 1]))
        edge = window.gap_before_seq or seq_of(window.messages[0])
        found.append((end + 1, next(i for i, message in enumerate(messages) if message.seq == edge)))
    return found


@given(growing(), counts, st.sampled_from([2, 3, 10, 25]), st.booleans())
@examples(40)
def test_an_edge_in_steps_moves_once_for_so_many_messages(
    messages: list[ModelMessage], count: int, step: int, has_opening: bool
) -> None:
    strategy: MemoryStrategy = FirstLast(1, count, step) if has_opening else LastN(count, step)
    edges = edges_of(messages, strategy)
    assert [edge for _, edge in edges] == sorted(edge for _, edge in edges)
    moves = [length for (length, edge), (_, before) in zip(edges[1:], edges, strict=False) if edge != before]
    for first, last in itertools.combinations(range(len(moves)), 2):
        # A move shows at the next question, at most three messages later.
        assert (last - first) * step <= moves[last] - moves[first] + 3


@given(growing(), st.integers(300, 600))
@examples(40)
def test_the_edge_of_a_token_window_stays_for_many_turns(messages: list[ModelMessage], max_tokens: int) -> None:
    edges = [edge for _, edge in edges_of(messages, TokenWindow(max_tokens)) if edge]
    assert edges == sorted(edges)
    # A quarter of the window has at least five turns.
    assert len(set(edges)) <= 2 + len(edges) / 2


@given(histories(), st.integers(0, 14), counts)
def test_first_last_gives_at_most_both_counts_and_one_turn(history: ListHistory, first: int, last: int) -> None:
    newest = newest_turn_of(list(history.messages))
    assert len(FirstLast(first, last).window(history).messages) <= first + max(last, len(newest))
    assert history.rows_read <= first + 1 + last + 1 + len(newest)


@given(histories(), st.integers(1, 14), counts)
def test_the_first_part_is_whole_turns_or_the_opening_question(history: ListHistory, first: int, last: int) -> None:
    messages = list(history.messages)
    window = FirstLast(first, last).window(history)
    if window.gap_before_seq is None:
        return
    opening = [message for message in window.messages if seq_of(message) < window.gap_before_seq]
    following = messages[messages.index(opening[-1]) + 1]
    assert following.role == "user" or opening == messages[:1]


def fits(window: Window, max_tokens: int) -> bool:
    return sum(map(estimate_message, window.messages)) <= max_tokens


@given(histories(), st.integers(1, 600))
def test_a_token_window_has_every_turn_that_fits_or_three_quarters(history: ListHistory, max_tokens: int) -> None:
    messages = list(history.messages)
    window = TokenWindow(max_tokens).window(history)
    whole = TokenWindow(1_000_000).fitted(max_tokens=max_tokens, estimate=estimate_message).window(history)
    assert fits(window, max_tokens) or list(window.messages) == newest_turn_of(messages)
    for chosen, holds_enough in (window, not fits(window, max_tokens * 3 // 4)), (whole, False):
        for start in starts_of_turns(messages):
            if len(messages) - start > len(chosen.messages):
                assert holds_enough or not fits(Window(tuple(messages[start:])), max_tokens)


@examples(50)
@given(threads(max_turns=40), st.integers(1, 3_000))
def test_a_token_window_reads_little_more_than_it_gives(messages: list[ModelMessage], max_tokens: int) -> None:
    history = ListHistory(messages)
    window = TokenWindow(max_tokens).window(history)
    # The length of the first page is a guess. Messages differ in length by a factor of ten at most, so pages may too.
    assert history.rows_read <= 16 + 12 * len(window.messages) + len(newest_turn_of(messages))


@given(histories(), counts)
def test_every_message_is_in_the_summary_or_in_the_window(history: ListHistory, recent: int) -> None:
    window = Summarize(recent).window(history)
    start = starts_of_turns(history.messages)[0]
    covered = window.covers_through_seq or 0
    expected = [message for message in history.messages[start:] if seq_of(message) > covered]
    assert set(map(seq_of, expected)) <= set(map(seq_of, window.messages))
    assert window.summary == (history.stored_summary.text if history.stored_summary else None)
    assert window.unread_before_seq is None


@given(histories(), st.integers(1, 400))
def test_summarize_says_where_it_stopped_reading(history: ListHistory, max_tokens: int) -> None:
    window = Summarize(max_tokens=max_tokens).window(history)
    covered = window.covers_through_seq or 0
    unread = [m for m in history.messages if covered < seq_of(m) < seq_of(window.messages[0])]
    if unread and any(message.role == "user" for message in unread):
        assert window.unread_before_seq == window.messages[0].seq
