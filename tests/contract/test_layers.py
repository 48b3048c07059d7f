"""A rule of the layers that import-linter cannot check: routers pass the container on and use nothing in it."""

import ast
from pathlib import Path

import pytest

import app.routers

ROUTERS = sorted(Path(app.routers.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("path", ROUTERS, ids=lambda path: path.stem)
def test_a_router_uses_nothing_of_the_container_itself(path: Path) -> None:
    used = [node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)]

    names = {each.id for each in used if isinstance(each, ast.Name)} | {
        each.attr for each in used if isinstance(each, ast.Attribute)
    }

    assert "container" not in names
