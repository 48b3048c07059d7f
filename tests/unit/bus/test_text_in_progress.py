"""The buffer with the text of a message in progress, which all its readers share."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ai_agents.bus.base import TextInProgress, TextKind

KINDS: st.SearchStrategy[TextKind] = st.sampled_from(("text", "reasoning"))
WRITINGS = st.lists(st.tuples(KINDS, st.text(max_size=6)), max_size=12)


def written(writings: list[tuple[TextKind, str]]) -> TextInProgress:
    progress = TextInProgress(run_id="run", fence=1, message_id="message", base_seq=1)
    for kind, text in writings:
        progress.append(kind, text)
    return progress


def test_positions_count_the_start_and_each_code_point() -> None:
    progress = written([("text", "añ"), ("reasoning", "🙂"), ("text", "")])
    assert progress.position == 1 + 2 + 1


def test_adjacent_text_of_one_kind_is_joined_and_keeps_its_offset() -> None:
    segments = written([("text", "ab"), ("text", "c"), ("reasoning", "x"), ("text", "d")]).since(1)
    assert [(segment.kind, segment.offset, segment.text) for segment in segments] == [
        ("text", 0, "abc"),
        ("reasoning", 0, "x"),
        ("text", 3, "d"),
    ]


@given(writings=WRITINGS, data=st.data())
def test_after_any_position_comes_exactly_the_rest(writings: list[tuple[TextKind, str]], data: st.DataObject) -> None:
    progress = written(writings)
    points = [(kind, point) for kind, text in writings for point in text]
    position = data.draw(st.integers(0, progress.position + 2))

    segments = progress.since(position)

    assert [(segment.kind, point) for segment in segments for point in segment.text] == points[max(position - 1, 0) :]
    for segment in segments:
        whole = "".join(point for kind, point in points if kind == segment.kind)
        assert whole[segment.offset : segment.offset + len(segment.text)] == segment.text
    assert all(one.kind != other.kind for one, other in pairwise(segments))
