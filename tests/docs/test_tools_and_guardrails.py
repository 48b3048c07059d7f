"""The pages on tools and guardrails: their Python is run, their shell is typed, against the servers that they show."""

import asyncio
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest

from ai_agents import DatabaseHandle
from ai_agents.guardrails.registry import BUILT_IN_GUARDRAILS, build_guardrails
from ai_agents.tools.registry import GROUP
from app.schemas.agents import CreateAgent
from tests.docs.conftest import Run, environment
from tests.docs.examples import examples_of
from tests.docs.python_examples import run_snippet, snippets_of
from tests.docs.site import QUICK_START
from tests.support.processes import free_port, wait_for_port

DOCS = Path(__file__).parents[2] / "docs"
TOOLS, GUARDRAILS = DOCS / "tools.md", DOCS / "guardrails.md"
_ORDERS = """
import http.server, json, sys

class Orders(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        assert self.headers["authorization"] == "Bearer a-secret-of-that-service"
        body = json.dumps({"order": 7, "state": "on its way"}).encode()
        self.send_response(200 if self.path == "/v1/orders/7" else 404)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Orders).serve_forever()
"""


def is_mcp_server(snippet: str) -> bool:
    return "MCPServer(" in snippet


@pytest.fixture
def neighbours(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An HTTP API, and the MCP server of the page."""
    orders, shop = free_port(), free_port()
    (tmp_path / "orders.py").write_text(_ORDERS)
    (tmp_path / "server.py").write_text(next(filter(is_mcp_server, snippets_of(TOOLS))))
    commands = [
        [sys.executable, "orders.py", str(orders)],
        [sys.executable, "-m", "uvicorn", "server:app", "--port", str(shop), "--log-level", "error"],
    ]
    with (tmp_path / "neighbours.log").open("wb") as log:
        started = [
            subprocess.Popen(command, cwd=tmp_path, env=environment(), stdout=log, stderr=log) for command in commands
        ]
        try:
            for port in (orders, shop):
                wait_for_port(port)
            yield {"127.0.0.1:9000": f"127.0.0.1:{orders}", "127.0.0.1:9001": f"127.0.0.1:{shop}"}
        finally:
            for process in started:
                process.terminate()
                process.wait(10)


def test_every_example_of_the_page_on_tools_prints_what_the_page_shows(run: Run) -> None:
    examples = examples_of(TOOLS)
    assert len(examples) >= 6

    for example, output in run([*examples_of(QUICK_START), *examples]):
        assert example.explains(output), f"line {example.line} shows\n{example.shown}\nand printed\n{output}"


@pytest.mark.parametrize("page", [TOOLS, GUARDRAILS], ids=lambda page: page.stem)
@pytest.mark.usefixtures("own_registries")
async def test_the_python_of_the_pages_runs(page: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    with chdir(tmp_path):
        try:
            for snippet in snippets_of(page):
                if not is_mcp_server(snippet):
                    await run_snippet(snippet, names)
        finally:
            conn: DatabaseHandle = names["conn"]
            await asyncio.wait_for(conn.close(), 60)
    printed = capsys.readouterr().out
    if page == TOOLS:
        assert "order_status answered:" in printed
        assert '"state":"on its way"' in printed
    else:
        assert "echo: Write to [redacted] about [redacted], [redacted]." in printed
        assert "echo: What about [redacted]?" in printed
        assert "The guardrail no_shouting does not allow this input." in printed


def test_what_the_pages_show_in_other_languages_is_right() -> None:
    (judge,) = re.findall(r"^```json\n(.*?)^```", GUARDRAILS.read_text(), re.MULTILINE | re.DOTALL)
    (placed,) = build_guardrails([json.loads(judge)]).guardrails
    assert (placed.type, placed.stages) == ("judge", ("output",))

    (project,) = re.findall(r"^```toml\n(.*?)^```", TOOLS.read_text(), re.MULTILINE | re.DOTALL)
    assert list(tomllib.loads(project)["project"]["entry-points"]) == [GROUP]

    (tool,) = re.findall(r"^<!-- checked by .*\n```json\n(.*?)^```", TOOLS.read_text(), re.MULTILINE | re.DOTALL)
    assert CreateAgent.model_validate_json(f'{{"name": "clerk", "tools": [{tool}]}}').tools


def test_the_page_on_guardrails_tells_of_every_type() -> None:
    told = re.findall(r"^\| `(\w+)` \| ", GUARDRAILS.read_text(), re.MULTILINE)
    assert set(told) >= BUILT_IN_GUARDRAILS
