"""What is wrong with a value, in words of people: pydantic's findings, said for settings and for the API alike.

A pattern is never said: each has its sentence here.
"""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic_core import ErrorDetails

from ai_agents.core.wording import counted
from ai_agents.providers.specs import NAME_PATTERN

# By pattern: what a text that does not match it should be. A test finds each pattern of the API here.
PATTERNS: Mapping[str, str] = {
    NAME_PATTERN: "should be up to 64 small letters, digits, dots, dashes and underscores; a letter or digit is first",
    r"^[A-Za-z0-9_*./-]{1,128}$": "should be up to 128 letters, digits, dashes, underscores, dots, slashes and stars",
    r"^[A-Za-z0-9_-]{1,64}$": "should be up to 64 letters, digits, dashes and underscores",
    r"^[0-9a-f]{64}$": "should be 64 hexadecimal digits, with small letters",
    r"^(agent|model|user|day)(,(agent|model|user|day))*$": "should be some of agent, model, user, day, with commas",
    r"^[!-~]+$": "should be visible ASCII characters without spaces",
}
_Say = Callable[[Mapping[str, Any]], str]
_OBJECT: _Say = lambda _: "should be an object"  # noqa: E731  # one line of the table below
_WHOLE: _Say = lambda _: "should be a whole number"  # noqa: E731
_NUMBER: _Say = lambda _: "should be a number"  # noqa: E731
_TRUTH: _Say = lambda _: "should be true or false"  # noqa: E731
_WORDS: Mapping[str, _Say] = {
    "missing": lambda _: "is required",
    "extra_forbidden": lambda _: "is not known here",
    "string_type": lambda _: "should be a text",
    "string_unicode": lambda _: "should be a text in Unicode",
    "string_too_short": lambda c: f"should have at least {counted(c['min_length'], 'character')}",
    "string_too_long": lambda c: f"should have at most {counted(c['max_length'], 'character')}",
    "string_pattern_mismatch": lambda c: PATTERNS.get(
        c["pattern"], "has characters that are not allowed, or a wrong form"
    ),
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "int_parsing_size": lambda _: "is too large a number",
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": lambda _: "should be a finite number",
    "bool_type": _TRUTH,
    "bool_parsing": _TRUTH,
    "greater_than_equal": lambda c: f"should be at least {_plain(c['ge'])}",
    "greater_than": lambda c: f"should be more than {_plain(c['gt'])}",
    "less_than_equal": lambda c: f"should be at most {_plain(c['le'])}",
    "less_than": lambda c: f"should be less than {_plain(c['lt'])}",
    "literal_error": lambda c: f"should be {c['expected']}",
    "enum": lambda c: f"should be {c['expected']}",
    "list_type": lambda _: "should be a list",
    "dict_type": _OBJECT,
    "mapping_type": _OBJECT,
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "too_long": lambda c: f"should have at most {counted(c['max_length'], _part_of(c['field_type']))}",
    "too_short": lambda c: f"should have at least {counted(c['min_length'], _part_of(c['field_type']))}",
    "none_required": lambda _: "should be null",
    "union_tag_not_found": lambda c: f"should be an object with {c['discriminator']}",
    # pydantic's own sentence repeats the value.
    "union_tag_invalid": lambda c: f"should have a {c['discriminator']} that is one of {c['expected_tags']}",
}


def say(detail: ErrorDetails) -> str:
    """What should be there, without the value that is there. It goes on after the name of the field."""
    words = _WORDS.get(detail["type"])
    return detail["msg"].removeprefix("Value error, ") if words is None else words(detail.get("ctx", {}))


def _part_of(kind: str) -> str:
    """What pydantic counts. It says "Value" of a text whose length is looked at after another check."""
    return "character" if kind == "Value" else "item"


def _plain(number: float) -> str:
    """Without the digits after the point that say nothing."""
    return str(int(number)) if float(number).is_integer() else str(number)
