"""The service as `ai-agents serve` runs it, with its modules loaded: a tenth of the processor time of a start."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.faults.support.nursery import Forked, nursery
from tests.support.processes import wait_until

_SAYS = re.compile(r"AI Agents on (\S+)$", re.MULTILINE)


@contextmanager
def forked_service(directory: Path, environment: Mapping[str, str]) -> Iterator[tuple[Forked, str]]:
    """A running service whose folder is `directory`, and its address.

    It prints into `service.out` there, and logs into `service.log`. It is killed at the end.
    """
    output_path, log_path = directory / "service.out", directory / "service.log"
    output_path.unlink(missing_ok=True)
    process = nursery().start(
        ["serve", "--port", "0"],
        directory=directory, environment=environment, log_path=log_path, output_path=output_path, program="app.cli",
    )  # fmt: skip
    try:
        wait_until(
            lambda: _SAYS.search(output_path.read_text()) is not None or process.poll() is not None,
            what="the service to say where it is",
            timeout_s=120,
        )
        found = _SAYS.search(output_path.read_text())
        assert found, log_path.read_text()
        yield process, found[1]
    finally:
        process.kill()
        process.wait(30)
