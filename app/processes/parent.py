"""The process that starts others on one port, restarts one that ends, and passes signals on.

Each child has a listening socket of its own for the port (`SO_REUSEPORT`): the system spreads connections evenly over
these, also the thousands of a moment in which streams reconnect; of a shared socket one process would take most of
them. The parent keeps all sockets open, so that no connection is lost that waits for a child that died: the others
take its connections until its successor is ready.

A child whose event loop hangs answers nothing and keeps what it has. So children say every second that they turn; the
others take the connections of one that is late, and one that is silent for long is ended and replaced.
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
from dataclasses import dataclass, field

import structlog

from app.processes.pulse import ASKS_WHERE, Pulse
from app.processes.told import Told
from app.serving.signals import end_at_once

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("app")
# After the grace a child ends by itself a little earlier; the parent ends those that do not within 5 seconds.
_CLOSING_S = 4.8
# A child that lived for so long is replaced at once; else the pauses grow from one death to the next.
_LONG_LIVED_S = 60.0
_PAUSES_S = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
# A child that says nothing for so long hangs: a machine out of breath lets it say something sooner.
_SILENT_S = 30.0
# Before the first turn of its event loop there is only to import, many processes at once on a slow disk.
_SILENT_AT_START_S = 300.0
# Others take the connections of a child that is silent for so long, since it may be about to hang.
_LATE_S = 5.0
# To say where it hangs.
_SAYING_S = 1.0
_LOOK_EVERY_S = 1.0
# One turn of the parent counts for so much silence at most: if the parent was late itself (the machine was suspended,
# all were stopped), so were its children, which are given the time again.
_MOST_COUNTED_S = 2.0
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
_BY_SIGNAL = 128
_SECRET_BYTES = 32


@dataclass(eq=False, slots=True)
class _Child:
    place: int
    process: "subprocess.Popen[bytes]"
    control: socket.socket
    pulse: Pulse = field(default_factory=Pulse)
    ready_at: float | None = None
    # It was told to end.
    is_leaving: bool = False
    # It is silent, and others take its connections.
    is_late: bool = False
    is_asked: bool = False
    is_killed: bool = False


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
        # Asked for while they were starting or restarting.
        self._is_to_restart = False
        self._watched_at = time.monotonic()
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
            self._watch()
            if time.monotonic() >= self._end:
                self._kill_all()
        if self._asked_to_stop and not self._has_served:
            end_at_once(self._asked_to_stop[0])
        return self._code

    def _timeout_s(self) -> float:
        now = time.monotonic()
        return max(0.0, min(self._end - now, _LOOK_EVERY_S, *(due - now for due in self._due.values())))

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
            try:
                process = spawn(told, {theirs.fileno(), metrics, *(each for group in sockets for each in group)})
            except OSError as error:
                # No memory, too many processes, or the interpreter is being replaced.
                own.close()
                log.error("a process cannot be started", process=place, reason=str(error))  # noqa: TRY400  # it is said
                self._did_not_start(place, 1)
                return
        child = _Child(place, process, own)
        self._children.append(child)
        self._selector.register(own, selectors.EVENT_READ, child)
        log.info("process started", process=place, pid=process.pid)

    def _hear(self, child: _Child) -> None:
        if child not in self._children:
            # Its end was told a moment ago, by a signal.
            return
        try:
            said = child.control.recv(65_536)
        except OSError:
            said = b""
        if not said:
            # Its end is told by a signal.
            self._selector.unregister(child.control)
            return
        child.pulse.hear(said)
        if child.pulse.grace_s is not None and child.ready_at is None:
            child.ready_at, self._has_served = time.monotonic(), True
            # A newer one may have been ready before it, so that this one was told to end.
            if not self._asked_to_stop and not self._code and not child.is_leaving:
                self._is_ready(child)

    def _is_ready(self, child: _Child) -> None:
        self._tell_others(child, f"release {child.place}")
        places = range(len(self._sockets))
        for place in places:
            if not self._serving(place):
                self._tell(child, f"adopt {place}")
            if place not in self._due and not self._staying(place):
                # The first child has made what is made once; the others start at the same time.
                self._due[place] = 0.0
        if not self._is_announced and all(self._serving(place) for place in places):
            self._is_announced = True
            self._tell(child, "announce")
        staying = self._staying(child.place)
        for former in staying[: staying.index(child)]:
            former.is_leaving = True
            former.process.terminate()
        if self._rolling and self._rolling[0] == child.place and staying[-1] is child:
            self._rolling.pop(0)
            self._start_next()
        elif self._is_to_restart and not self._rolling and self._is_announced:
            self._restart_each()

    def _staying(self, place: int) -> list[_Child]:
        """The children there that were not told to end, in the order of their start."""
        return [each for each in self._children if each.place == place and not each.is_leaving]

    def _serving(self, place: int) -> list[_Child]:
        return [each for each in self._staying(place) if each.ready_at]

    def _tell(self, child: _Child, what: str) -> None:
        try:
            child.control.sendall(what.encode() + b"\n")
        except OSError:
            log.info("a process ended before it was told", process=child.place, what=what)

    def _tell_others(self, child: _Child | None, what: str) -> None:
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
        place = child.place
        if self._asked_to_stop or child.is_leaving or self._code:
            log.info("process ended", process=place, code=code)
        elif child.ready_at is None:
            # It has said why.
            self._did_not_start(place, code if code > 0 else _BY_SIGNAL - code)
        else:
            is_quick = time.monotonic() - child.ready_at < _LONG_LIVED_S
            self._deaths[place] = self._deaths[place] + 1 if is_quick else 1
            self._replace(place, code)

    def _did_not_start(self, place: int, code: int) -> None:
        if not any(each.ready_at for each in self._children):
            self._code, self._end = code, time.monotonic() + _CLOSING_S
            self._due.clear()
            for other in self._children:
                other.process.terminate()
        elif self._serving(place):
            log.error("the new process could not start: the former ones go on", process=place, code=code)
            self._rolling.clear()
            self._is_to_restart = False
        else:
            self._deaths[place] += 1
            self._replace(place, code)

    def _replace(self, place: int, code: int) -> None:
        self._tell_others(None, f"adopt {place}")
        if self._staying(place):
            log.error("a process ended, its successor is starting", process=place, code=code)
            return
        pause_s = _PAUSES_S[min(self._deaths[place], len(_PAUSES_S)) - 1]
        log.error("a process ended, another one takes its place", process=place, code=code, pause_s=pause_s)
        self._due[place] = time.monotonic() + pause_s

    # Silence

    def _watch(self) -> None:
        """Count how long each child has said nothing, and end one that hangs."""
        now = time.monotonic()
        passed_s, self._watched_at = min(now - self._watched_at, _MOST_COUNTED_S), now
        for child in self._children:
            silent_s = child.pulse.silent_s
            if child.is_late and silent_s < _LATE_S:
                log.warning("a process that was late goes on", process=child.place, pid=child.process.pid)
                child.is_late = child.is_asked = False
                self._tell_others(child, f"release {child.place}")
            child.pulse.silent_s = silent_s = silent_s + passed_s
            limit_s = _SILENT_S if child.pulse.has_begun else _SILENT_AT_START_S
            if silent_s >= limit_s + _SAYING_S and not child.is_killed:
                self._end_hung(child)
            elif silent_s >= limit_s and child.pulse.has_begun and not child.is_asked:
                child.is_asked = True
                child.process.send_signal(ASKS_WHERE)
            elif silent_s >= _LATE_S and not child.is_late and self._serving(child.place) == [child]:
                log.warning(
                    "a process is late: others take its connections", process=child.place, pid=child.process.pid
                )
                child.is_late = True
                self._tell_others(child, f"adopt {child.place}")

    def _end_hung(self, child: _Child) -> None:
        pulse, pid = child.pulse, child.process.pid
        silent_s = round(pulse.silent_s, 1)
        log.error("a process hangs and is ended", process=child.place, pid=pid, silent_s=silent_s, where=pulse.where)
        child.is_killed = True
        child.process.kill()

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
                # After a restart children may have another grace time than when the parent began.
                graces_s = [each.pulse.grace_s or 0.0 for each in self._children]
                self._end = now + max([self._grace_s, *graces_s]) + _CLOSING_S
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
        if self._asked_to_stop or self._code:
            return
        self._is_to_restart = bool(self._rolling) or not self._is_announced
        if self._is_to_restart:
            log.info("each process is restarted once those that are starting serve")
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
            return
        log.info("each process was restarted")
        if self._is_to_restart:
            self._restart_each()
