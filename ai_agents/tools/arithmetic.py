"""Evaluates arithmetic that a stranger wrote: a parser of its own, bounded in length and depth; no `eval`."""

import re
from decimal import DivisionByZero, InvalidOperation, Overflow, Underflow
from typing import NamedTuple

from ai_agents.tools.numbers import (
    CONSTANTS,
    FUNCTIONS,
    OPERATORS,
    ArithmeticFault,
    Number,
    bounded,
    format_number,
    negate,
    parse_number,
    raise_to,
    too_large,
)

MAX_CHARACTERS = 1_000
_MAX_DEPTH = 60
# Multiplication and division signs, the minus of typographers, and a Greek letter.
_SIGNS = str.maketrans({0xD7: "*", 0xB7: "*", 0xF7: "/", 0x2212: "-", 0x3C0: " pi "})
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>[A-Za-z_]\w*)|(?P<sign>\*\*|//|[-+*/%^(),]))",
    re.ASCII,
)


def evaluate(expression: str) -> str:
    """The value of an expression as text: whole, decimal, or like 1.5e+30. Takes 20 milliseconds at most.

    Raises `ArithmeticFault`.
    """
    if len(expression) > MAX_CHARACTERS:
        raise ArithmeticFault(f"The expression is longer than {MAX_CHARACTERS} characters.")
    try:
        return format_number(_Parser(_tokens(expression.translate(_SIGNS))).parse())
    except DivisionByZero:
        raise ArithmeticFault("Division by zero.") from None
    except Overflow:
        raise too_large() from None
    except Underflow:
        raise ArithmeticFault("The result is too close to zero.") from None
    except InvalidOperation:
        raise ArithmeticFault("The result is not a real number, or has too many digits.") from None


class _Token(NamedTuple):
    kind: str
    text: str


_END = _Token("end", "")


def _tokens(expression: str) -> list[_Token]:
    tokens = []
    text, place = expression.rstrip(), 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise ArithmeticFault(f"Unexpected character {text[place:].lstrip()[:1]!r}.")
        kind = str(match.lastgroup)
        tokens.append(_Token(kind, match[kind]))
        place = match.end()
    return tokens


class _Parser:
    """Precedence climbing; values are worked out as they are read. All recursion passes through `_signed`."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = [*tokens, _END]
        self._next = 0
        self._depth = 0

    def parse(self) -> Number:
        value = self._binary(1)
        if self._peek() is not _END:
            raise self._unexpected()
        return value

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _skip(self, sign: str) -> bool:
        found = self._peek() == ("sign", sign)
        self._next += found
        return found

    def _binary(self, weakest: int) -> Number:
        left = self._signed()
        while (operator := OPERATORS.get(self._peek().text)) and operator.binds >= weakest:
            self._next += 1
            left = bounded(operator.apply(left, self._binary(operator.binds + 1)))
        return left

    def _signed(self) -> Number:
        if self._depth >= _MAX_DEPTH:
            raise ArithmeticFault("The expression is nested too deep.")
        negative = False
        while self._peek().text in ("+", "-"):
            negative ^= self._peek().text == "-"
            self._next += 1
        self._depth += 1
        value = self._power()
        self._depth -= 1
        return negate(value) if negative else value

    def _power(self) -> Number:
        base = self._operand()
        if self._skip("**") or self._skip("^"):
            return bounded(raise_to(base, self._signed()))
        return base

    def _operand(self) -> Number:
        token = self._peek()
        if token.kind == "number":
            self._next += 1
            return parse_number(token.text.replace("_", ""))
        if token.kind == "name":
            self._next += 1
            return self._named(token.text.lower())
        if not self._skip("("):
            raise self._unexpected()
        value = self._binary(1)
        self._close()
        return value

    def _named(self, name: str) -> Number:
        if name in CONSTANTS:
            return CONSTANTS[name]
        function = FUNCTIONS.get(name)
        if function is None:
            raise ArithmeticFault(f"There is no function or constant named {name[:40]!r}.")
        if not self._skip("("):
            raise ArithmeticFault(f"{name} needs its arguments in parentheses.")
        arguments = [self._binary(1)]
        while self._skip(","):
            arguments.append(self._binary(1))
        self._close()
        if not function.least <= len(arguments) <= function.most:
            raise ArithmeticFault(f"{name} does not take {len(arguments)} arguments.")
        return bounded(function.apply(*arguments))

    def _close(self) -> None:
        if not self._skip(")"):
            raise self._unexpected()

    def _unexpected(self) -> ArithmeticFault:
        token = self._peek()
        if token is _END:
            return ArithmeticFault("The expression ends too early.")
        return ArithmeticFault(f"Unexpected {token.text[:40]!r} in the expression.")
