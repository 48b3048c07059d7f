"""What `ai_agents` shows of itself: its names, and how little it loads."""

import ast
import inspect
import pydoc
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import ai_agents
from ai_agents.core import exceptions

ROOT = Path(__file__).parents[2]
_LOADED = "import sys; before = set(sys.modules); import ai_agents; print(*sorted(set(sys.modules) - before))"


def test_importing_it_loads_nothing_but_itself() -> None:
    loaded = subprocess.run([sys.executable, "-c", _LOADED], capture_output=True, text=True, check=True).stdout.split()

    assert [name for name in loaded if name.partition(".")[0] not in sys.stdlib_module_names] == ["ai_agents"]
    assert len(loaded) < 40


def test_every_name_is_there_is_shown_and_is_known_to_type_checkers() -> None:
    assert set(dir(ai_agents)) >= set(ai_agents.__all__)
    for name in ai_agents.__all__:
        assert getattr(ai_agents, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'AgentRuner'"):
        ai_agents.AgentRuner  # type: ignore[attr-defined]  # noqa: B018

    tree = ast.parse(Path(ai_agents.__file__).read_text())
    for_checkers = next(node for node in tree.body if isinstance(node, ast.If))
    imported = {alias.name for node in for_checkers.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert imported | {"__version__"} == set(ai_agents.__all__)


def test_all_errors_are_among_them_and_in_the_picture() -> None:
    errors = {
        name for name, value in vars(exceptions).items() if inspect.isclass(value) and issubclass(value, Exception)
    }

    assert errors <= set(ai_agents.__all__)
    assert all(name in str(exceptions.__doc__) for name in errors)


def test_help_and_version_are_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert ai_agents.__version__ == project["version"]
    shown = pydoc.plain(pydoc.render_doc(ai_agents))
    for text in ("class AgentRunner", "connect(url: str", "docs/library.md", "tool(function"):
        assert text in shown
