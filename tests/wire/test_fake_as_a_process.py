"""The fake provider as a process of its own, as benchmarks and end-to-end tests start it."""

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from ai_agents.core.types import ModelMessage, PartDelta, ToolResultPart
from tests.fakes.provider_server import BASE_PATHS
from tests.wire.conftest import Connect
from tests.wire.requests import CALCULATOR, WIRES, ask, user


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The port of a process that answers with 50 words."""
    command = [sys.executable, "-m", "tests.fakes.provider_server", "--port", "0", "--tokens", "50", "--delay-ms", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=5) == 0


@pytest.mark.parametrize("name", WIRES)
async def test_it_answers_with_that_many_words_and_calls_the_calculator(name: str, port: int, connect: Connect) -> None:
    provider = connect(name, base_url=f"http://127.0.0.1:{port}{BASE_PATHS.get(name, '')}")
    question = user("Please calculate it.")

    said = "".join([event.text async for event in provider.stream(ask(name)) if isinstance(event, PartDelta)])
    asked = await provider.complete(ask(name, question, tools=(CALCULATOR,)))
    (wish,) = asked.tool_calls
    result = ModelMessage("tool", (ToolResultPart(wish.tool_call_id, wish.name, "42"),))
    turn = (question, ModelMessage("assistant", asked.parts), result)
    answer = await provider.complete(ask(name, *turn, tools=(CALCULATOR,)))

    assert len(said.split()) == 50
    assert wish.arguments == {"expression": "6*7"}
    assert answer.text == "The result is 42."
