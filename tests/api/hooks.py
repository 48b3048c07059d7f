"""Webhooks in tests: making them, carrying out what is due, and reading what arrived."""

from typing import Any

import httpx
from sqlalchemy import Connection, select, update
from standardwebhooks import Webhook

from ai_agents.store.clock import database_now
from ai_agents.store.job_tables import JobTable
from ai_agents.store.webhook_tables import WebhookTable
from tests.api.service import Service
from tests.fakes.http_server import Asked, reply

OK = reply(b"", status="200 OK")
DOWN = reply(b"", status="503 Service Unavailable")


async def make_hook(client: httpx.AsyncClient, url: str, agent_id: str | None, *events: str) -> dict[str, Any]:
    body = {"url": url, "events": list(events) or ["run.completed"], "agent_id": agent_id}
    response = await client.post("/webhooks", json=body)
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


async def say(client: httpx.AsyncClient, thread_id: str) -> dict[str, Any]:
    response = await client.post(f"/threads/{thread_id}/messages", json={"content": "Hi"})
    assert response.status_code == 201, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def deliveries(client: httpx.AsyncClient, hook_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.get(f"/webhooks/{hook_id}/deliveries")).json()["data"]
    return found


async def carry_out(service: Service) -> float | None:
    """Carry out the delivery that waits, whatever its time; the seconds that it waits now, None if it has ended."""
    database, runner = service.container.conn.database, service.container.job_runner

    def hasten(connection: Connection) -> str | None:
        connection.execute(update(JobTable).where(JobTable.kind == "webhook").values(due_at=0.0))
        connection.execute(update(WebhookTable).values(paused_until=0.0))
        return connection.scalar(select(JobTable.id).where(JobTable.kind == "webhook"))

    def wait_s(connection: Connection) -> float | None:
        row = connection.execute(
            select(JobTable.due_at - database_now(connection.dialect.name)).where(JobTable.kind == "webhook")
        ).scalar_one_or_none()
        return None if row is None else float(row)

    job_id = await database.write(hasten)
    assert job_id is not None
    await runner.run(job_id)
    return await database.read(wait_s)


def verified(asked: Asked, secret: str) -> Any:
    """What a receiver takes of a request, by the published verifier."""
    return Webhook(secret).verify(asked.body, asked.headers)
