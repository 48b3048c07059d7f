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

from tests.api.live import Live
from tests.api.service import make_agent, make_thread
from tests.client.conftest import NODE, key_of
from tests.client.test_broken_connections import Cuts
from tests.faults.support.proxy import TcpProxy

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
