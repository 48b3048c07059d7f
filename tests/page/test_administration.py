"""What admins see and do: users, keys, providers, jobs, the audit log."""

import re

import pytest
from playwright.async_api import expect

from tests.fakes.answers import Raw
from tests.page.support.site import Site
from tests.page.support.visits import DESK, PHONE, TABLET, Visits, check_accessible, check_fits

VIEWS = {
    "/admin/users": "Users",
    "/admin/keys": "Keys",
    "/admin/providers": "Providers",
    "/admin/jobs": "Jobs",
    "/admin/audit": "Audit",
    "/activity": "Activity",
    "/feedback": "Feedback",
    "/webhooks": "Webhooks",
    "/usage": "Usage",
    "/approvals": "Approvals",
}


@pytest.mark.parametrize(
    "size", [PHONE, pytest.param(TABLET, marks=pytest.mark.long), pytest.param(DESK, marks=pytest.mark.long)]
)
async def test_each_view_fits_the_screen_and_axe_finds_nothing(
    site: Site, visit: Visits, size: tuple[int, int]
) -> None:
    person = await site.person(
        user_id=f"https://id.example/realms/main|{size[0]}-of-a-rather-long-subject-of-an-issuer"
    )
    agent = await person.agent(provider="echo", name="A name that is rather long for a name of an agent")
    await person.make(f"/threads/{(await person.thread(agent['id']))['id']}/messages", {"content": "Hello"})
    address = {"type": "openai", "base_url": "http://127.0.0.1:9/v1", "quirks": {"tools": False}}
    await site.admin.make("/providers", {"name": f"a-house-of-models-at-{size[0]}", **address})
    page = await visit(site.admin, "/admin/users", size=size)
    for path, title in VIEWS.items():
        await page.goto(f"{site.url}/#{path}")
        await expect(page.get_by_role("heading", name=title, exact=True, level=1)).to_be_visible()
        await expect(page.get_by_role("status").filter(has_text="Loading")).to_have_count(0)
        await check_accessible(page)
        await check_fits(page)


async def test_a_key_is_made_shown_once_and_deleted(site: Site, visit: Visits) -> None:
    page = await visit(site.admin, "/admin/keys")
    await page.get_by_role("button", name="New key").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("User").fill("team/lin")
    await dialog.get_by_label("Name").fill("laptop")
    await dialog.get_by_role("button", name="Make the key").click()
    secret = await dialog.get_by_role("textbox", name="Key").input_value()
    assert (await site.admin.api.get("/me", headers={"authorization": f"Bearer {secret}"})).status_code == 200

    # A secret that is gone for ever is not closed by mistake.
    await page.keyboard.press("Escape")
    await page.get_by_role("dialog", name="Have you kept the key?").get_by_role("button", name="Cancel").click()
    await dialog.get_by_role("button", name="I have kept it").click()
    await expect(page.get_by_text(secret)).to_have_count(0)

    row = page.get_by_role("row").filter(has_text="team/lin")
    await row.get_by_role("button", name="New secret for laptop of team/lin").click()
    await dialog.get_by_label("The present secret ends").select_option("At once")
    await dialog.get_by_role("button", name="Make a new secret").click()
    rotated = await dialog.get_by_role("textbox", name="Key").input_value()
    assert rotated != secret
    assert (await site.admin.api.get("/me", headers={"authorization": f"Bearer {secret}"})).status_code == 401
    await dialog.get_by_role("button", name="I have kept it").click()

    await row.get_by_role("button", name="Delete laptop of team/lin").click()
    await dialog.get_by_role("button", name="Delete the key").click()
    await expect(page.get_by_role("row").filter(has_text="team/lin")).to_have_count(0)
    assert (await site.admin.api.get("/me", headers={"authorization": f"Bearer {rotated}"})).status_code == 401


async def test_a_user_gets_limits_and_is_erased_with_a_receipt(site: Site, visit: Visits) -> None:
    person = await site.person(user_id="gone/soon")
    await person.thread((await person.agent(provider="echo"))["id"], "Hello", "Good morning")
    page = await visit(site.admin, "/admin/users")
    await page.get_by_role("button", name="Limits of gone/soon").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Runs at once: which limit").select_option("Own limit")
    await dialog.get_by_label("Runs at once: number").fill("many")
    await dialog.get_by_role("button", name="Set limits").click()
    await expect(dialog.get_by_role("alert")).to_have_text("Give a number, 0 or more.")
    await dialog.get_by_label("Runs at once: number").fill("7")
    await dialog.get_by_role("button", name="Set limits").click()
    await expect(dialog).to_have_count(0)
    limits = await site.admin.get("/users/gone%2Fsoon/limits")
    assert (limits["runs"], limits["own"]) == (7, ["runs"])

    await page.get_by_role("button", name="Erase gone/soon").click()
    sure = dialog.get_by_role("button", name="Erase for ever")
    await dialog.get_by_label("Type “gone/soon” to confirm").fill("gone")
    await expect(sure).to_be_disabled()
    await dialog.get_by_label("Type “gone/soon” to confirm").fill("gone/soon")
    await sure.click()
    await expect(dialog.get_by_text("The user is erased. This is the receipt:")).to_be_visible()
    await expect(dialog.get_by_role("listitem").filter(has_text=re.compile(r"\b1 thread$"))).to_be_visible()
    await dialog.get_by_role("button", name="Close").last.click()
    await expect(page.get_by_role("button", name="Erase gone/soon")).to_have_count(0)

    await page.goto(f"{site.url}/#/admin/jobs")
    await expect(page.get_by_role("row").filter(has_text="Erasing a user")).to_contain_text("done")
    await page.goto(f"{site.url}/#/admin/audit")
    await page.get_by_role("button", name="Details: Asked to erase a user").first.click()
    await expect(page.get_by_role("row").filter(has_text="job_id")).to_be_visible()
    looked = page.get_by_role("row").filter(has_text="Looked at users of all users")
    await expect(looked).to_have_count(0)
    await page.get_by_label("Also what was only looked at").check()
    await expect(looked.first).to_be_visible()
    await page.get_by_text("Filters").click()
    await page.get_by_label("Action").select_option("Set limits")
    await page.get_by_role("button", name="Filter").click()
    await expect(page.get_by_role("row").filter(has_text="Set limits").first).to_be_visible()
    await expect(looked).to_have_count(0)


async def test_a_provider_is_made_checked_in_its_own_words_and_changed(site: Site, visit: Visits) -> None:
    page = await visit(site.admin, "/admin/providers")
    await page.get_by_role("button", name="New provider").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Server").select_option("Another server that speaks OpenAI's API")
    await dialog.get_by_label("Name", exact=True).fill("Not a name")
    await dialog.get_by_label("Address").fill(site.fake.base_url("openai"))
    await dialog.get_by_label("API key").fill("sk-made-up")
    await dialog.get_by_label("Default model").fill("qwen3")
    await dialog.get_by_role("button", name="Make it").click()
    await expect(dialog.get_by_role("textbox", name="Name", exact=True)).to_have_attribute("aria-invalid", "true")
    assert "422" in visit.complaints.pop()

    await dialog.get_by_label("Name", exact=True).fill("house")
    await dialog.get_by_role("button", name="Make it").click()
    # A new provider is checked at once.
    await expect(page.get_by_role("dialog", name="Check house").get_by_text("works", exact=True)).to_be_visible()
    refusal = b'{"error": {"message": "The account has no credit left.", "type": "billing", "code": "no_credit"}}'
    site.fake.script("openai", [Raw([refusal], status=402, headers={"content-type": "application/json"})])
    await dialog.get_by_role("button", name="Check again").click()
    await expect(dialog.get_by_text("failed", exact=True)).to_be_visible()
    await expect(dialog.get_by_text("status 402")).to_be_visible()
    await expect(dialog.get_by_role("blockquote")).to_contain_text("The account has no credit left.")
    await page.keyboard.press("Escape")

    await page.get_by_role("button", name="Change house").click()
    assert await dialog.get_by_label("API key").input_value() == ""
    await dialog.get_by_text("What this server does differently").click()
    await dialog.get_by_label("Its models take images").select_option("No")
    await dialog.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("dialog", name="Check house")).to_be_visible()
    assert (await site.admin.get("/providers/house"))["quirks"] == {"images": False}
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Who may use house").click()
    roles = page.get_by_role("dialog", name="Share house").get_by_role("list", name="Who has a role")
    await expect(roles.get_by_role("listitem")).to_have_count(1)
    await site.admin.api.delete("/providers/house")


@pytest.mark.long
async def test_what_failed_and_what_people_think_is_read_with_its_reasons(site: Site, visit: Visits) -> None:
    person = await site.person()
    agent = await person.agent(name="Weather")
    thread = await person.thread(agent["id"], "Will it rain?", "It will not.")
    refusal = b'{"error": {"message": "This model was retired.", "type": "invalid_request_error", "code": "gone"}}'
    site.fake.script("openai", [Raw([refusal], status=404, headers={"content-type": "application/json"})])
    failed = await person.api.post(f"/threads/{thread['id']}/messages", json={"content": "And tomorrow?"})
    assert failed.status_code == 502
    message = (await person.get(f"/threads/{thread['id']}/messages"))["data"][1]
    path = f"/threads/{thread['id']}/messages/{message['id']}/feedback"
    rated = await person.api.put(path, json={"rating": -1, "comment": "It did rain."})
    assert rated.status_code == 200, rated.text

    page = await visit(person, "/activity")
    await page.get_by_role("group", name="Which runs").get_by_role("button", name="Failed").click()
    await page.get_by_text("What the provider said").click()
    await expect(page.get_by_text("This model was retired.")).to_be_visible()
    await expect(page.get_by_role("link", name="Weather")).to_have_attribute("href", f"#/threads/{thread['id']}")

    await page.goto(f"{site.url}/#/feedback?rating=-1")
    opinion = page.get_by_role("listitem").filter(has_text="It did rain.")
    await expect(opinion).to_contain_text("Bad answer")
    answer = f"#/threads/{thread['id']}?message={message['id']}"
    await expect(opinion.get_by_role("link", name="Open the answer")).to_have_attribute("href", answer)
    await page.get_by_role("button", name="Good").click()
    await expect(page.get_by_text("No feedback is like that")).to_be_visible()


@pytest.mark.long
async def test_a_webhook_is_made_with_a_secret_changed_and_deleted(site: Site, visit: Visits) -> None:
    person = await site.person()
    await person.agent(name="Quiet", provider="echo")
    page = await visit(person, "/webhooks")
    await page.get_by_role("button", name="New webhook").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Agent").select_option("Quiet")
    await dialog.get_by_label("Address").fill("http://127.0.0.1:9/hook")
    await dialog.get_by_role("button", name="Make it").click()
    await expect(dialog.get_by_label("Address")).to_have_attribute("aria-invalid", "true")
    assert "422" in visit.complaints.pop()

    await dialog.get_by_label("Address").fill("https://93.184.215.14/hook")
    await dialog.get_by_label("A call waits for a person").check()
    await dialog.get_by_role("button", name="Make it").click()
    secret = await dialog.get_by_role("textbox", name="Secret").input_value()
    assert secret.startswith("whsec_")
    await dialog.get_by_role("button", name="I have kept it").click()

    await page.get_by_role("button", name="What https://93.184.215.14/hook was told").click()
    await expect(dialog.get_by_text("It was told nothing yet.")).to_be_visible()
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Actions for https://93.184.215.14/hook").click()
    await page.get_by_role("menuitem", name="Change").click()
    await dialog.get_by_label("An answer is there").uncheck()
    await dialog.get_by_role("button", name="Save").click()
    await expect(dialog).to_have_count(0)
    assert [each["events"] for each in (await person.get("/webhooks"))["data"]] == [["run.waiting"]]

    await page.get_by_role("button", name="Actions for https://93.184.215.14/hook").click()
    await page.get_by_role("menuitem", name="Delete…").click()
    await dialog.get_by_role("button", name="Delete").click()
    await expect(page.get_by_text("No webhooks yet")).to_be_visible()


@pytest.mark.long
async def test_a_user_is_found_in_a_list_of_many_pages(site: Site, visit: Visits) -> None:
    for number in range(25):
        await site.person(user_id=f"crowd-{number:02}")
    page = await visit(site.admin, "/admin/users")
    await expect(page.get_by_role("button", name="Show more")).to_be_visible()
    await page.get_by_role("searchbox", name="Find a user").fill("CROWD-24")
    await expect(page.get_by_text("1 match.")).to_be_visible()
    await expect(page.get_by_role("button", name="Limits of crowd-24")).to_be_visible()
    await expect(page.get_by_role("row")).to_have_count(2)


@pytest.mark.long
async def test_a_failed_job_tells_its_reason_and_is_tried_again(site: Site, visit: Visits) -> None:
    page = await visit(site.admin, "/usage")
    # A job fails after five attempts, in minutes; so the answers are those of such a job.
    job = {
        "id": "01985a3e-0000-7000-8000-000000000001",
        "thread_id": None,
        "kind": "summarize",
        "range_key": "1-20",
        "status": "failed",
        "attempts": 5,
        "error": "house cannot be reached.",
        "result": None,
        "created_at": "2026-01-31T12:00:00.000000Z",
        "finished_at": "2026-01-31T12:05:00.000000Z",
    }
    found = {"data": [job], "next": None}
    await page.route("**/jobs?*", lambda route: route.fulfill(json=found))
    await page.route(f"**/jobs/{job['id']}/retry", lambda route: route.fulfill(json=job | {"status": "queued"}))
    await page.goto(f"{site.url}/#/admin/jobs?status=failed")
    await expect(page.get_by_text("house cannot be reached.")).to_be_visible()
    found["data"] = []
    await page.get_by_role("button", name="Try again: Summary of a chat").click()
    await expect(page.get_by_text("Summary of a chat: queued again.")).to_be_visible()
    await expect(page.get_by_text("No job has failed.")).to_be_visible()


@pytest.mark.long
async def test_a_view_that_cannot_be_loaded_says_so_and_is_tried_again(site: Site, visit: Visits) -> None:
    page = await visit(site.admin, "/feedback")
    problem = {"status": 503, "title": "Overloaded", "detail": "Too much is going on.", "code": "overloaded"}
    asked = re.compile(r"/(users|usage|audit|providers)(\?|$)")
    await page.route(asked, lambda route: route.fulfill(status=503, json=problem))
    for path in ("/admin/users", "/usage", "/admin/audit", "/admin/providers"):
        await page.goto(f"{site.url}/#{path}")
        await expect(page.get_by_role("alert").filter(has_text="Too much is going on.")).to_be_visible()
    await page.unroute(asked)
    await page.get_by_role("button", name="Try again").click()
    await expect(page.get_by_role("heading", name="echo")).to_be_visible()
    visit.complaints[:] = [each for each in visit.complaints if "503" not in each]
