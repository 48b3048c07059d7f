"""Workers that tests start, and the processes of their pools."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from tests.faults.support.nursery import Forked, nursery
from tests.faults.support.seed import NAME
from tests.support.examples import SOAK
from tests.support.processes import children_of, command_of

ROOT = Path(__file__).parents[3]


class Process(Protocol):
    """What a worker is here: forked, or started as an operator does."""

    pid: int


def start_worker(
    directory: Path, environment: Mapping[str, str], *, grace_s: float | None = None, probed: bool = False
) -> "Forked | subprocess.Popen[bytes]":
    """A worker whose folder is `directory`, and its log `worker.log` in it.

    In full it is started as an operator starts it; in a sample it and its pool are forked, which takes a tenth of the
    processor time. `probed` gives it the jobs of `tests/worker/probed_worker.py`.
    """
    more = {"PYTHONPATH": str(ROOT)}
    more |= {} if grace_s is None else {"FAULTS_GRACE_S": str(grace_s)}
    more |= {"FAULTS_PROBED": "1"} if probed else {}
    log_path = directory / "worker.log"
    if not SOAK:
        more["FAULTS_FORKS"] = "1"
        return nursery().start(["worker"], directory=directory, environment={**environment, **more}, log_path=log_path)
    command = [sys.executable, "-m", "tests.faults.launch", "worker"]
    with log_path.open("ab") as log:
        return subprocess.Popen(
            command, cwd=directory, env={**os.environ, **environment, **more}, stdout=log, stderr=log
        )


def pool_of(worker: Process) -> list[int]:
    """The processes that a worker does its jobs in."""
    return [pid for pid in children_of(worker.pid) if b"spawn_main" in command_of(pid) or _name_of(pid) == NAME]


def _name_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/comm").read_bytes().strip()
    except OSError:
        return b""
