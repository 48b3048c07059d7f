"""`examples/client.ts` in Node behind a network that cuts connections, and before the compiler at its strictest.

`make conformance` installs what it needs.
"""

import asyncio
import json
import random
import shutil
from collections import defaultdict
from pathlib import Path
from typing import Any

from playwright.async_api import async_playwright

from tests.api.live import Live, serve
from tests.api.service import make_agent, make_thread, settings_for
from tests.client.conftest import NODE, key_of
from tests.client.test_broken_connections import Cuts
from tests.fakes.http_server import HttpServer
from tests.faults.support.proxy import TcpProxy
from tests.support.binaries import chromium_program

EXAMPLES = Path(__file__).parents[2] / "examples"
PROGRAM = Path(__file__).with_name("stream_to_json.ts")
STRICT = [
    "--noEmit", "--strict", "--noUncheckedIndexedAccess", "--exactOptionalPropertyTypes", "--erasableSyntaxOnly",
    "--noPropertyAccessFromIndexSignature", "--noImplicitReturns", "--noUnusedLocals", "--noUnusedParameters",
    "--target", "es2022", "--lib", "esnext,dom,dom.iterable", "--module", "esnext", "--moduleResolution", "bundler",
    "--allowImportingTsExtensions", "--types", "node",
]  # fmt: skip


async def run_node(*arguments: str) -> str:
    """What a program that `make conformance` has installed prints."""
    process = await asyncio.create_subprocess_exec(
        str(NODE / "node_modules/.bin" / arguments[0]),
        *arguments[1:],
        cwd=NODE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 0, out.decode() + errors.decode()
    return out.decode()


async def test_it_gets_each_event_once_however_often_it_is_cut(small_live: Live, rng: random.Random) -> None:
    for path in (*EXAMPLES.glob("client*.ts"), PROGRAM):
        shutil.copy(path, NODE)
    await run_node("tsc", *STRICT, "client.ts", "client_chat.ts", PROGRAM.name)
    alice = await small_live.user("alice")
    thread = await make_thread(alice, (await make_agent(alice))["id"])
    text = "a long story \u2028 with ümlauts " * 40
    key = await key_of(small_live, "alice")

    async with TcpProxy(int(small_live.server.address.rpartition(":")[2]), Cuts(14, rng)) as proxy:
        url = f"http://127.0.0.1:{proxy.port}"
        told: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        for line in (await run_node("tsx", PROGRAM.name, url, key, thread["id"], text)).rstrip("\n").split("\n"):
            event = json.loads(line)
            told[event.pop("from")].append(event)
        assert proxy.cuts >= 14

    for events in (told["run"], told["thread"]):
        ids = [event["id"] for event in events]
        assert len(set(ids)) == len(ids)
        assert [events[0]["type"], events[-1]["type"]] == ["run.started", "run.completed"]
        [message] = [event["message"] for event in events if event["type"] == "message.completed"]
        assert message["content"].startswith(f"echo: {text.strip()}")
        said = ""
        for event in events:
            if event["type"] == "message.delta":
                assert event["offset"] == len(said)
                said += event["text"]
        assert message["content"].startswith(said)
    assert "Seven." in told["later"][0]["content"]
    assert told["problem"] == [{"code": "not_found"}]
    assert told["end"][0]["roles"].count("user") == 2
    assert told["end"][0]["seen"] >= 2
    assert told["end"][0]["hits"] >= 1
    assert (await alice.get(f"/threads/{thread['id']}")).status_code == 404


_PAGE = """<!doctype html><title>A page of another origin</title><script type="module">
import { Answer, Client } from "/client.js";
window.ask = async (url, credential, thread, run) => {
  const client = new Client(url, credential);
  const answer = new Answer();
  for await (const event of run ? client.streamRun(thread, run) : client.stream(thread, "Hello!")) answer.add(event);
  return { text: answer.text, run: answer.run.id };
};
</script>"""


async def test_it_works_in_a_page_of_another_origin_with_a_token_and_with_a_ticket(
    http: HttpServer, sqlite_url: str, tmp_path: Path
) -> None:
    shutil.copy(EXAMPLES / "client.ts", NODE)
    await run_node("esbuild", "client.ts", "--format=esm", "--outfile=client.js")
    http.on("/", answer_of("text/html", _PAGE))
    http.on("/client.js", answer_of("text/javascript", (NODE / "client.js").read_text()))
    settings = settings_for(sqlite_url, tmp_path, cors_origins=http.url("").rstrip("/"))
    async with serve(settings) as live, async_playwright() as playwright:
        alice = await live.user("alice")
        agent = await make_agent(alice)
        thread = await make_thread(alice, agent["id"])
        token = (await alice.post("/tokens", json={"agents": [agent["id"]]})).json()["token"]
        ticket = (await alice.post("/tickets", json={"thread_id": thread["id"]})).json()["ticket"]
        browser = await playwright.chromium.launch(executable_path=chromium_program(), args=["--no-sandbox"])
        page = await browser.new_page()
        await page.goto(http.url("/"))
        await page.wait_for_function("() => window.ask !== undefined")
        ask = f"([credential, run]) => ask('{live.server.address}', credential, '{thread['id']}', run)"
        sent = await page.evaluate(ask, [token, None])
        read = await page.evaluate(ask, [ticket, sent["run"]])
        await browser.close()

    assert sent["text"].startswith("echo: Hello!")
    assert read == sent


def answer_of(media_type: str, text: str) -> bytes:
    body = text.encode()
    head = ("HTTP/1.1 200 OK", f"content-type: {media_type}", f"content-length: {len(body)}", "connection: close")
    return "\r\n".join([*head, "", ""]).encode() + body
