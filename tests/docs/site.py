"""The pages of the documentation, and how the code on each is tested."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


class _Loader(yaml.SafeLoader):
    """Reads mkdocs.yml. It names functions of Python, which are nothing to the navigation."""


_Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)
# Their shell is typed in one service, after the shell of the quick start (`test_shell.py`).
SHELL = ("api", "streaming", "providers", "memory", "attachments", "limits", "access", "security", "upgrades")
# Their shell is typed, and their Python run, by a test of their own.
SHELL_OF_ITS_OWN = ("cli", "tools")
PYTHON = ("client", "doors", "guardrails", "library", "moving", "tools")
QUICK_START = DOCS / "index.md"
# Pages of the root: how they are called in the site.
OF_ROOT = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md", "SECURITY.md": "promises.md"}


def page(name: str) -> Path:
    """The page of the docs with this name."""
    return DOCS / f"{name}.md"


def pages() -> list[Path]:
    """Every page that people read: of the site, and beside the code."""
    return [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), ROOT / "examples" / "README.md"]


def nav() -> list[str]:
    """The files that the site's navigation names, in its order."""

    def files(entries: list[Any]) -> Iterator[str]:
        for entry in entries:
            value = next(iter(entry.values())) if isinstance(entry, dict) else entry
            yield from files(value) if isinstance(value, list) else [value]

    configuration = yaml.load((ROOT / "mkdocs.yml").read_text(), _Loader)
    return list(files(configuration["nav"]))
