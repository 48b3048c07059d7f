"""The Python of a page, run from top to bottom as a reader would paste it."""

import ast
import inspect
import re
from pathlib import Path
from types import CodeType
from typing import Any


def snippets_of(page: Path) -> list[str]:
    """The page's blocks of Python, in their order."""
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


async def run_snippet(snippet: str, names: dict[str, Any]) -> None:
    """Execute a snippet that may await at its top level."""
    code: CodeType = compile(snippet, "<docs>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(code, names)  # the docs are ours
    if inspect.isawaitable(result):
        await result
