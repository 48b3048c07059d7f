"""One thread with every kind of message. All providers answer in it, and each accepts any part of its history."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ai_agents import (
    AgentRunner,
    AgentStore,
    DatabaseHandle,
    MessageStore,
    ProviderPool,
    ThreadStore,
    Tool,
    ToolRegistry,
)
from ai_agents.attachments.files import Attachments
from ai_agents.attachments.storage import DiskStore
from ai_agents.core.rows import AgentChanges, Run
from ai_agents.core.types import JsonObject, ModelRequest
from ai_agents.memory.registry import strategy_from_config
from ai_agents.runner.handle import open_handle
from ai_agents.runner.process.periodic import Timing
from ai_agents.store import runs
from ai_agents.store.history import History
from tests.fakes import samples
from tests.fakes.answers import Answer, Call, Raw, Reasoning, Text, say
from tests.fakes.provider_server import FakeProviderServer
from tests.support.summaries import SummaryStore
from tests.wire.requests import FORMATS, check_sent, provider_of

USER = "ada"
MODELS = {
    "anthropic": ("claude-sonnet-4-20250514", "claude-opus-5-5", "claude-3-haiku-20240307"),
    "openai": ("gpt-4o", "gpt-5", "llama-3.1-8b"),
    "responses": ("gpt-5.6-terra", "gpt-4o"),
    "ollama": ("llama3.1", "gpt-oss:20b", "gemma3"),
    "gemini": ("gemini-3-flash-preview", "gemini-2.5-pro", "gemma-3-27b-it"),
}
STRATEGIES: tuple[dict[str, Any], ...] = (
    {"strategy": "last_n", "n": 1},
    {"strategy": "last_n", "n": 7},
    {"strategy": "last_n", "n": 1000},
    {"strategy": "first_last", "first": 1, "last": 2},
    {"strategy": "first_last", "first": 3, "last": 4},
    {"strategy": "summarize", "recent": 2},
    {"strategy": "token_window", "max_tokens": 60},
    {"strategy": "token_window", "max_tokens": 100_000},
)
CALLS = (Call("calculator", {"expression": "6*7"}), Call("calculator", {"expression": "1/0"}))


class Hang(Tool):
    """A tool that begins and never ends."""

    name = "hang"

    def __init__(self) -> None:
        self.begun = asyncio.Event()

    async def execute(self) -> str:
        self.begun.set()
        await asyncio.Event().wait()
        return "never"


@dataclass
class Stage:
    """A thread whose agent can be given another model between two messages."""

    fake: FakeProviderServer
    conn: DatabaseHandle
    runner: AgentRunner
    hang: Hang
    agent_id: str
    thread_id: str

    async def cast(self, wire: str, *answers: Answer | Raw, **settings: Any) -> None:
        """Give the agent a model of this wire format, and script its next answers."""
        settings = {"reasoning": "low", **settings} | ({"api": "responses"} if wire == "responses" else {})
        model: AgentChanges = {"provider": provider_of(wire), "model": MODELS[wire][0], "settings": settings}
        await AgentStore(self.conn).update(self.agent_id, model)
        self.fake.script(wire, answers)

    async def say(self, wire: str, *answers: Answer | Raw, attachments: tuple[str, ...] = ()) -> Run:
        """Send a message and wait for the run that answers it."""
        await self.cast(wire, *answers)
        started = await self.runner.start(self.thread_id, USER, f"To {wire}.", attachments=attachments)
        return (await self.runner.wait(self.thread_id, started.run["id"])).run

    async def play(self, files: Attachments) -> None:
        """Play questions, files, parallel calls, reasoning, cut and cancelled answers, failed and lost runs."""
        picture = (await files.add(USER, "a.png", samples.png(64, 64)))["id"]
        document = (await files.add(USER, "a.pdf", samples.pdf("Hello")))["id"]
        thinking = Answer([Reasoning(("Let me ", "think.")), Text(("Hello!",))])
        cut = Raw([b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"Half"}}]}\n\n'], end="reset")
        refused = Raw([b'{"error":"no"}'], status=400)
        ended = [
            await self.say("anthropic", thinking, attachments=(picture, document)),
            await self.say("responses", Answer([Reasoning(("Hm.",)), *CALLS]), thinking),
            await self.say("ollama", Answer(CALLS), say("42.")),
            await self.say("openai", Answer(CALLS), say("42.")),
            await self.say("anthropic", Answer([Reasoning(("Both.",)), *CALLS]), thinking),
            await self.cancel_in_its_words("openai"),
            await self.cancel_in_its_tool("anthropic", Answer([*CALLS, Call("hang")])),
            await self.lose_in_its_tool("openai", Answer([*CALLS, Call("hang")]), say("Nobody knows.")),
            await self.say("ollama", refused),
            await self.say("openai", cut, say("A whole answer.")),
            await self.say("responses", say("")),
            await self.say("anthropic", say("Fine."), attachments=(picture,)),
            await self.say("ollama", Answer([Call("calculator", "{}"), *CALLS]), say("Fine.")),
            await self.say("gemini", Answer([Reasoning(("Hm.",)), *CALLS]), thinking, attachments=(picture, document)),
        ]
        assert [run["status"] for run in ended] == [
            *["completed"] * 5,
            *["cancelled"] * 2,
            "completed",
            "failed",
            "completed",
            "failed",
            *["completed"] * 3,
        ]

    async def begin(self, wire: str, *answers: Answer) -> str:
        """Send a message and return the id of its run, which goes on."""
        await self.cast(wire, *answers)
        return str((await self.runner.start(self.thread_id, USER, f"To {wire}, in vain.")).run["id"])

    async def cancel_in_its_words(self, wire: str) -> Run:
        """Cancel a run inside its answer."""
        run_id = await self.begin(wire, Answer([Text(("Half ", asyncio.Event()))]))
        reader = await self.runner.read_run(self.thread_id, run_id)
        assert reader is not None
        async for event in reader.events():
            if event.type == "message.delta":
                break
        return await self.runner.cancel(self.thread_id, run_id)

    async def cancel_in_its_tool(self, wire: str, *answers: Answer) -> Run:
        """Cancel a run while its tool runs."""
        run_id = await self.begin(wire, *answers)
        await self._until_hanging()
        return await self.runner.cancel(self.thread_id, run_id)

    async def lose_in_its_tool(self, wire: str, *answers: Answer) -> Run:
        """Lose the owner of a run while its tool runs; another process ends the run."""
        run_id = await self.begin(wire, *answers)
        await self._until_hanging()
        executor = self.conn.executor
        executor.stop(run_id, "hand_over")
        while executor.running:
            await asyncio.sleep(0.01)
        await self.conn.database.write(lambda c: runs.expire_leases(c, executor.owner))
        return (await asyncio.wait_for(self.runner.wait(self.thread_id, run_id), 60)).run

    async def _until_hanging(self) -> None:
        await asyncio.wait_for(self.hang.begun.wait(), 60)
        self.hang.begun.clear()


@pytest.fixture
async def stage(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Stage]:
    """A thread in which every provider has answered."""
    async with FakeProviderServer() as fake:
        options = {"api_key": "a-key", "max_retries": 0}
        pool = ProviderPool(
            {name: {"base_url": fake.base_url(name), **options} for name in ("anthropic", "openai", "gemini")}
            | {"ollama": {"base_url": fake.base_url("ollama"), "max_retries": 0}}
        )
        conn = await open_handle(sqlite_url, timing=Timing(sweep_every_s=0.05))
        hang = Hang()
        tools = ToolRegistry([hang])
        runner = AgentRunner(conn, providers=pool, tools=tools, blobs=DiskStore(tmp_path / "files"))
        agent = await AgentStore(conn).create(name="assistant", system_prompt="Be brief.", tools=["calculator", "hang"])
        thread = await ThreadStore(conn).create(agent["id"], owner_id=USER)
        made = Stage(fake, conn, runner, hang, agent["id"], thread["id"])
        await made.play(Attachments(conn, DiskStore(tmp_path / "files"), max_bytes=1_000_000))
        yield made
        await conn.close(grace_s=0)
        await pool.aclose()


async def history(stage: Stage) -> list[Any]:
    return (await MessageStore(stage.conn).list(stage.thread_id, limit=100))["data"]


async def test_each_request_of_a_thread_that_changes_its_provider_is_accepted(stage: Stage) -> None:
    assert [request.refused for request in stage.fake.requests if request.refused] == []
    assert {request.provider for request in stage.fake.requests} == set(FORMATS)
    messages = await history(stage)
    assert {part["type"] for message in messages for part in message["parts"]} == {
        "text",
        "file",
        "reasoning",
        "tool_call",
        "tool_result",
    }
    assert {message["status"] for message in messages} == {"completed", "incomplete"}


async def test_any_prefix_of_it_under_any_memory_is_accepted_by_any_model(stage: Stage) -> None:
    messages = await history(stage)
    middle = messages[len(messages) // 2]["seq"]
    assert await SummaryStore(stage.conn).add(
        stage.thread_id, "They talked.", covers_through_seq=middle, expected_covers=0
    )
    windows = 0
    for message in messages:
        for config in STRATEGIES:
            for wire, models in MODELS.items():
                for model in models:
                    request = await request_for(stage, message["seq"], config, wire=wire, model=model)
                    check_sent(wire, request)
                    windows += 1
    assert windows == len(messages) * len(STRATEGIES) * sum(map(len, MODELS.values()))


async def request_for(stage: Stage, through_seq: int, config: JsonObject, *, wire: str, model: str) -> ModelRequest:
    """The request that a run would send if the thread ended at this message."""
    requests = stage.runner.contexts.requests
    agent = await AgentStore(stage.conn).get(stage.agent_id)
    strategy, provider = strategy_from_config(config), provider_of(wire)
    settings = {"reasoning": "medium"} | ({"api": "responses"} if wire == "responses" else {})
    window = await stage.conn.database.read(
        lambda c: requests.read_window(
            History(c, stage.thread_id, through_seq=through_seq), agent, provider, model, strategy
        )
    )
    tools = await stage.conn.database.read(lambda c: requests.resolve_tools(c, agent, window.messages))
    built = requests.build({**agent, "settings": settings}, window, provider, model, tools=tools, allow_overflow=True)
    return await requests.load(built.request)


async def test_a_fork_at_any_message_works_with_any_provider(stage: Stage) -> None:
    wires = list(FORMATS)
    threads = ThreadStore(stage.conn)
    original = stage.thread_id
    for number, message in enumerate(await history(stage)):
        stage.thread_id = (await threads.fork(original, message["id"], owner_id=USER))["id"]
        run = await stage.say(wires[number % len(wires)], say("Here, too."))
        assert run["status"] == "completed", (message, run["error"])
    assert [request.refused for request in stage.fake.requests if request.refused] == []
