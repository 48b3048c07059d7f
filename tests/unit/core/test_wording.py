"""Sentences are English for none, one and many."""

import pytest

from ai_agents.core.wording import counted, there_are


def test_a_count_has_a_noun_that_fits_it() -> None:
    assert [counted(number, "file") for number in (0, 1, 2)] == ["0 files", "1 file", "2 files"]
    assert [counted(number, "summary", "summaries") for number in (1, 2)] == ["1 summary", "2 summaries"]


@pytest.mark.parametrize(
    "names, sentence",
    [
        ([], "there are none"),
        (["calculator"], "there is only calculator"),
        (["a", "b"], "there are a, b"),
    ],
)
def test_what_there_is_is_told_for_none_one_and_many(names: list[str], sentence: str) -> None:
    assert there_are(names) == sentence
