"""The chat beyond one answer: files, approvals, forks, edits, failures, searches, several people, restarts."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from ai_agents.store import migrate
from tests.conftest import fresh_sqlite
from tests.fakes.answers import Raw, call, say
from tests.page.support.site import Site, open_site
from tests.page.support.visits import Visits, check_accessible
from tests.page.test_chat import answers, conversation, send
from tests.support.shared import SharedDirectory
from tests.support.trimming import trim_now

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360f8cfc000000301010018dd8db00000000049454e44ae426082"
)
_HIDE = """(hidden) => {
  for (const [name, value] of [["hidden", hidden], ["visibilityState", hidden ? "hidden" : "visible"]])
    Object.defineProperty(document, name, { value, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
_DROP = """([name, type, bytes]) => {
  const data = new DataTransfer();
  data.items.add(new File([new Uint8Array(bytes)], name, { type }));
  const target = document.querySelector("textarea");
  for (const kind of ["dragenter", "dragover", "drop"])
    target.dispatchEvent(new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer: data }));
}"""


async def test_files_are_dropped_shown_and_refused_with_a_reason(site: Site, visit: Visits) -> None:
    alice = await site.person()
    agent = await alice.agent()
    thread = await alice.thread(agent["id"])
    page = await visit(alice, f"/threads/{thread['id']}")
    await expect(page.get_by_role("textbox", name="Message")).to_be_visible()
    site.fake.script("openai", [say("A dot."), say("A picture")])

    await page.evaluate(_DROP, ["dot.png", "image/png", list(PNG)])
    await page.evaluate(_DROP, ["page.html", "text/html", list(b"<html><script>x</script></html>")])
    attached = page.get_by_role("list", name="Attachments").get_by_role("listitem")
    await expect(attached.nth(0)).to_contain_text("bytes")
    await expect(attached.nth(1).get_by_role("alert")).not_to_be_empty()
    assert "415" in visit.complaints.pop()
    await page.get_by_role("button", name="Remove page.html").click()
    await expect(attached).to_have_count(1)
    await page.reload()
    await expect(attached).to_have_count(1)  # drafts are kept, with what was uploaded

    await send(page, "What is this?")
    await expect(answers(page).get_by_text("A dot.")).to_be_visible()
    await expect(page.get_by_role("button", name="Download dot.png").locator("img")).to_be_visible()
    await expect(attached).to_have_count(0)


@pytest.mark.long
async def test_a_call_is_approved_or_refused_where_it_waits(site: Site, visit: Visits) -> None:
    alice = await site.person()
    agent = await alice.agent(tools=[{"name": "calculator", "approval": "always", "expires_in_s": 600}])
    thread = await alice.thread(agent["id"], title="Sums")
    page = await visit(alice, f"/threads/{thread['id']}")
    asked = [call("calculator", {"expression": "6*7"}), say("It is 42.")]
    refused = [call("calculator", {"expression": "1/0"}), say("As you wish.")]
    site.fake.script("openai", [*asked, *refused])

    await send(page, "Six times seven?")
    waiting = page.get_by_role("group", name="Approval of calculator")
    await expect(waiting).to_contain_text('"expression": "6*7"')
    await expect(waiting).to_contain_text("refused in 9 min")
    await check_accessible(page)
    other = await visit.tab(page.context, f"/threads/{thread['id']}")
    await other.get_by_role("button", name="Approve").click()
    await expect(answers(page).get_by_text("It is 42.")).to_be_visible()
    await expect(waiting).to_have_count(0)

    await send(page, "And by zero?")
    await page.get_by_role("button", name="Refuse…").click()
    await page.get_by_label("Why it is refused").fill("Not by zero")
    await page.keyboard.press("Enter")
    await expect(answers(page).get_by_text("As you wish.")).to_be_visible()
    await answers(page).last.get_by_text("calculator").click()
    await expect(answers(page).last.get_by_label("Error", exact=True)).to_contain_text("Not by zero")


@pytest.mark.long
async def test_a_thread_is_forked_edited_and_tried_again_after_a_failure(site: Site, visit: Visits) -> None:
    alice = await site.person()
    agent = await alice.agent()
    thread = await alice.thread(agent["id"], "One", "1", "Two", "2", title="Numbers")
    page = await visit(alice, f"/threads/{thread['id']}")
    mine = page.get_by_role("article", name="Your message")

    await answers(page).nth(0).hover()
    await answers(page).nth(0).get_by_role("button", name="Fork from here").click()
    await expect(mine).to_have_count(1)
    assert thread["id"] not in page.url

    await page.go_back()
    await expect(mine).to_have_count(2)
    site.fake.script("openai", [say("II")])
    await mine.nth(1).hover()
    await mine.nth(1).get_by_role("button", name="Edit in a new chat").click()
    await page.get_by_label("The message, said otherwise").fill("Two in Roman")
    await page.keyboard.press("Enter")
    await expect(answers(page).get_by_text("II", exact=True)).to_be_visible()
    await expect(mine).to_contain_text(["One", "Two in Roman"])

    site.fake.script("openai", [Raw([b'{"error": {"message": "no"}}'], status=400), say("Better now.")])
    await send(page, "And three?")
    failure = page.get_by_role("alert").filter(has_text="provider_rejected")
    await expect(failure).to_be_visible()
    await failure.get_by_role("button", name="Try again").click()
    await expect(answers(page).get_by_text("Better now.")).to_be_visible()
    await expect(failure).to_have_count(0)


@pytest.mark.long
async def test_a_message_that_could_not_be_sent_is_kept_and_sent_once(site: Site, visit: Visits) -> None:
    alice = await site.person()
    agent = await alice.agent()
    thread = await alice.thread(agent["id"], title="Once")
    page = await visit(alice, f"/threads/{thread['id']}")
    await expect(page.get_by_role("textbox", name="Message")).to_be_visible()
    site.fake.script("openai", [say("Heard.")])

    # The first request arrives, and its answer is lost; those after it do not arrive.
    lost = 0

    async def lose(route: Any) -> None:
        nonlocal lost
        if route.request.method != "POST" or lost >= 3:
            await route.continue_()
            return
        lost += 1
        if lost == 1:
            await route.fetch()
        await route.abort()

    await page.route("**/messages", lose)
    await send(page, "Do you hear me?")
    await expect(answers(page).get_by_text("Heard.")).to_be_visible()
    await expect(page.get_by_role("article", name="Your message")).to_have_count(1)
    visit.complaints[:] = [each for each in visit.complaints if "ERR_FAILED" not in each]
    assert (await alice.get(f"/threads/{thread['id']}"))["message_count"] == 2

    await page.unroute("**/messages")
    await page.get_by_role("textbox", name="Message").fill("Not yet sent")
    await page.reload()
    await expect(page.get_by_role("textbox", name="Message")).to_have_value("Not yet sent")
    lost = 0
    await page.route(
        "**/messages", lambda route: route.abort() if route.request.method == "POST" else route.continue_()
    )
    await page.get_by_role("button", name="Send").click()
    failed = page.get_by_role("article", name="Message that was not sent")
    await expect(failed).to_contain_text("unreachable")
    await page.unroute("**/messages")
    site.fake.script("openai", [say("Now it came.")])
    await failed.get_by_role("button", name="Try again").click()
    await expect(answers(page).get_by_text("Now it came.")).to_be_visible()
    await expect(failed).to_have_count(0)
    visit.complaints[:] = [each for each in visit.complaints if "ERR_FAILED" not in each]


@pytest.mark.long
async def test_people_see_who_writes_and_one_comes_from_a_search_to_a_message(site: Site, visit: Visits) -> None:
    alice, bob = await site.person(), await site.person()
    agent = await alice.agent()
    said = [f"{'Question' if number % 2 == 0 else 'Answer'} {number}" for number in range(300)]
    thread = await alice.thread(agent["id"], *said, title="Long")
    for kind, resource in (("agent", agent), ("thread", thread)):
        role = {"role": "user" if kind == "agent" else "editor", "user_id": bob.user_id}
        await alice.make("/roles", {**role, "resource_type": kind, "resource_id": resource["id"]})
    found = (await alice.get(f"/threads/{thread['id']}/messages", limit="100"))["data"][60]
    page = await visit(alice, f"/threads/{thread['id']}?message={found['id']}")
    await expect(conversation(page).get_by_text("Question 60", exact=True)).to_be_in_viewport()
    await page.get_by_role("button", name="To the end").click()
    await expect(conversation(page).get_by_text("Answer 299", exact=True)).to_be_in_viewport()

    site.fake.script("openai", [say("For both of you.")])
    others = await visit(bob, f"/threads/{thread['id']}")
    await send(others, "Bob here.")
    for each in (page, others):
        await expect(answers(each).get_by_text("For both of you.")).to_be_in_viewport()
        await expect(each.get_by_role("article", name=f"Message of {bob.user_id}")).to_contain_text("Bob here.")
    await expect(page.get_by_role("log")).to_contain_text(f"{bob.user_id}: Bob here.")
    await conversation(page).evaluate("each => each.scrollTop = 0")
    await expect(conversation(page).get_by_text("Question 60", exact=True)).to_be_visible()


async def test_an_answer_goes_on_after_a_reload_and_the_death_of_the_service(
    chromium: Browser, tmp_path: Path, shared_directory: SharedDirectory
) -> None:
    async with open_site(tmp_path, fresh_sqlite(shared_directory, tmp_path)) as site:
        visit = Visits(chromium, site)
        alice = await site.person()
        agent = await alice.agent()
        thread = await alice.thread(agent["id"], title="Safe")
        page = await visit(alice, f"/threads/{thread['id']}")
        first, second = asyncio.Event(), asyncio.Event()
        site.fake.script(
            "openai",
            [say("This is **begun", first, "**, and it is lost."), say("This is ", second, "**whole**, once.")],
        )
        await send(page, "Tell me.")
        await expect(answers(page).get_by_text("begun")).to_be_visible()
        await page.reload()
        await expect(answers(page).get_by_text("begun")).to_be_visible()

        site.replica.kill()
        first.set()
        await expect(page.get_by_text("Connecting.")).to_be_visible()
        await site.replica.start()
        await expect(answers(page)).to_contain_text("This is")
        second.set()
        await expect(answers(page)).to_contain_text("This is whole, once.")
        await expect(answers(page).get_by_text("begun")).to_have_count(0)
        await expect(page.get_by_role("article", name="Your message")).to_have_count(1)
        await visit.end()
        assert all("Failed to load resource" in each for each in visit.complaints)


@pytest.mark.long
async def test_a_call_for_another_program_is_shown_and_a_new_message_goes_on_without_it(
    site: Site, visit: Visits
) -> None:
    alice = await site.person()
    agent = await alice.agent()
    thread = await alice.thread(agent["id"], title="Doors")
    page = await visit(alice, f"/threads/{thread['id']}")
    await expect(page.get_by_role("textbox", name="Message")).to_be_visible()
    site.fake.script("openai", [call("open_door", {"door": "front"}), say("Then it stays closed.")])
    tool = {"name": "open_door", "description": "Opens a door.", "parameters": {"type": "object"}}
    await alice.api.post(
        f"/threads/{thread['id']}/messages",
        json={"content": "Open up!", "tools": [tool]},
        headers={"prefer": "respond-async"},
    )
    await expect(answers(page)).to_contain_text("waits for another program")
    await expect(answers(page)).to_contain_text("Write a message to go on without its answer.")
    await send(page, "Leave it.")
    await expect(answers(page).get_by_text("Then it stays closed.")).to_be_visible()
    await expect(page.get_by_text("waits for another program")).to_have_count(0)


@pytest.mark.long
async def test_a_tab_that_is_not_seen_gives_its_stream_up_and_catches_up(site: Site, visit: Visits) -> None:
    alice = await site.person()
    agent = await alice.agent()
    thread = await alice.thread(agent["id"], title="Hidden")
    page = await visit(alice, "/agents")
    await page.clock.install()
    await page.evaluate("location.hash = '#/threads/" + thread["id"] + "'")
    site.fake.script("openai", [say("Seen."), say("Said meanwhile.")])
    await send(page, "Are you there?")
    await expect(answers(page).get_by_text("Seen.")).to_be_visible()

    await page.evaluate(_HIDE, True)
    await page.clock.fast_forward(61_000)
    async with asyncio.timeout(60):
        while (await alice.get("/me"))["limits"]["streams"]["used"] > 1:  # the one of the list of threads
            await asyncio.sleep(0.1)
    await alice.make(f"/threads/{thread['id']}/messages", {"content": "And now?"})
    await page.evaluate(_HIDE, False)
    await expect(answers(page).get_by_text("Said meanwhile.")).to_be_visible()
    await expect(page.get_by_role("article", name="Your message")).to_have_count(2)


@pytest.mark.long
async def test_a_tab_that_missed_events_which_are_gone_reads_the_messages_again(
    chromium: Browser, tmp_path: Path, shared_directory: SharedDirectory
) -> None:
    url = fresh_sqlite(shared_directory, tmp_path)
    async with open_site(tmp_path, url) as site:
        visit = Visits(chromium, site)
        alice = await site.person()
        thread = await alice.thread((await alice.agent())["id"], title="Trimmed")
        page = await visit(alice, "/agents")
        await page.clock.install()
        await page.evaluate("location.hash = '#/threads/" + thread["id"] + "'")
        site.fake.script("openai", [say("Seen."), say("Said meanwhile."), say("And now."), say("At last.")])
        await send(page, "Are you there?")
        await expect(answers(page).get_by_text("Seen.")).to_be_visible()

        await page.evaluate(_HIDE, True)
        await page.clock.fast_forward(61_000)
        await alice.make(f"/threads/{thread['id']}/messages", {"content": "And meanwhile?"})
        await asyncio.to_thread(migrate.run_on, url, trim_now)
        gone = await alice.api.get(f"/threads/{thread['id']}/events", params={"last_event_id": "3-0"})
        assert gone.json()["code"] == "log_trimmed"
        await page.evaluate(_HIDE, False)
        await expect(answers(page).get_by_text("Said meanwhile.")).to_be_visible()
        await send(page, "And now?")
        await expect(answers(page).get_by_text("And now.")).to_be_visible()
        await expect(page.get_by_role("article", name="Your message")).to_have_count(3)

        # Long after: nothing is asked for that is gone.
        seen = len(visit.complaints)
        assert all("410" in each for each in visit.complaints)
        await asyncio.to_thread(migrate.run_on, url, trim_now)
        await page.reload()
        await expect(answers(page).get_by_text("And now.")).to_be_visible()
        await alice.make(f"/threads/{thread['id']}/messages", {"content": "And at last?"})
        await expect(answers(page).get_by_text("At last.")).to_be_visible()
        assert len(visit.complaints) == seen
        await visit.end()


@pytest.mark.long
async def test_the_field_breaks_lines_waits_for_input_methods_and_takes_examples(site: Site, visit: Visits) -> None:
    alice = await site.person()
    examples = ["What is in season?"]
    await alice.agent(name="Cook", metadata={"examples": examples})
    agent = await alice.agent(name="Other", description="Does something else.")
    page = await visit(alice, f"/?agent_id={agent['id']}")
    field = page.get_by_role("textbox", name="Message")
    await expect(page.get_by_role("radio", name="Other")).to_be_checked()
    await page.get_by_text("Cook", exact=True).click()
    await page.get_by_role("button", name=examples[0]).click()
    await expect(field).to_have_value(examples[0])
    await field.press("Shift+Enter")
    await field.press_sequentially("And what not?")
    await field.evaluate(
        "each => each.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', isComposing: true, bubbles: true }))"
    )
    await expect(field).to_have_value(f"{examples[0]}\nAnd what not?")
    site.fake.script("openai", [say("Apples."), say("Seasons")])
    await field.press("Enter")
    await expect(answers(page).get_by_text("Apples.")).to_be_visible()
    await expect(page.get_by_role("heading", name="Seasons")).to_be_visible()

    await field.fill("Not for others")
    kept = "Object.keys(localStorage).filter((name) => /draft|agent\\./.test(name)).length"
    await page.wait_for_function(f"() => {kept} === 2")
    await page.get_by_role("button", name="Your account").click()
    await page.get_by_role("menuitem", name="Sign out").click()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert await page.evaluate(kept) == 0


HOSTILE = """<script>window.hacked = 1</script> <img src="https://evil.example/a.png" onerror="window.hacked = 1">

<svg onload="window.hacked = 1"><script>window.hacked = 1</script></svg>

<iframe src="https://evil.example/"></iframe> <meta http-equiv="refresh" content="0; url=https://evil.example/">

<style>@import url(https://evil.example/a.css);</style> <link rel="stylesheet" href="https://evil.example/b.css">

![seen](https://evil.example/b.png "x") ![data](data:image/svg+xml,<svg onload=hacked()>)

[a](javascript:window.hacked=1) [b](JaVaScRiPt&colon;window.hacked=1) [c](data:text/html,<script>hacked()</script>)
[d](vbscript:x) [e]( java\tscript:window.hacked=1) <javascript:window.hacked=1> [f](//evil.example/x) [g](file:///etc/passwd)

[bank.example](https://evil.example/login) <a href="javascript:window.hacked=1" onclick="window.hacked=1">h</a>

<form action="https://evil.example/"><input autofocus onfocus="window.hacked=1"></form> `<b>code</b>`
"""


@pytest.mark.parametrize("how", ["streamed", pytest.param("loaded", marks=pytest.mark.long)])
async def test_hostile_markdown_does_nothing_and_sends_nothing(site: Site, visit: Visits, how: str) -> None:
    alice = await site.person()
    agent = await alice.agent()
    thread = await alice.thread(agent["id"], *(["Try.", HOSTILE] if how == "loaded" else []), title=HOSTILE[:80])
    page = await visit(alice, f"/threads/{thread['id']}")
    if how == "streamed":
        site.fake.script("openai", [say(*[HOSTILE[at : at + 5] for at in range(0, len(HOSTILE), 5)])])
        await send(page, HOSTILE)
    await expect(answers(page).get_by_text("<b>code</b>")).to_be_visible()
    links = await answers(page).get_by_role("link").evaluate_all("links => links.map((a) => [a.href, a.rel, a.target])")
    assert {tuple(each[1:]) for each in links} == {("noopener noreferrer", "_blank")}
    assert {each[0].partition("/")[0] for each in links} == {"https:"}
    assert [each[0] for each in links if each[0].endswith("b.png")] == ["https://evil.example/b.png"]
    await expect(answers(page)).to_contain_text("bank.example (evil.example)")
    allowed = "p,strong,em,del,code,a,br,ul,ol,li,h2,hr,blockquote,input,pre,figure,figcaption,span,button,table,div"
    assert await answers(page).locator(f".markdown :not({allowed})").count() == 0
    assert await page.evaluate(
        "[window.hacked, document.querySelectorAll('iframe, meta[http-equiv], style').length]"
    ) == [None, 0]
    # What was asked of other hosts is among the visit's complaints, which are empty at its end.
