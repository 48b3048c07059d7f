"""The pages of `examples/` in Chromium. `make conformance` installs what they need."""

import asyncio
import os
from pathlib import Path
from urllib.parse import urlencode

from tests.api.live import serve
from tests.api.service import make_agent, make_thread, settings_for
from tests.doors.test_examples import EXAMPLES
from tests.support.processes import free_port

BROWSER = Path(__file__).parent / "browser.mjs"


async def opened(name: str, asked: dict[str, str], said: str, expected: str, port: int) -> asyncio.subprocess.Process:
    """The browser with this page, which waits for the expected text."""
    return await asyncio.create_subprocess_exec(
        "node",
        str(BROWSER),
        str(EXAMPLES / name),
        urlencode(asked),
        said,
        expected,
        env=os.environ | {"AI_AGENTS_PAGE_PORT": str(port)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def shown(process: asyncio.subprocess.Process) -> str:
    """What the page shows in the end."""
    out, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, errors.decode()
    return out.decode()


async def test_the_pages_show_an_answer_as_it_is_written(sqlite_url: str, tmp_path: Path) -> None:
    port = free_port()
    settings = settings_for(sqlite_url, tmp_path, cors_origins=f"http://127.0.0.1:{port}")
    async with serve(settings) as live:
        alice = await live.user("alice")
        agent = await make_agent(alice)
        url = live.server.address
        token = (await alice.post("/tokens", json={})).json()["token"]
        thread = await make_thread(alice, agent["id"])
        ticket = (await alice.post("/tickets", json={"thread_id": thread["id"]})).json()["ticket"]

        chat = {"url": url, "token": token, "agent": agent["id"], "chat": "a chat"}
        first = await shown(await opened("use_chat.jsx", chat, "Hello!", "echo: Hello!", port))
        again = await shown(await opened("use_chat.jsx", chat, "Again!", "echo: Again!", port))
        asked = {"url": url, "thread": thread["id"], "ticket": ticket}
        watching = await opened("event_source.html", asked, "-", "echo: Hi!", port)
        assert watching.stdout is not None
        assert await asyncio.wait_for(watching.stdout.readline(), 30) == b"opened\n"
        await alice.post(f"/threads/{thread['id']}/messages", json={"content": "Hi!"})
        watched = await shown(watching)

    assert "ready" in first + again
    assert again.index("echo: Hello!") < again.index("echo: Again!")
    assert "> Hi!" in watched
