"""The command line, with mistakes and without."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from app.cli import main
from tests.docs.conftest import environment

AI_AGENTS = str(Path(sys.executable).with_name("ai-agents"))


@pytest.fixture(autouse=True)
def in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands find no `.env` and keep what they make to themselves."""
    monkeypatch.chdir(tmp_path)


def refusal_of(*arguments: str) -> str:
    """The sentence with which a command ends."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return str(ended.value)


@pytest.mark.parametrize("user", ["*", "", " ", "two\nlines"])
def test_a_key_is_made_for_one_user_with_a_name(user: str, tmp_path: Path) -> None:
    assert refusal_of("keys", "create", "--user", user).startswith("This key cannot be made: ")
    assert not (tmp_path / "var").exists()


def test_a_bad_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AI_AGENTS_ADMIN_KEY", "sesame")
    monkeypatch.setenv("AI_AGENTS_PORT", "eight")

    told = refusal_of("migrate")

    assert "AI_AGENTS_ADMIN_KEY: an admin key has at least 8 characters" in told
    assert "AI_AGENTS_PORT: " in told
    assert "sesame" not in told
    assert "eight" not in told


def test_a_default_model_of_no_provider_is_refused_at_the_start() -> None:
    settings = environment() | {"AI_AGENTS_DEFAULT_MODEL": "nobody:model"}

    ended = subprocess.run(
        [AI_AGENTS, "serve", "--port", "0"], env=settings, capture_output=True, text=True, timeout=60, check=False
    )

    assert ended.returncode == 1
    assert ended.stderr.endswith(
        "AI_AGENTS_DEFAULT_MODEL names an unknown provider; known are anthropic, echo, gemini, ollama, openai.\n"
    )


def test_a_database_that_a_newer_version_has_migrated_is_used_and_left_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["migrate"])
    with closing(sqlite3.connect(tmp_path / "var" / "ai-agents.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    capsys.readouterr()
    for command in (["migrate"], ["migrate", "--wait"]):
        main(command)
        assert capsys.readouterr().out.startswith("A newer version has migrated the database. This one works with it")
    main(["keys", "create", "--user", "ada"])
    main(["check", "--without-providers"])
    assert "schema 9999, of a newer version; that of this one is" in capsys.readouterr().out


def test_an_audit_log_that_does_not_hold_is_told_with_a_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert "`ai-agents migrate` makes it" in refusal_of("audit", "verify")
    main(["migrate"])
    main(["audit", "verify"])
    main(["audit", "export"])
    assert "0 entries in 0 batches hold" in capsys.readouterr().out

    assert refusal_of("audit", "verify", "--head", f"1:{'0' * 64}").endswith(
        "the chain ends before batch 1, which there was."
    )
    assert refusal_of("audit", "verify", "--head", "1:0") == "2", "a wrong use"
    assert "A head is NUMBER:HASH" in capsys.readouterr().err

    assert refusal_of("jobs", "show", "no-id") == "There is no job no-id."


def test_exports_and_imports_end_with_a_status_and_tell_what_became_of_each_thing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assistant = {"id": "asst_1", "object": "assistant", "created_at": 1, "model": "gpt-4o", "tools": []}
    file = tmp_path / "assistants.jsonl"
    file.write_text(f'{json.dumps(assistant)}\n{{"object": "thread", "id": "thread_1", "created_at": 2}}\n')
    assert refusal_of("export").startswith("There is no database ")
    assert refusal_of("import", "assistants", str(file)) == "2"
    assert refusal_of("import", str(tmp_path / "none")) == "2"
    assert refusal_of("import", str(file)) == "2"
    told = capsys.readouterr()
    assert told.out == ""
    assert "--user" in told.err
    assert "none: No such file or directory." in told.err
    assert "Line 1: it is no object with a `record`" in told.err

    assert refusal_of("import", "assistants", str(file), "--user", "ada") == "0"
    imported = capsys.readouterr()
    assert [line.rpartition(": ")[2] for line in imported.out.splitlines()] == ["imported", "imported (0 messages)"]
    assert imported.err == "Done: 2 imported.\n"
    assert refusal_of("export", str(tmp_path / "all.jsonl")) == "0"
    assert (tmp_path / "all.jsonl").stat().st_mode & 0o077 == 0
    assert refusal_of("import", str(tmp_path / "all.jsonl")) == "0"
    assert capsys.readouterr().err.endswith("Done: 2 exists.\n")
    (tmp_path / "half.jsonl").write_text("".join((tmp_path / "all.jsonl").read_text().splitlines(True)[:-2]))
    assert refusal_of("import", str(tmp_path / "half.jsonl")) == "1"
    assert "it ends in line" in capsys.readouterr().out
