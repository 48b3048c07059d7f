"""The page on the client in Python: its snippets are run against the service."""

from pathlib import Path
from typing import Any

import pytest

from tests.docs.python_examples import run_snippet, snippets_of

PAGE = Path(__file__).parents[2] / "docs" / "client.md"


async def test_the_python_of_the_page_runs(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AI_AGENTS_URL", address)
    monkeypatch.chdir(tmp_path)  # where the service keeps its key
    names: dict[str, Any] = {}

    for snippet in snippets_of(PAGE):
        await run_snippet(snippet, names)

    printed = capsys.readouterr().out
    for expected in (
        "echo: Hello!",
        "[calculator]\necho: calculator answered: 42",
        "completed",
        "echo: calculator answered: 2",
        "echo: weather answered: rain",
        "Homework echo:",
        "invalid_request 422",
        "['body', 'name']",
        "echo: Goodbye.",
    ):
        assert expected in printed, printed
    assert len(names["hits"]) == 1
