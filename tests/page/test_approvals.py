"""The inbox of calls that wait for a person."""

import pytest
from playwright.async_api import expect

from tests.page.support.site import Person, Site
from tests.page.support.visits import Visits, check_accessible, take_picture

ASKS = [{"name": "calculator", "approval": "always", "expires_in_s": 600}]


async def ask(person: Person, title: str) -> str:
    """A run in a new thread, whose call of the calculator waits. Gives the thread's id."""
    agent = await person.agent(name="Planner", tools=ASKS)
    thread = await person.thread(agent["id"], title=title)
    path = f"/threads/{thread['id']}/messages"
    answer = await person.api.post(path, json={"content": "Please calculate six times seven."})
    assert answer.status_code == 202, answer.text
    return str(thread["id"])


async def status_of(person: Person, thread_id: str) -> str:
    """The status of the thread's newest run."""
    runs = await person.get(f"/threads/{thread_id}/runs")
    return str(runs["data"][0]["status"])


async def test_calls_are_approved_and_refused_in_the_inbox(site: Site, visit: Visits) -> None:
    person = await site.person()
    await ask(person, "Trip to Lisbon")
    sums = await ask(person, "Sums")
    page = await visit(person, "/approvals")

    first = page.get_by_role("article").filter(has_text="Sums")
    await expect(first).to_contain_text("Planner asks to call calculator")
    await expect(first).to_contain_text("6*7")
    await expect(first).to_contain_text("Refused automatically in 10 min")
    await expect(first.get_by_role("link", name="Sums")).to_have_attribute("href", f"#/threads/{sums}")
    await check_accessible(page)
    await take_picture(page, "approvals")

    await first.get_by_role("button", name="Refuse…").click()
    await expect(first.get_by_label("Reason")).to_be_focused()
    await page.keyboard.type("Do it in your head.")
    await first.get_by_role("button", name="Refuse").click()
    await expect(page.get_by_text("Refused: calculator")).to_be_visible()
    await expect(page.get_by_role("article")).to_have_count(1)
    # The keyboard goes on at the call that is left.
    await expect(page.get_by_role("heading", name="Planner asks to call calculator")).to_be_focused()
    messages = await person.get(f"/threads/{sums}/messages")
    assert "Do it in your head." in str(messages["data"])


async def test_the_inbox_moves_as_calls_come_and_go(site: Site, visit: Visits) -> None:
    person = await site.person()
    page, other = await visit(person, "/approvals"), await visit(person, "/approvals")
    await expect(page.get_by_text("Nothing waits for you")).to_be_visible()
    trip = await ask(person, "Trip to Lisbon")
    for each in (page, other):
        await expect(each.get_by_role("article")).to_contain_text("Trip to Lisbon")
        await expect(each.get_by_role("link", name="Approvals 1 waiting")).to_be_visible()

    # Another browser decides.
    await other.get_by_role("button", name="Approve").click()
    await expect(page.get_by_text("Nothing waits for you")).to_be_visible()
    await expect(page.get_by_role("link", name="Approvals", exact=True)).to_be_visible()
    assert await status_of(person, trip) in ("running", "completed")


@pytest.mark.long
async def test_a_decision_that_comes_too_late_says_so(site: Site, visit: Visits) -> None:
    person = await site.person()
    trip = await ask(person, "Trip to Lisbon")
    page = await visit(person, "/approvals")
    button = page.get_by_role("button", name="Approve")
    await expect(button).to_be_visible()
    # The list is as it was when the decision of another person came.
    call = (await person.get("/approvals"))["data"][0]
    path = f"**/threads/{trip}/runs/{call['run_id']}/approvals"
    decided = {"status": 409, "title": "Conflict", "detail": "It is decided.", "code": "conflict"}
    await page.route(path, lambda route: route.fulfill(status=409, json=decided))
    await button.click()
    await expect(page.get_by_text("calculator was decided already")).to_be_visible()
    await expect(page.get_by_text("Nothing waits for you")).to_be_visible()
    assert "409" in visit.complaints.pop()
