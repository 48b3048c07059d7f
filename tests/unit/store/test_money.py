"""Amounts of money are exact, also in the form that clients see."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_agents.store.model_calls import cost_from_dict, cost_to_dict, from_pico, to_pico


@pytest.mark.parametrize(
    "usd, amount",
    [("0.00123", "0.00123"), ("0", "0"), ("12", "12"), ("10.50", "10.5"), ("1E-9", "0.000000001"), ("1E+3", "1000")],
)
def test_an_amount_is_a_plain_number_without_zeros_at_its_end(usd: str, amount: str) -> None:
    assert cost_to_dict(Decimal(usd)) == {"currency": "USD", "amount": amount}


def test_an_unknown_cost_is_none_and_an_estimated_one_says_so() -> None:
    assert cost_to_dict(None, estimated=True) is None
    assert cost_to_dict(Decimal(1), estimated=True) == {"currency": "USD", "amount": "1", "estimated": True}
    assert (cost_from_dict(None), to_pico(None), from_pico(None)) == (None, None, None)


@given(st.decimals(min_value=0, max_value=1_000_000, places=12))
def test_an_amount_comes_back_exactly_from_the_ledger_and_from_its_form(usd: Decimal) -> None:
    assert from_pico(to_pico(usd)) == usd
    assert cost_from_dict(cost_to_dict(usd)) == usd
