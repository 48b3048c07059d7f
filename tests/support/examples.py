"""How many examples a property test tries."""

import os

from hypothesis import settings

# `make fuzz` tries this many times as many as `make test`.
FUZZ = os.environ.get("FUZZ") == "1"
# `make soak` runs sets of cases in full.
SOAK = os.environ.get("SOAK") == "1"
_FACTOR = 20 if FUZZ else 1


def examples(count: int) -> settings:
    """Settings for a property test that tries `count` examples in `make test`."""
    return settings(max_examples=times(count), deadline=None)


def times(count: int) -> int:
    """How many examples to try, where `make test` tries `count`."""
    return count * _FACTOR
