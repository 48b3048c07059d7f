"""How busy this process's event loop is, told by how late it does what is due.

A token that is passed on alone costs several times what it costs among others. While there is time, each is passed on
as it comes; where the loop falls behind, whoever passes text on pauses and takes more of it at once, so that what is
new, a first token or a request, does not wait behind all that text.
"""

import time

# Later than this is late: a busy loop takes a few milliseconds for a round.
_CALM_S = 0.003
_PAUSE_PER_LATENESS = 12.0
_WEIGHT = 0.1
# What was measured so long ago says nothing of now.
_FRESH_S = 0.25


class Pressure:
    """A moving average of lateness."""

    def __init__(self) -> None:
        self._lateness_s = 0.0
        self._noted = float("-inf")

    def note(self, due: float) -> None:
        """Something that was due then, by `time.monotonic`, is done now."""
        now = time.monotonic()
        lateness_s = max(now - due, 0.0)
        weight = _WEIGHT if now - self._noted < _FRESH_S else 1.0
        self._lateness_s += weight * (lateness_s - self._lateness_s)
        self._noted = now

    def pause_s(self, longest_s: float) -> float:
        """How long to let text gather before it is passed on; 0 while the loop keeps up."""
        late_s = self._lateness_s - _CALM_S
        if late_s <= 0 or time.monotonic() - self._noted >= _FRESH_S:
            return 0.0
        return min(late_s * _PAUSE_PER_LATENESS, longest_s)


# A process has one event loop.
pressure = Pressure()
