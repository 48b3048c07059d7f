"""The process that starts others on one port, restarts one that ends, and passes signals on.

Each child has a listening socket of its own for the port (`SO_REUSEPORT`): the system spreads connections evenly over
these, also the thousands of a moment in which streams reconnect; of a shared socket one process would take most of
them. The parent keeps all sockets open, so that no connection is lost that waits for a child that died: the others
take its connections until its successor is ready.
"""

import os
import secrets
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from app.processes.told import Told
from app.signals import end_at_once

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("app")
# After the grace a child ends by itself a little earlier; the parent ends those that do not within 5 seconds.
_CLOSING_S = 4.8
# A child that lived for so long is replaced at once; else the pauses grow from one death to the next.
_LONG_LIVED_S = 60.0
_PAUSES_S = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
_BY_SIGNAL = 128
_SECRET_BYTES = 32


@dataclass(eq=False, slots=True)
class _Child:
    place: int
    process: "subprocess.Popen[bytes]"
    control: socket.socket
    ready_at: float | None = None
    # It was told to end.
    is_leaving: bool = False


def spawn(told: Told, descriptors: set[int]) -> "subprocess.Popen[bytes]":
    """Start a child, as this process was started, with these descriptors."""
    command = [sys.executable, *sys.orig_argv[1:]]
    return subprocess.Popen(command, env=told.environment(), pass_fds=descriptors)  # noqa: S603  # its own command


class Parent:
    """`sockets` are bound for each child. Its `run` returns when the last child has ended."""

    def __init__(self, sockets: Sequence[Sequence[socket.socket]], *, grace_s: float) -> None:
        self._sockets = sockets
        self._grace_s = grace_s
        self._metrics = [socket.create_server(("127.0.0.1", 0)) for _ in sockets]
        self._secret = secrets.token_urlsafe(_SECRET_BYTES)
        self._children: list[_Child] = []
        self._deaths = [0] * len(sockets)
        # When the next child is due, by place.
        self._due: dict[int, float] = {0: 0.0}
        # Places whose child is still to be replaced by a new one; that of the first one has been started.
        self._rolling: list[int] = []
        self._has_served = self._is_announced = False
        self._asked_to_stop: list[int] = []
        self._end = float("inf")
        self._code = 0
        self._selector = selectors.DefaultSelector()
        self._signals, self._wakes = socket.socketpair()

    def run(self) -> int:
        """Start the children and keep them until a signal; the exit code.

        A signal before any child serves ends this process as one that serves alone.
        """
        for number in _SIGNALS:
            signal.signal(number, lambda _number, _frame: None)
        for end in (self._signals, self._wakes):
            end.setblocking(False)
        signal.set_wakeup_fd(self._wakes.fileno())
        self._selector.register(self._signals, selectors.EVENT_READ)
        while self._children or self._due:
            self._start_due()
            for key, _ in self._selector.select(self._timeout_s()):
                if key.data is None:
                    self._take_signals()
                else:
                    self._hear(key.data)
            if time.monotonic() >= self._end:
                self._kill_all()
        if self._asked_to_stop and not self._has_served:
            end_at_once(self._asked_to_stop[0])
        return self._code

    def _timeout_s(self) -> float | None:
        times = [self._end, *self._due.values()]
        soonest = min(times)
        return None if soonest == float("inf") else max(0.0, soonest - time.monotonic())

    # Children

    def _start_due(self) -> None:
        now = time.monotonic()
        for place in [place for place, due in self._due.items() if due <= now]:
            del self._due[place]
            self._start(place)

    def _start(self, place: int) -> None:
        own, theirs = socket.socketpair()
        sockets = [[each.fileno() for each in group] for group in self._sockets]
        metrics = self._metrics[place].fileno()
        ports = [each.getsockname()[1] for each in self._metrics]
        told = Told(place, sockets, theirs.fileno(), metrics, ports, self._secret)
        with theirs:
            process = spawn(told, {theirs.fileno(), metrics, *(each for group in sockets for each in group)})
        child = _Child(place, process, own)
        self._children.append(child)
        self._selector.register(own, selectors.EVENT_READ, child)
        log.info("process started", process=place, pid=process.pid)

    def _hear(self, child: _Child) -> None:
        """A child says only that it serves."""
        if child.ready_at is not None or not child.control.recv(64):
            # Its end is told by a signal.
            self._selector.unregister(child.control)
            return
        child.ready_at, self._has_served = time.monotonic(), True
        if self._asked_to_stop or self._code:
            return
        self._tell_others(child, f"release {child.place}")
        places = range(len(self._sockets))
        for place in places:
            if not self._serving(place):
                self._tell(child, f"adopt {place}")
            if place not in self._due and not any(each.place == place for each in self._children):
                # The first child has made what is made once; the others start at the same time.
                self._due[place] = 0.0
        if not self._is_announced and all(self._serving(place) for place in places):
            self._is_announced = True
            self._tell(child, "announce")
        if self._rolling and self._rolling[0] == child.place:
            self._replaced(child)

    def _serving(self, place: int) -> list[_Child]:
        return [each for each in self._children if each.place == place and each.ready_at and not each.is_leaving]

    def _tell(self, child: _Child, what: str) -> None:
        try:
            child.control.sendall(what.encode() + b"\n")
        except OSError:
            log.info("a process ended before it was told", process=child.place, what=what)

    def _tell_others(self, child: _Child, what: str) -> None:
        for other in self._children:
            if other is not child and other.ready_at is not None:
                self._tell(other, what)

    def _reap(self) -> None:
        # Not only children: the first process of a container inherits those of processes that died.
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for child in [each for each in self._children if each.process.pid == pid]:
                child.process.returncode = os.waitstatus_to_exitcode(status)
                self._forget(child)
                self._has_ended(child, child.process.returncode)

    def _forget(self, child: _Child) -> None:
        self._children.remove(child)
        if child.control in self._selector.get_map():
            self._selector.unregister(child.control)
        child.control.close()

    def _has_ended(self, child: _Child, code: int) -> None:
        place, now = child.place, time.monotonic()
        if self._asked_to_stop or child.is_leaving or self._code:
            log.info("process ended", process=place, code=code)
        elif child.ready_at is None and not any(each.ready_at for each in self._children):
            # It has said why.
            self._code = code if code > 0 else _BY_SIGNAL - code
            self._due.clear()
            for other in self._children:
                other.process.terminate()
        elif self._serving(place):
            log.error("the new process could not start: the former ones go on", process=place, code=code)
            self._rolling.clear()
        else:
            is_quick = child.ready_at is None or now - child.ready_at < _LONG_LIVED_S
            self._deaths[place] = self._deaths[place] + 1 if is_quick else 1
            pause_s = _PAUSES_S[min(self._deaths[place], len(_PAUSES_S)) - 1]
            log.error("a process ended, another one takes its place", process=place, code=code, pause_s=pause_s)
            self._due[place] = now + pause_s
            self._tell_others(child, f"adopt {place}")

    def _kill_all(self) -> None:
        log.warning("the time for stopping is over, ending processes", count=len(self._children))
        self._end = float("inf")
        for child in self._children:
            child.process.kill()

    # Signals

    def _take_signals(self) -> None:
        for number in self._signals.recv(4096):
            if number == signal.SIGCHLD:
                self._reap()
            elif number != signal.SIGHUP:
                self._stop(number)
            elif sys.stdin is not None and sys.stdin.isatty():
                # The terminal is gone.
                self._stop(signal.SIGTERM)
            else:
                self._restart_each()

    def _stop(self, number: int) -> None:
        self._asked_to_stop.append(number)
        now = time.monotonic()
        match len(self._asked_to_stop):
            case 1:
                self._due.clear()
                self._rolling.clear()
                self._end = now + self._grace_s + _CLOSING_S
                # Those of the children are closed by them: no connection waits for a process that ends.
                for each in (each for group in self._sockets for each in group):
                    each.close()
                for child in self._children:
                    child.is_leaving = True
                    child.process.terminate()
            case 2:
                self._end = min(self._end, now + _CLOSING_S)
                for child in self._children:
                    self._tell(child, "hurry")
            case _:
                self._kill_all()

    def _restart_each(self) -> None:
        if self._asked_to_stop or self._rolling or not self._is_announced:
            log.warning("this restart is left out: the processes are starting, restarting or stopping")
            return
        log.info("restarting each process")
        self._rolling = list(range(len(self._sockets)))
        self._start_next()

    def _start_next(self) -> None:
        """Start a second child in the first place that is still to be replaced."""
        # A child that died has been replaced anyway.
        while self._rolling and self._rolling[0] in self._due:
            self._rolling.pop(0)
        if self._rolling:
            self._start(self._rolling[0])
        else:
            log.info("each process was restarted")

    def _replaced(self, child: _Child) -> None:
        self._rolling.pop(0)
        for former in self._serving(child.place):
            if former is not child:
                former.is_leaving = True
                former.process.terminate()
        self._start_next()
