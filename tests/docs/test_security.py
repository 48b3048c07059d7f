"""SECURITY.md names the tests that hold each promise: they are there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_tests_that_hold_a_promise_exist() -> None:
    rows = re.findall(r"^\| .+ \| (`tests/.+) \|$", (ROOT / "SECURITY.md").read_text(), re.MULTILINE)
    assert len(rows) >= 15

    missing = [name for row in rows for name in re.findall(r"`(tests/[^`]+)`", row) if not (ROOT / name).is_file()]

    assert missing == []
