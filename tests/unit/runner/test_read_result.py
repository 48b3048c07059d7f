"""`read_result`: a model reads on where a tool's result was cut, in its own thread alone."""

from pathlib import Path
from typing import Any

import pytest

from ai_agents import AgentRunner, AgentStore, DatabaseHandle, DiskStore, MessageStore, ThreadStore, ToolRegistry
from ai_agents.attachments.files import Attachments
from ai_agents.core.types import ToolResultPart
from ai_agents.runner.limits import RunLimits
from ai_agents.testing import ScriptedProvider, tool_call
from ai_agents.tools.base import Tool
from tests.unit.runner.conftest import USER

LINES = [f"line {number} of a long page" for number in range(1, 3001)]
LINES[1999] = "The TREASURE lies here."


class Page(Tool):
    """Says a lot."""

    name = "page"

    async def execute(self, form: str = "text") -> Any:
        return "\n".join(LINES) if form == "text" else [{"text": line} for line in LINES]

    def get_definition(self) -> Any:
        definition = super().get_definition()
        definition.parameters["properties"]["form"] = {"type": "string"}
        return definition


class Stage:
    """Threads whose agent has a tool that says a lot, and the provider that calls what a test says."""

    def __init__(self, conn: DatabaseHandle, blobs: DiskStore, **limits: int) -> None:
        self.conn = conn
        limits.setdefault("tool_result_bytes", 8000)
        self.attachments = Attachments(conn, blobs)
        self.provider = ScriptedProvider()
        self.runner = AgentRunner(
            conn,
            provider=self.provider,
            tools=ToolRegistry([Page()]),
            blobs=blobs,
            limits=RunLimits(tool_rounds=50, **limits),
        )

    async def thread(self) -> str:
        agent = await AgentStore(self.conn).create(name="reader", tools=["page"])
        return str((await ThreadStore(self.conn).create(agent_id=agent["id"], owner_id=USER))["id"])

    async def call(self, thread_id: str, *calls: Any) -> list[ToolResultPart]:
        """The results of these calls, each made in a round of its own of one run."""
        self.provider.answers += [*([each] for each in calls), "Done."]
        await self.runner.run(thread_id, USER, "Go on.")
        parts = [part for message in self.provider.requests[-1].messages for part in message.parts]
        return [part for part in parts if isinstance(part, ToolResultPart)][-len(calls) :]

    async def kept(self, thread_id: str) -> str:
        """The id of the file that keeps the thread's long result."""
        history = (await MessageStore(self.conn).list(thread_id, limit=100))["data"]
        parts: list[Any] = [part for message in history if message["role"] == "tool" for part in message["parts"]]
        return str(next(part["file_id"] for part in parts if part["type"] == "file"))

    def offered(self) -> list[list[str]]:
        """The tools that each request named."""
        return [[tool.name for tool in request.tools] for request in self.provider.requests]


@pytest.fixture
def stage(conn: DatabaseHandle, tmp_path: Path) -> Stage:
    return Stage(conn, DiskStore(tmp_path / "files"))


async def test_a_model_is_offered_it_once_a_result_was_cut_and_reads_on_to_the_end(stage: Stage) -> None:
    thread_id = await stage.thread()
    (cut,) = await stage.call(thread_id, tool_call("page"))
    assert stage.offered() == [["page"], ["page", "read_result"]]
    await stage.runner.run(thread_id, USER, "And now?")
    assert stage.offered()[-1] == ["page", "read_result"]
    shown = await stage.runner.context(thread_id, USER, is_admin=True)
    assert [tool["name"] for tool in shown["tools"] or ()] == ["page", "read_result"]

    file_id = await stage.kept(thread_id)
    said = cut.result.rsplit("\n", 1)[1]
    assert f"file {file_id}: read_result reads on from_line " in said
    next_line = int(said.split("from_line ")[1].rstrip(".]"))
    # The line in which it was cut is read again, as a whole.
    assert LINES[next_line - 1].startswith(cut.result.split("\n")[-2])
    read = cut.result.split("\n")[: next_line - 1]
    head = ""
    for _ in range(60):
        (part,) = await stage.call(
            thread_id, tool_call("read_result", file_id=file_id, from_line=next_line, lines=1000)
        )
        assert len(part.result.encode()) <= 8000
        head, *lines = part.result.split("\n")
        if not lines[-1].startswith("[There is more"):
            read += lines
            break
        read += lines[:-1]
        next_line = int(lines[-1].split("from_line ")[1].rstrip(".]"))
    assert read == LINES
    assert head.endswith(f"to {len(LINES)} of {len(LINES)}.]")


async def test_it_searches_and_counts_lines_from_one(stage: Stage) -> None:
    thread_id = await stage.thread()
    await stage.call(thread_id, tool_call("page"))
    file_id = await stage.kept(thread_id)
    first, found, none, some, beyond = await stage.call(
        thread_id,
        tool_call("read_result", file_id=file_id, lines=2),
        tool_call("read_result", file_id=file_id, search="treasure"),
        tool_call("read_result", file_id=file_id, search="no such thing"),
        tool_call("read_result", file_id=file_id, search="of a long page", from_line=1999, lines=2),
        tool_call("read_result", file_id=file_id, from_line=3001),
    )
    assert first.result == f"[Lines 1 to 2 of 3000.]\n{LINES[0]}\n{LINES[1]}\n[There is more: go on with from_line 3.]"
    assert found.result == "[Lines 1 to 3000 of 3000 that have the text.]\n2000: The TREASURE lies here."
    assert none.result == "[Lines 1 to 3000 of 3000 do not have the text.]"
    assert some.result.split("\n")[1:] == [
        *(f"{number}: {LINES[number - 1]}" for number in (1999, 2001)),
        "[There is more: go on with from_line 2002.]",
    ]
    assert (beyond.is_error, beyond.result) == (True, "The result has 3000 lines.")


async def test_the_one_line_of_a_large_value_is_read_in_pieces_and_found_across_them(stage: Stage) -> None:
    thread_id = await stage.thread()
    await stage.call(thread_id, tool_call("page", form="json"))
    file_id = await stage.kept(thread_id)
    piece, found = await stage.call(
        thread_id,
        tool_call("read_result", file_id=file_id, from_line=2, lines=1),
        tool_call("read_result", file_id=file_id, search='":"line 17 of a long page"},{"'),
    )
    whole = "[" + ",".join(f'{{"text":"{line}"}}' for line in LINES) + "]"
    assert piece.result.split("\n")[1] == whole[500:1000]
    assert found.result.split("\n")[1] == f"2: {whole[500:1000]}", "it begins there"
    assert 500 <= whole.index('":"line 17 of') < 1000


async def test_results_of_other_threads_and_deleted_ones_are_errors(stage: Stage) -> None:
    thread_id, other_id = await stage.thread(), await stage.thread()
    for each in (thread_id, other_id):
        await stage.call(each, tool_call("page"))
    file_id, others = await stage.kept(thread_id), await stage.kept(other_id)
    uploaded = await stage.attachments.add(USER, "note.txt", b"A note.")
    await stage.runner.run(thread_id, USER, "See the file.", attachments=[uploaded["id"]])
    strange, uploads, unknown = await stage.call(
        thread_id, *(tool_call("read_result", file_id=each) for each in (others, uploaded["id"], "nothing"))
    )
    assert {(part.is_error, part.result) for part in (strange, uploads, unknown)} == {
        (True, "This thread has no result with this file_id.")
    }
    await stage.attachments.delete(file_id)
    (gone,) = await stage.call(thread_id, tool_call("read_result", file_id=file_id))
    assert (gone.is_error, gone.result) == (True, "The file with this result was deleted.")


async def test_what_it_says_is_not_cut_itself_where_results_are_small(conn: DatabaseHandle, tmp_path: Path) -> None:
    stage = Stage(conn, DiskStore(tmp_path / "files"), tool_result_bytes=2000)
    thread_id = await stage.thread()
    await stage.call(thread_id, tool_call("page"))
    (part,) = await stage.call(thread_id, tool_call("read_result", file_id=await stage.kept(thread_id)))
    assert len(part.result.encode()) <= 2000
    assert "was cut" not in part.result
    assert part.kept_as is None
