"""The page on streams: its tables, its pages for browsers, its program with `fetch`, and the lines for nginx."""

import asyncio
import json
import re
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import get_args

import httpx
import pytest
from playwright._impl._driver import compute_driver_executable
from playwright.async_api import Route, async_playwright, expect

from ai_agents.core.events import EventType
from tests.docs.conftest import served
from tests.docs.examples import FENCE
from tests.docs.site import page
from tests.faults.support.proxy import Fault, TcpProxy
from tests.support.binaries import chromium_program, nginx_program
from tests.support.processes import free_port, wait_for_port

EVENTS = set(get_args(EventType))
TEXT = "a long story with ümlauts and \u2028 " * 24


def blocks(name: str, language: str) -> list[str]:
    """The blocks of a page in a language."""
    return [each["body"] for each in FENCE.finditer(page(name).read_text()) if each["language"] == language]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the service."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def address(home: Path) -> Iterator[str]:
    """The address of a service."""
    with served(home) as address:
        yield address


@pytest.fixture
async def admin(home: Path, address: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client with the admin key."""
    key = (home / "var" / "admin.key").read_text().strip()
    async with httpx.AsyncClient(base_url=address, headers={"authorization": f"Bearer {key}"}) as client:
        yield client


@pytest.fixture
async def thread(admin: httpx.AsyncClient) -> str:
    """The id of a new thread."""
    agent = (await admin.post("/agents", json={"name": "tutor"})).json()
    return str((await admin.post("/threads", json={"agent_id": agent["id"]})).json()["id"])


def test_the_page_on_streams_tells_of_every_event_and_of_no_other() -> None:
    text = page("streaming").read_text()
    table = text[text.index("| event | further `data` | stored |") :]

    told = re.findall(r"^\| `([a-z]+\.[a-z]+)` \|", table.partition("\n\n")[0], re.MULTILINE)

    assert set(told) == EVENTS
    assert len(told) == len(EVENTS)


def test_the_pages_for_browsers_listen_to_events_that_there_are() -> None:
    watch, _ = blocks("streaming", "html")

    listens = set(re.findall(r'"((?:run|message|thread|tool)\.[a-z]+)"', watch))

    assert listens <= EVENTS
    assert {"message.delta", "run.retrying", "run.completed", "run.cancelled", "run.failed"} <= listens


async def test_the_program_with_fetch_gets_each_event_once_however_often_it_is_cut(
    address: str, admin: httpx.AsyncClient, thread: str, tmp_path: Path
) -> None:
    (program,) = blocks("streaming", "js")
    (tmp_path / "ask.mjs").write_text(program)
    (tmp_path / "main.mjs").write_text(
        'import { ask } from "./ask.mjs";\n'
        "for await (const data of ask(...process.argv.slice(2))) console.log(JSON.stringify(data));\n"
    )
    node, _ = compute_driver_executable()
    key = admin.headers["authorization"].removeprefix("Bearer ")
    # The first connection breaks before the answer begins, the next ones in the midst of it.
    faults = iter([Fault(cut_after=bytes_sent) for bytes_sent in (1, 6_000, 900, 3_000)])
    async with TcpProxy(int(address.rpartition(":")[2]), lambda: next(faults, Fault())) as proxy:
        process = await asyncio.create_subprocess_exec(
            node, "main.mjs", f"http://127.0.0.1:{proxy.port}", key, thread, TEXT,
            cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, errors = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 0, errors.decode()
        assert proxy.cuts >= 4

    told = [json.loads(line) for line in out.decode().rstrip("\n").split("\n")]
    said = "".join(event["text"] for event in told if event["type"] == "message.delta")
    [message] = [event["message"] for event in told if event["type"] == "message.completed"]
    assert [told[0]["type"], told[-1]["type"]] == ["run.started", "run.completed"]
    assert message["content"].startswith(f"echo: {TEXT.strip()}")
    assert said == message["content"]
    assert len((await admin.get(f"/threads/{thread}/runs")).json()["data"]) == 1


async def test_the_pages_for_browsers_show_an_answer_over_a_reload_and_the_threads_that_change(
    address: str, admin: httpx.AsyncClient, thread: str
) -> None:
    watch, threads = blocks("streaming", "html")
    ticket = (await admin.post("/tickets", json={"thread_id": thread})).json()["ticket"]
    of_all = (await admin.post("/tickets", json={})).json()["ticket"]
    prefer = {"prefer": "respond-async"}

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=str(chromium_program()))
        context = await browser.new_context()
        for name, html in (("watch", watch), ("threads", threads)):
            await context.route(f"{address}/{name}.html?*", partial(show, html))
        page, listed = await context.new_page(), await context.new_page()
        await listed.goto(f"{address}/threads.html?ticket={of_all}")
        run = (await admin.post(f"/threads/{thread}/messages", json={"content": TEXT}, headers=prefer)).json()["id"]
        await page.goto(f"{address}/watch.html?thread={thread}&run={run}&ticket={ticket}")
        await expect(page.locator("#answer")).to_contain_text("a long story with", timeout=60_000)
        await page.reload()
        await expect(page.locator("#state")).to_have_text("run.completed", timeout=60_000)
        shown = await page.locator("#answer").text_content()
        await expect(listed.locator("#threads li")).to_have_count(1, timeout=60_000)
        await browser.close()

    [answer, *_] = (await admin.get(f"/threads/{thread}/messages", params={"order": "desc"})).json()["data"]
    assert shown == answer["content"]


async def show(html: str, route: Route) -> None:
    """Answer a request of the browser with a page."""
    await route.fulfill(body=html, content_type="text/html")


async def test_a_stream_comes_through_nginx_as_it_is_sent(
    admin: httpx.AsyncClient, thread: str, tmp_path: Path
) -> None:
    (lines,) = blocks("operations", "nginx")
    port = free_port()
    own = lines.replace("10.0.0.1:8000", admin.base_url.netloc.decode()).replace("    server 10.0.0.2:8000;\n", "")
    own = own.replace("listen 80;", f"listen 127.0.0.1:{port};")
    temporary = "".join(
        f"{kind}_temp_path {tmp_path}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (tmp_path / "nginx.conf").write_text(
        f"pid {tmp_path}/nginx.pid; error_log {tmp_path}/nginx.log; events {{}} "
        f"http {{ access_log off; {temporary} {own} }}"
    )
    command = [str(nginx_program()), "-c", str(tmp_path / "nginx.conf"), "-g", "daemon off;"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as nginx:
        try:
            wait_for_port(port)
            body = {"content": "one two three four five six seven eight nine ten", "stream": True}
            url = f"http://127.0.0.1:{port}/threads/{thread}/messages"
            async with admin.stream("POST", url, json=body) as answer:
                came = [
                    time.monotonic() async for line in answer.aiter_lines() if line.startswith("event: message.delta")
                ]
        finally:
            nginx.terminate()
    assert len(came) > 5
    assert came[-1] - came[0] > 0.1
