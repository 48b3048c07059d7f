"""The README's Python is run from top to bottom, as a reader would paste it, against a stand-in for Anthropic."""

import ast
import asyncio
import inspect
import re
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from ai_agents import Connection
from tests.fakes.answers import say
from tests.fakes.provider_server import FakeProviderServer

README = Path(__file__).parents[1] / "README.md"


def snippets() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


async def run(snippet: str, names: dict[str, Any]) -> None:
    """Execute a snippet that may await at its top level."""
    code: CodeType = compile(snippet, str(README), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(code, names)  # the README is ours
    if inspect.isawaitable(result):
        await result


async def test_every_snippet_of_the_readme_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    async with FakeProviderServer() as fake:
        fake.script("anthropic", [say("Hello from the model."), say("Str", "eamed.")])
        monkeypatch.setenv("ANTHROPIC_BASE_URL", fake.base_url("anthropic"))
        found = snippets()
        assert len(found) >= 8
        for snippet in found:
            await run(snippet, names)
    conn: Connection = names["conn"]
    await asyncio.wait_for(conn.close(), 10)
    assert "Hello from the model." in capsys.readouterr().out
