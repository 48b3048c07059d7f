"""Pictures of the page for the docs, and a long look at the frame in each size."""

import pytest
from playwright.async_api import expect

from tests.page.support.site import Site
from tests.page.support.visits import DESK, PHONE, TABLET, Visits, check_accessible, check_fits, take_picture

pytestmark = pytest.mark.long

TALKS = {
    "A week in Lisbon": ("Plan a week in Lisbon for two.", "Day 1: Alfama and the castle, then dinner by the river."),
    "TCP and QUIC": ("What is the difference between TCP and QUIC?", "QUIC runs on UDP and encrypts from the start."),
    "Zwetschgendatschi": ("Wie backe ich Zwetschgendatschi?", "Hefeteig, Zwetschgen und etwas Zimt."),
    "رحلة إلى القاهرة": ("خطة رحلة إلى القاهرة", "اليوم الأول: المتحف المصري."),
    "Why the query is slow": ("Why is this query slow?", "It reads the whole table: an index on the day would help."),
}


@pytest.mark.parametrize("size", [PHONE, TABLET, DESK])
async def test_search_and_the_list_of_chats_fit_every_screen(site: Site, visit: Visits, size: tuple[int, int]) -> None:
    alice = await site.person(user_id=f"alice-{size[0]}")
    agent = await alice.agent(provider="echo")
    for title, said in TALKS.items():
        await alice.thread(agent["id"], *said, title=title)
    page = await visit(alice, "/search?q=the", size=size)
    await expect(page.get_by_role("main").get_by_role("link", name="Why the query is slow").first).to_be_visible()
    await check_fits(page)
    await check_accessible(page)
    if size == DESK:
        await take_picture(page, "search")
        await page.get_by_role("button", name="Hide the sidebar").click()
        await expect(page.get_by_role("navigation", name="Main")).to_be_hidden()
        await page.get_by_role("button", name="Show the sidebar").click()
    if size == PHONE:
        await page.get_by_role("button", name="Show the sidebar").click()
    await expect(page.get_by_role("region", name="Chats").get_by_role("link")).to_have_count(len(TALKS))
    await check_accessible(page)
    await check_fits(page)


async def test_the_sign_in_fits_every_screen(site: Site, visit: Visits) -> None:
    for size in (PHONE, TABLET, DESK):
        page = await visit(None, size=size)
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        await check_fits(page)
        await check_accessible(page)


async def test_the_list_is_used_by_keys_alone(site: Site, visit: Visits) -> None:
    alice = await site.person()
    agent = await alice.agent(provider="echo")
    for number in range(3):
        await alice.thread(agent["id"], "Hello", "Hello", title=f"Chat {number}")
    page = await visit(alice, "/search")
    links = page.get_by_role("region", name="Chats").get_by_role("link")
    await expect(links).to_have_count(3)
    await page.get_by_role("link", name="Skip to the content").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("main")).to_be_focused()

    await links.first.focus()
    await page.keyboard.press("ArrowDown")
    await expect(links.nth(1)).to_be_focused()
    await page.keyboard.press("End")
    await expect(links.nth(2)).to_be_focused()
    await page.keyboard.press("F2")
    await expect(page.get_by_role("textbox", name="Name of the chat")).to_be_focused()
    await page.keyboard.press("Escape")
    await links.first.focus()
    await page.keyboard.press("Enter")
    await expect(page).to_have_title("Chat 2 · AI Agents")
    await page.keyboard.press("Control+Shift+O")
    await expect(page).to_have_title("New chat · AI Agents")


async def test_a_tab_that_is_hidden_for_long_lets_one_lead_that_is_seen(site: Site, visit: Visits) -> None:
    alice = await site.person()
    agent = await alice.agent(provider="echo")
    first = await visit(None)
    asked: list[str] = []
    first.context.on("request", lambda request: asked.append(request.url) if "/events?" in request.url else None)
    await first.context.clock.install()
    await first.get_by_label("API key or token").fill(alice.key)
    await first.get_by_role("button", name="Sign in").click()
    await expect(first.get_by_text("Chats will be listed here")).to_be_visible()
    second = await visit.tab(first.context, "/search")
    await expect(second.get_by_text("Chats will be listed here")).to_be_visible()
    assert len(asked) == 1

    await first.evaluate(
        "Object.defineProperty(document, 'visibilityState', { value: 'hidden', configurable: true });"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    async with second.expect_request(lambda request: "/events?" in request.url):
        await first.clock.fast_forward(61_000)
    await alice.thread(agent["id"], title="Seen by the second")
    await expect(second.get_by_role("region", name="Chats").get_by_role("link")).to_contain_text(["Seen by the second"])
    # One for the new leader; another one where it began before its own clock jumped, as after a sleep.
    streams = len(asked)
    assert streams in (2, 3)
    await first.evaluate(
        "Object.defineProperty(document, 'visibilityState', { value: 'visible', configurable: true });"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    await expect(first.get_by_role("region", name="Chats").get_by_role("link")).to_contain_text(["Seen by the second"])
    assert len(asked) == streams
