"""A thread whose agent has guardrails."""

import asyncio
from typing import Any

from sqlalchemy import text

from ai_agents import AgentRunner, DatabaseHandle, DiskStore, MessageStore, ThreadStore, ToolRegistry
from ai_agents.core.rows import Run
from ai_agents.core.types import JsonObject, ToolDefinition
from ai_agents.store.agents import UncheckedAgents
from ai_agents.testing import ScriptedProvider
from ai_agents.tools.base import Tool
from tests.unit.runner.conftest import USER

TIMEOUT_S = 20
R = "[redacted]"


def blocklist(*patterns: str, stage: str = "output", action: str = "redact") -> JsonObject:
    return {"type": "blocklist", "patterns": list(patterns), "stage": stage, "action": action}


class Say(Tool):
    """Returns a given result."""

    name = "say"

    def __init__(self, says: Any = "a secret") -> None:
        self.says = says
        self.asked: list[Any] = []

    async def execute(self, what: str = "") -> Any:
        self.asked.append(what)
        return self.says

    def get_definition(self) -> ToolDefinition:
        return ToolDefinition(self.name, "Says.", {"type": "object", "properties": {"what": {}}})


class Stage:
    """A thread whose agent has guardrails."""

    def __init__(
        self,
        conn: DatabaseHandle,
        *answers: object,
        tool: Tool | None = None,
        blobs: DiskStore | None = None,
        provider: type[ScriptedProvider] = ScriptedProvider,
    ) -> None:
        self.conn = conn
        self.tool = tool or Say()
        self.provider = provider(*answers)  # type: ignore[arg-type]  # answers of any kind pass through
        self.runner = AgentRunner(conn, provider=self.provider, tools=ToolRegistry([self.tool]), blobs=blobs)
        self.thread_id = ""

    async def open(self, *guardrails: JsonObject, **agent: Any) -> "Stage":
        """Make the agent and the thread."""
        # Not checked: a guardrail may be registered in another process.
        created = await UncheckedAgents(self.conn).create(name="a", tools=["say"], guardrails=guardrails, **agent)
        self.thread_id = (await ThreadStore(self.conn).create(agent_id=created["id"], owner_id=USER))["id"]
        return self

    async def ask(self, content: str = "Go.") -> Run:
        """Send a message; the run at its end."""
        started = await self.runner.start(self.thread_id, USER, content)
        async with asyncio.timeout(TIMEOUT_S):
            return (await self.runner.wait(self.thread_id, started.run["id"])).run

    async def history(self) -> list[Any]:
        return (await MessageStore(self.conn).list(self.thread_id, limit=100))["data"]

    async def events(self, run: Run) -> list[tuple[str, Any]]:
        """Everything of the run, deltas of its last message where there are any."""
        reader = await self.runner.read_run(self.thread_id, run["id"])
        assert reader is not None
        async with asyncio.timeout(TIMEOUT_S):
            return [(event.type, event.data) async for event in reader.events()]

    async def nowhere(self, forbidden: str) -> None:
        """Assert that this text stands in no row of the database that clients, models or jobs are given."""
        for table in ("messages", "thread_events", "threads", "summaries", "tool_calls", "runs"):
            rows = await self.conn.database.read(
                lambda c, table=table: c.execute(text(f"SELECT * FROM {table}")).all()  # type: ignore[misc]
            )
            assert not any(forbidden in str(row).lower() for row in rows), table
