"""What admins see and do: users, keys, providers, jobs, the audit log."""

from playwright.async_api import expect

from tests.page.support.site import Site
from tests.page.support.visits import PHONE, Visits, check_accessible, check_fits

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


async def test_each_view_is_accessible_and_fits_a_phone(site: Site, visit: Visits) -> None:
    person = await site.person()
    agent = await person.agent(provider="echo")
    await person.make(f"/threads/{(await person.thread(agent['id']))['id']}/messages", {"content": "Hello"})
    page = await visit(site.admin, "/admin/users", size=PHONE)
    for path, title in VIEWS.items():
        await page.goto(f"{site.url}/#{path}")
        await expect(page.get_by_role("heading", name=title, exact=True, level=1)).to_be_visible()
        await expect(page.get_by_role("status").filter(has_text="Loading")).to_have_count(0)
        await check_accessible(page)
        await check_fits(page)
