"""In which order a run's tests are given to its processes."""

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

import pytest


def in_order(items: Sequence[pytest.Item], workers: int, *, waits: Callable[[pytest.Item], bool]) -> list[pytest.Item]:
    """The tests, so that half of the processes begin with those that wait.

    pytest-xdist gives each process as many tests, one after the other (`--dist worksteal`). The tests of a file stay
    together, for what they share.
    """
    waiting, computing = [item for item in items if waits(item)], [item for item in items if not waits(item)]
    parts: list[list[pytest.Item]] = [[] for _ in range((workers + 1) // 2)]
    for number, of_file in enumerate(_files(waiting)):
        parts[number % len(parts)] += of_file
    ordered: list[pytest.Item] = []
    for worker in range(workers):
        until = len(items) * (worker + 1) // workers
        ordered += parts[worker] if worker < len(parts) else []
        count = max(until - len(ordered), 0)
        ordered += computing[:count]
        del computing[:count]
    return ordered + computing


def _files(items: Sequence[pytest.Item]) -> Iterable[list[pytest.Item]]:
    for _path, of_file in groupby(items, key=lambda item: item.path):
        yield list(of_file)
