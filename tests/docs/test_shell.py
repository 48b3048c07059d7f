"""What the pages tell a user to type is typed, page by page, against one service as it is really run."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ai_agents import AgentStore, connect
from tests.docs.conftest import moved_to, served, typed
from tests.docs.examples import Example, examples_of
from tests.docs.python_examples import run_snippet, snippets_of
from tests.docs.site import QUICK_START, ROOT, SHELL, page

README = ROOT / "README.md"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the service, in which a reader types."""
    directory = tmp_path_factory.mktemp("home")
    (directory / ".venv").symlink_to(sys.prefix)
    return directory


@pytest.fixture(scope="module")
def service(home: Path) -> Iterator[str]:
    """The address of the service that all pages use."""
    with served(home) as address:
        yield address


def wrong(examples: list[Example], home: Path, service: str) -> list[str]:
    """What the examples print otherwise than their page shows."""
    return [
        f"line {example.line} shows\n{example.shown}\nand printed\n{output}"
        for example, output in typed(examples, home, moved_to(service))
        if not example.explains(output)
    ]


@pytest.mark.parametrize("name", SHELL)
def test_the_examples_of_a_page_print_what_it_shows(name: str, home: Path, service: str) -> None:
    examples = examples_of(page(name))
    assert examples
    if any("$URL" in example.script for example in examples):
        examples = [*examples_of(QUICK_START), *examples]

    assert wrong(examples, home, service) == []


def test_the_lines_of_the_readme_stream_an_answer(home: Path, service: str) -> None:
    lines = next(example for example in examples_of(README) if "/messages" in example.script)

    [(_, output)] = typed([lines], home, moved_to(service))

    assert '"text":"echo:' in output
    assert output.count("event: run.completed\n") == 1
    assert output.rpartition("event: ")[2].startswith("run.completed\n")


async def test_the_python_at_the_doors_runs(
    home: Path, service: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(home)
    key = (home / "var" / "admin.key").read_text().strip()
    examples = examples_of(QUICK_START)
    made = Example(0, 'printf %s "$AGENT"\n')
    [*_, (_, agent_id)] = typed([*examples, made], home, moved_to(service))
    names: dict[str, Any] = {"key": key, "agent_id": agent_id}

    for snippet in snippets_of(page("doors")):
        await run_snippet(snippet.replace("http://127.0.0.1:8000", service), names)

    printed = capsys.readouterr().out
    assert "echo: What is six times seven?" in printed
    assert "echo: And times eight?" in printed or names["again"].output_text.startswith("echo: And times eight?")
    assert "'run_id': '" in printed


async def test_the_python_on_moving_threads_runs(sqlite_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    async with connect(sqlite_url) as conn:
        agent = await AgentStore(conn).create("guide")
        names: dict[str, Any] = {"conn": conn}
        for snippet in snippets_of(page("moving")):
            await run_snippet(snippet, names)

    assert f"agent {agent['id']}: exists" in capsys.readouterr().out


def test_an_output_that_the_page_does_not_show_is_noticed() -> None:
    shown = Example(1, "", '{"id": "01985a3e-…", "n": 1, …}\n', "json")
    told_id = "01985a3e-0000-7000-8000-000000000000"

    assert shown.explains(f'{{"id":"{told_id}","n":1,"more":[]}}')
    assert not shown.explains(f'{{"id":"{told_id}","n":2,"more":[]}}')
    assert not shown.explains('{"id":"x","n":1,"more":[]}')
    assert not Example(1, "", "204\n", "text").explains("200")
