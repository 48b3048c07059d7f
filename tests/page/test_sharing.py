"""Sharing: who has which role, and what the page says where a role cannot be taken."""

import re

from playwright.async_api import Page, expect

from tests.page.support.site import Site
from tests.page.support.visits import Visits, check_accessible


async def test_an_owner_shares_an_agent_and_stays_its_owner(site: Site, visit: Visits) -> None:
    alice, bob = await site.person(), await site.person()
    agent = await alice.agent(name="Shared", provider="echo")
    page = await visit(alice, f"/agents/{agent['id']}")
    await page.get_by_role("button", name="Share", exact=True).click()
    dialog = page.get_by_role("dialog", name="Share Shared")
    await dialog.get_by_label("Share with").fill(bob.user_id)
    await dialog.get_by_label("As", exact=True).select_option("Editor")
    await dialog.get_by_role("button", name="Share", exact=True).click()
    await expect(dialog.get_by_label(f"Role of {bob.user_id}")).to_have_value("editor")
    await dialog.get_by_label(f"Role of {bob.user_id}").select_option("Viewer")
    await check_accessible(page)

    await dialog.get_by_label(f"Role of {alice.user_id}").select_option("Viewer")
    await expect(dialog.get_by_text("The last owner stays")).to_be_visible()
    await expect(dialog.get_by_label(f"Role of {alice.user_id}")).to_have_value("owner")
    await dialog.get_by_role("button", name="Share with everybody").click()
    await expect(
        dialog.get_by_text("This role cannot be given").or_(dialog.get_by_text("You may not do this"))
    ).to_be_visible()
    visit.complaints.clear()

    page = await visit(bob, f"/agents/{agent['id']}")
    await expect(page.get_by_text("You may read this agent, not change it.")).to_be_visible()
    await page.get_by_role("button", name="Your role", exact=True).click()
    visit.complaints.clear()
    await page.get_by_role("button", name="Give up your role").click()
    await page.get_by_role("dialog", name="Give up your role?").get_by_role("button", name="Give it up").click()
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await expect(page.get_by_role("heading", name="Agents", level=1)).to_be_visible()
    assert (await bob.api.get(f"/agents/{agent['id']}")).status_code == 404
    visit.complaints.clear()


async def test_a_thread_that_becomes_readable_while_it_is_looked_at_is_shown(site: Site, visit: Visits) -> None:
    alice, bob = await site.person(), await site.person()
    agent = await alice.agent(provider="echo")
    thread = await alice.thread(agent["id"], "Good morning", "**Good** `morning` to you", title="Greetings")
    page = await visit(bob, f"/threads/{thread['id']}")
    await expect(page.get_by_role("heading", name="There is no such chat")).to_be_visible()
    for name in ("viewer", "editor"):
        role = await alice.make(
            "/roles",
            {"user_id": bob.user_id, "role": name, "resource_type": "thread", "resource_id": thread["id"]},
        )
        await expect(page.get_by_role("article", name="Answer")).to_contain_text("Good morning to you")
        await expect(page.get_by_text("no longer yours")).to_have_count(0)
        reason = "ask its owner for the role Editor." if name == "viewer" else "deleted, or is not shared with you."
        await expect(page.get_by_role("status").filter(has_text=reason)).to_be_visible()
        await expect(page.get_by_role("region", name="Chats")).to_contain_text("Good morning to you")
        assert (await alice.api.delete(f"/roles/{role['id']}")).status_code == 204
        await expect(page.get_by_text("This chat is no longer yours to read.")).to_be_visible()
    visit.complaints[:] = [each for each in visit.complaints if "404" not in each]


async def test_the_page_offers_what_ones_role_allows_and_follows_as_it_changes(site: Site, visit: Visits) -> None:
    alice, bob = await site.person(), await site.person()
    agent = await alice.agent(provider="echo")
    thread = await alice.thread(agent["id"], "Good morning", "Good morning to you", title="Greetings")

    async def give(role: str, kind: str, thing: str) -> None:
        await alice.make("/roles", {"user_id": bob.user_id, "role": role, "resource_type": kind, "resource_id": thing})

    async def offered(page: Page) -> list[str]:
        menu = page.get_by_role("button", name="What to do with the chat")
        await menu.click()
        await expect(page.get_by_role("menu")).to_be_visible()
        items: list[str] = await page.get_by_role("menuitem").all_inner_texts()
        await page.keyboard.press("Escape")
        return [each.strip() for each in items]

    await give("viewer", "thread", thread["id"])
    page = await visit(bob, f"/threads/{thread['id']}")
    await expect(page.get_by_text("You may read this chat.")).to_be_visible()
    composer = page.get_by_role("textbox", name="Message", exact=True)
    changing = page.get_by_role("button", name=re.compile("Edit in a new|Fork|Answer again"))
    await expect(composer.or_(changing)).to_have_count(0)
    assert await offered(page) == ["Your role", "What the model is sent"]
    await page.get_by_role("button", name="Good answer").click()
    await expect(page.get_by_role("button", name="Good answer")).to_have_attribute("aria-pressed", "true")
    await check_accessible(page)

    await give("editor", "thread", thread["id"])
    await expect(page.get_by_text("the agent of this chat was deleted, or is not shared with you")).to_be_visible()
    assert await offered(page) == ["Rename", "Your role", "What the model is sent"]
    await give("user", "agent", agent["id"])
    await page.reload()
    await composer.fill("And now?")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("article", name="Answer").last).to_contain_text("And now?")
    await expect(changing).not_to_have_count(0)
    await expect(page.get_by_role("button", name="Good answer").first).to_have_attribute("aria-pressed", "true")

    second = await visit.tab(page.context, f"/threads/{thread['id']}")
    await second.get_by_role("button", name="Good answer").last.click()
    await expect(page.get_by_role("button", name="Good answer").last).to_have_attribute("aria-pressed", "true")

    await give("viewer", "thread", thread["id"])
    await expect(composer).to_have_count(0)
