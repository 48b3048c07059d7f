"""Agents: their list, their form, what others changed meanwhile, versions, and a place to try them."""

from playwright.async_api import Page, expect

from tests.page.support.site import Site
from tests.page.support.visits import Visits, check_accessible, check_fits


async def save(page: Page, version: int) -> None:
    """Press the button that makes this version, and see it made."""
    await page.get_by_role("button", name=f"Save as version {version}").click()
    await expect(page.get_by_text(f"Version {version}, saved")).to_be_visible()


async def test_an_agent_is_made_in_a_form_that_explains_what_is_wrong(site: Site, visit: Visits) -> None:
    alice = await site.person()
    page = await visit(alice, "/agents")
    await expect(page.get_by_role("heading", name="No agents yet")).to_be_visible()
    await check_accessible(page)

    await page.get_by_role("link", name="Make the first one").click()
    await page.get_by_role("button", name="Make the agent").click()
    await expect(page.get_by_label("Name", exact=True)).to_be_focused()
    await expect(page.get_by_text("An agent needs a name.").first).to_be_visible()

    await page.get_by_label("Name", exact=True).fill("Clerk")
    await page.get_by_label("System prompt").fill("You are a clerk.")
    await page.get_by_label("Provider").select_option("anthropic")
    await page.get_by_label("Provider").select_option("echo")
    await page.get_by_label("Temperature").fill("3")
    await page.get_by_role("checkbox", name="calculator").check()
    await page.get_by_role("checkbox", name="Each call waits for a person").check()
    await page.get_by_role("radio", name="Last messages").check()
    await page.get_by_label("Messages", exact=True).fill("6")
    await expect(page.get_by_text("the model is sent the last 6.")).to_be_visible()
    await page.get_by_role("button", name="Blocklist").click()
    await page.get_by_label("Patterns").fill("project falcon\n/a+/")
    await page.get_by_role("button", name="Make the agent").click()
    await expect(page.get_by_label("Temperature")).to_be_focused()
    await expect(page.get_by_label("Temperature")).to_have_accessible_description(
        "0 to 2. Low repeats itself and is exact, high is more varied. Should be at most 2."
    )
    visit.complaints.clear()

    await page.get_by_label("Temperature").fill("0.5")
    await page.get_by_role("button", name="Make the agent").click()
    await expect(page.get_by_label("Patterns")).to_be_focused()
    await expect(page.get_by_text("/a+/: The pattern has no longest match").first).to_be_visible()
    await check_accessible(page)
    visit.complaints.clear()

    await page.get_by_label("Patterns").fill("project falcon\n/a{1,9}/")
    await page.get_by_role("button", name="Make the agent").click()
    await expect(page.get_by_role("heading", name="Clerk")).to_be_visible()
    made = (await alice.get("/agents"))["data"][0]
    agent = await alice.get(f"/agents/{made['id']}")
    assert agent["settings"] == {"temperature": 0.5}
    assert agent["tools"] == [{"name": "calculator", "approval": "always"}]
    assert agent["memory"]["strategy"] == "last_n"
    assert agent["guardrails"][0]["patterns"] == ["project falcon", "/a{1,9}/"]


async def test_what_others_saved_meanwhile_is_shown_and_versions_come_back(site: Site, visit: Visits) -> None:
    alice = await site.person()
    stop = ["\n\n", "a\\b"]
    blocked = [{"type": "blocklist", "patterns": ["two\nlines"], "stage": "both", "action": "block"}]
    agent = await alice.agent(
        name="Tutor", provider="echo", system_prompt="Teach.", settings={"stop": stop}, guardrails=blocked
    )
    page = await visit(alice, f"/agents/{agent['id']}")
    await page.get_by_label("Description").fill("Teaches arithmetic.")
    await page.get_by_label("Temperature").fill("1")
    await page.get_by_role("button", name="Secrets").click()
    changed = await alice.api.patch(f"/agents/{agent['id']}", json={"system_prompt": "Teach well."})
    assert changed.status_code == 200

    await page.get_by_role("button", name="Save as version 2").click()
    dialog = page.get_by_role("dialog", name="It has been changed meanwhile")
    await expect(dialog.get_by_text("Added: Teach well.")).to_be_visible()
    visit.complaints.clear()
    await dialog.get_by_role("button", name="Keep mine on top of theirs").click()
    await save(page, 3)
    both = await alice.get(f"/agents/{agent['id']}")
    assert both["system_prompt"] == "Teach well."
    # Texts with line breaks come through the form as they are.
    assert both["settings"] == {"temperature": 1, "stop": stop}
    assert both["guardrails"] == [*blocked, {"type": "secrets", "stage": "both", "action": "block"}]

    # What is not saved is not lost by a click.
    await page.get_by_label("Description").fill("Something else.")
    await page.get_by_role("link", name="Agents", exact=True).first.click()
    await page.get_by_role("dialog", name="Leave without saving?").get_by_role("button", name="Cancel").click()
    await expect(page.get_by_label("Description")).to_have_value("Something else.")
    await page.get_by_role("button", name="Discard").click()

    await page.get_by_role("tab", name="Versions").click()
    await page.get_by_role("button", name="Version 2 System prompt").click()
    await expect(page.get_by_text("Removed: Teach.")).to_be_visible()
    await check_accessible(page)
    await page.get_by_role("button", name="Restore version 1").click()
    await page.get_by_role("dialog").get_by_role("button", name="Restore").click()
    await expect(page.get_by_text("Version 4, saved")).to_be_visible()
    await page.get_by_role("tab", name="Settings").click()
    await expect(page.get_by_label("System prompt")).to_have_value("Teach.")
    assert (await alice.get(f"/agents/{agent['id']}"))["description"] is None


async def test_an_agent_is_tried_beside_its_form_and_shared_as_far_as_its_roles_go(site: Site, visit: Visits) -> None:
    alice, bob = await site.person(), await site.person()
    agent = await alice.agent(name="Parrot", provider="echo", description="Repeats.", tools=["calculator"])
    page = await visit(alice, f"/agents/{agent['id']}")
    tried = page.get_by_role("complementary", name="Try it")
    await tried.get_by_label("Message to try").fill('/tool calculator {"expression": "6*7"}')
    await tried.get_by_role("button", name="Send").click()
    await expect(tried.get_by_text("calculator answered: 42")).to_be_visible()
    await expect(tried.get_by_text("calculator answered", exact=True)).to_be_visible()

    role = {"user_id": bob.user_id, "resource_type": "agent", "resource_id": agent["id"]}
    await alice.make("/roles", {**role, "role": "user"})
    page = await visit(bob, f"/agents/{agent['id']}", size=(360, 740))
    await expect(page.get_by_text("You may talk to this agent.")).to_be_visible()
    await expect(page.get_by_label("System prompt")).to_have_count(0)

    await alice.make("/roles", {**role, "role": "viewer"})
    await page.reload()
    await expect(page.get_by_text("You may read this agent, not change it.")).to_be_visible()
    await expect(page.get_by_label("System prompt")).not_to_be_editable()
    await check_fits(page)
