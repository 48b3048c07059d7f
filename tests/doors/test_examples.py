"""The programs of `examples/`, each in a process of its own, against a running service.

Those that need packages which are not installed here are run by `make conformance`, which installs them.
"""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.api.live import Live, serve
from tests.api.service import ADMIN_KEY, make_agent, settings_for

EXAMPLES = Path(__file__).parents[2] / "examples"
# Where `make conformance` has installed packages of npm.
NODE = Path(os.environ.get("AI_AGENTS_NODE_DIRECTORY", EXAMPLES))
# The Python in which `make conformance` has installed clients that the tests lack.
CLIENTS = os.environ.get("AI_AGENTS_CLIENT_PYTHON", "")
_PYTHON, _NODE, _TSX = [sys.executable], ["node"], [str(NODE / "node_modules/.bin/tsx")]
COMMANDS = {
    "httpx_stream.py": (_PYTHON, True),
    "openai_python.py": (_PYTHON, True),
    "openai_responses.py": (_PYTHON, True),
    "mcp_client.py": (_PYTHON, True),
    "mcp_server.py": (_PYTHON, True),
    "openai_agents.py": ([CLIENTS], CLIENTS != ""),
    "langchain_chat.py": ([CLIENTS], CLIENTS != ""),
    "fetch_post.mjs": (_NODE, shutil.which("node") is not None),
    "openai_typescript.ts": (_TSX, Path(_TSX[0]).exists()),
    "client_chat.ts": (_TSX, Path(_TSX[0]).exists()),
    "ag_ui.mjs": (_NODE, (NODE / "node_modules/@ag-ui/client").exists()),
}
_WHOLE_AND_STREAMED = ["whole: echo: Hello!", "streamed: echo: Hello again!", "tool: ", "Rain"]
EXPECTED = {
    "httpx_stream.py": ["the first piece: echo:", "the rest:  Hello, how are you?"],
    "fetch_post.mjs": ["streamed: echo: Hello!"],
    "openai_python.py": [*_WHOLE_AND_STREAMED, "thread ", "What is my name?"],
    "openai_responses.py": [
        "second: echo: What is my name?",
        "function: ",
        "Rain.",
        "resumed: echo: Tell me",
        "items: 2",
    ],
    "mcp_client.py": ["tools: ['assistant']", "streamed: echo: Hello!", "in the same thread: echo: And again."],
    "mcp_server.py": ["the tool: {'article': 'pen', 'price': 21}", "echo: shop/price answered"],
    "openai_agents.py": ["whole: echo: Hello!", "tool: ", "Rain in Oslo."],
    "openai_typescript.ts": [*_WHOLE_AND_STREAMED, "thread ", "What is my name?"],
    "langchain_chat.py": _WHOLE_AND_STREAMED,
    "client_chat.ts": ["echo: Hello!", "(completed, ", "echo: clock answered: 20", "the newest message: assistant"],
    "ag_ui.mjs": ["echo: Hello!", "found: user assistant"],
}
# What programs import.
MODULES = {"client.ts"}
# What `make conformance` opens in a browser (`test_pages.py`), and what is read.
OTHERS = {"use_chat.jsx", "event_source.html", "README.md", "open_webui.md"}


def test_every_program_is_run() -> None:
    programs = {path.name for path in EXAMPLES.iterdir() if path.suffix in {".py", ".ts", ".mjs"}} - MODULES

    assert programs == set(COMMANDS) == set(EXPECTED)
    assert {path.name for path in EXAMPLES.iterdir() if path.is_file()} - programs == OTHERS | MODULES


@pytest.fixture
async def small_live(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Live]:
    """A service that may reach servers of the examples."""
    async with serve(settings_for(sqlite_url, tmp_path, outbound_allow="127.0.0.1")) as running:
        yield running


async def test_they_say_what_the_service_says(small_live: Live) -> None:
    alice = await small_live.user("alice")
    agent = await make_agent(alice, name="assistant")
    key = alice.headers["authorization"].removeprefix("Bearer ")
    url = small_live.server.address
    environment = {
        **os.environ,
        "AI_AGENTS_URL": url,
        "AI_AGENTS_KEY": key,
        "AI_AGENTS_ADMIN_KEY": ADMIN_KEY,
        "OPENAI_BASE_URL": f"{url}/v1",
        "OPENAI_API_KEY": key,
        "NODE_PATH": str(NODE / "node_modules"),
    }

    for name in (name for name, (_, is_installed) in COMMANDS.items() if is_installed):
        path = EXAMPLES / name
        if path.suffix in {".ts", ".mjs"}:  # it finds its packages beside it
            for each in {name, *MODULES} if NODE != EXAMPLES else ():
                shutil.copy(EXAMPLES / each, NODE / each)
            path = NODE / name
        process = await asyncio.create_subprocess_exec(
            *COMMANDS[name][0],
            str(path),
            agent["id"],
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, errors = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 0, (name, errors.decode())
        for expected in EXPECTED[name]:
            assert expected in out.decode(), (name, expected, out.decode())


@pytest.mark.parametrize("name", ["open_webui.md", "README.md"])
def test_what_is_written_names_the_address_of_the_door(name: str) -> None:
    assert "/v1" in (EXAMPLES / name).read_text()
