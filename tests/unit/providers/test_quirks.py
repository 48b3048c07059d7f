"""Quirks: what a server does differently, given and learned."""

import pytest

from ai_agents.core.exceptions import InvalidRequest
from ai_agents.providers.quirks import LearnedQuirks, Quirks

GIVEN = {"finish_reasons": {"EOS_token": "stop"}, "sampling": False, "max_tokens_field": "max_completion_tokens"}


def test_quirks_come_back_as_they_were_given_and_reasons_are_read_without_regard_to_case() -> None:
    quirks = Quirks.from_dict(GIVEN)
    assert quirks.to_dict() == GIVEN | {"finish_reasons": {"eos_token": "stop"}}
    assert Quirks.from_dict(quirks.to_dict()) == quirks


@pytest.mark.parametrize(
    "given, words",
    [
        ({"colour": True}, "There is no quirk 'colour'"),
        ({"sampling": "no"}, "true or false"),
        ({"max_tokens_field": "limit"}, "one of max_tokens, max_completion_tokens"),
        ({"finish_reasons": {"x": "end"}}, "each with one of stop"),
        ({"finish_reasons": ["x"]}, "each with one of stop"),
        ({"finish_reasons": {"x": []}}, "each with one of stop"),
        ({"context_window": 0}, "a number of tokens"),
        ({"context_window": True}, "a number of tokens"),
    ],
)
def test_a_bad_quirk_is_refused_with_what_it_has_to_be(given: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        Quirks.from_dict(given)


def test_of_two_quirks_the_other_one_wins_and_reasons_of_both_are_known() -> None:
    first = Quirks(finish_reasons={"a": "stop", "b": "stop"}, sampling=True, images=True)
    merged = first.merged(Quirks(finish_reasons={"b": "error"}, sampling=False))
    assert merged == Quirks(finish_reasons={"a": "stop", "b": "error"}, sampling=False, images=True)


def test_what_is_learned_is_kept_by_model_and_told() -> None:
    told: list[tuple[str, str, Quirks]] = []
    learned = LearnedQuirks("groq")
    learned.on_learn = lambda provider, model, quirks: told.append((provider, model, quirks))
    learned.learn("a", Quirks(stream_options=False))
    learned.learn("a", Quirks(sampling=False))
    both = Quirks(stream_options=False, sampling=False)
    assert learned.get("a") == both
    assert learned.get("b") == Quirks()
    assert told == [("groq", "a", Quirks(stream_options=False)), ("groq", "a", both)]
