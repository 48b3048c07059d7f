"""Schemas that tools, servers and agents bring: those that would hold everything up are refused."""

import pytest

from ai_agents.core.exceptions import InvalidRequest
from ai_agents.tools.schema import ArgumentsValidator


@pytest.mark.parametrize(
    "patterns,why",
    [
        ([rf"^a{number}$" for number in range(1000)], "different patterns"),
        ([rf"^[\w\W]{{{1000 + number}}}$" for number in range(100)], "large patterns"),
        ([r"^(\p{L}{100}){100}$"], "not a JSON Schema"),
    ],
)
def test_patterns_that_take_long_to_compile_are_refused(patterns: list[str], why: str) -> None:
    named = {f"p{number}": {"type": "string", "pattern": pattern} for number, pattern in enumerate(patterns)}
    in_names: dict[str, object] = {pattern: {} for pattern in patterns}
    for schema in ({"type": "object", "properties": named}, {"type": "object", "patternProperties": in_names}):
        with pytest.raises(InvalidRequest, match=why):
            ArgumentsValidator(schema)


def test_ordinary_patterns_are_taken() -> None:
    patterns = [r"^\p{L}{1,50}$", "^.{0,500}$", r"^[\w.+-]+@[\w-]+\.[\w.-]+$"]
    patterns += [f"^{number}[a-f0-9]{{32}}$" for number in range(200)]
    named = {f"p{number}": {"type": "string", "pattern": pattern} for number, pattern in enumerate(patterns)}
    validator = ArgumentsValidator({"type": "object", "properties": named})
    assert validator.find_fault({"p0": "Ada", "p2": "ada@example.com"}) is None
    assert validator.find_fault({"p0": "1"}) is not None
