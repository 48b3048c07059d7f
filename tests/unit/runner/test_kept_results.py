"""Long results of tools: the model is shown a part, and all of it is kept as a file."""

from pathlib import Path
from typing import Any

from ai_agents import AgentRunner, AgentStore, DatabaseHandle, DiskStore, MessageStore, ThreadStore, ToolRegistry
from ai_agents.core.types import ToolResultPart
from ai_agents.store.files import get_file
from ai_agents.testing import ScriptedProvider, tool_call
from ai_agents.tools.base import Tool
from tests.unit.runner.conftest import USER

LONG = "<html>" + "a line of what it says\n" * 20_000


class Page(Tool):
    """Says a lot."""

    name = "page"

    async def execute(self) -> str:
        return LONG


class Rows(Tool):
    """Says a lot that is no text."""

    name = "rows"

    async def execute(self) -> list[dict[str, int]]:
        return [{"number": number} for number in range(20_000)]


class Stage:
    """A thread whose agent has a tool that says a lot."""

    def __init__(self, conn: DatabaseHandle, blobs: DiskStore | None, tool: Tool) -> None:
        self.conn = conn
        self.tool = tool
        self.provider = ScriptedProvider([tool_call(tool.name)], "That was long.")
        self.runner = AgentRunner(conn, provider=self.provider, tools=ToolRegistry([tool]), blobs=blobs)
        self.thread_id = ""

    async def run(self) -> list[Any]:
        """The parts of the tool's message."""
        agent = await AgentStore(self.conn).create(name="reader", tools=[self.tool.name])
        self.thread_id = (await ThreadStore(self.conn).create(agent_id=agent["id"], owner_id=USER))["id"]
        await self.runner.run(self.thread_id, USER, "Read it.")
        return await parts_of_tool(self.conn, self.thread_id)


async def parts_of_tool(conn: DatabaseHandle, thread_id: str) -> list[Any]:
    history = await MessageStore(conn).list(thread_id)
    return next(message["parts"] for message in history["data"] if message["role"] == "tool")


async def test_a_long_result_is_kept_as_a_file_and_the_result_says_so(conn: DatabaseHandle, tmp_path: Path) -> None:
    blobs = DiskStore(tmp_path / "files")
    stage = Stage(conn, blobs, Page())
    result, file = await stage.run()
    assert len(result["result"].encode()) <= 64 * 1024
    assert result["result"].startswith(LONG[:1000])
    assert f"; all of it is kept as file {file['file_id']}: read_result reads on from_line " in result["result"]
    assert (file["filename"], file["media_type"], file["size_bytes"]) == ("page.txt", "text/plain", len(LONG))
    row = await conn.database.read(lambda c: get_file(c, file["file_id"], reader_id=USER))
    assert (await blobs.read(row["sha256"])).decode() == LONG


async def test_the_model_is_sent_the_cut_result_and_not_the_file(conn: DatabaseHandle, tmp_path: Path) -> None:
    stage = Stage(conn, DiskStore(tmp_path / "files"), Page())
    result, _ = await stage.run()
    (sent,) = stage.provider.requests[1].messages[-1].parts
    assert isinstance(sent, ToolResultPart)
    assert sent.result == result["result"]


async def test_a_later_turn_is_not_sent_the_file_either(conn: DatabaseHandle, tmp_path: Path) -> None:
    stage = Stage(conn, DiskStore(tmp_path / "files"), Page())
    await stage.run()
    context = await stage.runner.context(stage.thread_id, USER, provider="openai", model="gpt-4o")
    kinds = [part["type"] for message in context["messages"] for part in message["parts"]]
    assert kinds == ["text", "tool_call", "tool_result", "text"]


async def test_a_long_value_is_kept_as_its_json(conn: DatabaseHandle, tmp_path: Path) -> None:
    blobs = DiskStore(tmp_path / "files")
    _, file = await Stage(conn, blobs, Rows()).run()
    row = await conn.database.read(lambda c: get_file(c, file["file_id"]))
    assert (await blobs.read(row["sha256"])).startswith(b'[{"number":0},{"number":1},')


async def test_a_fork_has_the_file_as_well(conn: DatabaseHandle, tmp_path: Path) -> None:
    stage = Stage(conn, DiskStore(tmp_path / "files"), Page())
    parts = await stage.run()
    history = await MessageStore(conn).list(stage.thread_id)
    fork = await ThreadStore(conn).fork(stage.thread_id, history["data"][-1]["id"], owner_id="bob")
    assert await parts_of_tool(conn, fork["id"]) == parts
    row = await conn.database.read(lambda c: get_file(c, parts[1]["file_id"], reader_id="bob"))
    assert row["user_id"] == USER


async def test_without_a_storage_the_rest_is_lost_and_the_result_says_that_it_was_cut(conn: DatabaseHandle) -> None:
    (result,) = await Stage(conn, None, Page()).run()
    assert result["result"].endswith("characters are shown.]")


async def test_the_run_has_a_notice_of_a_missing_tool(conn: DatabaseHandle) -> None:
    runner = AgentRunner(conn, provider=ScriptedProvider("Without it, then."))
    agent = await AgentStore(conn).create(name="reader", tools=["gone", "calculator"])
    thread = await ThreadStore(conn).create(agent_id=agent["id"], owner_id=USER)
    started = await runner.start(thread["id"], USER, "Read it.")
    run = (await runner.wait(thread["id"], started.run["id"])).run
    assert (run["status"], run["notices"]) == ("completed", [{"code": "tool_missing", "tool": "gone"}])
