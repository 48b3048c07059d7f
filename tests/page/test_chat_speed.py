"""How the chat behaves with much of everything. Measured on a machine with little else to do."""

import asyncio
import json
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from ai_agents import ThreadStore, connect
from tests.conftest import fresh_sqlite
from tests.fakes.answers import say
from tests.page.support.site import Site, open_site
from tests.page.support.visits import Visits
from tests.page.test_chat import answers, conversation, send
from tests.support.shared import SharedDirectory

pytestmark = pytest.mark.long
# A task that is longer is felt: https://w3c.github.io/longtasks/, read 2026-11-30. It is measured as processor time of
# the page's thread, so that what else the machine does makes no difference.
_LONG_MS = 50
_TRACED = ["toplevel", "devtools.timeline"]
# Goes up, half a window at a time. Gives how far, at most, the text in the middle was from where it had to be.
_SCROLL_UP = """async (steps) => {
  const box = document.querySelector(".messages");
  let moved = 0;
  for (let step = 0; step < steps; step += 1) {
    const middle = [...box.querySelectorAll(".turn")]
      .find((each) => each.getBoundingClientRect().bottom > innerHeight / 2);
    const before = middle.getBoundingClientRect().top;
    const by = Math.min(box.scrollTop, box.clientHeight / 2);
    box.scrollTop -= by;
    await new Promise((rest) => setTimeout(rest, 150));
    // The first step leaves the end, which the list keeps to.
    if (step > 0) moved = Math.max(moved, Math.abs(middle.getBoundingClientRect().top - before - by));
  }
  return moved;
}"""
PARAGRAPH = (
    "The **sea** rises and falls with the *Moon*, see [NOAA](https://oceanservice.noaa.gov), by `cos(t)`:\n\n"
    "- once when it is near,\n- once when it is far,\n  - and less at other times.\n\n"
    "| When | Range |\n| --- | ---: |\n| new moon | 4.2 m |\n| first quarter | 2.1 m |\n\n"
    "```python\ndef tide(hours):\n    return 2.1 * math.cos(hours / 1.98)\n```\n\n"
)


async def _slow_down(page: Page, rate: int) -> None:
    session = await page.context.new_cdp_session(page)
    await session.send("Emulation.setCPUThrottlingRate", {"rate": rate})


def _tasks(trace: bytes) -> list[float]:
    """The processor time of each task of the pages' main threads, in ms, longest first.

    Up to where Playwright looks at the page for long: what it does there is no work of the page.
    """
    events = json.loads(trace)["traceEvents"]
    mains = {
        (each["pid"], each["tid"])
        for each in events
        if each["name"] == "thread_name" and each["args"]["name"] == "CrRendererMain"
    }
    ours = [each for each in events if (each["pid"], each["tid"]) in mains and each.get("ph") == "X"]
    looks = [each["ts"] for each in ours if "DevToolsSession" in str(each["args"]) and each.get("tdur", 0) > 20_000]
    end = min(looks, default=float("inf"))
    tasks = [each for each in ours if each["name"].endswith("RunTask") and each["ts"] + each["dur"] < end]
    return sorted((each.get("tdur", 0) / 1000 for each in tasks), reverse=True)


@pytest.mark.parametrize("tabs", [1, 2])
async def test_200_pieces_a_second_on_a_slow_phone_hold_up_nothing(
    site: Site, visit: Visits, chromium: Browser, tabs: int
) -> None:
    alice = await site.person()
    agent = await alice.agent()
    history = [text for number in range(30) for text in (f"Question {number}", PARAGRAPH)]
    thread = await alice.thread(agent["id"], *history, title="Fast")
    page = await visit(alice, f"/threads/{thread['id']}")
    await expect(answers(page).last).to_be_in_viewport()
    text = PARAGRAPH * 12
    pieces = [text[at : at + 3] for at in range(0, len(text), 3)]
    timed: list[str | float] = [each for piece in pieces for each in (piece, 1 / 200)]
    begin = asyncio.Event()
    site.fake.script("openai", [say("It **begins**. ", begin, *timed, "It is over.")])
    await _slow_down(page, 4)
    # The second tab hears it all from the first, which reads the stream.
    others = [await visit.tab(page.context, f"/threads/{thread['id']}") for _ in range(tabs - 1)]
    for other in others:
        await expect(answers(other).last).to_be_in_viewport()
        await _slow_down(other, 4)
    await send(page, "Quickly, please.")
    await expect(answers(page).get_by_text("It begins.")).to_be_visible()

    # Nothing looks at the page meanwhile: that would be work of its own.
    await chromium.start_tracing(page=page, categories=_TRACED)
    begin.set()
    await site.fake.received("openai")[-1].answered.wait()
    for tab in (page, *others):
        await expect(answers(tab).get_by_text("It is over.")).to_be_visible()
    tasks = _tasks(await chromium.stop_tracing())
    assert len(tasks) > 500
    assert tasks[0] < _LONG_MS, tasks[:10]


async def test_a_thread_of_10000_messages_opens_at_its_end_and_scrolls(
    chromium: Browser, tmp_path: Path, shared_directory: SharedDirectory
) -> None:
    url = fresh_sqlite(shared_directory, tmp_path)
    async with open_site(tmp_path, url) as site:
        alice = await site.person()
        agent = await alice.agent()
        async with connect(url) as conn:
            said = [
                {
                    "role": ("user", "assistant")[number % 2],
                    "content": f"Said {number}. {PARAGRAPH if number % 20 == 0 else ''}",
                }
                for number in range(10_000)
            ]
            thread = await ThreadStore(conn).create(
                agent_id=agent["id"], owner_id=alice.user_id, messages=said, title="Long"
            )
        visit = Visits(chromium, site)
        page = await visit(alice, f"/threads/{thread['id']}")
        await expect(conversation(page).get_by_text("Said 9999.")).to_be_in_viewport()
        await _slow_down(page, 4)
        await chromium.start_tracing(page=page, categories=_TRACED)
        moved = await page.evaluate(_SCROLL_UP, 40)
        tasks = _tasks(await chromium.stop_tracing())
        assert tasks[0] < 2 * _LONG_MS, tasks[:10]
        assert await page.get_by_role("article").count() >= 150
        tall = await page.evaluate("document.querySelector('.messages').scrollHeight")
        assert tall > 10_000

        # What one reads does not move while more is loaded above it.
        assert moved <= 2
        await _slow_down(page, 1)
        await page.get_by_role("button", name="To the end").click()
        await expect(conversation(page).get_by_text("Said 9999.")).to_be_in_viewport()
        site.fake.script("openai", [say("Still quick.")])
        await send(page, "One more.")
        await expect(answers(page).get_by_text("Still quick.")).to_be_in_viewport()
        await visit.end()
        assert not visit.complaints
