"""A child of `serve --workers` that serves nothing: it only talks to its parent. It loads the standard library alone.

The folder that its argument names says how it behaves: with the file `broken` it fails to start, with `slow` it becomes
ready only when that file is gone. On SIGUSR1 it hangs, on SIGTERM it ends after the seconds in the file `stopping`. It
adds its orders to the file `orders`.
"""

import faulthandler
import json
import os
import select
import signal
import socket
import sys
import time
from pathlib import Path

EVERY_S = 0.05


def hang(*_: object) -> None:
    """Do nothing any more."""
    while True:
        time.sleep(1)


def main(folder: Path, words: dict[str, int]) -> None:
    """Be a child until the parent is gone or says so."""
    told = json.loads(os.environ["_AI_AGENTS_CHILD"])
    control = socket.socket(fileno=told["control"])
    faulthandler.register(words["asks_where"], control, all_threads=False)
    signal.signal(signal.SIGUSR1, hang)
    if (folder / "broken").exists():
        sys.exit(3)
    while (folder / "slow").exists():
        control.sendall(b"turning\n")
        time.sleep(EVERY_S)
    stopping = folder / "stopping"

    def end(*_: object) -> None:
        time.sleep(float(stopping.read_text()) if stopping.exists() else 0)
        sys.exit(0)

    signal.signal(signal.SIGTERM, end)
    grace = folder / "grace"
    control.sendall(f"ready {grace.read_text() if grace.exists() else 0}\n".encode())
    while True:
        control.sendall(b"turning\n")
        if select.select([control], [], [], EVERY_S)[0]:
            orders = control.recv(4096)
            if not orders:
                return
            with (folder / "orders").open("a") as log:
                log.writelines(f"{told['own']}: {order}\n" for order in orders.decode().splitlines())


if __name__ == "__main__":
    main(Path(sys.argv[1]), {"asks_where": int(sys.argv[2])})
