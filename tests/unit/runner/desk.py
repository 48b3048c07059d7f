"""A thread with an agent whose payments a person approves."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, update

from ai_agents import AgentRunner, AgentStore, DatabaseHandle, MessageStore, RunLimits, ThreadStore, ToolRegistry
from ai_agents.core.rows import Run
from ai_agents.core.types import JsonObject, ToolCallPart, ToolDefinition
from ai_agents.store.models import RunTable, ToolCallTable
from ai_agents.testing import ScriptedProvider
from ai_agents.tools.base import Tool
from tests.unit.runner.conftest import USER

TIMEOUT_S = 20


class Pay(Tool):
    """Counts payments by recipient."""

    name = "pay"

    def __init__(self) -> None:
        self.paid: Counter[str] = Counter()

    async def execute(self, to: str) -> str:
        self.paid[to] += 1
        return f"paid {to}"

    def get_definition(self) -> ToolDefinition:
        parameters = {"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]}
        return ToolDefinition(self.name, "Pays.", parameters)


class Desk:
    """A thread whose agent has to ask before it pays, but not before it calculates."""

    def __init__(self, conn: DatabaseHandle, *answers: object) -> None:
        self.conn = conn
        self.pay = Pay()
        self.provider = ScriptedProvider(*answers)  # type: ignore[arg-type]  # answers of any kind pass through
        self.runner = self.new_runner()
        self.thread_id = ""

    def new_runner(self, **limits: Any) -> AgentRunner:
        """Another runner of the same tools and provider, as after a restart."""
        return AgentRunner(
            self.conn, provider=self.provider, tools=ToolRegistry([self.pay]), limits=RunLimits(**limits)
        )

    async def ask(self, content: str = "Pay them.", **options: Any) -> Run:
        """Send a message; the run once it waits or has ended."""
        started = await self.runner.start(self.thread_id, USER, content, **options)
        return await self.wait(started.run["id"])

    async def wait(self, run_id: str) -> Run:
        """The run once it waits or has ended."""
        async with asyncio.timeout(TIMEOUT_S):
            return (await self.runner.wait(self.thread_id, run_id)).run

    async def say(self, run: Run, call: ToolCallPart, *, approved: bool, reason: str | None = None) -> Run:
        """Decide on a call."""
        return await self.runner.decide(self.thread_id, run["id"], call.tool_call_id, approved=approved, reason=reason)

    async def let_pass(self, call: ToolCallPart, *, only_run: bool = False) -> None:
        """Let the deadline of a call be over, as the database's clock sees it."""

        def let(connection: Connection) -> None:
            if not only_run:
                this = ToolCallTable.tool_call_id == call.tool_call_id
                connection.execute(update(ToolCallTable).where(this).values(expires_at=1.0))
            connection.execute(update(RunTable).where(RunTable.status == "waiting").values(lease_expires_at=1.0))

        await self.conn.database.write(let)

    async def events(self, run: Run) -> list[tuple[str, Any]]:
        """The run's lasting events, from the first."""
        reader = await self.runner.read_run(self.thread_id, run["id"])
        assert reader is not None
        async with asyncio.timeout(TIMEOUT_S):
            return [(event.type, event.data) async for event in reader.events()]

    async def messages(self) -> list[Any]:
        """The thread's history."""
        return (await MessageStore(self.conn).list(self.thread_id, limit=100))["data"]

    async def results(self) -> dict[str, Any]:
        """The result of each call in the thread."""
        parts = [
            part for message in await self.messages() for part in message["parts"] if part["type"] == "tool_result"
        ]
        return {part["tool_call_id"]: (part["result"], part["is_error"]) for part in parts}


async def open_desk(conn: DatabaseHandle, *answers: object, guardrails: Sequence[JsonObject] = ()) -> Desk:
    desk = Desk(conn, *answers)
    tools = ["calculator", {"name": "pay", "approval": "always"}]
    agent = await AgentStore(conn).create(name="cashier", tools=tools, guardrails=guardrails)  # type: ignore[arg-type]  # mixed, as the contract has it
    desk.thread_id = (await ThreadStore(conn).create(agent_id=agent["id"], owner_id=USER))["id"]
    return desk
