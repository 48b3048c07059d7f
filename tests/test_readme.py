"""The README's program is run as a newcomer saves it, and the first README's snippets as they were promised."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from ai_agents import DatabaseHandle
from tests.docs.conftest import environment
from tests.docs.python_examples import run_snippet, snippets_of
from tests.fakes.answers import say
from tests.fakes.provider_server import FakeProviderServer

README = Path(__file__).parents[1] / "README.md"
# Its snippets go on working as they stand.
FIRST_README = Path(__file__).parent / "docs" / "first_readme.md"
# What they take as given.
GIVEN = """
from ai_agents import RoleAuth, connect
conn = await connect("sqlite:///agents.db")
auth = RoleAuth(conn)
user_id = "ada"
"""


def test_the_program_runs_as_it_stands(tmp_path: Path) -> None:
    (program,) = snippets_of(README)
    (tmp_path / "talk.py").write_text(program)

    ended = subprocess.run(
        [sys.executable, "-W", "error", "talk.py"],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("echo: Hello!")


@pytest.mark.usefixtures("own_registries")
async def test_the_first_snippets_still_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"app": FastAPI()}
    async with FakeProviderServer() as fake:
        fake.script("anthropic", [say("Hello from the model."), say("Str", "eamed.")])
        monkeypatch.setenv("ANTHROPIC_BASE_URL", fake.base_url("anthropic"))
        found = snippets_of(FIRST_README)
        assert len(found) >= 6
        for snippet in (GIVEN, *found):
            await run_snippet(snippet, names)
            if "thread" in names:
                names["thread_id"] = names["thread"]["id"]
    conn: DatabaseHandle = names["conn"]
    await asyncio.wait_for(conn.close(), 60)
    printed = capsys.readouterr().out
    assert "Hello from the model." in printed
    assert "Streamed." in printed
