"""The statements of a version, with what it passes to them, recorded while it serves on PostgreSQL.

A released version is not in a checkout of a later one, but what it asks of the database is, in `statements.jsonl`: its
processes go on asking that while the next version migrates. Record it anew at each release, with the code of the
release:

    .venv/bin/python -m tests.upgrades.recording tests/upgrades/statements.jsonl
"""

import asyncio
import base64
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import Engine, event

from ai_agents.store import migrate
from ai_agents.store.models import SCHEMA_REVISION
from ai_agents.testing import ScriptedProvider, tool_call
from tests.api.service import give_role, open_service, settings_for
from tests.support.postgres import PostgresServer

PATH = Path(__file__).parent / "statements.jsonl"
# Of a statement that only reads, so many executions are enough.
_READS = 2
READ = ("/threads", "/threads?order=activity", "/agents", "/search?q=hello", "/me", "/usage", "/runs")


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement as the driver gets it, and each set of its parameters."""

    sql: str
    parameters: Sequence[tuple[Any, ...]]


def read_recording() -> tuple[str, list[Statement]]:
    """The schema of the version that was recorded, and its statements, in their order."""
    head, *lines = PATH.read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    statements = [Statement(sql, [tuple(map(_from_json, each)) for each in sets]) for sql, sets in found]
    return json.loads(head)["schema"], statements


def _to_json(value: Any) -> Any:
    match value:
        case datetime():
            return {"time": value.isoformat()}
        case bytes():
            return {"bytes": base64.b64encode(value).decode()}
        case list() | tuple():
            return [_to_json(each) for each in value]
        case None | bool() | int() | float() | str():
            return value
    raise TypeError(type(value))


def _from_json(value: Any) -> Any:
    match value:
        case {"time": text}:
            return datetime.fromisoformat(text)
        case {"bytes": text}:
            return base64.b64decode(text)
        case list():
            return [_from_json(each) for each in value]
    return value


@contextmanager
def recorded(lines: list[str]) -> Iterator[None]:
    """Add each statement that is executed, but for reads that have come before."""
    seen: dict[str, int] = {}

    def note(_connection: Any, _cursor: Any, sql: str, parameters: Any, _context: Any, many: bool) -> None:
        seen[sql] = seen.get(sql, 0) + 1
        if sql.startswith(("SELECT", "SET ")) and " pg_advisory" not in sql and seen[sql] > _READS:
            return
        sets = parameters if many else [parameters or ()]
        lines.append(json.dumps([sql, _to_json(sets)], ensure_ascii=False))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", note)


async def _ok(answer: Any) -> Any:
    response: httpx.Response = await answer
    assert response.is_success, response.text
    return response.json() if response.content else None


async def _ended(client: httpx.AsyncClient, run: Any, *statuses: str) -> None:
    async with asyncio.timeout(60):
        while (await _ok(client.get(f"/threads/{run['thread_id']}/runs/{run['id']}")))["status"] not in statuses:
            await asyncio.sleep(0.05)


async def serve(url: str, directory: Path) -> None:
    """What a service does for its users: turns of each kind, and what is around them."""
    gate, later = asyncio.Event(), {"prefer": "respond-async"}
    careful = [{"name": "calculator", "approval": "always"}]
    asks = [tool_call("calculator", expression="6*7")]
    answers = ("Hello!", asks, "42.", ["Wai", gate, "ted."], "Next.", "Anew.")
    async with open_service(settings_for(url, directory, auto_title=True, job_model="echo:echo")) as service:
        ada, admin = await service.user("ada"), await service.admin()
        await service.user("bob")
        service.container.providers.add(ScriptedProvider(*answers))
        agent = await _ok(ada.post("/agents", json={"name": "a", "provider": "scripted", "tools": careful}))
        await _ok(ada.patch(f"/agents/{agent['id']}", json={"description": "Counts."}))
        file = await _ok(ada.post("/files", files={"file": ("a.txt", b"of ada", "text/plain")}))
        thread = await _ok(ada.post("/threads", json={"agent_id": agent["id"], "metadata": {"a": 1}}))
        path = f"/threads/{thread['id']}"
        said = {"content": "Hi", "attachments": [file["id"]]}
        await _ok(ada.post(f"{path}/messages", json=said, headers={"idempotency-key": "one"}))
        await _ok(ada.post(f"{path}/messages", json=said, headers={"idempotency-key": "one"}))
        run = await _ok(ada.post(f"{path}/messages", json={"content": "6*7?"}, headers=later))
        await _ended(ada, run, "waiting")
        (call,) = (await _ok(ada.get("/approvals")))["data"]
        decided = {"tool_call_id": call["tool_call_id"], "approved": True}
        await _ok(ada.post(f"{path}/runs/{run['id']}/approvals", json=decided))
        await _ended(ada, run, "completed")
        run = await _ok(ada.post(f"{path}/messages", json={"content": "Wait"}, headers=later))
        queued = await _ok(ada.post(f"{path}/messages", json={"content": "Next", "on_busy": "queue"}, headers=later))
        await _ok(ada.post(f"{path}/messages", json={"content": "Hurry", "on_busy": "steer"}, headers=later))
        cancelled = await _ok(ada.post(f"{path}/messages", json={"content": "No", "on_busy": "queue"}, headers=later))
        await _ok(ada.post(f"{path}/runs/{cancelled['id']}/cancel"))
        gate.set()
        await _ended(ada, run, "completed")
        await _ended(ada, queued, "completed")
        last = (await _ok(ada.get(f"{path}/runs")))["data"][0]
        await ada.post(f"{path}/runs/{last['id']}/retry")
        messages = (await _ok(ada.get(f"{path}/messages")))["data"]
        await _ok(ada.put(f"{path}/messages/{messages[1]['id']}/feedback", json={"rating": 1}))
        fork = await _ok(ada.post(f"{path}/fork", json={"message_id": messages[1]["id"]}))
        await _ok(ada.patch(path, json={"title": "Sums"}))
        await give_role(ada, "bob", "editor", "thread", thread["id"])
        for read in READ:
            await _ok(ada.get(read))
        await _ok(ada.get(f"{path}/context"))
        await _ok(ada.get(f"{path}/events", headers={"accept": "application/json"}))
        token = await _ok(ada.post("/tokens", json={"agents": [agent["id"]]}))
        await _ok(ada.post("/tickets", json={"thread_id": thread["id"]}))
        await _ok(ada.delete(f"/tokens/{token['id']}"))
        await _ok(admin.put("/users/ada/limits", json={"runs": 5}))
        await _ok(admin.get("/jobs"))
        await _ok(admin.get("/audit"))
        service.container.conn.executor.request_sweep()
        await asyncio.sleep(1)
        await _ok(ada.delete(f"/threads/{fork['id']}"))
        await _ok(admin.delete("/users/ada"))
        await asyncio.sleep(1)


def main(path: Path) -> None:
    """Record this version."""
    lines = [json.dumps({"schema": SCHEMA_REVISION})]
    with tempfile.TemporaryDirectory() as directory:
        server = PostgresServer(Path(directory) / "server")
        Path(directory).chmod(0o711)
        server.start()
        try:
            url = server.create_database("recorded")
            migrate.upgrade(url)
            with recorded(lines):
                asyncio.run(serve(url, Path(directory) / "var"))
        finally:
            server.stop()
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
