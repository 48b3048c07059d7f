"""One's own settings: keys, tokens, credentials of tools, the look, limits; and the tools of admins."""

import re

from playwright.async_api import expect

from tests.page.support.site import Site
from tests.page.support.visits import Visits, check_accessible, check_fits


async def test_a_person_manages_keys_tokens_and_the_look(site: Site, visit: Visits) -> None:
    alice = await site.person()
    page = await visit(alice, "/settings", size=(360, 740))
    await page.get_by_role("button", name="New key").click()
    await page.get_by_label("Name").fill("server")
    await page.get_by_role("button", name="Make the key").click()
    secret = await page.get_by_label("Key", exact=True).input_value()
    assert (await alice.api.get("/me", headers={"authorization": f"Bearer {secret}"})).status_code == 200
    await page.get_by_role("button", name="I have kept it").click()
    await expect(page.get_by_label("Key", exact=True)).to_have_count(0)
    await check_accessible(page)
    await check_fits(page)

    await page.get_by_role("button", name="More for the key server").click()
    await page.get_by_role("menuitem", name="Delete").click()
    await page.get_by_role("button", name="Delete the key").click()
    await expect(page.get_by_text("server", exact=True)).to_have_count(0)
    assert (await alice.api.get("/me", headers={"authorization": f"Bearer {secret}"})).status_code == 401

    # The page goes on with the new secret of the key that it is signed in with.
    await page.get_by_role("button", name="More for the key page").click()
    await page.get_by_role("menuitem", name="New secret").click()
    await page.get_by_label("The present secret ends").select_option("At once")
    await page.get_by_role("button", name="Make a new secret").click()
    await page.get_by_role("button", name="I have kept it").click()
    assert (await alice.api.get("/me")).status_code == 401
    await page.get_by_role("button", name="New token").click()
    await page.get_by_role("button", name="Make the token").click()
    await expect(page.get_by_label("Token", exact=True)).to_have_value(re.compile("^ait_"))
    await page.get_by_role("button", name="I have kept it").click()

    await page.get_by_role("button", name="Dark").click()
    assert await page.evaluate("document.documentElement.dataset.theme") == "dark"
    await expect(page.get_by_text("Tokens today")).to_be_visible()


async def test_an_admin_makes_a_tool_and_a_person_gives_credentials_for_it(site: Site, visit: Visits) -> None:
    admin, bob = await site.person(admin=True), await site.person()
    page = await visit(admin, "/admin/tools")
    await page.get_by_role("button", name="New HTTP tool").first.click()
    dialog = page.get_by_role("dialog", name="New HTTP tool")
    await dialog.get_by_label("Name", exact=True).fill("mailbox")
    await dialog.get_by_label("Description").fill("Counts new mail of a folder.")
    await dialog.get_by_label("Address").fill("https://mail.example.com/{folder}/count")
    await dialog.get_by_label("Parameters").fill('{"type": "array"}')
    await expect(dialog.get_by_text("At its top a schema says")).to_be_visible()
    await dialog.get_by_label("Parameters").fill("")
    await dialog.get_by_label("With each user's own credentials").check()
    await dialog.get_by_role("button", name="Make the tool").click()
    source = page.get_by_role("region", name="mailbox")
    await expect(source.get_by_text("Parameters: folder")).to_be_visible()

    await source.get_by_role("button", name="Share mailbox").click()
    await page.get_by_role("dialog").get_by_role("button", name="Share with everybody").click()
    await expect(page.get_by_role("dialog").get_by_text("Everybody", exact=True)).to_be_visible()
    await page.get_by_role("dialog").get_by_role("button", name="Close").click()
    await check_accessible(page)

    of_bob = await visit(bob, "/settings")
    await of_bob.get_by_role("button", name="Give credentials of mailbox").click()
    await of_bob.get_by_label("Name of header 1").fill("Authorization")
    await of_bob.get_by_label("Value of header 1").fill("Bearer of-bob")
    await of_bob.get_by_role("button", name="Give them").click()
    await expect(of_bob.get_by_role("button", name="Replace credentials of mailbox")).to_be_visible()
    assert (await bob.get("/me/credentials"))["data"] == [{"tool": "mailbox"}]

    await page.get_by_role("button", name="More for mailbox").click()
    await page.get_by_role("menuitem", name="Change").click()
    dialog = page.get_by_role("dialog", name="Change mailbox")
    await dialog.get_by_label("Description").fill("Counts unread mail of a folder.")
    await dialog.get_by_role("button", name="Save").click()
    await expect(source.get_by_text("Counts unread mail of a folder.")).to_be_visible()
    assert (await bob.get("/me/credentials"))["data"] == [{"tool": "mailbox"}]

    await page.get_by_role("button", name="More for mailbox").click()
    await page.get_by_role("menuitem", name="Delete").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(source).to_have_count(0)
