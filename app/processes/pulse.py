"""How a child tells its parent that its event loop turns, and how the parent counts the silence of one that hangs."""

import signal

# What a child says, each in a line. After `READY` comes the grace time of its stop, in seconds.
READY, TURNING = "ready", "turning"
TURNING_EVERY_S = 1.0
# Lets the interpreter of a child say what its main thread does, also where nothing of Python's runs any more.
ASKS_WHERE = signal.SIGUSR2
_LONGEST_LINE = 4096
_MOST_LINES = 20


class Pulse:
    """What one child has said, and for how many seconds it has said nothing: `silent_s`.

    `has_begun` tells whether its event loop has ever turned, `grace_s` how long a stop may take; None until it serves.
    `where` is what its main thread did when it was asked, innermost first.
    """

    def __init__(self) -> None:
        self.silent_s = 0.0
        self.has_begun = False
        self.grace_s: float | None = None
        self.where: list[str] = []
        self._rest = b""

    def hear(self, said: bytes) -> None:
        """Take what came from the child."""
        *lines, unfinished = (self._rest + said).split(b"\n")
        self._rest = unfinished[:_LONGEST_LINE]
        for line in (each.decode(errors="replace").strip() for each in lines):
            word, _, rest = line.partition(" ")
            if word == TURNING:
                self.silent_s, self.has_begun = 0.0, True
                self.where.clear()
            elif word == READY:
                self.grace_s = float(rest)
            elif word == "File" and len(self.where) < _MOST_LINES:
                self.where.append(line)
