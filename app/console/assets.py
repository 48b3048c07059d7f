"""The page's files, read once: their types, their hashes, their compressed forms, and which modules load which."""

import gzip
import hashlib
import posixpath
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

_HERE = Path(__file__).parent
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
_IMPORT = re.compile(r"""^(?:import|export)\b(?!\()(?:[^;]*?\bfrom)?\s*["'](\.[^"']+)["'];""", re.MULTILINE)
# What is there for those who read the code: lines that are comments, and indentation.
_COMMENTS = {
    ".js": re.compile(r"^[ \t]*(?://[^\n]*|/\*\*.*?\*/[ \t]*)\n", re.MULTILINE | re.DOTALL),
    ".css": re.compile(r"^[ \t]*/\*.*?\*/[ \t]*\n", re.MULTILINE | re.DOTALL),
}
_AROUND_SIGNS = re.compile(r"\s*([{};])\s*")
_STYLESHEET = re.compile(r'<link rel="stylesheet" href="/assets/([^"]+)">')
_SHEET = "css/page.css"
_INDENTATION = re.compile(r"^[ \t]+", re.MULTILINE)
# Shorter texts become no shorter.
_WORTH_COMPRESSING = 300


@dataclass(frozen=True)
class Asset:
    """One file as it is sent."""

    media_type: str
    content: bytes

    @cached_property
    def etag(self) -> str:
        """The same for the same bytes."""
        return f'"{hashlib.sha256(self.content).hexdigest()[:20]}"'

    @cached_property
    def compressed(self) -> bytes | None:
        """By gzip; None where that does not help. Made when it is first asked for."""
        if len(self.content) < _WORTH_COMPRESSING:
            return None
        return gzip.compress(self.content, 9, mtime=0)


def read_assets() -> dict[str, Asset]:
    """All files that are served, by their paths below the console's folder."""
    files = sorted(path for path in _HERE.rglob("*") if path.suffix in _TYPES)
    assets = {str(path.relative_to(_HERE)): Asset(_TYPES[path.suffix], _content(path)) for path in files}
    return _with_one_stylesheet(assets)


def _with_one_stylesheet(assets: dict[str, Asset]) -> dict[str, Asset]:
    """The page's stylesheets as one file in its place: one request, and a quarter smaller when it is compressed."""
    page = assets["index.html"].content.decode()
    names = _STYLESHEET.findall(page)
    sheet = b"".join(assets[name].content for name in names)
    first, *others = [f'<link rel="stylesheet" href="/assets/{name}">\n' for name in names]
    for link in others:
        page = page.replace(link, "")
    page = page.replace(first, f'<link rel="stylesheet" href="/assets/{_SHEET}">\n')
    return {**assets, "index.html": Asset(_TYPES[".html"], page.encode()), _SHEET: Asset(_TYPES[".css"], sheet)}


def _content(path: Path) -> bytes:
    """What browsers get of a file."""
    comments = _COMMENTS.get(path.suffix)
    if comments is None or path.parent.name == "vendor":
        return path.read_bytes()
    text = _INDENTATION.sub("", comments.sub("", path.read_text()))
    return (_AROUND_SIGNS.sub(r"\1", text) if path.suffix == ".css" else text).encode()


def version_of(assets: dict[str, Asset]) -> str:
    """Changes when any file changes: it is in the address of each, so that browsers may keep them for ever."""
    digest = hashlib.sha256()
    for name, asset in assets.items():
        digest.update(f"{name} {asset.etag}\n".encode())
    return digest.hexdigest()[:12]


def modules_of(assets: dict[str, Asset], entry: str) -> list[str]:
    """The module and all that it imports, and what these import, without those that are loaded when a view is opened.

    A browser that is told of them at once does not learn of each by its importer.
    """
    found: list[str] = []
    waiting = [entry]
    while waiting:
        name = waiting.pop(0)
        if name in found:
            continue
        found.append(name)
        text = assets[name].content.decode()
        folder = posixpath.dirname(name)
        waiting += [posixpath.normpath(posixpath.join(folder, path)) for path in _IMPORT.findall(text)]
    return found
