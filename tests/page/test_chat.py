"""The chat: sending, answers as they come, and what one can do with them."""

import asyncio
from typing import Any

from playwright.async_api import Locator, Page, expect

from tests.fakes.answers import call, say
from tests.page.support.site import Site
from tests.page.support.visits import PHONE, Visits, check_accessible, check_fits, take_picture

ANSWER = """## Tides

The sea **rises and falls**, mostly by the *Moon*.

1. First the water near the Moon
   - rises, and
2. then it falls.

| When | Range |
| --- | ---: |
| new moon | 4.2 m |

```python
height = 2.1
```
"""


def conversation(page: Page) -> Locator:
    """The messages of the thread."""
    return page.get_by_role("region", name="Conversation")


def answers(page: Page) -> Locator:
    """The answers that are seen."""
    return page.get_by_role("article", name="Answer")


async def send(page: Page, text: str) -> None:
    """Write a message and send it."""
    await page.get_by_role("textbox", name="Message").fill(text)
    await page.keyboard.press("Enter")


def pieces(text: str, size: int = 7) -> list[str]:
    """A text as a model says it."""
    return [text[at : at + size] for at in range(0, len(text), size)]


async def test_the_first_visit_becomes_a_conversation_with_a_tool_that_two_tabs_see(site: Site, visit: Visits) -> None:
    alice = await site.person()
    page = await visit(alice)
    await page.get_by_role("button", name="Make an assistant").click()
    await expect(page.get_by_text("with assistant")).to_be_visible()
    (agent,) = (await alice.get("/agents"))["data"]
    await alice.api.patch(f"/agents/{agent['id']}", json={"provider": "openai", "model": "gpt-4o"})
    await check_accessible(page)

    go_on = asyncio.Event()
    site.fake.script(
        "openai",
        [
            call("calculator", {"expression": "6*7"}),
            say("It is ", "**forty", go_on, "-two**.\n\n", *pieces(ANSWER)),
            say("Six times seven"),
        ],
    )
    await send(page, "What is 6 times 7?")
    await expect(page.get_by_role("article", name="Your message")).to_contain_text("What is 6 times 7?")
    await expect(answers(page).get_by_text("forty")).to_be_visible()
    await expect(page.get_by_role("heading", name="What is 6 times 7?")).to_be_visible()  # before it has a title

    other = await visit.tab(page.context, page.url.partition("#")[2])
    await expect(answers(other).get_by_text("forty")).to_be_visible()
    go_on.set()
    for tab in (page, other):
        await expect(answers(tab).get_by_text("It is forty-two.")).to_be_visible()
        await expect(answers(tab).get_by_role("cell", name="4.2 m")).to_be_visible()
        await expect(tab.get_by_role("heading", name="Six times seven")).to_be_visible()
        await expect(tab.get_by_role("log")).to_contain_text("The sea rises and falls, mostly by the Moon.")

    tool = answers(page).get_by_text("calculator")
    await tool.click()
    await expect(answers(page).get_by_label("Result", exact=True)).to_have_text("42")
    await expect(answers(page).get_by_label("Arguments", exact=True)).to_have_text('{\n  "expression": "6*7"\n}')
    await page.get_by_role("button", name="Details of the answer").click()
    details = page.get_by_role("dialog", name="Details of the answer")
    await expect(details).to_contain_text("openai · gpt-4o")
    await expect(details).to_contain_text("22")
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Good answer").click()
    await expect(page.get_by_role("button", name="Good answer")).to_have_attribute("aria-pressed", "true")
    await check_accessible(page)
    await tool.click()  # folded again
    await conversation(page).evaluate("each => each.scrollTop = each.scrollHeight")
    await take_picture(page, "chat")
    await page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    await check_fits(page)

    # Two tabs share one stream of the thread and one of the list; the other tab goes on where the first one is closed.
    assert (await alice.get("/me"))["limits"]["streams"]["used"] == 2
    site.fake.script("openai", [say("Still here.")])
    await page.close()
    await send(other, "Are you there?")
    await expect(answers(other).get_by_text("Still here.")).to_be_visible()


async def test_a_message_can_be_stopped_steered_queued_and_retried(site: Site, visit: Visits) -> None:
    alice = await site.person()
    agent = await alice.agent(tools=["calculator"])
    thread = await alice.thread(agent["id"])
    page = await visit(alice, f"/threads/{thread['id']}")

    hold = asyncio.Event()
    site.fake.script("openai", [say("I begin", hold, " and end."), say("Heard: **in short**."), say("A title")])
    await send(page, "Tell me at length.")
    await expect(answers(page).get_by_text("I begin")).to_be_visible()
    await send(page, "In short, please.")
    await expect(page.get_by_text("Joins the answer at its next step")).to_be_visible()
    hold.set()
    await expect(answers(page).get_by_text("Heard: in short.")).to_be_visible()
    await expect(page.get_by_role("article", name="Message on its way")).to_have_count(0)
    await expect(page.get_by_role("article", name="Your message")).to_contain_text(
        ["Tell me at length.", "In short, please."]
    )

    hold = asyncio.Event()
    site.fake.script("openai", [say("Slowly now", hold, "never said"), say("Then this."), say("Once more.")])
    await send(page, "Go on.")
    await expect(answers(page).get_by_text("Slowly now")).to_be_visible()
    await page.get_by_role("textbox", name="Message").fill("And afterwards?")
    await page.get_by_role("radio", name="Wait").check(force=True)
    await page.get_by_role("button", name="Send").click()
    await expect(page.get_by_text("Waits for its turn")).to_be_visible()
    await page.get_by_role("button", name="Stop").click()
    await expect(answers(page).get_by_text("Stopped.")).to_be_visible()
    await expect(answers(page).get_by_text("Then this.")).to_be_visible()
    hold.set()

    await answers(page).last.hover()
    await page.get_by_role("button", name="Answer again").click()
    await expect(answers(page).get_by_text("Once more.")).to_be_visible()
    await expect(page.get_by_text("An earlier answer, which was retried")).to_be_visible()
    await expect(answers(page).get_by_text("Then this.")).to_be_hidden()
    rest = await visit(alice, f"/threads/{thread['id']}")
    await expect(answers(rest).get_by_text("Once more.")).to_be_visible()
    assert await texts(rest) == await texts(page)


async def texts(page: Page) -> Any:
    """All that the conversation shows."""
    return await conversation(page).inner_text()
