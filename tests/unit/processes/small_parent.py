"""The parent of `serve --workers`, with small children: `python -m tests.unit.processes.small_parent FOLDER`.

With the file `no-interpreter` in the folder nothing can be started; while there is `busy` the parent does nothing.
"""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from app import logs
from app.processes import parent
from app.processes.pulse import ASKS_WHERE
from app.processes.told import Told
from app.serving.listening import listen_apart

CHILDREN = 2
# So short that tests need not wait for long.
SHORTER = {"_LATE_S": 0.6, "_SILENT_S": 1.5, "_SAYING_S": 0.3, "_LOOK_EVERY_S": 0.1, "_MOST_COUNTED_S": 0.2}


def main(folder: Path) -> None:
    """Start the children, and keep them."""

    def spawn(told: Told, descriptors: set[int]) -> Any:
        interpreter = "/nowhere/python" if (folder / "no-interpreter").exists() else sys.executable
        child = str(Path(__file__).with_name("small_child.py"))
        command = [interpreter, "-I", "-S", child, str(folder), str(int(ASKS_WHERE))]
        return subprocess.Popen(command, env=told.environment(), pass_fds=descriptors)

    start_due = parent.Parent._start_due

    def start_due_late(self: parent.Parent) -> None:
        while (folder / "busy").exists():
            time.sleep(0.05)
        start_due(self)

    setattr(parent.Parent, "_start_due", start_due_late)  # noqa: B010  # only tests make it busy
    for name, value in {**SHORTER, "spawn": spawn}.items():
        setattr(parent, name, value)
    logs.configure("INFO")
    sys.exit(parent.Parent(listen_apart("127.0.0.1", 0, CHILDREN), grace_s=0).run())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
