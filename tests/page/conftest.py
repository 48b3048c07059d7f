"""Fixtures of the page's tests: Chromium and a running service, one of each for a process of the run.

A test takes `site` (a service with a fake provider, and its people) and `visit` (their browsers):

    async def test_an_agent_is_made_in_a_form(site: Site, visit: Visits) -> None:
        alice = await site.person()
        page = await visit(alice, "/agents")
        await page.get_by_role("link", name="New agent").click()
        await expect(page.get_by_role("heading", name="New agent")).to_be_visible()

Things are found by role and name. At the end of a test no page may have complained, or asked another host for anything.
Tests that take long are marked `@long`: `make page` runs them, `make test` does not.
"""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, async_playwright

from tests.conftest import fresh_sqlite
from tests.page.support.site import Site, open_site
from tests.page.support.visits import PAGE, Visits
from tests.support.binaries import chromium_program
from tests.support.shared import SharedDirectory

_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out the long tests of the page, unless they are asked for."""
    if not PAGE:
        items[:] = [item for item in items if item.get_closest_marker("long") is None]


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """The browser of this process of the run."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium_program(), args=_ARGUMENTS)
        yield browser
        await browser.close()


@pytest.fixture(scope="session")
async def site(shared_directory: SharedDirectory, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """The service of this process of the run. A test that kills it opens its own: `open_site(tmp_path, sqlite_url)`."""
    directory = tmp_path_factory.mktemp("site")
    async with open_site(directory, fresh_sqlite(shared_directory, directory)) as opened:
        yield opened


@pytest.fixture
async def visit(chromium: Browser, site: Site) -> AsyncIterator[Visits]:
    """The browsers of the people of one test."""
    visits = Visits(chromium, site)
    yield visits
    await visits.end()
    assert not visits.complaints, "\n".join(visits.complaints)
