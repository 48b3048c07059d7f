"""How long something took, whatever else the machine did meanwhile."""

import os
import time
from pathlib import Path


class Stopwatch:
    """Runs from when it is made, and stands while this process, or one of those named, waits for a processor.

    Where the system does not tell of such waits (Linux does), they are in the time.
    """

    def __init__(self, *pids: int) -> None:
        self._pids = (os.getpid(), *pids)
        self._began = time.monotonic()
        self._before = {pid: waited_s(pid) for pid in self._pids}
        self._waited = dict.fromkeys(self._pids, 0.0)

    @property
    def seconds(self) -> float:
        """What it shows. Of a process that has ended the waits count that were there when this was last asked."""
        elapsed = time.monotonic() - self._began
        for pid in self._pids:
            self._waited[pid] = max(self._waited[pid], waited_s(pid) - self._before[pid])
        return elapsed - min(sum(self._waited.values()), elapsed)


def waited_s(pid: int) -> float:
    """For how long the threads of a process have been ready without a processor; 0 if there is no such process."""
    waited_ns = 0
    for thread in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        try:
            waited_ns += int(thread.read_text().split()[1])
        except OSError:  # it has ended meanwhile
            continue
    return waited_ns / 1e9
