"""The page's files: what is vendored, how large a visit is, and how they are served."""

import hashlib
import json
import re
from pathlib import Path

import httpx
import pytest

from app.console.assets import modules_of, read_assets
from tests.page.support.site import Site

CONSOLE = Path(__file__).parents[2] / "app" / "console"
OWN = [path for path in CONSOLE.rglob("*") if path.suffix in {".js", ".css", ".html"} and "vendor" not in path.parts]
# What a visit to the chat loads, compressed.
MAX_VISIT_BYTES = 76_000


def test_what_is_vendored_is_what_the_list_says() -> None:
    listed = json.loads((CONSOLE / "vendor" / "vendor.json").read_text())["libraries"]
    hashes = {file["file"]: file["sha256"] for library in listed for file in library["files"]}
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (CONSOLE / "vendor").iterdir()}

    # The door to Preact is the project's own, and the list does not list itself.
    assert found.keys() - hashes.keys() == {"preact.js", "vendor.json"}
    assert {name: found[name] for name in hashes} == hashes
    for library in listed:
        assert library["version"]
        assert library["licence"]
        assert any(file["file"].endswith(".LICENSE") for file in library["files"]), f"{library['name']} has no licence"


def test_no_text_becomes_html_or_code() -> None:
    ways = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|dangerouslySetInnerHTML|document\.write|\beval\(|new Function"
    )
    assert [str(path) for path in OWN if ways.search(path.read_text())] == []


def test_nothing_inline_stands_in_the_pages() -> None:
    for path in CONSOLE.glob("*.html"):
        text = path.read_text()
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", text), path.name


async def test_a_visit_to_the_chat_is_small(site: Site) -> None:
    async with httpx.AsyncClient(base_url=site.url, headers={"accept-encoding": "gzip"}) as client:
        page = await client.get("/")
        sizes = {"/": int(page.headers["content-length"])}
        for address in set(re.findall(r'"(/assets/[^"]+)"', page.text)):
            sizes[address] = int((await client.get(address)).headers["content-length"])

    assert sum(sizes.values()) <= MAX_VISIT_BYTES, sorted(sizes.items(), key=lambda each: -each[1])[:10]


def test_each_module_that_is_imported_is_there() -> None:
    assets = read_assets()
    for name in assets:
        if name.startswith("js/"):
            modules_of(assets, name)


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
async def test_assets_are_kept_for_ever_under_their_version(site: Site, encoding: str) -> None:
    async with httpx.AsyncClient(base_url=site.url, headers={"accept-encoding": encoding}) as client:
        page = await client.get("/")
        assert page.headers["cache-control"] == "no-cache"
        entry = re.findall(r'"(/assets/[^"]+/js/main.js)"', page.text)[-1]
        version = entry.split("/")[2]
        answer = await client.get(entry)
        again = await client.get(f"/assets/{version}/js/main.js", headers={"if-none-match": answer.headers["etag"]})
        unversioned = await client.get("/assets/js/main.js")
        of_another = await client.get("/assets/000000000000/js/main.js")
        outside = await client.get(f"/assets/{version}/%2e%2e/__init__.py")

    assert answer.text == unversioned.text == read_assets()["js/main.js"].content.decode()
    assert answer.headers.get("content-encoding", "identity") == encoding
    assert "immutable" in answer.headers["cache-control"]
    assert (again.status_code, again.content) == (304, b"")
    assert unversioned.headers["cache-control"] == "no-cache"
    assert of_another.status_code == outside.status_code == 404
