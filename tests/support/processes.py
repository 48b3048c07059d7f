"""Processes that tests start: their user, their ports, and whether they have ended."""

import os
import pwd
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import SystemRandom

POLL_S = 0.005
# How long tests wait for what a machine with nothing else to do does in a moment.
PATIENCE_S = 120.0
# Systems take ports for connections, and for servers that ask for any, from those above. A node of a cluster of Redis
# takes the port 10,000 above its own as well.
_NEVER_GIVEN = range(12_000, 22_000)
_BUS_OF_A_CLUSTER = 10_000
_chance = SystemRandom()
# What keeps the ports that this process has given out from other test processes until it ends.
_kept: list[socket.socket] = []


def unprivileged_user() -> str | None:
    """The user for servers that refuse to run as root; None where this process is not root."""
    if os.geteuid() != 0:
        return None
    users = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody", "daemon") if name in users)


def free_port() -> int:
    """A TCP port of the loopback address on which only a server of this test process will listen.

    On Linux a socket that is bound but does not listen keeps it: servers, which set `SO_REUSEADDR`, may bind the port
    beside it, this function in another process may not. On other systems servers may not either: nothing keeps it.
    """
    while True:
        port = _chance.choice(_NEVER_GIVEN)
        if _keep(port) and _keep(port + _BUS_OF_A_CLUSTER):
            return port


def _keep(port: int) -> bool:
    keeper = socket.socket()
    try:
        # Without SO_REUSEADDR this fails where any other socket has the port, a keeper or a server.
        keeper.bind(("127.0.0.1", port))
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    except OSError:
        keeper.close()
        return False
    if sys.platform.startswith("linux"):
        _kept.append(keeper)
    else:
        keeper.close()
    return True


def is_running(pid: int) -> bool:
    """Whether the process exists and has not ended; a zombie has ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return Path("/proc/self").exists() is False
    return state not in "ZX"


def children_of(pid: int) -> list[int]:
    """The direct children of a process; empty where the system does not tell."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def command_of(pid: int) -> bytes:
    """The command line of a process; empty where the system does not tell."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def send_signal(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process, which may have ended already."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def wait_until(condition: Callable[[], bool], *, what: str, timeout_s: float = PATIENCE_S) -> None:
    """Poll until `condition()` is true.

    Raises `TimeoutError`, naming `what`, after `timeout_s`.
    """
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout_s:g} s for {what}")
        time.sleep(POLL_S)


def wait_for_port(port: int) -> None:
    """Wait until a server listens on this port of the machine."""

    def listens() -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            return False
        return True

    wait_until(listens, what=f"a server on port {port}")
