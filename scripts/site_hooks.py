"""What mkdocs does beyond its configuration: pages of the root, files of the code that pages link, and the decisions.

The pages link each other as files of the repository, so that they can be read there, too.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
# Pages that are outside of docs/, and how they are called in the site.
OTHERS = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "promises.md",
    "examples/README.md": "examples.md",
    "docs/decisions": "decisions/index.md",
    "docs": "index.md",
}
_LINK = re.compile(r"(\]\()([^)\s]+)(\))")
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def on_config(config: Any) -> Any:
    """Each decision is in the navigation below their index."""
    section = next(entry["Decisions"] for part in config.nav for entry in _entries(part) if "Decisions" in entry)
    section += [f"decisions/{path.name}" for path in sorted((DOCS / "decisions").glob("[0-9]*.md"))]
    return config


def _entries(part: dict[str, list[Any]]) -> Iterator[dict[str, Any]]:
    for entries in part.values():
        yield from (entry for entry in entries if isinstance(entry, dict))


def on_files(files: Any, config: Any) -> Any:
    """The pages of the root, and as texts all other files that pages link."""
    from mkdocs.structure.files import File

    for name, uri in OTHERS.items():
        if (ROOT / name).is_file() and not (DOCS / uri).exists():
            files.append(File.generated(config, uri, abs_src_path=str(ROOT / name)))
    linked = {_in_site(target) for page in _pages() for target in _targets(page)}
    for uri, path in sorted((uri, path) for uri, path in linked if uri.startswith("source/")):
        files.append(File.generated(config, uri, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links lead to where their files are in the site."""
    source, uri = Path(page.file.abs_src_path), page.file.src_uri

    def moved(link: re.Match[str]) -> str:
        target = _target(source, link[2])
        if target is None:
            return link[0]
        anchor = link[2].partition("#")[2]
        place = "../" * uri.count("/") + _in_site(target)[0]
        return f"{link[1]}{place}{f'#{anchor}' if anchor else ''}{link[3]}"

    if uri == "decisions/index.md":
        markdown += "\n\n" + "\n".join(_decisions())
    parts, end = [], 0
    for fence in _FENCE.finditer(markdown):
        parts += [_LINK.sub(moved, markdown[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, _LINK.sub(moved, markdown[end:])])


def _decisions() -> Iterator[str]:
    for path in sorted((DOCS / "decisions").glob("[0-9]*.md")):
        number, _, title = path.read_text(encoding="utf-8").split("\n")[0].removeprefix("# ").partition(". ")
        yield f"{int(number)}. [{title}]({path.name})"


def _pages() -> Iterator[Path]:
    yield from DOCS.rglob("*.md")
    yield from (ROOT / name for name in OTHERS if (ROOT / name).is_file())


def _targets(page: Path) -> Iterator[Path]:
    for link in _LINK.finditer(_FENCE.sub("", page.read_text(encoding="utf-8"))):
        target = _target(page, link[2])
        if target is not None:
            yield target


def _target(page: Path, link: str) -> Path | None:
    """The file of the repository that a link leads to; None for an address, or a place in the same page."""
    path = link.partition("#")[0]
    if not path or "://" in path or path.startswith(("/", "mailto:")):
        return None
    target = (page.parent / path).resolve()
    return target if target.exists() else None


def _in_site(target: Path) -> tuple[str, Path]:
    """Where a file of the repository is in the site."""
    name = target.relative_to(ROOT).as_posix()
    if name in OTHERS:
        return OTHERS[name], target
    if target.is_relative_to(DOCS):
        return target.relative_to(DOCS).as_posix(), target
    # As a text, which browsers show; names that begin with a dot are left out by mkdocs.
    return f"source/{name.lstrip('.')}.txt", target
