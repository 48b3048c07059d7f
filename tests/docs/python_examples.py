"""The Python of a page, run from top to bottom as a reader would paste it."""

import ast
import inspect
from pathlib import Path
from types import CodeType
from typing import Any

from tests.docs.examples import FENCE, NOT_RUN


def snippets_of(page: Path) -> list[str]:
    """The page's blocks of Python, in their order, without those that are marked as not run."""
    return [
        fence["body"]
        for fence in FENCE.finditer(page.read_text(encoding="utf-8"))
        if fence["language"] == "python" and not (fence["mark"] or "").startswith(NOT_RUN)
    ]


async def run_snippet(snippet: str, names: dict[str, Any]) -> None:
    """Execute a snippet that may await at its top level."""
    code: CodeType = compile(snippet, "<docs>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(code, names)  # the docs are ours
    if inspect.isawaitable(result):
        await result
