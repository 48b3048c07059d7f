"""People's browsers: who is signed in, where they look, and what must not happen meanwhile."""

import json
import os
from pathlib import Path
from typing import Literal

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect

from tests.page.support.site import Person, Site

# `make page`: the long tests too, and the pictures of the docs.
PAGE = os.environ.get("PAGE") == "1"
IMAGES = Path(__file__).parents[3] / "docs" / "images"
PHONE, TABLET, DESK = (360, 740), (800, 900), (1280, 800)
_MAX_PICTURE_BYTES = 200_000
# A machine that runs other tests may be slow.
_TIMEOUT_MS = 60_000
expect.set_options(timeout=_TIMEOUT_MS)

# Colours change in a transition: its end, after the frame in which it begins.
_COLOURS_ARE_THERE = """() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => {
  const changing = document.getAnimations().filter((each) => each instanceof CSSTransition);
  Promise.allSettled(changing.map((each) => each.finished)).then(() => done());
})))"""


class Visits:
    """The visits of one test. `complaints` is what their pages complained of, which must be empty at the end.

    A test that expects a complaint (an answer 401, say) removes it.
    """

    def __init__(self, browser: Browser, site: Site) -> None:
        self.complaints: list[str] = []
        self._browser = browser
        self._site = site
        self._contexts: list[BrowserContext] = []
        self._allowed: tuple[str, ...] = (site.url, "data:", "blob:")

    def at(self, site: Site, *, also: str | None = None) -> "Visits":
        """Visits to another service, which end and complain with these. Pages may ask the address `also`."""
        others = Visits(self._browser, site)
        others._allowed += () if also is None else (also,)
        others.complaints, others._contexts = self.complaints, self._contexts
        return others

    async def __call__(
        self,
        person: Person | None,
        path: str = "/",
        *,
        size: tuple[int, int] = DESK,
        mode: Literal["light", "dark"] = "light",
        locale: str = "en-GB",
        link: str | None = None,
    ) -> Page:
        """A browser of its own at this route (`/agents`), signed in for the person, if there is one.

        `link` is a whole address instead of the route.
        """
        context = await self._browser.new_context(
            base_url=self._site.url,
            viewport={"width": size[0], "height": size[1]},
            color_scheme=mode,
            locale=locale,
            reduced_motion="reduce",
        )
        context.set_default_timeout(_TIMEOUT_MS)
        self._contexts.append(context)
        if person is not None:
            kept = json.dumps({"value": person.key, "kind": "secret", "kept": True})
            # Once, so that a sign-out lasts over the next load.
            await context.add_init_script(
                "if (!localStorage.getItem('ai-agents.test')) { localStorage.setItem('ai-agents.test', '1');"
                f"localStorage.setItem('ai-agents.credential', {json.dumps(kept)}); }}"
            )
        return await self.tab(context, path, link=link)

    async def tab(self, context: BrowserContext, path: str = "/", *, link: str | None = None) -> Page:
        """One more tab of a browser (`page.context`)."""
        page = await context.new_page()
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("request", self._look)
        await page.goto(link or f"{self._site.url}/#{path}")
        await page.locator(".boot").wait_for(state="detached")
        return page

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text}")

    def _look(self, request: Request) -> None:
        if not request.url.startswith(self._allowed):
            self.complaints.append(f"asked elsewhere: {request.url}")

    async def end(self) -> None:
        """Close what is open."""
        for context in self._contexts:
            await context.close()


async def check_accessible(page: Page) -> None:
    """Look at the page with axe-core, in light and, for its colours, in dark."""
    modes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for mode in modes:
        await page.emulate_media(color_scheme=mode)
        await page.evaluate(_COLOURS_ARE_THERE)
        # It is half a megabyte, which a page reads once.
        axe = Axe("null") if await page.evaluate("'axe' in window") else Axe()
        rules = {"runOnly": ["color-contrast"]} if mode == "dark" else {}
        found = await axe.run(page, options={"resultTypes": ["violations"], **rules})
        told = [
            f"{mode}: {each['id']} ({each['impact']}): {each['help']}\n"
            + "\n".join(
                f"    {node['html'][:300]}  {node.get('failureSummary', '')[:400]}" for node in each["nodes"][:5]
            )
            for each in found.response["violations"]
        ]
        assert not told, "\n".join(told)
    await page.emulate_media(color_scheme="light")


async def check_fits(page: Page) -> None:
    """Nothing is wider than the window, nor than the part of it in which the view scrolls."""
    wide = await page.evaluate(
        "[document.scrollingElement, ...document.querySelectorAll('.view')]"
        ".map((box) => box.scrollWidth - box.clientWidth)"
    )
    assert max(wide) <= 0, f"{max(wide)} px beyond the window"


async def take_picture(page: Page, name: str) -> None:
    """A picture for the docs: `docs/images/<name>.png`. Only in `make page`."""
    if not PAGE:
        return
    IMAGES.mkdir(exist_ok=True)
    path = IMAGES / f"{name}.png"
    await page.screenshot(path=path, animations="disabled", caret="hide")
    assert path.stat().st_size <= _MAX_PICTURE_BYTES, f"{name}: {path.stat().st_size} bytes"
