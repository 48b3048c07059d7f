"""Sharing: who has which role, and what the page says where a role cannot be taken."""

from playwright.async_api import expect

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
    await page.get_by_role("button", name="Share", exact=True).click()
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
    await expect(page.get_by_role("heading", name="There is no such thread")).to_be_visible()
    for name in ("viewer", "editor"):
        role = await alice.make(
            "/roles",
            {"user_id": bob.user_id, "role": name, "resource_type": "thread", "resource_id": thread["id"]},
        )
        await expect(page.get_by_role("article", name="Answer")).to_contain_text("Good morning to you")
        await expect(page.get_by_text("no longer yours")).to_have_count(0)
        await expect(page.get_by_text("To write in it, you need the role Editor.")).to_be_visible(
            visible=name == "viewer"
        )
        await expect(page.get_by_role("region", name="Chats")).to_contain_text("Good morning to you")
        assert (await alice.api.delete(f"/roles/{role['id']}")).status_code == 204
        await expect(page.get_by_text("This thread is no longer yours to read.")).to_be_visible()
    visit.complaints[:] = [each for each in visit.complaints if "404" not in each]
