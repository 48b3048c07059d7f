"""Signing in and out."""

from playwright.async_api import expect

from tests.page.support.site import Site
from tests.page.support.visits import Visits, check_accessible


async def test_a_person_signs_in_with_a_key_and_out_again_in_every_tab(site: Site, visit: Visits) -> None:
    alice = await site.person()
    page = await visit(None)
    await check_accessible(page)

    await page.get_by_label("API key or token").fill("no-key-of-this-service")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_text("This key is not known")).to_be_visible()
    assert "401" in visit.complaints.pop()

    await page.get_by_label("API key or token").fill(f" {alice.key} ")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_text(alice.user_id)).to_be_visible()
    assert await page.evaluate("Object.keys(localStorage).includes('ai-agents.credential')") is False

    other = await visit.tab(page.context)
    await expect(other.get_by_text(alice.user_id)).to_be_visible()

    await other.get_by_role("button", name="Your account").click()
    await other.get_by_role("menuitem", name="Sign out").click()
    for tab in (other, page):
        await expect(tab.get_by_role("heading", name="Sign in")).to_be_visible()
        assert await tab.evaluate("[...Object.keys(localStorage), ...Object.keys(sessionStorage)]") == []
