"""The chat after the computer has slept, what is pasted into it, and what it says of guardrails and summaries."""

import re
from typing import Any

from playwright.async_api import expect

from tests.fakes.answers import say
from tests.page.support.site import Site
from tests.page.support.visits import Visits, check_accessible
from tests.page.test_chat import answers, send
from tests.page.test_chat_threads import PNG

# While `asleep`, connections are dead without knowing it, as after a laptop's lid was closed. A stream that is opened
# anew with the ticket from before is refused, as with one that has ended.
_MAY_SLEEP = """
window.asleep = false;
window.refused = new Set();
const Real = window.EventSource;
window.EventSource = class extends EventTarget {
  static CLOSED = 2;
  constructor(url) {
    super();
    this.ticket = new URL(url, location).searchParams.get("ticket");
    const address = window.refused.has(this.ticket) ? url.replace(this.ticket, "ended") : url;
    (window.tickets ??= new Set()).add(this.ticket);
    this.real = new Real(address);
    this.real.onopen = (event) => window.asleep || (this.onopen?.(event), this.dispatchEvent(new Event("open")));
    this.real.onerror = (event) => window.asleep || (this.onerror?.(event), this.dispatchEvent(new Event("error")));
  }
  get readyState() { return this.real.readyState; }
  addEventListener(type, listener) {
    if (type === "open" || type === "error") super.addEventListener(type, listener);
    else this.real.addEventListener(type, (event) => window.asleep || listener(event));
  }
  close() { this.real.close(); }
};
"""
_PASTE = """([text, html, files]) => {
  const data = new DataTransfer();
  for (const [name, type, bytes] of files) data.items.add(new File([new Uint8Array(bytes)], name, { type }));
  if (text) data.setData("text/plain", text);
  if (html) data.setData("text/html", html);
  const event = new ClipboardEvent("paste", { bubbles: true, cancelable: true, clipboardData: data });
  return document.querySelector("textarea").dispatchEvent(event);
}"""


async def test_after_a_sleep_streams_and_tickets_that_ended_are_replaced(site: Site, visit: Visits) -> None:
    alice = await site.person()
    agent = await alice.agent()
    thread = await alice.thread(agent["id"], "Good night", "Sleep well.", title="Night")
    page = await visit(alice, "/settings")
    await page.add_init_script(_MAY_SLEEP)
    await page.clock.install()
    await page.evaluate(f"location.hash = '#/threads/{thread['id']}'")
    await page.reload()
    site.fake.script("openai", [say("Seen."), say("Said in the night.")])
    await send(page, "Are you there?")
    await expect(answers(page).get_by_text("Seen.")).to_be_visible()

    await page.evaluate("window.asleep = true; window.refused = window.tickets")
    await alice.make(f"/threads/{thread['id']}/messages", {"content": "And now?"})
    await page.evaluate("window.asleep = false")
    await page.clock.fast_forward("08:00:00")
    await expect(answers(page).get_by_text("Said in the night.")).to_be_visible()
    await expect(page.get_by_role("article", name="Your message")).to_have_count(3)
    await expect(page.get_by_text("Connecting.")).to_have_count(0)
    await expect(page.get_by_role("region", name="Chats")).to_contain_text("Said in the night.")

    # The key has ended, too. What was written is there after one has signed in again.
    field = page.get_by_role("textbox", name="Message")
    await field.fill("Half a thought")
    await page.evaluate("window.asleep = true; window.refused = window.tickets")
    (key,) = (await alice.get("/keys"))["data"]
    other = await site.admin.make("/keys", {"user_id": alice.user_id, "name": "another"})
    assert (await site.admin.api.delete(f"/keys/{key['id']}")).status_code == 204
    await page.evaluate("window.asleep = false")
    await page.clock.fast_forward("08:00:00")
    await page.get_by_label(re.compile("key", re.IGNORECASE)).first.fill(other["key"])
    await page.keyboard.press("Enter")
    await expect(field).to_have_value("Half a thought")
    await expect(answers(page).get_by_text("Said in the night.")).to_be_visible()
    visit.complaints[:] = [each for each in visit.complaints if "401" not in each]


async def test_what_is_pasted_is_a_file_a_text_or_a_text_as_a_file(site: Site, visit: Visits) -> None:
    alice = await site.person()
    agent = await alice.agent()
    thread = await alice.thread(agent["id"], title="Pasted")
    page = await visit(alice, f"/threads/{thread['id']}")
    field = page.get_by_role("textbox", name="Message")
    await field.fill("See this: ")
    attached = page.get_by_role("list", name="Attachments").get_by_role("listitem")

    async def paste(text: str = "", html: str = "", *files: Any) -> bool:
        """Whether the browser is left to put the text into the field."""
        left: bool = await page.evaluate(_PASTE, [text, html, files])
        return left

    picture = ["image.png", "image/png", list(PNG)]
    assert await paste("two words", "<b>two</b> words", picture), "a picture of a text beside the text"
    assert await paste("short")
    await expect(attached).to_have_count(0)
    assert not await paste("", "<img src='x'>", picture)
    await expect(attached).to_contain_text(["image.png"])
    assert not await paste("long " * 20_001)
    await expect(attached.nth(1)).to_contain_text("pasted.txt")
    await expect(attached.nth(1)).to_contain_text("100 kB")
    await check_accessible(page)

    site.fake.script("openai", [say("I see.")])
    await page.keyboard.press("Enter")
    await expect(answers(page).get_by_text("I see.")).to_be_visible()
    await expect(page.get_by_role("button", name="Download image.png").locator("img")).to_be_visible()
    await expect(page.get_by_role("button", name="Download pasted.txt")).to_be_visible()


async def test_guardrails_and_summaries_say_what_they_did(site: Site, visit: Visits) -> None:
    alice = await site.person()
    rules = [
        {"type": "blocklist", "patterns": ["password"], "stage": "input", "action": "block"},
        {"type": "blocklist", "patterns": ["Rosebud"], "stage": "output", "action": "redact"},
        {"type": "blocklist", "patterns": ["launch code"], "stage": "output", "action": "block"},
    ]
    agent = await alice.agent(provider="echo", guardrails=rules, memory={"strategy": "summarize", "recent": 2})
    said = [f"Number {number}." for number in range(6)]
    thread = await alice.thread(agent["id"], *said, title="Careful")
    page = await visit(alice, f"/threads/{thread['id']}")

    await send(page, "My password is hunter2")
    refused = page.get_by_role("article", name="Message that was not sent")
    await expect(refused).to_contain_text("guardrail_blocked")
    await refused.get_by_role("button", name="Discard").click()
    visit.complaints[:] = [each for each in visit.complaints if "422" not in each]

    await send(page, "Say Rosebud.")
    note = "A guardrail (blocklist) took something out of the answer."
    await expect(answers(page).last).to_contain_text(note)
    await expect(answers(page).last).not_to_contain_text("Rosebud")
    await expect(page.get_by_text("What is above is summarized for the model")).to_be_visible()
    await page.reload()
    await expect(answers(page).last).to_contain_text(note)

    await send(page, "Say the launch code.")
    await expect(answers(page).last).to_contain_text("A guardrail (blocklist) stopped the answer.")
    await expect(answers(page).last.get_by_role("alert")).to_contain_text("guardrail_blocked")
    await check_accessible(page)
