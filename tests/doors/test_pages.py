"""The pages of `examples/` in Chromium. `make conformance` installs what they need."""

import asyncio
import os
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.api.live import serve
from tests.api.service import make_agent, make_thread, settings_for
from tests.doors.test_examples import EXAMPLES, NODE
from tests.support.processes import free_port

BROWSER = Path(__file__).parent / "browser.mjs"
# Where the packages of each version of the AI SDK are.
AI_SDK = {6: NODE, 7: NODE / "ai-sdk-7"}


async def opened(
    name: str, asked: dict[str, str], *told: str, port: int, packages: Path = NODE
) -> asyncio.subprocess.Process:
    """The browser with this page. `told` is what it says, which text it waits for, and after which it loads again."""
    return await asyncio.create_subprocess_exec(
        "node",
        str(BROWSER),
        str(EXAMPLES / name),
        urlencode(asked),
        *told,
        env=os.environ | {"AI_AGENTS_PAGE_PORT": str(port), "AI_AGENTS_PAGE_DIRECTORY": str(packages)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def shown(process: asyncio.subprocess.Process) -> str:
    """What the page shows in the end."""
    out, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, errors.decode()
    return out.decode()


@pytest.mark.parametrize("version", AI_SDK)
async def test_use_chat_shows_an_answer_once_also_if_it_is_loaded_again_in_its_midst(
    version: int, sqlite_url: str, tmp_path: Path
) -> None:
    port = free_port()
    settings = settings_for(sqlite_url, tmp_path, cors_origins=f"http://127.0.0.1:{port}", echo_delay_s=0.2)
    async with serve(settings) as live:
        alice = await live.user("alice")
        token = (await alice.post("/tokens", json={})).json()["token"]
        agent = (await make_agent(alice))["id"]
        chat = {"url": live.server.address, "token": token, "agent": agent, "chat": "a chat"}
        reloaded = ("Hello!", "talk to a model.)", "echo: Hello!")
        first = await shown(await opened("use_chat.jsx", chat, *reloaded, port=port, packages=AI_SDK[version]))
        told = ("Again!", "echo: Again! (This is echo, a stand-in")
        again = await shown(await opened("use_chat.jsx", chat, *told, port=port, packages=AI_SDK[version]))

    assert first.startswith("loaded again\n")
    assert first.count("echo: Hello!") == again.count("echo: Hello!") == again.count("echo: Again!") == 1
    assert again.index("echo: Hello!") < again.index("echo: Again!")


async def test_an_event_source_shows_an_answer_as_it_is_written(sqlite_url: str, tmp_path: Path) -> None:
    port = free_port()
    settings = settings_for(sqlite_url, tmp_path, cors_origins=f"http://127.0.0.1:{port}")
    async with serve(settings) as live:
        alice = await live.user("alice")
        agent = await make_agent(alice)
        thread = await make_thread(alice, agent["id"])
        ticket = (await alice.post("/tickets", json={"thread_id": thread["id"]})).json()["ticket"]
        asked = {"url": live.server.address, "thread": thread["id"], "ticket": ticket}
        watching = await opened("event_source.html", asked, "-", "echo: Hi!", port=port)
        assert watching.stdout is not None
        assert await asyncio.wait_for(watching.stdout.readline(), 30) == b"opened\n"
        await alice.post(f"/threads/{thread['id']}/messages", json={"content": "Hi!"})
        watched = await shown(watching)

    assert "> Hi!" in watched
