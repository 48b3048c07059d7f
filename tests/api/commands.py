"""Commands of the command line against a service that a test runs."""

import asyncio
from typing import NamedTuple

import pytest

from app.cli import main
from tests.api.live import Live
from tests.api.service import ADMIN_KEY


class Ended(NamedTuple):
    """How a command ended. `err` ends with the sentence of a failure."""

    code: int
    out: str
    err: str


async def run_command(capsys: pytest.CaptureFixture[str], live: Live, *arguments: str, key: str = ADMIN_KEY) -> Ended:
    """Run a command that talks to the service."""

    def run() -> tuple[int, str]:
        try:
            main([*arguments, "--url", live.server.address, "--key", key])
        except SystemExit as end:
            # As the interpreter ends: a sentence is printed, and means 1.
            return (1, end.code) if isinstance(end.code, str) else (end.code or 0, "")
        return 0, ""

    code, sentence = await asyncio.to_thread(run)
    shown = capsys.readouterr()
    # The service, which logs to the same streams here, is no part of the command.
    out = "".join(line for line in shown.out.splitlines(keepends=True) if " event='" not in line)
    return Ended(code, out, shown.err + sentence)
