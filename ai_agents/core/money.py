"""Exact amounts in US dollars, and the form that clients see."""

from decimal import ROUND_HALF_EVEN, Decimal

from ai_agents.core.rows import Money

_PICO = Decimal("1E-12")


def cost_to_dict(usd: Decimal | None, *, estimated: bool = False) -> Money | None:
    """The form that clients see: `{"currency": "USD", "amount": "0.00123"}`; None where the cost is not known.

    The amount is text, since it is exact: no exponent, no trailing zeros. `estimated` is present only where it is true:
    the tokens were counted here.
    """
    if usd is None:
        return None
    cost: Money = {"currency": "USD", "amount": _plain(usd.quantize(_PICO, ROUND_HALF_EVEN))}
    if estimated:
        cost["estimated"] = True
    return cost


def cost_from_dict(cost: Money | None) -> Decimal | None:
    """The amount that `cost_to_dict` wrote."""
    return None if cost is None else Decimal(cost["amount"])


def to_pico(usd: Decimal | None) -> int | None:
    """The amount in millionths of a millionth of a dollar, which databases add up exactly."""
    return None if usd is None else int(usd.quantize(_PICO, ROUND_HALF_EVEN) / _PICO)


def from_pico(pico_usd: int | Decimal | None) -> Decimal | None:
    """The inverse of `to_pico`."""
    return None if pico_usd is None else Decimal(pico_usd) * _PICO


def _plain(amount: Decimal) -> str:
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
