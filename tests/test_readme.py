"""The README's Python is run from top to bottom, as a reader would paste it, against a stand-in for Anthropic."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from ai_agents import DatabaseHandle
from tests.docs.python_examples import run_snippet, snippets_of
from tests.fakes.answers import say
from tests.fakes.provider_server import FakeProviderServer

README = Path(__file__).parents[1] / "README.md"


async def test_snippets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Every snippet of the README runs."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    async with FakeProviderServer() as fake:
        fake.script("anthropic", [say("Hello from the model."), say("Str", "eamed.")])
        monkeypatch.setenv("ANTHROPIC_BASE_URL", fake.base_url("anthropic"))
        found = snippets_of(README)
        assert len(found) >= 8
        for snippet in found:
            await run_snippet(snippet, names)
    conn: DatabaseHandle = names["conn"]
    await asyncio.wait_for(conn.close(), 10)
    assert "Hello from the model." in capsys.readouterr().out
