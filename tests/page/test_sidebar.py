"""The sidebar: chats by last activity, as they happen, in every tab; search; the drawer of a phone."""

import pytest
from playwright.async_api import Locator, Page, expect

from tests.conftest import fresh_sqlite
from tests.page.support.site import Site, open_site
from tests.page.support.visits import PHONE, Visits, check_accessible, check_fits
from tests.support.shared import SharedDirectory


def chats(page: Page) -> Locator:
    return page.get_by_role("region", name="Chats").get_by_role("link")


async def test_chats_move_as_things_happen_over_one_stream_for_all_tabs(site: Site, visit: Visits) -> None:
    alice = await site.person()
    agent = await alice.agent(provider="echo")
    first = await alice.thread(agent["id"], title="The first")
    await alice.thread(agent["id"], title="The second")
    streams: list[str] = []
    page = await visit(alice)
    page.context.on("request", lambda request: streams.append(request.url) if "/events?" in request.url else None)
    await expect(chats(page)).to_contain_text(["The second", "The first"])
    other = await visit.tab(page.context)
    await expect(chats(other)).to_contain_text(["The second", "The first"])

    await alice.make(f"/threads/{first['id']}/messages", {"content": "Good morning"})
    for tab in (page, other):
        await expect(chats(tab).first).to_contain_text("Good morning")
        await expect(chats(tab)).to_contain_text(["The first", "The second"])
    assert len(streams) <= 1  # the other tab hears by the first

    await page.close()
    await alice.thread(agent["id"], title="The third")
    await expect(chats(other)).to_contain_text(["The third", "The first", "The second"])
    await alice.api.delete(f"/threads/{first['id']}")
    await expect(chats(other)).to_contain_text(["The third", "The second"])
    await expect(chats(other)).to_have_count(2)


async def test_a_chat_is_renamed_and_deleted_in_the_list(site: Site, visit: Visits) -> None:
    alice = await site.person()
    agent = await alice.agent(provider="echo")
    thread = await alice.thread(agent["id"], "Hello", "Hello to you", title="A name")
    page = await visit(alice, "/search")

    await page.get_by_role("button", name="More for A name").click()
    await page.get_by_role("menuitem", name="Rename").click()
    await expect(page.get_by_role("textbox", name="Name of the chat")).to_be_focused()
    await page.keyboard.type("A better")
    other = await alice.thread(agent["id"], title="Another")
    await expect(page.get_by_role("region", name="Chats")).to_contain_text("Another")
    await page.keyboard.type(" name")
    # The list is quicker than the service.
    async with page.expect_response(lambda answer: answer.request.method == "PATCH"):
        await page.keyboard.press("Enter")
    await expect(chats(page)).to_contain_text(["Another", "A better name"])
    assert (await alice.get(f"/threads/{thread['id']}"))["title"] == "A better name"

    await chats(page).first.focus()
    await page.get_by_role("button", name="More for A better name").click()
    await page.get_by_role("menuitem", name="Delete").click()
    async with page.expect_response(lambda answer: answer.request.method == "DELETE"):
        await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(chats(page)).to_have_count(1)
    assert (await alice.api.get(f"/threads/{thread['id']}")).status_code == 404
    await alice.api.delete(f"/threads/{other['id']}")
    await expect(page.get_by_text("Chats will be listed here")).to_be_visible()


async def test_search_finds_messages_and_marks_the_words(site: Site, visit: Visits) -> None:
    alice = await site.person()
    agent = await alice.agent(provider="echo")
    thread = await alice.thread(agent["id"], "Where do 🐧🐧 pelicans nest?", "On islands.", title="Birds")
    page = await visit(alice)
    await expect(chats(page)).to_contain_text(["Birds"])
    await page.keyboard.press("Control+k")
    await expect(page).to_have_title("Search · AI Agents")

    await expect(page.get_by_role("searchbox")).to_be_focused()
    await page.keyboard.type("pelicans")
    hit = page.get_by_role("main").get_by_role("link", name="Birds")
    await expect(hit.locator("mark")).to_have_text("pelicans")
    await page.keyboard.press("ArrowDown")
    await expect(hit).to_be_focused()
    message = (await alice.get(f"/threads/{thread['id']}/messages"))["data"][0]
    assert await hit.get_attribute("href") == f"#/threads/{thread['id']}?message={message['id']}"
    await check_accessible(page)

    await page.get_by_role("searchbox").fill("albatross")
    await expect(page.get_by_text("Nothing found")).to_be_visible()


async def test_on_a_phone_the_sidebar_is_a_drawer(site: Site, visit: Visits) -> None:
    alice = await site.person()
    agent = await alice.agent(provider="echo")
    await alice.thread(agent["id"], title="A chat with a name that is much too long for a phone of this width" * 2)
    page = await visit(alice, "/search", size=PHONE)
    await check_fits(page)

    await page.get_by_role("button", name="Show the sidebar").click()
    await expect(chats(page)).to_have_count(1)
    await check_accessible(page)
    await check_fits(page)
    await page.keyboard.press("Escape")
    await expect(chats(page)).to_have_count(0)


async def test_a_service_that_is_away_is_told_and_the_list_is_right_when_it_is_back(
    visit: Visits, shared_directory: SharedDirectory, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("own")
    async with open_site(directory, fresh_sqlite(shared_directory, directory)) as site:
        alice = await site.person()
        agent = await alice.agent(provider="echo")
        page = await visit.at(site)(alice, "/search")
        await expect(page.get_by_text("Chats will be listed here")).to_be_visible()

        site.replica.kill()
        await expect(page.get_by_text("The service does not answer")).to_be_visible()
        await site.replica.start()
        await alice.thread(agent["id"], title="Made meanwhile")
        await expect(chats(page)).to_contain_text(["Made meanwhile"])
        await expect(page.get_by_text("The service does not answer")).to_have_count(0)
        await page.close()
    # What was open when the service died.
    assert all("net::ERR_" in complaint for complaint in visit.complaints)
    visit.complaints.clear()
