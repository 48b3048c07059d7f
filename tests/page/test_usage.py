"""Usage as charts and tables, and what is left of limits."""

from playwright.async_api import expect

from tests.page.support.site import Site
from tests.page.support.visits import Visits


async def test_usage_is_read_by_day_and_by_agent_with_what_is_left_of_limits(site: Site, visit: Visits) -> None:
    person = await site.person()
    limits = await site.admin.api.put(f"/users/{person.user_id}/limits", json={"tokens_per_day": 1_000_000})
    assert limits.status_code == 200, limits.text
    agent = await person.agent(name="Echoing", provider="echo")
    thread = await person.thread(agent["id"])
    await person.make(f"/threads/{thread['id']}/messages", {"content": "Say this."})
    page = await visit(person, "/usage")

    # No price is known of the stand-in, and no one but the service counted its tokens.
    await expect(page.get_by_text("No call has a known price")).to_be_visible()
    await expect(page.get_by_text("Some tokens are estimated")).to_be_visible()
    await expect(page.get_by_text("of 1,000,000 used, begins anew")).to_be_visible()
    await expect(page.get_by_role("tab", name="By user")).to_have_count(0)

    # The chart is one stop of the tab key; arrows go from bar to bar.
    bars = page.get_by_role("group", name="Tokens by day").get_by_role("img")
    await expect(bars).to_have_count(30)
    await page.get_by_role("button", name="Calls", exact=True).focus()
    await page.keyboard.press("Tab")
    await expect(bars.last).to_be_focused()
    said = await bars.last.get_attribute("aria-label") or ""
    assert " in, " in said
    await expect(page.get_by_text(said.partition(": ")[2])).to_be_visible()
    await page.keyboard.press("ArrowLeft")
    await expect(bars.nth(28)).to_be_focused()

    await page.get_by_text("The same as a table").click()
    days = page.get_by_role("region", name="Usage by day").get_by_role("row")
    await expect(days).to_have_count(31)

    await page.get_by_role("tab", name="By agent").click()
    row = page.get_by_role("table", name="Usage by agent").get_by_role("row", name="Echoing")
    await expect(row.get_by_role("cell").last).to_have_text("price unknown")

    await page.get_by_role("button", name="7 days").click()
    await expect(bars).to_have_count(7)
    await page.get_by_role("button", name="Own").click()
    await page.get_by_label("From", exact=True).fill("2026-02-01")
    await page.get_by_label("To, included").fill("2026-01-01")
    await page.get_by_role("button", name="Show").click()
    await expect(page.get_by_role("alert").filter(has_text="The first day is after the last one.")).to_be_visible()
    await page.get_by_label("To, included").fill("2026-02-10")
    await page.get_by_role("button", name="Show").click()
    await expect(page.get_by_text("No model was called in these days")).to_be_visible()
