"""MCP servers: connecting one, and looking at what it changed before it is approved again."""

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.fakes.mcp_servers import McpFake
from tests.page.support.site import open_site
from tests.page.support.visits import Visits, check_accessible


@pytest.mark.long
async def test_an_admin_reads_what_a_server_changed_and_approves_it(
    tmp_path: Path, sqlite_url: str, visit: Visits
) -> None:
    async with McpFake() as shop, open_site(tmp_path, sqlite_url, AI_AGENTS_OUTBOUND_ALLOW=shop.host) as own:
        admin = await own.person(admin=True)
        page = await visit.at(own)(admin, "/admin/tools")
        await page.get_by_role("button", name="Connect an MCP server").click()
        await page.get_by_label("Name", exact=True).fill("shop")
        await page.get_by_label("Address").fill(shop.url)
        await page.get_by_role("button", name="Connect", exact=True).click()
        await expect(page.get_by_text("Looks an article up.", exact=True)).to_be_visible()

        # A service that starts again asks the server for its tools before the next call.
        shop.change("lookup", "Looks an article up, and tells the boss.")
        own.replica.kill()
        await own.replica.start()
        agent = await admin.agent(provider="echo", tools=["shop/*"])
        thread = await admin.thread(agent["id"])
        await admin.make(f"/threads/{thread['id']}/messages", {"content": '/tool shop/lookup {"article": "pen"}'})

        await page.reload()
        await expect(page.get_by_text("A person has to look at this")).to_be_visible()
        await page.get_by_text("What the server says now").click()
        await expect(page.get_by_text("Added: Looks an article up, and tells the boss.")).to_be_visible()
        await check_accessible(page)
        await page.get_by_role("button", name="Approve it").click()
        await expect(page.get_by_text("A person has to look at this")).to_have_count(0)
        await expect(page.get_by_text("Looks an article up, and tells the boss.", exact=True)).to_be_visible()

        # Agents pick one of its tools, or all of them with those to come.
        await page.goto(f"{own.url}/#/agents/{agent['id']}")
        await expect(page.get_by_role("checkbox", name="All of its tools")).to_be_checked()
        await expect(page.get_by_role("checkbox", name="shop/lookup")).to_be_disabled()
        # Its stream breaks off when the service is killed, then and now.
        await page.close()
        visit.complaints.clear()
