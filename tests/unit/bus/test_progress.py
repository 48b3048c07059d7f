"""The buffer that every reader of a message in progress is served from."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ai_agents.bus.progress import TextInProgress, TextKind

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


def test_pieces_of_one_kind_are_joined_and_keep_their_place_in_their_kind() -> None:
    pieces = written([("text", "ab"), ("text", "c"), ("reasoning", "x"), ("text", "d")]).since(1)
    assert [(piece.kind, piece.offset, piece.text) for piece in pieces] == [
        ("text", 0, "abc"),
        ("reasoning", 0, "x"),
        ("text", 3, "d"),
    ]


@given(writings=WRITINGS, data=st.data())
def test_what_follows_any_position_is_exactly_the_rest(
    writings: list[tuple[TextKind, str]], data: st.DataObject
) -> None:
    progress = written(writings)
    points = [(kind, point) for kind, text in writings for point in text]
    position = data.draw(st.integers(0, progress.position + 2))

    pieces = progress.since(position)

    assert [(piece.kind, point) for piece in pieces for point in piece.text] == points[max(position - 1, 0) :]
    for piece in pieces:
        whole = "".join(point for kind, point in points if kind == piece.kind)
        assert whole[piece.offset : piece.offset + len(piece.text)] == piece.text
    assert all(one.kind != other.kind for one, other in pairwise(pieces))
