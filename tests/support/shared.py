"""A directory that the processes of one test run share, and what is made in it once for all of them."""

import fcntl
import os
import shutil
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.support.processes import is_running, send_signal, wait_until

# A file system in memory: creating a database in it takes a fifth of the time that a disk takes.
_MEMORY = Path("/dev/shm")
_NEEDED_BYTES = 2 * 1024**3


class SharedDirectory:
    """A directory that lives as long as a test run. Servers work inside it, by which they are found at the end."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls) -> "SharedDirectory":
        """Make one for the run that this process leads, and clear away what killed runs have left."""
        prefix = f"ai-agents-tests-{os.geteuid()}-"
        for place in {Path(tempfile.gettempdir()), _MEMORY}:
            for left in place.glob(f"{prefix}*"):
                leader = left.name.removeprefix(prefix).split("-")[0]
                if leader.isdigit() and not is_running(int(leader)):
                    cls(left).close()
        parent = _MEMORY if _has_room(_MEMORY) else None
        path = Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-", dir=parent)).resolve()
        path.chmod(0o711)  # a server that runs as another user must be able to pass
        return cls(path)

    def once(self, name: str, make: Callable[[], str]) -> str:
        """The result of `make`, which the first process that asks calls; the others wait for it."""
        kept = self.path / f"{name}.made"
        with (self.path / f"{name}.lock").open("w") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            if not kept.exists():
                kept.write_text(make())
            return kept.read_text()

    def close(self) -> None:
        """End every process that works inside the directory, and remove it."""
        processes = self._processes()
        for pid in processes:
            send_signal(pid, signal.SIGKILL)  # nothing of theirs is worth keeping
        wait_until(lambda: not any(map(is_running, processes)), what="servers of a test run to be gone")
        shutil.rmtree(self.path, ignore_errors=True)

    def _processes(self) -> list[int]:
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                directory = (entry / "cwd").readlink()
            except OSError:  # gone meanwhile, or another user's
                continue
            if directory.is_relative_to(self.path) and int(entry.name) != os.getpid():
                found.append(int(entry.name))
        return found


def _has_room(place: Path) -> bool:
    return os.access(place, os.W_OK) and shutil.disk_usage(place).free >= _NEEDED_BYTES
