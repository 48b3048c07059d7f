"""A command at a terminal, as a person has it: what is typed, and what is shown."""

import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

_TIMEOUT_S = 30
# Commands of a terminal: colours, and what readline sends.
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class Terminal:
    """The other end of a process's terminal."""

    def __init__(self, process: "subprocess.Popen[bytes]", descriptor: int) -> None:
        self.process = process
        self.raw = ""
        self._descriptor = descriptor
        self._seen = 0

    def type(self, text: str) -> None:
        """Press these keys; `\\x03` is Ctrl+C, `\\x04` Ctrl+D."""
        os.write(self._descriptor, text.encode())

    def wait_for(self, text: str) -> str:
        """What is shown since the last time, to the end of this text, without colours."""
        deadline = time.monotonic() + _TIMEOUT_S
        while text not in (shown := self._shown()[self._seen :]):
            assert time.monotonic() < deadline, f"no {text!r} in {shown!r}"
            if select.select([self._descriptor], [], [], 1)[0]:
                try:
                    read = os.read(self._descriptor, 65536)
                except OSError:  # the process has ended
                    read = b""
                assert read or text in self._shown()[self._seen :], f"it ended without {text!r}: {shown!r}"
                self.raw += read.decode(errors="replace")
        end = shown.index(text) + len(text)
        self._seen += end
        return shown[:end]

    def _shown(self) -> str:
        return _ESCAPES.sub("", self.raw).replace("\r\n", "\n")


@contextmanager
def at_terminal(command: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> Iterator[Terminal]:
    """A process whose three streams are a terminal; it is killed at the end."""
    ours, its = pty.openpty()
    process = subprocess.Popen(
        command, cwd=cwd, env=dict(env) | {"TERM": "xterm"}, stdin=its, stdout=its, stderr=its, start_new_session=True,
        preexec_fn=_take_terminal,  # noqa: PLW1509  # Ctrl+C is for the session of a terminal
    )  # fmt: skip
    os.close(its)
    try:
        yield Terminal(process, ours)
    finally:
        process.kill()
        process.wait()
        with suppress(OSError):
            os.close(ours)


def _take_terminal() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
