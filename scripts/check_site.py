"""Check a built site: no page asks another host for anything, and every file that a page asks for is there."""

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# Elements that make a browser ask for an address by themselves, with the attribute that has it.
_ASKS = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "audio": "src",
    "video": "src",
    "embed": "src",
    "input": "src",
    "object": "data",
    "link": "href",
    "use": "href",
    "image": "href",
}
# `link`s that are addresses for people and search engines.
_NOT_ASKED = {"canonical", "next", "prev", "author", "license"}
_IN_STYLE = re.compile(r"""(?:url\(|@import)\s*["']?([^"')\s]+)""")


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.diagrams = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "link" and set(given.get("rel", "").split()) & _NOT_ASKED:
            return
        if tag in _ASKS and (address := given.get(_ASKS[tag])):
            self.asked.append(address)
        self.asked += _IN_STYLE.findall(given.get("style", ""))
        self.diagrams |= "mermaid" in given.get("class", "").split()


def faults_of(site: Path) -> Iterator[str]:
    """A line for each address elsewhere, and each file that is missing."""
    for path in sorted(site.rglob("*.html")):
        page = _Page()
        page.feed(path.read_text(encoding="utf-8"))
        yield from _wrong(site, path, page.asked)
        if page.diagrams:
            yield f"{path.relative_to(site)}: a mermaid diagram, whose program would come from another host"
    for path in sorted(site.rglob("*.css")):
        yield from _wrong(site, path, _IN_STYLE.findall(path.read_text(encoding="utf-8")))


def _wrong(site: Path, page: Path, addresses: list[str]) -> Iterator[str]:
    for address in addresses:
        parts = urlsplit(address)
        if parts.scheme == "data" or not (parts.path or parts.netloc):
            continue
        if parts.scheme or parts.netloc:
            yield f"{page.relative_to(site)}: asks {address}"
        elif (
            not (site if parts.path.startswith("/") else page.parent).joinpath(unquote(parts.path).lstrip("/")).exists()
        ):
            yield f"{page.relative_to(site)}: {address} is missing"


if __name__ == "__main__":
    found = list(faults_of(Path(sys.argv[1])))
    sys.exit("\n".join(found) or None)
