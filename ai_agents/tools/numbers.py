"""Numbers as the calculator has them: exact whole ones of up to 1000 digits, and decimals worked out to 50 digits.

Decimals are shown to 28 digits, so that what is lost on the way (1/3*3) does not show. Trigonometry is as exact as
floating point, 15 digits. Nothing here takes longer than a fraction of a millisecond.
"""

from collections.abc import Callable
from decimal import (
    ROUND_CEILING,
    ROUND_FLOOR,
    ROUND_HALF_EVEN,
    ROUND_HALF_UP,
    Context,
    Decimal,
    DivisionByZero,
    InvalidOperation,
    Overflow,
    Underflow,
)
from math import acos, asin, atan, cos, factorial, isqrt, sin
from typing import NamedTuple

_MAX_BITS = 3_322  # 1000 decimal digits
_MAX_EXPONENT = 9_999
_MAX_PLACES = 1_000
_TRAPS = [DivisionByZero, InvalidOperation, Overflow, Underflow]
# Beyond this a floating-point angle has no meaningful place on the circle left.
_MAX_ANGLE = 10**15
_FLOAT_ERROR = 4e-16
_ANY_NUMBER = 1_000

Number = int | Decimal


class ArithmeticFault(Exception):
    """Why there is no value, as a sentence."""


def _context(digits: int) -> Context:
    return Context(prec=digits, rounding=ROUND_HALF_EVEN, Emin=-_MAX_EXPONENT, Emax=_MAX_EXPONENT, traps=_TRAPS)


_EXACT = _context(50)
_SETTLED = _context(45)
_SHOWN = _context(28)
_PI = Decimal("3.1415926535897932384626433832795028841971693993751")
_E = Decimal("2.7182818284590452353602874713526624977572470936999")


def parse_number(text: str) -> Number:
    """The number that these digits are."""
    return int(text) if text.isdigit() else _EXACT.create_decimal(text)


def format_number(value: Number) -> str:
    """The number as people write it: whole, decimal, or like 1.5e+30."""
    if isinstance(value, int):
        return str(value)
    shown = _SHOWN.plus(value).normalize(_SHOWN)
    if not shown:
        return "0"
    if -7 <= shown.adjusted() < _SHOWN.prec:
        return f"{shown:f}"
    return str(shown).lower()


def bounded(value: Number) -> Number:
    """The value. Raises `ArithmeticFault` if it has too many digits."""
    if isinstance(value, int) and value.bit_length() > _MAX_BITS:
        raise too_large()
    return value


def too_large() -> ArithmeticFault:
    """What is said of numbers that are not worked with."""
    return ArithmeticFault("The result is too large.")


def _decimal(value: Number) -> Decimal:
    return _EXACT.create_decimal(value)


def _whole(value: Number, what: str) -> int:
    if value != (whole := _to_int(value, ROUND_FLOOR)):
        raise ArithmeticFault(f"{what} must be a whole number.")
    return whole


def _to_int(value: Number, rounding: str) -> int:
    if isinstance(value, int):
        return value
    # 2.999…9 with 45 nines is a 3 that lost its last digits on the way.
    settled = _SETTLED.plus(value)
    if settled and settled.adjusted() > _SETTLED.prec:
        raise too_large()
    return int(settled.to_integral_value(rounding))


def negate(value: Number) -> Number:
    """The number with the other sign, and all of its digits: `-` takes a decimal's beyond the 28th."""
    return -value if isinstance(value, int) else value.copy_negate()


def _add(a: Number, b: Number) -> Number:
    return a + b if isinstance(a, int) and isinstance(b, int) else _EXACT.add(_decimal(a), _decimal(b))


def _subtract(a: Number, b: Number) -> Number:
    return a - b if isinstance(a, int) and isinstance(b, int) else _EXACT.subtract(_decimal(a), _decimal(b))


def _multiply(a: Number, b: Number) -> Number:
    return a * b if isinstance(a, int) and isinstance(b, int) else _EXACT.multiply(_decimal(a), _decimal(b))


def _divide(a: Number, b: Number) -> Number:
    _refuse_zero(b)
    if isinstance(a, int) and isinstance(b, int) and a % b == 0:
        return a // b
    return _EXACT.divide(_decimal(a), _decimal(b))


def _floor_divide(a: Number, b: Number) -> Number:
    _refuse_zero(b)
    if isinstance(a, int) and isinstance(b, int):
        return a // b
    quotient, remainder = _EXACT.divmod(_decimal(a), _decimal(b))
    # Decimal rounds towards zero, Python's whole numbers downwards; here both do as the latter.
    return _EXACT.subtract(quotient, Decimal(1)) if remainder and (remainder < 0) != (b < 0) else quotient


def _modulo(a: Number, b: Number) -> Number:
    _refuse_zero(b)
    if isinstance(a, int) and isinstance(b, int):
        return a % b
    remainder = _EXACT.remainder(_decimal(a), _decimal(b))
    return _EXACT.add(remainder, _decimal(b)) if remainder and (remainder < 0) != (b < 0) else remainder


def _refuse_zero(divisor: Number) -> None:
    if not divisor:
        raise ArithmeticFault("Division by zero.")


def raise_to(base: Number, exponent: Number) -> Number:
    """The power. Raises `ArithmeticFault` before it takes long."""
    if not base and exponent < 0:
        raise ArithmeticFault("Division by zero.")
    if not exponent:
        return 1
    if isinstance(base, int) and isinstance(exponent, int) and exponent > 0:
        if abs(base) > 1 and (base.bit_length() - 1) * exponent > _MAX_BITS:
            raise too_large()
        return int(base**exponent) if abs(base) > 1 else base if exponent % 2 else abs(base)
    return _EXACT.power(_decimal(base), _decimal(exponent))


def _sqrt(value: Number) -> Number:
    if value < 0:
        raise ArithmeticFault("The square root of a negative number is not real.")
    if isinstance(value, int) and isqrt(value) ** 2 == value:
        return isqrt(value)
    return _EXACT.sqrt(_decimal(value))


def _round(value: Number, digits: Number = 0) -> Number:
    """Half away from zero, as people round."""
    places = min(max(_whole(digits, "The number of digits"), -_MAX_PLACES), _MAX_PLACES)
    if isinstance(value, int):
        unit = int(10 ** max(0, -places))
        nearest = (abs(value) + unit // 2) // unit * unit
        return -nearest if value < 0 else nearest
    if int(value.as_tuple().exponent) >= -places:
        return value
    rounded = value.quantize(Decimal(1).scaleb(-places, _EXACT), ROUND_HALF_UP, _EXACT)
    return rounded if places > 0 else _to_int(rounded, ROUND_HALF_UP)


def _factorial(value: Number) -> int:
    whole = _whole(value, "The argument of factorial")
    if not 0 <= whole <= 1_000:
        raise ArithmeticFault("factorial takes whole numbers from 0 on, and not so large ones.")
    return factorial(whole)


def _ln(value: Number) -> Decimal:
    if value <= 0:
        raise ArithmeticFault("A logarithm needs a positive number.")
    return _EXACT.ln(_decimal(value))


def _log(value: Number, base: Number = 10) -> Number:
    divisor = _ln(base)
    if not divisor:
        raise ArithmeticFault("A logarithm's base cannot be 1.")
    return _SETTLED.plus(_EXACT.divide(_ln(value), divisor))


def _sum(*values: Number) -> Number:
    total: Number = 0
    for value in values:
        total = _add(total, value)
    return total


def _trigonometric(function: Callable[[float], float]) -> Callable[[Number], Decimal]:
    def apply(angle: Number) -> Decimal:
        if not -_MAX_ANGLE <= angle <= _MAX_ANGLE:
            raise ArithmeticFault("The angle is too large.")
        x = float(angle)
        try:
            y = function(x)
        except ValueError:
            raise ArithmeticFault("The argument lies outside of what the function takes.") from None
        # sin(pi) is not 0 only because no float is pi.
        return Decimal(0) if abs(y) < _FLOAT_ERROR * abs(x) else _EXACT.create_decimal(f"{y:.15g}")

    return apply


_sin, _cos = _trigonometric(sin), _trigonometric(cos)


def _tan(angle: Number) -> Decimal:
    divisor = _cos(angle)
    if not divisor:
        raise ArithmeticFault("The tangent is not defined there.")
    return _EXACT.create_decimal(f"{_EXACT.divide(_sin(angle), divisor):.14g}")


class Operator(NamedTuple):
    """An operator with two operands; the one that binds more strongly is applied first."""

    binds: int
    apply: Callable[[Number, Number], Number]


class Function(NamedTuple):
    """A function and how many arguments it takes."""

    apply: Callable[..., Number]
    least: int = 1
    most: int = 1


CONSTANTS: dict[str, Number] = {"pi": _PI, "e": _E}
OPERATORS: dict[str, Operator] = {
    "+": Operator(1, _add),
    "-": Operator(1, _subtract),
    "*": Operator(2, _multiply),
    "/": Operator(2, _divide),
    "//": Operator(2, _floor_divide),
    "%": Operator(2, _modulo),
}
FUNCTIONS: dict[str, Function] = {
    "sqrt": Function(_sqrt),
    "abs": Function(lambda x: negate(x) if x < 0 else x),
    "round": Function(_round, 1, 2),
    "floor": Function(lambda x: _to_int(x, ROUND_FLOOR)),
    "ceil": Function(lambda x: _to_int(x, ROUND_CEILING)),
    "min": Function(lambda *values: min(values), 1, _ANY_NUMBER),
    "max": Function(lambda *values: max(values), 1, _ANY_NUMBER),
    "sum": Function(_sum, 1, _ANY_NUMBER),
    "pow": Function(raise_to, 2, 2),
    "factorial": Function(_factorial),
    "exp": Function(lambda x: _EXACT.exp(_decimal(x))),
    "ln": Function(_ln),
    "log": Function(_log, 1, 2),
    "log10": Function(_log),
    "log2": Function(lambda x: _log(x, 2)),
    "sin": Function(_sin),
    "cos": Function(_cos),
    "tan": Function(_tan),
    "asin": Function(_trigonometric(asin)),
    "acos": Function(_trigonometric(acos)),
    "atan": Function(_trigonometric(atan)),
    "radians": Function(lambda x: _EXACT.divide(_EXACT.multiply(_decimal(x), _PI), Decimal(180))),
    "degrees": Function(lambda x: _EXACT.divide(_EXACT.multiply(_decimal(x), Decimal(180)), _PI)),
}
