"""What ends a process: signals before it serves, and the latest moment of one that stops."""

import os
import signal
import sys
import threading
import time
from types import FrameType

import structlog

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("app")
# What a shell calls the exit code of a process that a signal has ended, less the signal's number.
_BY_SIGNAL = 128
_ENDING = (signal.SIGTERM, signal.SIGINT)


def end_at_once_on_signals() -> None:
    """From now on SIGTERM and SIGINT end the process at once, whatever it waits for.

    For a time in which it has acknowledged nothing, and what it writes is whole or not there. The system does so by
    itself, except for the first process of a container, and except for Python's SIGINT, which waits for threads.
    """
    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end if os.getpid() == 1 else signal.SIG_DFL)


def clean_up_on_sigterm() -> None:
    """From now on SIGTERM ends the process as Ctrl+C does: what is half written is removed first."""
    signal.signal(signal.SIGTERM, _leave_in_order)


def _leave_in_order(number: int, _frame: FrameType | None) -> None:
    sys.exit(_BY_SIGNAL + number)


def _end(number: int, _frame: FrameType | None) -> None:
    end_at_once(number)


def end_at_once(number: int) -> None:
    """End this process as the signal does that the system was not told about."""
    sys.stdout.flush()
    if os.getpid() != 1:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(_BY_SIGNAL + number)


class Deadline:
    """The latest end of this process: then it ends with exit code 0, whatever is still under way.

    A tool's thread may never return, and an interpreter waits for its threads; what is left then was handed over or is
    found by the next process to start.
    """

    def __init__(self) -> None:
        self._timer: threading.Timer | None = None
        self._at = float("inf")

    @property
    def is_set(self) -> bool:
        """Whether the process ends in any case."""
        return self._timer is not None

    def set(self, seconds: float) -> None:
        """The process ends after so many seconds, or before that if it was so already."""
        at = time.monotonic() + seconds
        if at >= self._at:
            return
        former, self._at = self._timer, at
        self._timer = threading.Timer(seconds, _leave)
        self._timer.daemon = True
        self._timer.start()
        if former is not None:
            former.cancel()


def _leave() -> None:
    own = {threading.current_thread(), threading.main_thread()}
    left = sorted(each.name for each in threading.enumerate() if each not in own and not each.daemon)
    log.warning("the time for stopping is over, ending with what is under way", threads=left)
    os._exit(0)
