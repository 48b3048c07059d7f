"""Agents, inspector, settings and tools on a phone, a tablet and a desk: nothing is cut off, and axe finds nothing."""

import pytest
from playwright.async_api import expect

from tests.page.support.site import Site
from tests.page.support.visits import DESK, PHONE, TABLET, Visits, check_accessible, check_fits


@pytest.mark.long
@pytest.mark.parametrize("size", [PHONE, TABLET, DESK])
async def test_views_of_agents_fit_every_screen(site: Site, visit: Visits, size: tuple[int, int]) -> None:
    admin = await site.person(admin=True)
    agent = await admin.agent(
        name="A name that is rather long for a name of an agent, as some are",
        provider="echo",
        system_prompt="Be brief.\n" * 40,
        tools=[{"name": "calculator", "approval": "always", "expires_in_s": 600}],
        memory={"strategy": "first_last", "first": 3, "last": 200, "step": 10},
        guardrails=[
            {"type": "pii"},
            {"type": "secrets", "action": "redact"},
            {"type": "blocklist", "patterns": ["x" * 200]},
            {"type": "judge", "provider": "echo", "model": "echo", "policy": "No insults."},
            {"type": "max_length", "characters": 20_000},
        ],
        fallbacks=[{"provider": "echo", "model": "echo"}],
        output_schema={"type": "object", "properties": {"answer": {"type": "string"}}},
        budget={"tokens_per_day": 1_000_000, "cost_per_day": 2.5},
        metadata={"team": "support"},
    )
    thread = await admin.thread(agent["id"], "Hello " * 200, "Hi")
    views = {
        "/agents": "Agents",
        "/agents/new": "New agent",
        f"/agents/{agent['id']}": agent["name"],
        f"/threads/{thread['id']}/context": "What the model is sent",
        "/settings": "Settings",
        "/admin/tools": "Tools",
    }
    page = await visit(admin, "/agents", size=size)
    for path, title in views.items():
        await page.goto(f"{site.url}/#{path}")
        await expect(page.get_by_role("heading", name=title, level=1)).to_be_visible()
        await page.wait_for_load_state("networkidle")
        for more in await page.get_by_text("More settings of the model").all():
            await more.click()
        await check_fits(page)
        await check_accessible(page)
    # The fake provider lists no models.
    visit.complaints[:] = [each for each in visit.complaints if "502" not in each]
