"""What the parts of a test run took: seconds of setup, test and teardown, added up by folder."""

from collections import Counter, defaultdict
from collections.abc import Iterable

import pytest


def part_of(node_id: str) -> str:
    """The part of a test's id: `tests/unit/store/test_runs.py::test_x` is `tests/unit/store`."""
    folders = node_id.partition("::")[0].split("/")[:-1]
    return "/".join(folders[:3])


def seconds_by_part(reports: Iterable[pytest.TestReport]) -> list[tuple[str, float, int]]:
    """`(part, seconds, tests)`, the longest first."""
    seconds: defaultdict[str, float] = defaultdict(float)
    tests: Counter[str] = Counter()
    for report in reports:
        part = part_of(report.nodeid)
        seconds[part] += report.duration
        tests[part] += report.when == "call"
    return [(part, seconds[part], tests[part]) for part in sorted(seconds, key=seconds.__getitem__, reverse=True)]
