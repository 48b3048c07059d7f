"""The terminal client while the service is killed and started again.

A part of `make soak` alone: `make test` has the same for the client of the package, with which it is written.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.conftest import environment
from tests.docs.terminals import at_terminal
from tests.support.examples import SOAK
from tests.support.processes import free_port

pytestmark = pytest.mark.soak
AI_AGENTS = str(Path(sys.executable).with_name("ai-agents"))
LONG = " ".join(f"word{number}" for number in range(150))


def see_a_whole_answer(tmp_path: Path) -> None:
    port = free_port()
    serve = [AI_AGENTS, "serve", "--port", str(port)]
    chat = [AI_AGENTS, "chat", "--url", f"http://127.0.0.1:{port}", LONG]

    def kill(process: "subprocess.Popen[str]") -> None:
        with process:
            process.kill()

    def start() -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            serve, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline().startswith("AI Agents on ")
        return process

    service = start()
    try:
        with at_terminal(chat, cwd=tmp_path, env=environment()) as terminal:
            terminal.wait_for("word40 ")
            kill(service)
            terminal.wait_for("The service does not answer: this goes on when it is back.")
            service = start()
            shown = terminal.wait_for("(This is echo")
            assert terminal.process.wait(20) == 0
        # What was only streamed is void; the attempt that counts is shown from its beginning.
        assert f"echo: {LONG}\n" in shown.rpartition("It begins again: ")[2]
    finally:
        kill(service)


if SOAK:
    test_an_answer_is_whole_though_the_service_is_killed_and_started_again_in_the_middle_of_it = see_a_whole_answer
