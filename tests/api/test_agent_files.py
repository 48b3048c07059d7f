"""Agents from files: `ai-agents agents`, and providers as `ai-agents providers` shows them."""

import io
import json
from pathlib import Path

import pytest

from tests.api.commands import run_command
from tests.api.live import Live
from tests.api.service import make_agent

TWO_AGENTS = """\
name: helper
system_prompt: |
  You help.
  Briefly.
settings: {temperature: 0.5}
tools: [calculator]
memory: &window {strategy: last_n, n: 10}
---
{"name": "other", "memory": {"strategy": "last_n", "n": 4}, "metadata": {"since": "2024-01-01"}}
"""
MISTAKES = """\
name: helper
settings:
  temperature: 9
memory:
  strategy: last_n

  n: 0
guardrails:
  - type: pii
    kinds:
      - email
      - nope
colour: red
---
- a list
---
system_prompt: no name
---
name: twin
---
# another one
name: twin
"""


async def test_a_file_makes_and_changes_agents_and_applying_it_again_changes_nothing(
    small_live: Live, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    admin, file = await small_live.admin(), tmp_path / "agents.yaml"
    file.write_text(TWO_AGENTS)
    apply = ("agents", "apply", "-f", str(file))

    would = await run_command(capsys, small_live, *apply, "--dry-run")
    assert would == (0, "helper: would be created\nother: would be created\n", "")
    assert (await admin.get("/agents")).json()["data"] == []
    made = json.loads((await run_command(capsys, small_live, *apply, "--json")).out)
    assert [each["result"] for each in made] == ["created", "created"]
    again = json.loads((await run_command(capsys, small_live, *apply, "--json")).out)
    assert [(each["result"], each["version"]) for each in again] == [("unchanged", 1), ("unchanged", 1)]

    # What the file does not say any more goes back to its default.
    file.write_text(TWO_AGENTS.replace("tools: [calculator]\n", "").replace("0.5", "0.7"))
    shown = (await run_command(capsys, small_live, *apply, "--dry-run")).out
    assert f"helper ({made[0]['id']}): would be changed\n" in shown
    assert "-  temperature: 0.5\n-tools:\n-  - calculator\n+  temperature: 0.7\n" in shown
    assert (await admin.get(f"/agents/{made[0]['id']}")).json()["version"] == 1
    assert f"helper ({made[0]['id']}, version 2): changed\n" in (await run_command(capsys, small_live, *apply)).out
    changed = (await admin.get(f"/agents/{made[0]['id']}")).json()
    assert (changed["tools"], changed["settings"], changed["memory"]["n"]) == ([], {"temperature": 0.7}, 10)

    exported = (await run_command(capsys, small_live, "agents", "export")).out
    assert "system_prompt: |\n  You help.\n  Briefly.\n" in exported
    assert "since: '2024-01-01'" in exported
    monkeypatch.setattr("sys.stdin", io.StringIO(exported))
    unchanged = json.loads((await run_command(capsys, small_live, "agents", "apply", "-f", "-", "--json")).out)
    assert {each["result"] for each in unchanged} == {"unchanged"}
    renamed = (await run_command(capsys, small_live, "agents", "export", "other", "--with-ids")).out
    file.write_text(renamed.replace("name: other", "name: new name"))
    assert "new name (" in (await run_command(capsys, small_live, *apply)).out
    assert "new name" in (await run_command(capsys, small_live, "agents", "show", "new name")).out


async def test_mistakes_in_a_file_are_told_with_their_lines_before_anything_is_changed(
    small_live: Live, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    admin = await small_live.admin()

    async def refusals(text: str) -> list[str]:
        file = tmp_path / "agents.yaml"
        file.write_text(text)
        ended = await run_command(capsys, small_live, "agents", "apply", "-f", str(file))
        assert (ended.code, ended.out) == (1, ""), ended
        return ended.err.replace(f"{file}:", "").splitlines()

    assert await refusals(MISTAKES) == [
        "3: settings.temperature: should be at most 2",
        "7: memory.n: should be at least 1",
        "12: guardrails.0.kinds.1: should be 'email', 'phone', 'card', 'iban' or 'ip'",
        "13: colour: is not known here",
        "15: an agent is a mapping, such as `name: helper`",
        "17: name: is required",
        "22: 'twin' is also the agent of line 19",
    ]
    assert await refusals("name: x\nname: y\n") == ["2: name stands twice"]
    assert await refusals("name: &a\n  - *a\n") == ["1: this refers to itself, or has too many parts"]
    bomb = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9))
    assert "too many parts" in (await refusals("a0: &a0 [x]\n" + bomb))[0]
    assert await refusals('name: "x\n') == ["2: found unexpected end of stream"]
    assert (await refusals("name: !!python/object:os.x {}\n"))[0].startswith("1: could not determine a constructor")
    assert (await refusals("# nothing\n"))[0].endswith(" there is no agent in it")
    # What only the service knows.
    assert await refusals("name: x\ntools:\n  - calculator\n  - nope\n") == [
        "4: tools.1: There is no tool of this name; there is only calculator."
    ]
    assert (await admin.get("/agents")).json()["data"] == []
    (tmp_path / "agents.yaml").write_bytes(b"name: \xff\n")
    ended = await run_command(capsys, small_live, "agents", "apply", "-f", str(tmp_path / "agents.yaml"))
    assert ended.err.endswith("agents.yaml: this is no text in UTF-8 (byte 6).")


async def test_an_agent_is_named_by_an_id_or_by_a_name_that_is_its_own(
    small_live: Live, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    admin = await small_live.admin()
    twins = [await make_agent(admin, name="twin") for _ in range(2)]
    file = tmp_path / "agents.yaml"
    file.write_text("name: twin\n")

    several = await run_command(capsys, small_live, "agents", "show", "twin")
    assert several.code == 1
    assert all(each["id"] in several.err for each in twins)
    refused = await run_command(capsys, small_live, "agents", "apply", "-f", str(file))
    assert "agents.yaml:1: several agents are called 'twin'" in refused.err
    file.write_text(f"id: {twins[0]['id']}\nname: only\n")
    assert (await run_command(capsys, small_live, "agents", "apply", "-f", str(file))).code == 0
    assert twins[1]["id"] in (await run_command(capsys, small_live, "agents", "show", "twin", "--json")).out
    for name in ("none", "01a206ba-da91-7460-b9a9-ac8706ae2953"):
        assert (await run_command(capsys, small_live, "agents", "show", name)).err.startswith("There is no agent ")

    alice = (await small_live.container.keys.create("alice", "tests"))["key"]
    assert (await run_command(capsys, small_live, "agents", "list", key=alice)).err.startswith("There are no agents.")
    wrong = await run_command(capsys, small_live, "agents", "list", key="aia_wrong")
    assert wrong == (1, "", "The service refused: This API key or token is not known here, or has expired.")


async def test_providers_are_made_checked_listed_and_removed(
    small_live: Live, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOUSE_KEY", "sk-house")
    add = ("providers", "add", "house", "--base-url", "http://127.0.0.1:9/v1", "--default-model", "qwen3")

    wrong = await run_command(capsys, small_live, *add, "--type", "nope")
    assert wrong == (1, "", "The service refused: A type is one of anthropic, gemini, ollama, openai.")
    assert (await run_command(capsys, small_live, *add, "--type", "openai", "--api-key-from", "NO_KEY")).code == 2
    made = await run_command(capsys, small_live, *add, "--type", "openai", "--api-key-from", "HOUSE_KEY")
    assert made.code == 0, made.err
    listed = json.loads((await run_command(capsys, small_live, "providers", "list", "--json")).out)
    assert {each["name"]: each["default_model"] for each in listed}["house"] == "qwen3"
    checked = await run_command(capsys, small_live, "providers", "check", "house")
    assert (checked.code, checked.out) == (1, "")
    assert checked.err.startswith("house does not work: ")
    assert (await run_command(capsys, small_live, "providers", "check", "echo")).out.startswith("ok  echo answered ")
    assert "echo" in (await run_command(capsys, small_live, "providers", "models", "echo")).out
    assert (await run_command(capsys, small_live, "providers", "remove", "house")).code == 0
    gone = await run_command(capsys, small_live, "providers", "remove", "house")
    assert gone == (1, "", "The service refused: There is no such provider.")
