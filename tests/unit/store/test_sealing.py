"""Secrets at rest."""

import pytest

from ai_agents.core.exceptions import InvalidRequest
from ai_agents.store.sealing import SealBroken, Sealer

OLD, NEW = "an old key of some length", "a newer key of some length"
SECRET = {"authorization": "Bearer of-nobody"}


def test_what_is_sealed_says_nothing_and_can_be_opened() -> None:
    sealed = Sealer([OLD]).seal(SECRET)
    assert "of-nobody" not in sealed
    assert sealed != Sealer([OLD]).seal(SECRET)
    assert Sealer([OLD]).open(sealed) == SECRET


def test_an_old_key_still_opens_and_the_new_one_seals() -> None:
    both = Sealer([NEW, OLD])
    assert both.open(Sealer([OLD]).seal(SECRET)) == SECRET
    assert Sealer([NEW]).open(both.seal(SECRET)) == SECRET


@pytest.mark.parametrize("sealed", ["", "nonsense", Sealer([NEW]).seal(SECRET), Sealer([OLD]).seal(SECRET)[:-4]])
def test_what_cannot_be_opened_is_said_so(sealed: str) -> None:
    with pytest.raises(SealBroken):
        Sealer([OLD]).open(sealed)


@pytest.mark.parametrize("keys", [[], ["short"], [OLD, ""]])
def test_short_keys_are_refused(keys: list[str]) -> None:
    with pytest.raises(InvalidRequest):
        Sealer(keys)
