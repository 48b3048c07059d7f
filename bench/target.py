"""The service under measurement as its client sees it: an agent for each model, threads, turns."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ai_agents.store.database import Database
from ai_agents.store.threads import ThreadStore
from bench.client import Answer, Client, Unexpected, request
from bench.processes import ADMIN_KEY, Databases, Process

USER = "bench"
FIRST_TOKEN = b"event: message.delta"
COMPLETED = b"event: run.completed"
DIRECT_TOKEN = b'"content":"word'
_PROMPT = "You are a helpful assistant."
QUESTION = "Tell me fifty words about streams, please."
_SAID = ("Tell me of the sea, of its colours and of the ships on it.", "It is wide, and blue or grey; ships cross it.")


@dataclass(slots=True)
class Target:
    """The service, the provider behind it, its database, and a user's key."""

    service: Process
    upstream: Process
    databases: Databases
    key: str = ""
    _agents: dict[str, str] = field(default_factory=dict)

    @property
    def database_url(self) -> str:
        """The address of the database."""
        return self.databases.settings["AI_AGENTS_DATABASE_URL"]

    async def prepare(self) -> None:
        """Make the user's key. An admin's would be cheaper: no row stands behind it."""
        made = await self.call("POST", "/keys", {"user_id": USER}, key=ADMIN_KEY)
        self.key = made["key"]

    async def call(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> Any:
        """The JSON of an answer. Raises `Unexpected` for one that is no success."""
        client = await Client.connect(self.service.port)
        try:
            answer = await client.send(request(method, path, key=key or self.key, body=body))
        finally:
            client.close()
        if answer.status >= 300:
            raise Unexpected(f"{method} {path}: {answer.status} {answer.tail.decode()}")
        return answer.json()

    async def agent(self, model: str, **fields: Any) -> str:
        """An agent that asks this model and remembers the last 20 messages; its id. `fields` count the first time."""
        if model not in self._agents:
            wanted = {
                "name": model,
                "system_prompt": _PROMPT,
                "provider": "openai",
                "model": model,
                "memory": {"strategy": "last_n", "n": 20},
                **fields,
            }
            made = await self.call("POST", "/agents", wanted)
            self._agents[model] = made["id"]
        return self._agents[model]

    async def threads(self, model: str, count: int, **fields: Any) -> list[str]:
        """New threads with this model."""
        agent_id = await self.agent(model, **fields)
        return [(await self.call("POST", "/threads", {"agent_id": agent_id}))["id"] for _ in range(count)]

    async def long_thread(self, model: str, messages: int) -> str:
        """A thread that has this many messages already, written to the database without the service."""
        agent_id = await self.agent(model)
        database = Database(self.database_url)
        try:
            said = [
                {"role": ("user", "assistant")[number % 2], "content": _SAID[number % 2]} for number in range(messages)
            ]
            thread = await ThreadStore(database).create(agent_id, messages=said, owner_id=USER)
            return str(thread["id"])
        finally:
            await database.close()

    def message(self, thread_id: str) -> bytes:
        """The request that runs a turn and streams it."""
        body = {"content": QUESTION}
        return request("POST", f"/threads/{thread_id}/messages", key=self.key, body=body, accept="text/event-stream")

    def direct(self, model: str) -> bytes:
        """The request for the same answer from the provider itself."""
        messages = [{"role": "system", "content": _PROMPT}, {"role": "user", "content": QUESTION}]
        body = {"model": model, "messages": messages, "stream": True, "stream_options": {"include_usage": True}}
        return request("POST", "/v1/chat/completions", key="bench", body=body)

    async def turn(self, client: Client, message: bytes, *, began: float | None = None) -> Answer:
        """One turn, streamed to its end. Raises `Unexpected` unless it was completed."""
        answer = await client.send(message, mark=FIRST_TOKEN, began=began)
        if answer.status != 200 or COMPLETED not in answer.tail:
            raise Unexpected(f"a turn failed: {answer.status} {answer.tail[-2000:].decode()}")
        return answer

    async def ask_directly(self, client: Client, asked: bytes) -> Answer:
        """One answer of the provider itself."""
        answer = await client.send(asked, mark=DIRECT_TOKEN)
        if b"[DONE]" not in answer.tail:
            raise Unexpected(f"the provider failed: {answer.tail[-2000:].decode()}")
        return answer


async def all_of(clients: Sequence[Any]) -> list[Any]:
    """What all of them give; the first error ends it."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(client) for client in clients]
    return [task.result() for task in tasks]


def stay_on(cores: set[int]) -> None:
    """Keep this process, and what it starts, on these cores."""
    os.sched_setaffinity(0, cores)
