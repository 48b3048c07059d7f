"""The parent keeps as many children as it was told, whatever becomes of them, of it, and of its settings."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import children_of, is_running, send_signal, wait_until
from tests.unit.processes.small_parent import CHILDREN, SHORTER

ROOT = Path(__file__).parents[3]


class SmallFamily:
    """A parent with small children. Files of `folder` say how new children behave."""

    def __init__(self, folder: Path, output: int | None) -> None:
        self.folder = folder
        self._log = folder / "log"
        with self._log.open("ab") as log:
            written = log.fileno() if output is None else output
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.unit.processes.small_parent", str(folder)],
                cwd=ROOT, stdin=subprocess.DEVNULL, stdout=written, stderr=written,
            )  # fmt: skip

    def children(self) -> list[int]:
        """The living ones."""
        return [pid for pid in children_of(self.process.pid) if is_running(pid)]

    def lines(self, event: str) -> list[dict[str, Any]]:
        """The lines of the log that tell of this."""
        found = [json.loads(line) for line in self.said().splitlines() if line.startswith("{")]
        return [line for line in found if line["event"] == event]

    def said(self) -> str:
        """The log."""
        return self._log.read_text()

    def orders(self) -> str:
        """What children were told: their place, and the order."""
        orders = self.folder / "orders"
        return orders.read_text() if orders.exists() else ""

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the parent."""
        self.process.send_signal(number)

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait for something."""
        wait_until(lambda: bool(condition()) or self.process.poll() is not None, what=f"{what}: {self.said()}")
        assert condition(), self.said()

    def until_served(self, *, without: list[int] | None = None) -> list[int]:
        """Wait until each place has one child, and none of these; the children."""

        def are_there() -> bool:
            children = self.children()
            return len(children) == CHILDREN and not set(children) & set(without or []) and "announce" in self.orders()

        self.until(are_there, "the children")
        return self.children()

    def ended(self) -> int:
        """The exit code of the parent."""
        return self.process.wait(20)


@contextmanager
def serving(folder: Path, output: int | None = None) -> Iterator[SmallFamily]:
    """A family that writes what it says to its log, or there."""
    family = SmallFamily(folder, output)
    try:
        yield family
    finally:
        left = family.children()
        family.process.kill()
        family.process.wait(20)
        for child in left:
            send_signal(child, signal.SIGKILL)


@pytest.fixture
def family(tmp_path: Path) -> Iterator[SmallFamily]:
    """Two children that serve."""
    with serving(tmp_path) as family:
        family.until_served()
        yield family


def test_one_that_hangs_is_ended_with_where_and_a_pause_of_all_ends_none(family: SmallFamily) -> None:
    first = family.children()
    # All are stopped for longer than a child may be silent, as when a machine is suspended; children wake last.
    for pid in (family.process.pid, *first):
        send_signal(pid, signal.SIGSTOP)
    time.sleep(SHORTER["_SILENT_S"] + 0.5)
    for pid in (family.process.pid, *first):
        send_signal(pid, signal.SIGCONT)
    time.sleep(0.2)
    assert family.children() == first
    assert not family.lines("a process hangs and is ended")

    # Late, but not for so long that it hangs.
    send_signal(first[0], signal.SIGSTOP)
    family.until(lambda: family.lines("a process is late: others take its connections"), "it is late")
    late = family.lines("a process is late: others take its connections")[-1]["process"]
    family.until(lambda: f"{1 - late}: adopt {late}" in family.orders(), "the other one takes its connections")
    send_signal(first[0], signal.SIGCONT)
    family.until(lambda: f"{1 - late}: release {late}" in family.orders(), "it has its connections again")
    assert family.children() == first

    send_signal(first[0], signal.SIGUSR1)
    family.until(lambda: family.lines("a process hangs and is ended"), "it is ended")
    ended = family.lines("a process hangs and is ended")[0]
    assert ended["pid"] == first[0]
    assert SHORTER["_SILENT_S"] <= ended["silent_s"] < 10
    assert re.search(r"small_child.py.* in hang", ended["where"][0])
    second = family.until_served(without=[first[0]])
    assert first[1] in second

    family.send(signal.SIGTERM)
    assert family.ended() == 0
    assert not any(is_running(child) for child in second)


def test_children_that_die_while_the_parent_is_busy_are_replaced(family: SmallFamily) -> None:
    first = family.children()
    # The parent hears of the second death after the signal that lets it look for both.
    for child in first:
        send_signal(child, signal.SIGSTOP)
    (family.folder / "busy").touch()
    # Until the parent is busy.
    time.sleep(2 * SHORTER["_LOOK_EVERY_S"])
    for child in first:
        send_signal(child, signal.SIGKILL)
        wait_until(lambda child=child: not is_running(child), what="it died")  # type: ignore[misc]
    (family.folder / "busy").unlink()
    family.until_served(without=first)
    assert "Traceback" not in family.said()


def test_each_restart_that_is_asked_for_is_done_and_leaves_one_child_in_each_place(tmp_path: Path) -> None:
    (tmp_path / "slow").touch()
    with serving(tmp_path) as family:
        family.until(family.children, "a child")
        started = family.children()
        # Before it serves at all.
        family.send(signal.SIGHUP)
        family.until(lambda: family.lines("each process is restarted once those that are starting serve"), "it waits")
        (tmp_path / "slow").unlink()
        family.until(lambda: family.lines("each process was restarted"), "the first restart")
        second = family.until_served(without=started)

        # Twice at once: what changed between the two is in all children at the end.
        (tmp_path / "slow").touch()
        family.send(signal.SIGHUP)
        family.until(lambda: len(family.children()) == CHILDREN + 1, "a successor")
        middle = family.children()
        family.send(signal.SIGHUP)
        family.until(lambda: len(family.lines("each process is restarted once those that are starting serve")) > 1, "")
        (tmp_path / "slow").unlink()
        family.until(lambda: len(family.lines("each process was restarted")) == 3, "both restarts")
        third = family.until_served(without=[*second, *middle])

        # One dies while its successor starts, and another one is restarted while it starts after a death.
        (tmp_path / "slow").touch()
        send_signal(third[0], signal.SIGKILL)
        family.until(lambda: len(set(family.children()) - set(third)) == 1, "a new one")
        family.send(signal.SIGHUP)
        family.until(lambda: len(set(family.children()) - set(third)) == 2, "a successor")
        send_signal(third[1], signal.SIGKILL)
        family.until(lambda: not set(family.children()) & set(third), "the end of both")
        (tmp_path / "slow").unlink()
        family.until(lambda: len(family.lines("each process was restarted")) == 4, "the last restart")
        family.until_served(without=third)
        time.sleep(0.3)
        assert len(family.children()) == CHILDREN


def test_what_cannot_start_leaves_the_former_ones_and_a_stop_ends_a_restart(family: SmallFamily) -> None:
    folder, first = family.folder, family.children()
    for fault, said in (
        ("broken", "the new process could not start: the former ones go on"),
        ("no-interpreter", "a process cannot be started"),
    ):
        (folder / fault).touch()
        family.send(signal.SIGHUP)
        family.until(lambda said=said: family.lines(said), fault)  # type: ignore[misc]
        assert family.children() == first
        (folder / fault).unlink()

    # Where one has died meanwhile it is tried again until it can be.
    (folder / "no-interpreter").touch()
    send_signal(first[0], signal.SIGKILL)
    family.until(lambda: len(family.lines("a process cannot be started")) > 2, "two more attempts")
    (folder / "no-interpreter").unlink()
    second = family.until_served(without=first[:1])

    # Settings of a restart may give a longer grace than the parent has read at its start.
    (folder / "grace").write_text("60")
    (folder / "stopping").write_text("0.3")
    family.send(signal.SIGHUP)
    third = family.until_served(without=second)
    (folder / "stopping").write_text("6")
    (folder / "slow").touch()
    family.send(signal.SIGHUP)
    family.until(lambda: len(family.children()) == CHILDREN + 1, "a successor")
    family.send(signal.SIGTERM)
    assert family.ended() == 0
    assert not any(is_running(child) for child in third)
    assert not family.lines("the time for stopping is over, ending processes")


def test_a_reader_of_the_log_that_has_gone_ends_no_process(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    with serving(tmp_path, writing) as family:
        os.close(writing)
        first = family.until_served()
        os.close(reading)
        send_signal(first[0], signal.SIGKILL)
        second = family.until_served(without=first[:1])
        assert first[1] in second
        family.send(signal.SIGTERM)
        assert family.ended() == 0


def test_nothing_that_can_be_started_at_all_ends_the_parent(tmp_path: Path) -> None:
    for fault, code in (("broken", 3), ("no-interpreter", 1)):
        (tmp_path / fault).touch()
        with serving(tmp_path) as family:
            assert family.ended() == code
        (tmp_path / fault).unlink()
