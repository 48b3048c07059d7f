"""Signing in and out."""

import re

from playwright.async_api import expect

from tests.page.support.site import Site
from tests.page.support.visits import Visits, check_accessible


async def test_a_person_signs_in_with_a_key_and_out_again_in_every_tab(site: Site, visit: Visits) -> None:
    alice = await site.person()
    page = await visit(None)
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
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


async def test_the_link_that_the_start_prints_signs_in_and_ends(site: Site, visit: Visits) -> None:
    link = re.search(r"  page +(\S+)", site.replica.log_path.read_text())
    assert link is not None
    token = link[1].partition("#token=")[2]
    page = await visit(None, link=link[1])

    await expect(page.get_by_text("admin", exact=True)).to_be_visible()
    await expect(page.get_by_text("There is nothing at this address")).to_have_count(0)
    await expect(page).to_have_title(re.compile("New chat"))
    assert token not in await page.evaluate("JSON.stringify([location.href, localStorage, history.length])")
    answer = await site.admin.api.get("/me", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 200  # for ten minutes, for another browser of this machine
    other = await visit(None, link=link[1])
    await expect(other.get_by_text("admin", exact=True)).to_be_visible()
    assert "403" in visit.complaints.pop()  # the key is renewed once

    kept = await page.evaluate("JSON.parse(localStorage.getItem('ai-agents.credential')).value")
    key = next(each for each in (await site.admin.get("/keys", limit="100"))["data"] if kept.startswith(each["prefix"]))
    assert (key["name"], key["user_id"], key["admin"]) == ("page", "admin", True)
    await site.admin.api.delete(f"/keys/{key['id']}")
    spent = await visit(None, link=link[1])
    await expect(spent.get_by_text("This link has been used")).to_be_visible()
    visit.complaints.clear()
