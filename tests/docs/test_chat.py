"""`ai-agents chat`, by a person at a terminal and by a program in a pipe."""

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from app.cli import main
from tests.docs.conftest import environment
from tests.docs.terminals import at_terminal

AI_AGENTS = str(Path(sys.executable).with_name("ai-agents"))
LONG = " ".join(f"word{number}" for number in range(150))
CALCULATE = '/tool calculator {"expression": "6 * 7"}'


@pytest.fixture(autouse=True)
def at_the_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands find the admin key of the service that `address` runs."""
    monkeypatch.chdir(tmp_path)


Ask = Callable[..., tuple[int, str, str]]


@pytest.fixture
def ask(address: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Ask:
    """`ask(*arguments, given="")` chats in a pipe: the exit code, standard output, standard error."""

    def chat(*arguments: str, given: str = "", url: str = address) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(given))
        with pytest.raises(SystemExit) as ended:
            main(["chat", "--url", url, *arguments])
        shown, code = capsys.readouterr(), ended.value.code
        return (1, shown.out, shown.err + code) if isinstance(code, str) else (code or 0, shown.out, shown.err)

    return chat


@pytest.fixture
def agents(address: str, at_the_service: None, capsys: pytest.CaptureFixture[str]) -> None:
    """Agents with a tool, of which `careful` asks before it calls it, and one whose model is refused."""
    careful = "name: careful\ntools: [{name: calculator, approval: always}]\n"
    refused = "name: refused\nprovider: mirror\nmodel: any\n"
    main(["providers", "add", "mirror", "--type", "openai", "--base-url", f"{address}/v1", "--url", address])
    Path("agents.yaml").write_text(f"name: quick\ntools: [calculator]\n---\n{careful}---\n{refused}")
    main(["agents", "apply", "-f", "agents.yaml", "--url", address])
    capsys.readouterr()


def test_a_person_sees_answers_as_they_come_decides_on_tools_and_stops_long_ones_and_a_program_gets_the_answer_alone(
    address: str, agents: None, ask: Ask, tmp_path: Path
) -> None:
    (tmp_path / "notes.md").write_text("# Notes\nseven\n")
    chat = [AI_AGENTS, "chat", "--url", address, "--agent", "careful"]

    with at_terminal(chat, cwd=tmp_path, env=environment()) as terminal:
        terminal.wait_for("> ")
        terminal.type("Hello there\n")
        assert "echo: Hello there" in terminal.wait_for("(This is echo")
        terminal.wait_for("> ")

        terminal.type(CALCULATE + "\n")
        assert 'May it call calculator(expression="6 * 7")?' in terminal.wait_for("why not: ")
        terminal.type("y\n")
        assert "← 42" in terminal.wait_for("calculator answered: 42")
        terminal.wait_for("> ")
        terminal.type(CALCULATE + "\n")
        terminal.wait_for("why not: ")
        terminal.type("too easy\n")
        terminal.wait_for("echo: calculator failed: A person refused this call: too easy")
        terminal.wait_for("> ")

        terminal.type(LONG + "\n")
        terminal.wait_for("echo: word0 word1")
        terminal.type("\x03")
        terminal.wait_for("Stopped.")
        terminal.wait_for("> ")
        terminal.type("/file notes.md\n")
        terminal.wait_for("notes.md goes with the next message.")
        terminal.type("/file nothing.md\n")
        terminal.wait_for("nothing.md: No such file or directory.")
        terminal.type("Read this.\n")
        terminal.wait_for("[file: notes.md (text/markdown)]")
        terminal.wait_for("> ")
        terminal.type("/retry\n")
        terminal.wait_for("[file: notes.md (text/markdown)]")
        terminal.wait_for("> ")
        terminal.type("\x04")
        assert "Go on with: " in terminal.wait_for("ai-agents chat --thread ")
        thread = terminal.wait_for("\n").strip()
        assert terminal.process.wait(20) == 0

    # In a pipe standard output gets the answer alone, and the exit code says whether there is one.
    assert ask("--thread", thread, "And now?")[1].startswith("echo: And now?\n")
    code, answer, beside = ask(given="One.\nTwo.\n")
    assert (code, beside) == (0, "")
    assert answer.startswith("echo: One.\nTwo.\n")
    code, answer, beside = ask(CALCULATE, "--agent", "quick")
    assert (code, beside) == (0, '→ calculator(expression="6 * 7")\n← 42\n')
    assert answer.startswith("echo: calculator answered: 42\n")
    assert ask("What", "is", "it?", given="A text.\n")[1].startswith("echo: What is it?\n\nA text.\n")

    code, answer, beside = ask("Hello", "--agent", "nope")
    assert (code, answer) == (1, "")
    assert beside.startswith("There is no agent called 'nope'")
    # Those who may change the agent read what the provider said.
    code, answer, beside = ask("Hello", "--agent", "refused")
    assert (code, answer) == (1, "")
    assert beside.startswith("There is no answer: mirror refused ")
    assert " It said: This API key or token is not known here" in beside
    # There is no person to ask.
    code, answer, beside = ask(CALCULATE, "--agent", "careful")
    assert (code, answer) == (1, "")
    assert 'waits for a decision on calculator(expression="6 * 7"): ai-agents chat --thread ' in beside
    assert ask()[0] == 2
    refusal = "The service refused: This API key or token is not known here, or has expired."
    assert ask("Hello", "--key", "wrong") == (1, "", refusal)
    assert ask("Hello", url="http://127.0.0.1:1")[2].startswith("The service at http://127.0.0.1:1 does not answer: ")
