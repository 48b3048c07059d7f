"""How many examples a property test tries."""

import os

from hypothesis import settings

# `make fuzz` tries eighty times as many as `make test`, which tries others each time.
FUZZ = os.environ.get("FUZZ") == "1"
# `make soak` runs sets of cases in full.
SOAK = os.environ.get("SOAK") == "1"
_FACTOR = 20 if FUZZ else 0.25


def examples(count: int) -> settings:
    """Settings for a property test: `make test` tries a part of `count` examples, `make fuzz` many times as many."""
    return settings(max_examples=times(count), deadline=None)


def times(count: int) -> int:
    """How many examples to try, of a `count` that is much for its test."""
    return max(round(count * _FACTOR), 1)
