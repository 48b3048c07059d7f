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

    # The stand-in has no known price, and reports no tokens: the service counted them.
    await expect(page.get_by_text("No call has a known price")).to_be_visible()
    await expect(page.get_by_text("Some tokens are estimated")).to_be_visible()
    await expect(page.get_by_text("of 1,000,000 used, resets")).to_be_visible()
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

    await page.get_by_text("Show as a table").click()
    days = page.get_by_role("region", name="Usage by day").get_by_role("row")
    await expect(days).to_have_count(31)

    await page.get_by_role("tab", name="By agent").click()
    row = page.get_by_role("table", name="Usage by agent").get_by_role("row", name="Echoing")
    await expect(row.get_by_role("cell").last).to_have_text("price unknown")

    await page.get_by_role("button", name="7 days").click()
    await expect(bars).to_have_count(7)
    await page.get_by_role("button", name="Other days").click()
    await page.get_by_label("From", exact=True).fill("2026-02-01")
    await page.get_by_label("To, included").fill("2026-01-01")
    await page.get_by_role("button", name="Show").click()
    await expect(page.get_by_role("alert").filter(has_text="The first day is after the last one.")).to_be_visible()
    await page.get_by_label("To, included").fill("2026-02-10")
    await page.get_by_role("button", name="Show").click()
    await expect(page.get_by_text("No model was called in these days")).to_be_visible()


async def test_numbers_are_said_as_people_read_them(site: Site, visit: Visits) -> None:
    page = await visit(None)
    said = await page.evaluate("""async () => {
        const numbers = await import("/assets/js/usage/numbers.js");
        const { leftOf } = await import("/assets/js/approvals/deadline.js");
        const { ticksFor } = await import("/assets/js/usage/bar_chart.js");
        const { periodFor } = await import("/assets/js/usage/range.js");
        return {
            money: ["12.345", "0.00123", "0"].map(numbers.formatMoney),
            none: numbers.formatMoney(null) === numbers.NONE,
            shares: [0, 0.004, 0.42, 1].map(numbers.formatShare),
            sizes: [1, 20480, 5e9].map(numbers.formatBytes),
            durations: [0.42, 42, 150, 7300, 200000].map(numbers.formatDuration),
            left: [-1, 12, 61, 7300].map(leftOf),
            ticks: [ticksFor(0.37), ticksFor(3, true), ticksFor(0)],
            unknown: periodFor({ from: "2026-02-31", to: "x", days: "8" }).days,
            own: periodFor({ from: "2026-01-01", to: "2026-12-31" }).last,
            long: periodFor({ from: "2025-01-01", to: "2026-12-31" }).days,
        };
    }""")
    assert said == {
        "money": ["$12.35", "$0.0012", "$0.00"],
        "none": True,
        "shares": ["0%", "<1%", "42%", "100%"],
        "sizes": ["1 byte", "20.5 kB", "5 GB"],
        "durations": ["420 ms", "42 s", "2 min 30 s", "2 h 1 min", "2 d 7 h"],
        "left": [None, "15 s", "2 min", "2 h 1 min"],
        "ticks": [[0, 0.1, 0.2, 0.3, 0.4], [0, 1, 2, 3], [0, 1]],
        "unknown": 30,
        "own": "2026-12-31",
        "long": 30,
    }
