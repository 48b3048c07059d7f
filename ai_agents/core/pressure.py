"""How busy this process's event loop is, measured by how late it does what is due.

A token that is sent alone costs several times what it costs in a batch. While there is time, each token is sent as it
arrives. When the event loop falls behind, the senders of text pause and send more at once, so that new work, a first
token or a request, does not wait behind all that text.
"""

import time

# More than this is late: a busy event loop takes a few milliseconds for one round.
_CALM_S = 0.003
_PAUSE_PER_LATENESS = 12.0
_WEIGHT = 0.1
# An older measurement says nothing about now.
_FRESH_S = 0.25


class Pressure:
    """A moving average of lateness."""

    def __init__(self) -> None:
        self._lateness_s = 0.0
        self._noted = float("-inf")

    def note(self, due: float) -> None:
        """Record that something is done now that was due then, by `time.monotonic`."""
        now = time.monotonic()
        lateness_s = max(now - due, 0.0)
        weight = _WEIGHT if now - self._noted < _FRESH_S else 1.0
        self._lateness_s += weight * (lateness_s - self._lateness_s)
        self._noted = now

    def pause_s(self, longest_s: float) -> float:
        """How long to collect text before it is sent; 0 while the event loop keeps up."""
        late_s = self._lateness_s - _CALM_S
        if late_s <= 0 or time.monotonic() - self._noted >= _FRESH_S:
            return 0.0
        return min(late_s * _PAUSE_PER_LATENESS, longest_s)


# A process has one event loop.
pressure = Pressure()
