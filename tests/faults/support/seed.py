"""Processes of a worker's pool that begin with its modules loaded: see `nursery.py`.

Celery makes them anew (`worker_pool_start_method`), so that they inherit nothing of the worker's threads. A seed is a
fork of the worker before it has done anything; it forks in their place, and they inherit nothing either.
"""

import ctypes
import fcntl
import json
import os
import socket
import sys
import time
from collections.abc import Sequence

from billiard import popen_spawn_posix

# What a seed forks becomes a child of the worker, since the process between them ends (prctl(2)).
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NAME = 15
# What the system calls such a process.
NAME = b"pool-process"
# Numbers of descriptors that no process of these tests has reached.
_BEYOND = 500
_MOST_BYTES = 1 << 20
_MOST_DESCRIPTORS = 64


def plant() -> None:
    """From now on the processes of this worker's pool come from a seed."""
    worker = os.getpid()
    own, others = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        own.close()
        _serve(others, worker)
        os._exit(0)
    others.close()
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")

    def start(_program: object, arguments: Sequence[str], descriptors: Sequence[int]) -> int:
        """As billiard's `spawnv_passfds`: a new process that has these descriptors; its id."""
        order = {"code": arguments[arguments.index("-c") + 1], "numbers": descriptors, "environment": dict(os.environ)}
        socket.send_fds(own, [json.dumps(order).encode()], list(descriptors))
        return int(own.recv(_MOST_BYTES))

    setattr(popen_spawn_posix, "spawnv_passfds", start)  # noqa: B010  # no part of what billiard offers


def _serve(orders: socket.socket, worker: int) -> None:
    """Answer the worker until it ends."""
    while True:
        order, descriptors, _, _ = socket.recv_fds(orders, _MOST_BYTES, _MOST_DESCRIPTORS)
        if not order:
            return
        between = os.fork()
        if between == 0:
            if child := os.fork():
                orders.send(str(child).encode())
                os._exit(0)
            while os.getppid() != worker:
                time.sleep(0.001)
            orders.close()
            _be(json.loads(order), descriptors)
        os.waitpid(between, 0)
        for each in descriptors:
            os.close(each)


def _be(order: dict[str, object], descriptors: Sequence[int]) -> None:
    """Be a process of the pool, as billiard's command line makes one."""
    code, numbers, environment = order["code"], order["numbers"], order["environment"]
    assert isinstance(code, str)
    assert isinstance(numbers, list)
    assert isinstance(environment, dict)
    os.environ.clear()
    os.environ.update(environment)
    # They get the numbers that the worker names, which may be those of others among them.
    moved = [fcntl.fcntl(each, fcntl.F_DUPFD, _BEYOND) for each in descriptors]
    for each, number in zip(moved, numbers, strict=True):
        os.dup2(each, number)
    for each in {*moved, *descriptors} - set(numbers):
        os.close(each)
    ctypes.CDLL(None).prctl(_PR_SET_NAME, NAME, 0, 0, 0)
    sys.argv[:] = ["-c", "--billiard-fork"]
    exec(code, {"__name__": "__main__"})  # the line that a new interpreter would be given
    os._exit(1)  # it exits by itself
