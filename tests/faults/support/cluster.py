"""A service of several processes on one database, and what its clients do."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.faults.support.counter import CounterServer
from tests.faults.support.model import MODELS, Model
from tests.faults.support.replica import ADMIN_KEY, Replica
from tests.faults.support.stream import EventSource, Told, events_of
from tests.support.examples import SOAK
from tests.support.pooled import through_pooler
from tests.support.processes import PATIENCE_S

TERMINAL_STATUSES = frozenset({"completed", "failed", "cancelled"})


class Cluster:
    """Processes of the service; `environment` is what all of them are started with."""

    def __init__(
        self,
        directory: Path,
        environment: dict[str, str],
        model: Model,
        counter: CounterServer,
        *,
        session: aiohttp.ClientSession,
        browser: aiohttp.ClientSession,
    ) -> None:
        self.directory = directory
        self.environment = environment
        self.model = model
        self.counter = counter
        self.session = session
        self.replicas: list[Replica] = []
        self._browser = browser
        self._reading: list[asyncio.Task[None]] = []

    def add(self, **environment: str) -> Replica:
        """One more process, not started yet."""
        name = "abcdefgh"[len(self.replicas)]
        replica = Replica(self.directory, name, self.environment | environment)
        self.replicas.append(replica)
        return replica

    async def start(self, **environment: str) -> Replica:
        """One more process, listening."""
        replica = self.add(**environment)
        await replica.start()
        return replica

    async def start_two(self, **environment: str) -> tuple[Replica, Replica]:
        """Two more, started at once."""
        one, two = self.add(**environment), self.add(**environment)
        await asyncio.gather(one.start(), two.start())
        return one, two

    async def call(self, at: Replica | str, method: str, path: str, body: Any = None, **headers: str) -> "Answered":
        """One request; its answer, read to its end."""
        address = at if isinstance(at, str) else at.url
        async with self.session.request(method, address + path, json=body, headers=headers) as response:
            data = await response.json(content_type=None) if response.status != 204 else None
            return Answered(response.status, data)

    async def make_thread(self, at: Replica, provider: str = "openai", **agent: Any) -> str:
        """A thread whose agent has the tools of these tests; its id."""
        fields = {"name": "assistant", "provider": provider, "model": MODELS[provider], "tools": ["bump", "safe_bump"]}
        made = (await self.call(at, "POST", "/agents", fields | agent)).ok(201)
        return str((await self.call(at, "POST", "/threads", {"agent_id": made["id"]})).ok(201)["id"])

    async def send(self, at: Replica, thread_id: str, text: str, **body: Any) -> dict[str, Any]:
        """Send a message to the thread and return its run, which has not ended yet."""
        path = f"/threads/{thread_id}/messages"
        answer = await self.call(at, "POST", path, {"content": text} | body, prefer="respond-async")
        run: dict[str, Any] = answer.ok(202)
        return run

    def follow(
        self, at: Sequence[Replica] | Replica, thread_id: str, run_id: str | None = None, after: str | None = None
    ) -> EventSource:
        """Read a run's events, or a thread's from its first, in a task of its own, now here and now there."""
        return self._begin(self.source(at, thread_id, run_id, after))

    async def watch(self, at: Sequence[Replica], thread_id: str) -> EventSource:
        """Read a thread's events from its first as a browser's EventSource does: by ticket, lost by any refusal."""
        ticket = (await self.call(at[0], "POST", "/tickets", {"thread_id": thread_id})).ok(201)["ticket"]
        path = f"/threads/{thread_id}/events?ticket={ticket}"
        addresses = [replica.url for replica in at]
        source = EventSource(self._browser, addresses, path, Told(), after="0-0", patient=False)
        return self._begin(source)

    def _begin(self, source: EventSource) -> EventSource:
        source.reading = asyncio.create_task(source.run())
        self._reading.append(source.reading)
        return source

    def source(
        self, at: Sequence[Replica] | Replica, thread_id: str, run_id: str | None = None, after: str | None = None
    ) -> EventSource:
        """The same without reading yet."""
        replicas = [at] if isinstance(at, Replica) else at
        path = f"/threads/{thread_id}" + (f"/runs/{run_id}" if run_id else "") + "/events"
        after = after if after is not None or run_id else "0-0"
        return EventSource(self.session, [replica.url for replica in replicas], path, Told(run_id=run_id), after=after)

    async def read(self, response: aiohttp.ClientResponse) -> Told:
        """Fold a stream of a run, from its first event to its end."""
        told: Told | None = None
        async for event in events_of(response):
            told = told or Told(run_id=event.data["run_id"])
            told.take(event)
        assert told is not None
        assert told.terminal is not None
        return told

    async def get_run(self, at: Replica, thread_id: str, run_id: str) -> dict[str, Any]:
        """A run as it is now."""
        run: dict[str, Any] = (await self.call(at, "GET", f"/threads/{thread_id}/runs/{run_id}")).ok()
        return run

    async def until_ended(
        self, at: Replica, thread_id: str, run_id: str, *, timeout_s: float = PATIENCE_S
    ) -> dict[str, Any]:
        """The run once it has ended. As clients do, it asks again where the database does not answer yet."""
        async with asyncio.timeout(timeout_s):
            while True:
                answer = await self.call(at, "GET", f"/threads/{thread_id}/runs/{run_id}")
                if answer.status != 503 and answer.ok()["status"] in TERMINAL_STATUSES:
                    run: dict[str, Any] = answer.data
                    return run
                await asyncio.sleep(0.05)

    async def until_jobs_are(self, at: Replica, status: str, count: int) -> None:
        """Wait until so many background jobs have this status."""
        async with asyncio.timeout(PATIENCE_S):
            while [job["status"] for job in await self.list_all(at, "/jobs")].count(status) < count:
                await asyncio.sleep(0.05)

    async def list_all(self, at: Replica, path: str) -> list[dict[str, Any]]:
        """Every item of a list, page after page."""
        items: list[dict[str, Any]] = []
        after = ""
        while True:
            page = (await self.call(at, "GET", f"{path}?limit=100{after}", accept="application/json")).ok()
            items += page["data"]
            if page["next"] is None:
                return items
            after = f"&after={page['next']}"

    async def history(self, at: Replica, thread_id: str) -> list[dict[str, Any]]:
        """A thread's messages."""
        return await self.list_all(at, f"/threads/{thread_id}/messages")

    async def check_log(self, at: Replica, thread_id: str) -> list[dict[str, Any]]:
        """The thread's log: numbered without gaps, each run begun and ended once, each message where its row is."""
        log = await self.list_all(at, f"/threads/{thread_id}/events")
        assert [row["seq"] for row in log] == list(range(1, len(log) + 1))
        for kinds in (("run.started",), ("run.completed", "run.failed", "run.cancelled")):
            runs = [row["run_id"] for row in log if row["type"] in kinds]
            assert len(runs) == len(set(runs)), kinds
        calls = [row["tool_call_id"] for row in log if row["type"] == "tool.completed"]
        assert len(calls) == len(set(calls))
        told = {row["seq"]: row["message"]["id"] for row in log if row["type"] == "message.completed"}
        told |= {row["seq"]: row["user_message"]["id"] for row in log if row["type"] == "run.started"}
        history = await self.history(at, thread_id)
        stored = {message["seq"]: message["id"] for message in history if message["role"] != "tool"}
        assert stored == told
        return log

    @property
    def database_url(self) -> str:
        """The address of their database, past a pooler."""
        direct = self.environment.get("AI_AGENTS_DATABASE_DIRECT_URL")
        return direct or self.environment["AI_AGENTS_DATABASE_URL"]

    async def settle(self) -> None:
        """End the readers. Raises `AssertionError` for faults in readers and logs since the last call."""
        reading, self._reading = self._reading, []
        failed = [task for task in reading if task.done() and not task.cancelled() and task.exception()]
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
        for task in failed:
            task.result()
        complaints = [line for replica in self.replicas for line in replica.take_complaints()]
        assert not complaints, "\n\n".join(f"{line[:300]} … {line[-500:]}" for line in complaints)
        assert not self.model.refused()

    def kill(self) -> None:
        """End every process."""
        for replica in self.replicas:
            replica.kill()


class Answered:
    """A response's status and JSON."""

    def __init__(self, status: int, data: Any) -> None:
        self.status = status
        self.data = data

    def ok(self, status: int = 200) -> Any:
        """The data of a response with this status."""
        assert self.status == status, (self.status, self.data)
        return self.data


@asynccontextmanager
async def open_cluster(
    directory: Path, database_url: str, redis_url: str | None, **settings: str
) -> AsyncGenerator[Cluster]:
    """A service on these servers, without processes yet. The end of the context fails on faults that its logs tell of.

    Leases are shorter than the product's, except where everything is run in full.
    """
    if "AI_AGENTS_DATABASE_DIRECT_URL" in settings:
        direct_url = None
    else:
        database_url, direct_url = through_pooler(database_url)
    async with (
        Model() as model,
        CounterServer() as counter,
        open_session(ADMIN_KEY) as session,
        open_session() as browser,
    ):
        environment = {
            "AI_AGENTS_DATABASE_URL": database_url,
            # Closed to other users, while beside it are the files of servers that run as another user.
            "AI_AGENTS_VAR_DIR": str(directory / "var"),
            "AI_AGENTS_ADMIN_KEY": ADMIN_KEY,
            "AI_AGENTS_SHUTDOWN_GRACE_S": "3",
            # Every call of the model is one that a test asked for.
            "AI_AGENTS_AUTO_TITLE": "false",
            "ANTHROPIC_API_KEY": "key",
            "ANTHROPIC_BASE_URL": model.base_url("anthropic"),
            "OPENAI_API_KEY": "key",
            "OPENAI_BASE_URL": model.base_url("openai"),
            "OLLAMA_HOST": model.base_url("ollama"),
            "FAULTS_COUNTER_URL": counter.url,
            "AI_AGENTS_OUTBOUND_ALLOW": "127.0.0.1",
        }
        if not SOAK:
            environment["FAULTS_LEASE_S"] = "3"
        if direct_url is not None:
            environment["AI_AGENTS_DATABASE_DIRECT_URL"] = direct_url
        if redis_url is not None:
            environment["AI_AGENTS_REDIS_URL"] = redis_url
        cluster = Cluster(directory, environment | settings, model, counter, session=session, browser=browser)
        try:
            yield cluster
        finally:
            cluster.kill()
            await cluster.settle()


@asynccontextmanager
async def open_session(key: str | None = None) -> AsyncGenerator[aiohttp.ClientSession]:
    """A client; each request has a connection of its own, so that a cut hits one."""
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    headers = {"authorization": f"Bearer {key}"} if key else {}
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)
    async with aiohttp.ClientSession(connector=connector, headers=headers, timeout=timeout) as session:
        yield session
