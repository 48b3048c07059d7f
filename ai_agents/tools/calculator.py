"""The built-in calculator: a small parser with bounds on length, depth, digits and exponents; never `eval`.

Whole numbers are exact, up to 1000 digits. Other numbers are `Decimal`s, calculated to 50 digits and shown to 28, so
that rounding on the way (1/3*3) does not show. Trigonometric functions have the 15 digits of floating point.
"""

import decimal
import inspect
import math
import operator
import re
from collections.abc import Callable
from decimal import Decimal

from ai_agents.core.types import ToolDefinition
from ai_agents.tools.base import Tool, ToolError

MAX_CHARACTERS = 1_000
_MAX_DEPTH = 60
_MAX_BITS = 3_322  # 1000 decimal digits
_MAX_PLACES = 1_000
# A float cannot tell larger angles from one another.
_MAX_ANGLE = 10**15
_FLOAT_ERROR = 4e-16
# What people and models write instead: signs of multiplication and division, the typographic minus, the Greek letter.
_SIGNS = str.maketrans({0xD7: "*", 0xB7: "*", 0xF7: "/", 0x2212: "-", 0x3C0: " pi "})
_TOKEN = re.compile(r"\s*((?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[A-Za-z_]\w*|\*\*|//|[-+*/%^(),])", re.ASCII)

Number = int | Decimal


def _context(digits: int) -> decimal.Context:
    traps = [decimal.DivisionByZero, decimal.InvalidOperation, decimal.Overflow, decimal.Underflow]
    return decimal.Context(prec=digits, Emin=-9_999, Emax=9_999, traps=traps)


_PRECISE = _context(50)
# Without the last digits, which rounding may have changed: 2.999…9 becomes 3 again.
_SETTLED = _context(45)
_SHOWN = _context(28)
# Holds every whole number that is allowed, with as many decimal places as `round` takes.
_WIDE = _context(3 * _MAX_PLACES)
_PI = Decimal("3.1415926535897932384626433832795028841971693993751")
_E = Decimal("2.7182818284590452353602874713526624977572470936999")


class Calculator(Tool):
    """Evaluates arithmetic, exactly where that is possible."""

    name = "calculator"
    description = (
        "Evaluates an arithmetic expression, exactly for decimal numbers. Operators: + - * / // % ** (or ^) and "
        "parentheses. Functions: sqrt, abs, round(x, digits), floor, ceil, min, max, sum, factorial, exp, ln, "
        "log (base 10), log(x, base), log2, sin, cos, tan, asin, acos, atan (radians), radians, degrees. "
        "Constants: pi, e."
    )
    retry_safe = True

    async def execute(self, expression: str) -> str:
        """Return the value as text. Raises `ToolError`."""
        # Not in a thread: most expressions take less time than a thread takes to start.
        return evaluate(expression)

    def get_definition(self) -> ToolDefinition:
        """Return the definition: one argument, the expression."""
        argument = {"type": "string", "maxLength": MAX_CHARACTERS, "description": "For example: (0.1 + 0.2) * 3"}
        properties = {"type": "object", "properties": {"expression": argument}, "required": ["expression"]}
        return ToolDefinition(self.name, self.description, {**properties, "additionalProperties": False})


def evaluate(expression: str) -> str:
    """Return the value of an expression as text: whole, decimal, or like 1.5e+30. Takes at most 20 milliseconds.

    Raises `ToolError` with a sentence that says why there is no value.
    """
    if len(expression) > MAX_CHARACTERS:
        raise ToolError(f"The expression is longer than {MAX_CHARACTERS} characters.")
    try:
        with decimal.localcontext(_PRECISE):
            return _format(_Parser(expression.translate(_SIGNS)).parse())
    except ZeroDivisionError:
        raise ToolError("Division by zero.") from None
    except decimal.Overflow:
        raise ToolError("The result is too large.") from None
    except decimal.Underflow:
        raise ToolError("The result is too close to zero.") from None
    except decimal.InvalidOperation:
        raise ToolError("The result is not a real number, or has too many digits.") from None


def _format(value: Number) -> str:
    if isinstance(value, int):
        return str(value)
    shown = _SHOWN.plus(value).normalize(_SHOWN)
    if not shown:
        return "0"
    return f"{shown:f}" if -7 <= shown.adjusted() < _SHOWN.prec else str(shown).lower()


class _Parser:
    """Calculates values while it reads, by precedence climbing. All recursion passes through `_signed`."""

    def __init__(self, text: str) -> None:
        tokens, position, text = [], 0, text.rstrip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise ToolError(f"Unexpected character {text[position:].lstrip()[:1]!r}.")
            tokens.append(match[1])
            position = match.end()
        # The next token is the last of the list. An empty one is the end of the text.
        self._rest = ["", *reversed(tokens)]
        self._depth = 0

    def parse(self) -> Number:
        value = self._binary(1)
        self._expect("")
        return value

    def _skip(self, *signs: str) -> str:
        """Take the next token if it is one of these signs, and return it; else return an empty string."""
        return self._rest.pop() if self._rest[-1] in signs else ""

    def _expect(self, sign: str) -> None:
        token = self._rest.pop()
        if token != sign:
            fault = f"Unexpected {token[:40]!r} in the expression." if token else "The expression ends too early."
            raise ToolError(fault)

    def _binary(self, weakest: int) -> Number:
        left = self._signed()
        while _PRECEDENCE.get(self._rest[-1], 0) >= weakest:
            sign = self._rest.pop()
            right = self._binary(_PRECEDENCE[sign] + 1)
            if not right and sign in {"/", "//", "%"}:
                raise ZeroDivisionError
            left = _checked(_OPERATORS[sign](left, right))
        return left

    def _signed(self) -> Number:
        if self._depth >= _MAX_DEPTH:
            raise ToolError("The expression is nested too deep.")
        negative = False
        while sign := self._skip("+", "-"):
            negative ^= sign == "-"
        self._depth += 1
        value = self._operand()
        if self._skip("**", "^"):
            value = _checked(_power(value, self._signed()))
        self._depth -= 1
        return -value if negative else value

    def _operand(self) -> Number:
        token = self._rest[-1]
        if token[:1] == "." or token[:1].isdigit():
            digits = self._rest.pop().replace("_", "")
            return int(digits) if digits.isdigit() else _PRECISE.create_decimal(digits)
        if token.isidentifier():
            return self._named(self._rest.pop().lower())
        self._expect("(")
        value = self._binary(1)
        self._expect(")")
        return value

    def _named(self, name: str) -> Number:
        if name in _CONSTANTS:
            return _CONSTANTS[name]
        if name not in _FUNCTIONS:
            raise ToolError(f"There is no function or constant named {name[:40]!r}.")
        if not self._skip("("):
            raise ToolError(f"{name} needs its arguments in parentheses.")
        arguments = [self._binary(1)]
        while self._skip(","):
            arguments.append(self._binary(1))
        self._expect(")")
        try:
            inspect.signature(_FUNCTIONS[name]).bind(*arguments)
        except TypeError:
            raise ToolError(f"{name} does not take {len(arguments)} arguments.") from None
        return _checked(_FUNCTIONS[name](*arguments))


def _checked(value: Number) -> Number:
    if isinstance(value, int) and value.bit_length() > _MAX_BITS:
        raise decimal.Overflow
    return value


def _divide(a: Number, b: Number) -> Number:
    """Return the quotient, as an integer if it is one of integers. The parser has refused a divisor of zero."""
    if isinstance(a, int) and isinstance(b, int) and a % b == 0:
        return a // b
    return Decimal(a) / b


def _floor_divide(a: Number, b: Number) -> Number:
    # Python rounds the quotient of integers down, and that of Decimals towards zero. Here both are rounded down.
    quotient, remainder = divmod(a, b)
    return quotient - 1 if remainder and (remainder < 0) != (b < 0) else quotient


def _modulo(a: Number, b: Number) -> Number:
    remainder = a % b
    return remainder + b if remainder and (remainder < 0) != (b < 0) else remainder


def _power(base: Number, exponent: Number) -> Number:
    if not base and exponent < 0:
        raise ZeroDivisionError
    if not exponent:
        return 1
    if isinstance(base, int) and isinstance(exponent, int) and exponent > 0:
        if (abs(base).bit_length() - 1) * exponent > _MAX_BITS:
            raise decimal.Overflow  # before the time is spent
        return int(base**exponent)
    return Decimal(base) ** exponent


def _sqrt(value: Number) -> Number:
    if value < 0:
        raise ToolError("The square root of a negative number is not real.")
    if isinstance(value, int) and math.isqrt(value) ** 2 == value:
        return math.isqrt(value)
    return Decimal(value).sqrt()


def _settled(value: Number) -> Number:
    """Return the value without the digits that rounding may have changed."""
    if isinstance(value, int):
        return value
    if value and value.adjusted() > _SETTLED.prec:
        raise decimal.Overflow
    return _SETTLED.plus(value)


def _whole(value: Number, what: str) -> int:
    if value != (whole := math.floor(_settled(value))):
        raise ToolError(f"{what} must be a whole number.")
    return whole


def _round(value: Number, digits: Number = 0) -> Number:
    """Round half away from zero, as people do."""
    places = min(max(_whole(digits, "The number of digits"), -_MAX_PLACES), _MAX_PLACES)
    exact = Decimal(value)
    if int(exact.as_tuple().exponent) >= -places:
        return value
    rounded = exact.quantize(Decimal(1).scaleb(-places, _WIDE), decimal.ROUND_HALF_UP, _WIDE)
    return rounded if places > 0 else int(rounded)


def _factorial(value: Number) -> int:
    whole = _whole(value, "The argument of factorial")
    if not 0 <= whole <= 1_000:
        raise ToolError("The argument of factorial must be from 0 to 1000.")
    return math.factorial(whole)


def _ln(value: Number) -> Decimal:
    if value <= 0:
        raise ToolError("A logarithm needs a positive number.")
    return Decimal(value).ln()


def _log(value: Number, base: Number = 10) -> Number:
    if not (divisor := _ln(base)):
        raise ToolError("A logarithm's base cannot be 1.")
    return _SETTLED.plus(_ln(value) / divisor)


def _trigonometric(function: Callable[[float], float]) -> Callable[[Number], Decimal]:
    def apply(angle: Number) -> Decimal:
        if not -_MAX_ANGLE <= angle <= _MAX_ANGLE:
            raise ToolError("The angle is too large.")
        x = float(angle)
        try:
            y = function(x)
        except ValueError:
            raise ToolError("The argument lies outside of what the function takes.") from None
        if abs(y) * _FLOAT_ERROR > 1:  # tan(pi/2) has a value only because no float is pi, and sin(pi) is not 0
            raise ToolError("The tangent is not defined there.")
        return Decimal(0) if abs(y) < _FLOAT_ERROR * abs(x) else _PRECISE.create_decimal(f"{y:.15g}")

    return apply


_CONSTANTS: dict[str, Number] = {"pi": _PI, "e": _E}
_PRECEDENCE = {"+": 1, "-": 1, "*": 2, "/": 2, "//": 2, "%": 2}
_OPERATORS: dict[str, Callable[[Number, Number], Number]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": _divide, "//": _floor_divide, "%": _modulo,
}  # fmt: skip
_FUNCTIONS: dict[str, Callable[..., Number]] = {
    "sqrt": _sqrt,
    "abs": abs,
    "round": _round,
    "floor": lambda x: math.floor(_settled(x)),
    "ceil": lambda x: math.ceil(_settled(x)),
    "min": lambda *values: min(values),
    "max": lambda *values: max(values),
    "sum": lambda *values: sum(values),
    "pow": _power,
    "factorial": _factorial,
    "exp": lambda x: Decimal(x).exp(),
    "ln": _ln,
    "log": _log,
    "log10": lambda x: _log(x, 10),
    "log2": lambda x: _log(x, 2),
    "radians": lambda x: x * _PI / 180,
    "degrees": lambda x: x * 180 / _PI,
    **{f.__name__: _trigonometric(f) for f in (math.sin, math.cos, math.tan, math.asin, math.acos, math.atan)},
}
