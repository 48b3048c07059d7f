"""The service as a reader of the docs has started it, and the shell in which the examples are typed."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.docs.examples import Example
from tests.support.binaries import curl_program

_FOREIGN = re.compile(r"AI_AGENTS_|ANTHROPIC_|OPENAI_|OLLAMA_|HOST$|PORT$|.*_proxy$", re.IGNORECASE)
_TIMEOUT_S = 120
# As a user's shell, but that the first command that fails is seen.
_PREAMBLE = "set -e\n"


# Examples, and with each what it printed.
Run = Callable[[Sequence[Example]], list[tuple[Example, str]]]


def environment() -> dict[str, str]:
    """A user's environment: nothing set that the service reads, and no proxy between it and its clients."""
    kept = {name: value for name, value in os.environ.items() if not _FOREIGN.match(name)}
    programs = (Path(sys.executable).parent, curl_program().parent)
    return kept | {"PATH": os.pathsep.join([*map(str, programs), os.environ["PATH"]]), "PYTHONUTF8": "1"}


@pytest.fixture
def neighbours() -> dict[str, str]:
    """Other servers that a page speaks of: where it says that they are, and where they are here."""
    return {}


@pytest.fixture
def address(tmp_path: Path, neighbours: dict[str, str]) -> Iterator[str]:
    """The address of a service that `ai-agents serve` runs in `tmp_path`, on SQLite and without a provider's key.

    It may reach the neighbours.
    """
    allowed = {"AI_AGENTS_OUTBOUND_ALLOW": ",".join(neighbours.values())}
    command = [str(Path(sys.executable).with_name("ai-agents")), "serve", "--port", "0"]
    with (
        (tmp_path / "service.log").open("wb") as log,
        subprocess.Popen(
            command, cwd=tmp_path, env=environment() | allowed, stdout=subprocess.PIPE, stderr=log, text=True
        ) as process,
    ):
        try:
            assert process.stdout is not None
            found = re.match(r"AI Agents on (\S+)$", process.stdout.readline().rstrip())
            assert found, (tmp_path / "service.log").read_text()
            yield found[1]
        finally:
            process.terminate()


@pytest.fixture
def run(address: str, tmp_path: Path, neighbours: dict[str, str]) -> Run:
    """Types examples into one shell, in their order: `run(examples)`. Fails where one of them does."""

    def moved(text: str, places: Iterable[tuple[str, str]]) -> str:
        for place, other in places:
            text = text.replace(place, other)
        return text

    def run_all(examples: Sequence[Example]) -> list[tuple[Example, str]]:
        files = [tmp_path / f"{number}.out" for number in range(len(examples))]
        at_home = [example.script.replace("http://127.0.0.1:8000", address) for example in examples]
        at_home = [script.replace("localhost:8000", address.removeprefix("http://")) for script in at_home]
        at_home = [moved(script, neighbours.items()) for script in at_home]
        script = _PREAMBLE + "".join(f"{{\n{text}}} > {path}\n" for text, path in zip(at_home, files, strict=True))
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=tmp_path, env=environment(), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            timeout=_TIMEOUT_S, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            reached = examples[sum(path.exists() for path in files) - 1]
            pytest.fail(f"the example in line {reached.line} exits {done.returncode}: {done.stderr}\n{reached.script}")
        back = [(here, shown) for shown, here in neighbours.items()]
        return [(example, moved(path.read_text(), back)) for example, path in zip(examples, files, strict=True)]

    return run_all
