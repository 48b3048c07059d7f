"""Agents, inspector, settings and tools on a phone, a tablet and a desk: nothing is cut off, and axe finds nothing."""

from dataclasses import replace

import pytest
from playwright.async_api import expect

from tests.page.support.site import Site
from tests.page.support.visits import DESK, PHONE, TABLET, Visits, check_accessible, check_fits, take_picture


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
        # What the form makes of an agent is that agent again.
        await expect(page.get_by_text("Not saved")).to_have_count(0)
        await check_fits(page)
        await check_accessible(page)
    for name in ("New HTTP tool", "Connect an MCP server"):
        await page.get_by_role("button", name=name).first.click()
        await expect(page.get_by_role("dialog", name=name)).to_be_visible()
        await check_fits(page)
        await check_accessible(page)
        await page.get_by_role("dialog").get_by_role("button", name="Close").click()
    # The fake provider lists no models.
    visit.complaints[:] = [each for each in visit.complaints if "502" not in each]


@pytest.mark.long
async def test_a_token_for_some_agents_sees_these_and_no_settings_of_its_user(site: Site, visit: Visits) -> None:
    alice = await site.person()
    agent = await alice.agent(name="Only this one", provider="echo")
    await alice.agent(name="Another", provider="echo")
    token = await alice.make("/tokens", {"agents": [agent["id"]]})
    page = await visit(replace(alice, key=token["token"]), "/agents")
    await expect(page.get_by_role("link", name="Only this one", exact=True)).to_be_visible()
    await expect(page.get_by_text("Another")).to_have_count(0)
    await expect(page.get_by_role("link", name="New agent")).to_have_count(0)
    await page.get_by_role("link", name="Only this one", exact=True).click()
    await expect(page.get_by_text("You may talk to this agent.")).to_be_visible()
    await page.goto(f"{site.url}/#/settings")
    await expect(page.get_by_text("a token that is for some agents")).to_be_visible()


@pytest.mark.long
async def test_pictures_of_the_form_and_of_what_a_model_is_sent(site: Site, visit: Visits) -> None:
    alice = await site.person(user_id="alice")
    agent = await alice.agent(
        name="Bookshop",
        provider="echo",
        description="Answers customers, calmly and briefly.",
        system_prompt="You answer customers of a small bookshop.\n\n- Be brief and friendly.\n- Never promise a day.",
        tools=["calculator"],
        memory={"strategy": "last_n", "n": 8},
    )
    said = [
        "Hello, my parcel with the two cookbooks has not come. It was due on Monday.",
        "I am sorry. May I have the number of your order?",
        "It is 4711.",
        "Thank you. It left us on Friday, and is on its way.",
    ]
    thread = await alice.thread(agent["id"], *said * 4, title="Where is my parcel?")
    page = await visit(alice, f"/agents/{agent['id']}", size=(1440, 900))
    await expect(page.get_by_label("System prompt")).to_be_visible()
    await take_picture(page, "agent")
    await page.goto(f"{site.url}/#/threads/{thread['id']}/context?strategy=first_last")
    await expect(page.get_by_role("row").filter(has_text="Messages sent")).to_be_visible()
    await take_picture(page, "context")
