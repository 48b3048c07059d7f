"""The page on streams: its tables, its pages for browsers, its program with `fetch`, and the lines for nginx."""

import asyncio
import json
import re
import subprocess
import time
from pathlib import Path
from typing import get_args

import httpx
from playwright._impl._driver import compute_driver_executable

from ai_agents.core.events import EventType
from tests.docs.conftest import served
from tests.docs.examples import FENCE
from tests.docs.site import page
from tests.faults.support.proxy import Fault, TcpProxy
from tests.support.binaries import nginx_program
from tests.support.processes import free_port, wait_for_port

EVENTS = set(get_args(EventType))
TEXT = "a long story with ümlauts and \u2028 " * 24


def blocks(name: str, language: str) -> list[str]:
    """The blocks of a page in a language."""
    return [each["body"] for each in FENCE.finditer(page(name).read_text()) if each["language"] == language]


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
    tmp_path: Path,
) -> None:
    (program,) = blocks("streaming", "js")
    (tmp_path / "ask.mjs").write_text(program)
    (tmp_path / "main.mjs").write_text(
        'import { ask } from "./ask.mjs";\n'
        "for await (const data of ask(...process.argv.slice(2))) console.log(JSON.stringify(data));\n"
    )
    node, _ = compute_driver_executable()
    # The first connection breaks before the answer begins, the next ones in the midst of it.
    faults = iter([Fault(cut_after=bytes_sent) for bytes_sent in (1, 6_000, 900, 3_000)])
    with served(tmp_path) as address:
        key = (tmp_path / "var" / "admin.key").read_text().strip()
        async with (
            httpx.AsyncClient(base_url=address, headers={"authorization": f"Bearer {key}"}) as admin,
            TcpProxy(int(address.rpartition(":")[2]), lambda: next(faults, Fault())) as proxy,
        ):
            agent = (await admin.post("/agents", json={"name": "tutor"})).json()
            thread = (await admin.post("/threads", json={"agent_id": agent["id"]})).json()["id"]
            process = await asyncio.create_subprocess_exec(
                node, "main.mjs", f"http://127.0.0.1:{proxy.port}", key, thread, TEXT,
                cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            out, errors = await asyncio.wait_for(process.communicate(), 60)
            assert process.returncode == 0, errors.decode()
            assert proxy.cuts >= 4
            runs = (await admin.get(f"/threads/{thread}/runs")).json()["data"]
            await stream_through_nginx(admin, thread, tmp_path)

    told = [json.loads(line) for line in out.decode().rstrip("\n").split("\n")]
    said = "".join(event["text"] for event in told if event["type"] == "message.delta")
    [message] = [event["message"] for event in told if event["type"] == "message.completed"]
    assert [told[0]["type"], told[-1]["type"]] == ["run.started", "run.completed"]
    assert message["content"].startswith(f"echo: {TEXT.strip()}")
    assert said == message["content"]
    assert len(runs) == 1


async def stream_through_nginx(admin: httpx.AsyncClient, thread: str, directory: Path) -> None:
    """A stream through nginx with the lines of the page on operations comes as it is sent."""
    (lines,) = blocks("operations", "nginx")
    port = free_port()
    own = lines.replace("10.0.0.1:8000", admin.base_url.netloc.decode()).replace("    server 10.0.0.2:8000;\n", "")
    own = own.replace("listen 80;", f"listen 127.0.0.1:{port};")
    temporary = "".join(
        f"{kind}_temp_path {directory}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (directory / "nginx.conf").write_text(
        f"pid {directory}/nginx.pid; error_log {directory}/nginx.log; events {{}} "
        f"http {{ access_log off; {temporary} {own} }}"
    )
    command = [str(nginx_program()), "-c", str(directory / "nginx.conf"), "-g", "daemon off;"]
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
