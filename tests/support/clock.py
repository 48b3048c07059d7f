"""A clock for tests."""


class Clock:
    """Seconds that stand still until a test sets `now`."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
