"""Tools of installed packages."""

import logging
import sys
from pathlib import Path

import pytest

from ai_agents.tools.registry import ToolRegistry, load_tools

MODULE = """
from ai_agents import Tool

class Dice(Tool):
    name = "dice"
    description = "Rolls a die."

    async def execute(self):
        return 4

class Coin(Tool):
    name = "coin"

    def execute(self):
        return "heads"

class Card(Coin):
    name = "card"

coin = Coin()

def more():
    return [Card()]

def broken():
    raise RuntimeError("it does not work")

def leaving():
    raise SystemExit(3)

nothing = 7
"""
ENTRY_POINTS = """
[ai_agents.tools]
a_class = games_of_chance:Dice
an_object = games_of_chance:coin
a_function = games_of_chance:more
broken = games_of_chance:broken
leaving = games_of_chance:leaving
missing = games_of_chance:not_there
no_tool = games_of_chance:nothing
no_module = games_of_skill:tool
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed distribution, as pip installs one."""
    (tmp_path / "games_of_chance.py").write_text(MODULE)
    info = tmp_path / "games_of_chance-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: games-of-chance\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "games_of_chance", raising=False)


@pytest.mark.usefixtures("package")
def test_an_installed_package_adds_its_tools(caplog: pytest.LogCaptureFixture) -> None:
    registry = ToolRegistry()
    with caplog.at_level(logging.ERROR):
        assert sorted(load_tools(registry)) == ["card", "coin", "dice"]
    assert [tool.name for tool in registry.list_tools()] == ["calculator", "card", "coin", "dice"]
    # Each broken one is logged by its name, and the others still work.
    told = sorted(getattr(record, "tool", "").partition(" ")[0] for record in caplog.records)
    assert told == ["broken", "leaving", "missing", "no_module", "no_tool"]


@pytest.mark.usefixtures("package")
def test_loading_twice_changes_nothing() -> None:
    registry = ToolRegistry()
    load_tools(registry)
    load_tools(registry)
    assert len(registry.list_tools()) == 4
