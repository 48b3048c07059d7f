"""What every command of the command line does alike: help, exit codes, and sentences in place of tracebacks."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.cli import COMMANDS, main
from app.commands.command import Command, Group
from scripts.write_commands import PAGE, render
from tests.docs.conftest import Run
from tests.docs.examples import examples_of

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands find no `.env` and keep what they make to themselves."""
    monkeypatch.chdir(tmp_path)


def all_commands() -> Iterator[tuple[list[str], Command]]:
    """Each command with its words."""
    for each in COMMANDS:
        if isinstance(each, Group):
            yield from (([each.name, command.name], command) for command in each.commands)
        else:
            yield [each.name], each


def ended(*arguments: str) -> tuple[int | str | None, str]:
    """The exit code of a command, or the sentence with which it fails; and what it refuses."""
    try:
        main(arguments)
    except SystemExit as end:
        return end.code, ""
    return 0, ""


def test_every_command_has_help_with_examples_and_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    for words, command in all_commands():
        assert ended(*words, "--help") == (0, ""), words
        shown = capsys.readouterr().out
        assert command.summary in shown, words
        assert "exit codes:\n  0   " in shown, words
        assert command.examples, words
        for example in command.examples:
            assert example in shown
            assert f"ai-agents {' '.join(words)}" in example


def test_the_page_of_the_command_line_has_the_help_of_each_command() -> None:
    page = PAGE.read_text()

    assert render(page) == page, "run `make openapi`"


def test_the_page_of_the_command_line_shows_what_its_examples_print(run: Run, tmp_path: Path) -> None:
    (tmp_path / ".venv").symlink_to(sys.prefix)
    examples = examples_of(PAGE)
    assert len(examples) >= 2

    for example, output in run(examples):
        assert example.explains(output), f"line {example.line} shows\n{example.shown}\nand printed\n{output}"


def test_without_a_command_the_first_steps_are_shown_and_a_group_alone_is_wrong_use(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert ended() == (0, "")
    assert "First steps:\n  ai-agents serve" in capsys.readouterr().out

    assert ended("keys") == (2, "")
    assert "create" in capsys.readouterr().out
    assert ended("nonsense")[0] == 2
    assert ended("keys", "create")[0] == 2
    assert ended("--version")[0] == 0
    assert re.fullmatch(r"ai-agents [0-9.]+\n", capsys.readouterr().out)


def test_help_is_quick_because_it_loads_nothing_of_the_service() -> None:
    script = (
        "import sys; from app.cli import main\ntry: main(['--help'])\nfinally: print(*sys.modules, file=sys.stderr)"
    )

    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)

    loaded = set(done.stderr.split())
    assert not loaded & {
        "pydantic",
        "httpx",
        "sqlalchemy",
        "fastapi",
        "celery",
        "asyncio",
        "importlib.metadata",
        "yaml",
    }


def test_what_a_person_can_do_wrong_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in (["jobs", "list"], ["jobs", "retry"], ["keys", "list"], ["audit", "verify"], ["export"]):
        sentence = ended(*command)[0]
        assert str(sentence).startswith(f"There is no database {tmp_path}/var/ai-agents.db: `ai-agents migrate`"), (
            command
        )
    assert not (tmp_path / "var").exists()

    main(["migrate"])
    main(["jobs", "list", "--json"])
    assert capsys.readouterr().out.endswith("[]\n")
    assert ended("keys", "delete", "nonsense")[0] == "There is no such API key."
    assert ended("jobs", "retry", "nonsense")[0] == "There is no such job."
    assert (
        ended("export", str(tmp_path / "none" / "all.jsonl"))[0]
        == f"{tmp_path}/none/all.jsonl: No such file or directory."
    )
    assert ended("keys", "create", "--user", "ada", "--expires-in", "soon")[0] == 2
    assert "a time is a number and s, m, h or d, such as 90d" in capsys.readouterr().err

    assert ended("serve", "--port", "99999")[0] == 2
    assert "a port is a number from 0 to 65535" in capsys.readouterr().err

    for url, sentence in {
        "http://127.0.0.1:1": "The service at http://127.0.0.1:1 does not answer: ",
        "localhost:99999": "The address of a service (--url) is like http://127.0.0.1:8000.",
        "ftp://x": "The address of a service (--url) is like http://127.0.0.1:8000.",
    }.items():
        assert str(ended("providers", "list", "--url", url, "--key", "aia_x")[0]).startswith(sentence)
    assert ended("providers", "list", "--url", "http://127.0.0.1:1", "--key", "ä")[0] == (
        "An API key has visible ASCII characters only, and this one has others."
    )
    assert ended("providers", "list", "--key-file", "none")[0] == "none: No such file or directory."
    monkeypatch.setenv("AI_AGENTS_VAR_DIR", str(tmp_path / "elsewhere"))
    assert str(ended("providers", "list")[0]).startswith("No key: give one with --key")


def test_keys_are_made_listed_rotated_and_deleted(capsys: pytest.CaptureFixture[str]) -> None:
    main(["keys", "create", "--user", "ada", "--name", "laptop", "--expires-in", "90d", "--json"])
    made = json.loads(capsys.readouterr().out)
    assert made["key"].startswith("aia_")
    assert made["expires_at"] > made["created_at"]

    main(["keys", "rotate", made["id"], "--grace", "1h"])
    assert capsys.readouterr().out.strip() not in {"", made["key"]}
    assert ended("keys", "rotate", made["id"], "--grace", "8d")[0] == 2

    main(["keys", "list", "--user", "ada"])
    table = capsys.readouterr().out
    assert table.splitlines()[0].split() == [
        "id",
        "user",
        "id",
        "name",
        "prefix",
        "admin",
        "created",
        "at",
        "expires",
        "at",
    ]
    assert made["id"] in table
    assert made["key"] not in table
    main(["keys", "list", "--json"])
    assert [each["name"] for each in json.loads(capsys.readouterr().out)] == ["laptop"]

    main(["keys", "delete", made["id"]])
    main(["keys", "list", "--json"])
    assert json.loads(capsys.readouterr().out.partition("\n")[2]) == []
    main(["audit", "export"])
    acts = [json.loads(line)["action"] for line in capsys.readouterr().out.splitlines()]
    assert acts == ["key.create", "key.rotate", "key.delete"]


def test_a_reader_that_has_enough_is_no_failure() -> None:
    command = f"{sys.executable} -m app.cli --help | true; echo ${{PIPESTATUS[0]}}"

    done = subprocess.run(
        ["bash", "-c", command],
        env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (done.stdout, done.stderr) == ("0\n", "")
