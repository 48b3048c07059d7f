"""The operations page: what a developer does in it."""

import gzip
import json
import re
from typing import Any, Literal

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Locator, Page, expect

from app.console.assets import read_assets
from tests.page.support.site import Site
from tests.page.support.visits import PHONE, Visits, check_fits

# What the page loads beside its own few files, compressed.
MAX_RENDERER_BYTES = 500_000


async def opened(page: Page) -> None:
    await page.goto("/docs")
    # The first one who asks for the document waits until it is built.
    await expect(page.get_by_role("button", name="Authorize").first).to_be_visible()


async def shorten(page: Page, site: Site, *paths: str) -> None:
    """Let the page see these paths alone: of all of them it makes a document that takes seconds to draw."""
    document = (await site.admin.api.get("/openapi.json")).json()
    document["paths"] = {path: document["paths"][path] for path in paths}
    schemas, wanted = document["components"]["schemas"], json.dumps(document["paths"])
    kept: dict[str, Any] = {}
    while missing := set(re.findall(r"#/components/schemas/([\w.-]+)", wanted)) - kept.keys():
        kept |= {name: schemas[name] for name in missing}
        wanted = json.dumps(kept)
    document["components"]["schemas"] = kept
    await page.route("**/openapi.json", lambda route: route.fulfill(json=document))


async def operation(page: Page, name: str) -> Locator:
    """An operation, opened: `get /me`."""
    block = page.locator(".opblock").filter(has=page.get_by_role("button", name=name, exact=True))
    await block.get_by_role("button", name=name, exact=True).click()
    await expect(block.get_by_role("button", name="Execute")).to_be_visible()
    return block


async def answer(block: Locator) -> Locator:
    await block.get_by_role("button", name="Execute").click()
    told = block.locator(".live-responses-table")
    await expect(told).to_be_visible()
    return told


async def test_operations_are_tried_with_a_key_that_the_tab_remembers(site: Site, visit: Visits) -> None:
    alice = await site.person()
    page = await visit(None)
    await shorten(page, site, "/me", "/agents")
    await opened(page)

    await page.get_by_role("button", name="Authorize").first.click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Value").fill(alice.key)
    await dialog.get_by_role("button", name="Apply credentials").click()
    await dialog.get_by_role("button", name="Close").first.click()
    me = await operation(page, "get /me")
    await expect(await answer(me)).to_contain_text(f'"user_id": "{alice.user_id}"')
    make = await operation(page, "post /agents")
    await make.get_by_role("textbox", name="Body").fill('{"name": "From the docs"}')
    await expect(await answer(make)).to_contain_text("201")
    assert [each["name"] for each in (await alice.get("/agents"))["data"]] == ["From the docs"]

    await opened(page)
    await expect(await answer(await operation(page, "get /me"))).to_contain_text(alice.user_id)
    assert await page.evaluate("Object.keys(localStorage).length") == 0


async def test_a_stream_shows_its_events_until_it_is_cleared(site: Site, visit: Visits) -> None:
    alice = await site.person()
    agent = await alice.agent(provider="echo")
    page = await visit(alice)  # signed in at the page: the operations take its key
    await opened(page)

    hints = await operation(page, "get /events")
    told = await answer(hints)
    thread = await alice.thread(agent["id"])
    await expect(told).to_contain_text(f'"thread_id":"{thread["id"]}"')
    await hints.get_by_role("button", name="Clear").click()
    await expect(told).to_have_count(0)

    await page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    await check_fits(page)


@pytest.mark.long
async def test_it_can_be_used_by_everybody(visit: Visits) -> None:
    page = await visit(None)
    await opened(page)
    await operation(page, "post /agents")
    modes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for mode in modes:
        await page.emulate_media(color_scheme=mode)
        await expect(page.locator("html")).to_have_class("dark-mode" if mode == "dark" else "")
        found = await Axe().run(page)
        # Of Swagger UI's own, headings that leave out a level and what is outside of its `main` remain.
        told = {each["id"]: [node["html"][:300] for node in each["nodes"]] for each in found.response["violations"]}
        assert told.keys() <= {"heading-order", "region"}, told


def test_the_renderer_is_no_larger_than_it_is_said_to_be() -> None:
    assets = read_assets()
    names = [name for name in assets if name.startswith("vendor/swagger-ui")]

    assert len(names) == 2
    assert sum(len(gzip.compress(assets[name].content, 9)) for name in names) <= MAX_RENDERER_BYTES
