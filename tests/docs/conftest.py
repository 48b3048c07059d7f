"""The service as a reader of the docs has started it, and the shell in which the examples are typed."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.docs.examples import Example
from tests.support.binaries import curl_program
from tests.support.serving import forked_service

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


@contextmanager
def served(directory: Path, *, may_reach: Iterable[str] = ()) -> Iterator[str]:
    """The address of a service that `ai-agents serve` runs in `directory`, on SQLite and without a provider's key."""
    allowed = {"AI_AGENTS_OUTBOUND_ALLOW": ",".join(may_reach)}
    with forked_service(directory, environment() | allowed) as (_process, address):
        yield address


def typed(examples: Sequence[Example], directory: Path, moved: Mapping[str, str]) -> list[tuple[Example, str]]:
    """Types examples into one shell, in their order. Fails where one of them does.

    `moved` has where the pages say that servers are, and where they are here.
    """
    files = [directory / f"{number}.out" for number in range(len(examples))]
    for path in files:
        path.unlink(missing_ok=True)
    scripts = [_replaced(example.script, moved.items()) for example in examples]
    script = _PREAMBLE + "".join(f"{{\n{text}}} > {path}\n" for text, path in zip(scripts, files, strict=True))
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=directory, env=environment(), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        timeout=_TIMEOUT_S, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        reached = examples[sum(path.exists() for path in files) - 1]
        pytest.fail(f"the example in line {reached.line} exits {done.returncode}: {done.stderr}\n{reached.script}")
    back = [(here, shown) for shown, here in moved.items()]
    return [(example, _replaced(path.read_text(), back)) for example, path in zip(examples, files, strict=True)]


def moved_to(address: str) -> dict[str, str]:
    """What the pages say of where the service is, and where it is here."""
    return {"http://127.0.0.1:8000": address, "localhost:8000": address.removeprefix("http://")}


def _replaced(text: str, places: Iterable[tuple[str, str]]) -> str:
    for place, other in places:
        text = text.replace(place, other)
    return text


@pytest.fixture
def neighbours() -> dict[str, str]:
    """Other servers that a page speaks of: where it says that they are, and where they are here."""
    return {}


@pytest.fixture
def address(tmp_path: Path, neighbours: dict[str, str]) -> Iterator[str]:
    """The address of a service in `tmp_path`, which may reach the neighbours."""
    with served(tmp_path, may_reach=neighbours.values()) as address:
        yield address


@pytest.fixture
def run(address: str, tmp_path: Path, neighbours: dict[str, str]) -> Run:
    """Types examples into one shell, in their order: `run(examples)`. Fails where one of them does."""
    return lambda examples: typed(examples, tmp_path, moved_to(address) | neighbours)
