"""The context inspector: what the model is sent of a thread, and what it would be sent otherwise."""

import pytest
from playwright.async_api import expect

from tests.page.support.site import Site
from tests.page.support.visits import Visits, check_accessible, check_fits


async def test_a_person_sees_what_the_model_is_sent_and_why_the_rest_is_not(site: Site, visit: Visits) -> None:
    alice = await site.person()
    agent = await alice.agent(
        provider="echo", system_prompt="Be brief.", tools=["calculator"], memory={"strategy": "last_n", "n": 4}
    )
    said = [f"{'Question' if number % 2 == 0 else 'Answer'} {number // 2 + 1}" for number in range(10)]
    thread = await alice.thread(agent["id"], *said)
    page = await visit(alice, f"/threads/{thread['id']}/context", size=(360, 740))

    await expect(page.get_by_text("left out: the memory does not choose them")).to_be_visible()
    await expect(page.get_by_text("Answer 5", exact=True)).to_be_visible()
    left_out = page.get_by_text("messages left out")
    await expect(page.get_by_text("Question 1", exact=True)).not_to_be_visible()
    await left_out.click()
    await expect(page.get_by_text("Question 1", exact=True)).to_be_visible()
    tokens = page.get_by_role("list", name="Tokens of the request")
    for piece in ("System prompt", "Tools", "Messages", "Free", "Kept for the answer"):
        await expect(tokens.get_by_text(piece)).to_be_visible()
    await page.get_by_label("Memory", exact=True).select_option("token_window")
    await page.get_by_role("button", name="Compare").click()
    row = page.get_by_role("row").filter(has_text="Messages sent")
    await expect(row).to_contain_text("10")
    await expect(page.get_by_role("row").filter(has_text="Left out")).to_contain_text("0")
    await check_fits(page)
    await check_accessible(page)


@pytest.mark.long
async def test_beside_the_chat_it_follows_what_is_said(site: Site, visit: Visits) -> None:
    alice = await site.person()
    agent = await alice.agent(provider="echo", memory={"strategy": "last_n", "n": 4})
    thread = await alice.thread(agent["id"], "One", "Two")
    page = await visit(alice, f"/threads/{thread['id']}", size=(1440, 900))
    await page.get_by_role("button", name="What the model is sent").click()
    panel = page.get_by_role("complementary", name="What the model is sent")
    await expect(panel.get_by_text("All 2 messages of the chat are sent.")).to_be_visible()
    await page.get_by_role("textbox", name="Message").fill("Three")
    await page.keyboard.press("Enter")
    await expect(panel.get_by_text("All 4 messages of the chat are sent.")).to_be_visible()
    await check_accessible(page)
    await panel.get_by_role("button", name="Close").click()
    await expect(panel).to_have_count(0)

    await page.get_by_role("button", name="What to do with the chat").click()
    await page.get_by_role("menuitem", name="Share").click()
    await expect(page.get_by_role("dialog").get_by_label(f"Role of {alice.user_id}")).to_have_value("owner")
